"""Fluid biomarkers and a linear model."""

from dataclasses import dataclass, field

from benchmark.api import MethodInfo, register


@dataclass
class Config:
    """Settings.

    Attributes:
        penalties: Inverse penalties to choose from on validation people.
    """

    penalties: list[float] = field(default_factory=lambda: [0.001, 0.003, 0.01, 0.03, 0.1, 1.0])


INFO = register(
    MethodInfo(
        name="biomarker_linear",
        title="Fluid biomarkers, linear",
        summary="Penalised logistic regression on all fluid proteins.",
        model="model:BiomarkerLinear",
        tasks=("impaired",),
        tracks=("biomarker", "all"),
        requires=("biomarker",),
        copes_with_missing=True,
        config=Config,
        variants={
            "biomarker_all_linear": {
                "track": "all",
                "title": "Fluid biomarkers + APOE + demography, linear",
            }
        },
        paper="Craig-Schapiro et al. 2011, PLoS ONE 6(4):e18850.",
        doi="10.1371/journal.pone.0018850",
    )
)
