"""Gradient boosting on the clinical table."""

from dataclasses import dataclass, field

from benchmark.api import MethodInfo, register


@dataclass
class Config:
    """Settings.

    Attributes:
        learning_rates: Shrinkage values to choose from on validation people.
        iterations: Number of trees.
        max_leaf_nodes: Size of a tree.
        min_samples_leaf: Fewest people in a leaf.
        l2: Penalty on leaf values.
    """

    learning_rates: list[float] = field(default_factory=lambda: [0.02, 0.05, 0.1])
    iterations: int = 100
    max_leaf_nodes: int = 6
    min_samples_leaf: int = 10
    l2: float = 1.0


INFO = register(
    MethodInfo(
        name="clinical_boosting",
        title="Clinical table, gradient boosting",
        summary="Histogram gradient boosting on demography, family history and functional scales.",
        model="model:ClinicalBoosting",
        tasks=("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc", "impaired"),
        tracks=("clinical", "clinical+mmse"),
        config=Config,
    )
)
