"""Resampling, intervals, the one test, and ranks: torch-free and without I/O."""

from __future__ import annotations

from benchmark.stats.bca import bca_interval, percentile_interval
from benchmark.stats.bootstrap import BootstrapResult, bootstrap_interval
from benchmark.stats.candidate import Candidate, SetScore
from benchmark.stats.critical_difference import CriticalDifference, critical_difference
from benchmark.stats.delong import (
    AurocComponents,
    auroc_components,
    delong_interval,
    delong_test,
    delong_variance,
)
from benchmark.stats.interval import Interval, with_seed_variance
from benchmark.stats.maxt import MaxT, max_t
from benchmark.stats.multiplicity import benjamini_hochberg, holm
from benchmark.stats.nadeau_bengio import CorrectedTest, corrected_resampled_t
from benchmark.stats.permutation import PermutationTest, paired_permutation_test, sign_flip_test
from benchmark.stats.pooling import Pooled, pool_random_effects
from benchmark.stats.power import (
    auroc_correlation,
    auroc_difference_power,
    more_to_separate,
    people_for_auroc_difference,
)
from benchmark.stats.rank_agreement import RankAgreement, rank_agreement
from benchmark.stats.ranking import (
    Comparison,
    Ranking,
    RankRow,
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
    "CorrectedTest",
    "CriticalDifference",
    "Interval",
    "MaxT",
    "PermutationTest",
    "Pooled",
    "RankAgreement",
    "RankRow",
    "Ranking",
    "SetScore",
    "auroc_components",
    "auroc_correlation",
    "auroc_difference_power",
    "bca_interval",
    "benjamini_hochberg",
    "bootstrap_interval",
    "corrected_resampled_t",
    "critical_difference",
    "delong_interval",
    "delong_test",
    "delong_variance",
    "draw_resamples",
    "holm",
    "jackknife_weights",
    "max_t",
    "more_to_separate",
    "paired_gain",
    "paired_permutation_test",
    "people_for_auroc_difference",
    "percentile_interval",
    "pool_random_effects",
    "rank_agreement",
    "rank_methods",
    "seeded_generator",
    "sign_flip_test",
    "strata_codes",
    "wilson_interval",
    "with_seed_variance",
]
