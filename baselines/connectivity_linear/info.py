"""Functional connectivity and a linear model."""

from dataclasses import dataclass, field

from benchmark.api import MethodInfo, register


@dataclass
class Config:
    """Settings.

    Attributes:
        penalties: Inverse (classification) or direct (regression) penalties to choose from on
            validation people.
    """

    penalties: list[float] = field(default_factory=lambda: [0.0001, 0.001, 0.01, 0.1, 1.0])


INFO = register(
    MethodInfo(
        name="connectivity_linear",
        title="Functional connectivity, linear",
        summary="Penalised linear model on Fisher z of the correlations between regions' series.",
        model="model:ConnectivityLinear",
        tasks=("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc", "brain_age"),
        tracks=("fmri",),
        requires=("fmri",),
        config=Config,
        paper="Dadi et al. 2019: linear models on connectivity against others, over six cohorts.",
        doi="10.1016/j.neuroimage.2019.02.062",
    )
)
