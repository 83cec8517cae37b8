"""Resampling, intervals, the one test, and ranks: torch-free and without I/O."""

from __future__ import annotations

from benchmark.stats.bca import bca_interval, percentile_interval
from benchmark.stats.bootstrap import BootstrapResult, bootstrap_interval
from benchmark.stats.candidate import Candidate, SetScore
from benchmark.stats.delong import (
    AurocComponents,
    auroc_components,
    delong_interval,
    delong_test,
    delong_variance,
)
from benchmark.stats.interval import Interval, with_seed_variance
from benchmark.stats.maxt import MaxT, max_t
from benchmark.stats.ranking import (
    Comparison,
    Ranking,
    RankRow,
    more_to_separate,
    paired_gain,
    rank_methods,
)
from benchmark.stats.resamples import (
    draw_resamples,
    jackknife_weights,
    seeded_generator,
    strata_codes,
)
from benchmark.stats.wilson import wilson_interval

__all__ = [
    "AurocComponents",
    "BootstrapResult",
    "Candidate",
    "Comparison",
    "Interval",
    "MaxT",
    "RankRow",
    "Ranking",
    "SetScore",
    "auroc_components",
    "bca_interval",
    "bootstrap_interval",
    "delong_interval",
    "delong_test",
    "delong_variance",
    "draw_resamples",
    "jackknife_weights",
    "max_t",
    "more_to_separate",
    "paired_gain",
    "percentile_interval",
    "rank_methods",
    "seeded_generator",
    "strata_codes",
    "wilson_interval",
    "with_seed_variance",
]
