"""Clinical table and genetics, or genetics alone."""

from dataclasses import dataclass, field

from benchmark.api import MethodInfo, register


@dataclass
class Config:
    """Settings.

    Attributes:
        penalties: Inverse penalties to choose from on validation people.
    """

    penalties: list[float] = field(default_factory=lambda: [0.01, 0.03, 0.1, 0.3, 1.0])


INFO = register(
    MethodInfo(
        name="clinical_genetic",
        title="Clinical + genetic, logistic regression",
        summary="Logistic regression on APOE e4 and the SNP panel, with the clinical table or "
        "without.",
        model="model:ClinicalGenetic",
        tasks=("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc", "impaired"),
        tracks=("clinical+genetic", "genetic"),
        copes_with_missing=True,
        config=Config,
        variants={
            "genetic_linear": {"track": "genetic", "title": "Genetic, logistic regression"},
        },
    )
)
