"""What Template method says of itself; imports nothing heavy."""

from dataclasses import dataclass

from benchmark.api import MethodInfo, register


@dataclass
class Config:
    """Settings.

    Attributes:
        penalty: Inverse strength of the penalty (C of scikit-learn).
    """

    penalty: float = 0.1


INFO = register(
    MethodInfo(
        name="template_method",
        title="Template method",
        summary="Logistic regression on the clinical table.",
        model="model:TemplateMethod",
        tasks=("dx3", "conversion", "pd_hc"),
        tracks=("clinical",),
        config=Config,
        contact="TODO: your name and address",
    )
)
