"""The people a method sees: allowed modalities, availability masks and, where allowed, labels."""

from benchmark.samples.build import build_samples
from benchmark.samples.rows import LazyRows
from benchmark.samples.samples import Samples

__all__ = ["LazyRows", "Samples", "build_samples"]
