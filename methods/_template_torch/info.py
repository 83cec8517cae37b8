"""What Template method says of itself; imports nothing heavy."""

from dataclasses import dataclass, field

from benchmark.api import MethodInfo, TrainerConfig, register


@dataclass
class Config:
    """Settings.

    Attributes:
        width: Channels of the first convolution.
        trainer: The training loop; see docs/training.md.
    """

    width: int = 8
    trainer: TrainerConfig = field(default_factory=lambda: TrainerConfig(epochs=8))


INFO = register(
    MethodInfo(
        name="template_method",
        title="Template method",
        summary="A small 3D convolutional network on T1w volumes.",
        model="model:TemplateMethod",
        tasks=("dx3", "conversion", "pd_hc", "brain_age"),
        tracks=("t1w",),
        requires=("t1w",),
        config=Config,
        contact="TODO: your name and address",
    )
)
