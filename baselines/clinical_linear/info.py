"""Every table of the track and a linear model."""

from dataclasses import dataclass, field

from benchmark.api import MethodInfo, register


@dataclass
class Config:
    """Settings.

    Attributes:
        penalties: Inverse (classification) or direct (regression) penalties to choose from on
            validation people.
    """

    penalties: list[float] = field(default_factory=lambda: [0.001, 0.01, 0.1, 1.0, 10.0])


INFO = register(
    MethodInfo(
        name="clinical_linear",
        title="Clinical table, linear",
        summary="Penalised linear model on whatever tables the track opens, as they are.",
        model="model:ClinicalLinear",
        tasks=("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc", "brain_age", "impaired"),
        tracks=("clinical", "clinical+mmse", "t1w+clinical", "all"),
        copes_with_missing=True,
        config=Config,
        variants={
            "regional_clinical_linear": {
                "track": "t1w+clinical",
                "title": "Regional features + clinical table, linear",
            },
            "all_tables_linear": {
                "track": "all",
                "title": "All tables of the cohort, linear",
            },
        },
    )
)
