"""The core of the benchmark; it knows no method by name."""

from benchmark.lean_monai import lean_monai

lean_monai()
