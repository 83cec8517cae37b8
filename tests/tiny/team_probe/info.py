"""The probe's facts."""

from dataclasses import dataclass, field

from benchmark.api import MethodInfo, TrainerConfig, register
from benchmark.training.config import AugmentConfig


@dataclass
class Config:
    """Settings.

    Attributes:
        fails: Where it fails on purpose: fit, predict or second (the fit of process 1 alone).
        trainer: Settings of the loop.
    """

    fails: str = ""
    trainer: TrainerConfig = field(
        default_factory=lambda: TrainerConfig(
            epochs=3, batch_size=8, augment=AugmentConfig(flip=0.5, shift_voxels=1.0)
        )
    )


INFO = register(
    MethodInfo(
        name="team_probe",
        title="Team probe",
        summary="A convolution without batch norm.",
        model="model:TeamProbe",
        tasks=("dx3",),
        tracks=("t1w",),
        requires=("t1w",),
        config=Config,
        variants={"team_probe_shared": {"trainer.distributed": True}},
    )
)
