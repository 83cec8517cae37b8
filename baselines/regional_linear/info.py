"""Regional volumes and a linear model."""

from dataclasses import dataclass, field

from benchmark.api import MethodInfo, register


@dataclass
class Config:
    """Settings.

    Attributes:
        penalties: Inverse (classification) or direct (regression) penalties to choose from on
            validation people.
    """

    penalties: list[float] = field(default_factory=lambda: [0.01, 0.1, 1.0, 10.0])


INFO = register(
    MethodInfo(
        name="regional_linear",
        title="Regional volumes, linear",
        summary="Penalised linear model on log regional volumes and head size, as measured.",
        model="model:RegionalLinear",
        tasks=("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc", "brain_age", "impaired"),
        tracks=("t1w", "t1w+site"),
        requires=("t1w",),
        config=Config,
        variants={
            "regional_harmonised_linear": {
                "track": "t1w+site",
                "title": "Regional volumes, harmonised over training sites, linear",
            },
        },
        paper="Regional volumetry as the reference features of Wen et al. 2020.",
        doi="10.1016/j.media.2020.101694",
    )
)
