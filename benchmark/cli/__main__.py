"""Lets ``python -m benchmark.cli`` stand in for ``neurodx``."""

import sys

from benchmark.cli import main

sys.exit(main())
