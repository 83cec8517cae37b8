"""Whether a score holds within groups, elsewhere, at equal age, and under other training runs."""

from __future__ import annotations

from benchmark.results.robustness.reuse import Before
from benchmark.results.robustness.schema import TABLES, outdated
from benchmark.results.robustness.tables import write_robustness

__all__ = ["TABLES", "Before", "outdated", "write_robustness"]
