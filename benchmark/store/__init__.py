"""The on-disk cohort: written atomically, memory-mapped, checked by hash."""

from benchmark.store.cohort import Cohort, store_names
from benchmark.store.hashing import file_sha256, tree_sha256
from benchmark.store.writer import CohortWriter

__all__ = ["Cohort", "CohortWriter", "file_sha256", "store_names", "tree_sha256"]
