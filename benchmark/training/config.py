"""Settings of a training run; plain dataclasses without torch, so an ``info.py`` stays light."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmark.errors import ConfigError, UnknownNameError

__all__ = [
    "SCHEDULES",
    "WEIGHTINGS",
    "AugmentConfig",
    "BalanceConfig",
    "TrainerConfig",
    "cnn_trainer",
]

SCHEDULES = ("one-cycle", "cosine", "constant")
KEEP = ("best", "last")
WEIGHTINGS = ("fixed", "uncertainty", "gradnorm", "pcgrad")


@dataclass
class AugmentConfig:
    """How strongly training volumes are varied; 0 switches a term off.

    Attributes:
        flip: Probability of mirroring left and right.
        shift_voxels: Largest shift along each axis, in voxels; whole voxels unless volumes are also
            scaled or rotated.
        scale: Largest relative change of size, e.g. 0.05.
        rotate_degrees: Largest rotation about each axis.
        intensity: Standard deviation of a log gain, one per volume.
        contrast: Standard deviation of a log exponent (gamma) on intensities, white matter at 1.
        bias: Standard deviation of the coefficients of a smooth multiplicative log field.
        noise: Largest standard deviation of Gaussian noise, in units of white matter.
    """

    flip: float = 0.5
    shift_voxels: float = 1.0
    scale: float = 0.0
    rotate_degrees: float = 0.0
    intensity: float = 0.0
    contrast: float = 0.0
    bias: float = 0.0
    noise: float = 0.0

    @property
    def resamples(self) -> bool:
        """Whether volumes are interpolated."""
        return self.scale > 0 or self.rotate_degrees > 0


@dataclass
class BalanceConfig:
    """How several losses are weighed against each other; see ``training/balance.py``.

    Attributes:
        weighting: ``fixed``, ``uncertainty``, ``gradnorm`` or ``pcgrad``.
        weights: By loss, its fixed weight, which the other weightings multiply; 1 where it is not
            named, 0 switches a loss off.
        gradnorm_alpha: How strongly GradNorm speeds up a loss that lags behind.
        gradnorm_lr: Learning rate of GradNorm's weights.
    """

    weighting: str = "fixed"
    weights: dict[str, float] = field(default_factory=dict)
    gradnorm_alpha: float = 1.5
    gradnorm_lr: float = 0.025

    @property
    def is_plain(self) -> bool:
        """Whether losses are simply summed."""
        return self.weighting == "fixed" and not self.weights

    def check(self) -> None:
        """Refuses values that cannot work.

        Raises:
            UnknownNameError: ``weighting`` is none of the known ones.
            ConfigError: A number is out of range.
        """
        if self.weighting not in WEIGHTINGS:
            raise UnknownNameError("trainer.balance.weighting", self.weighting, WEIGHTINGS)
        for name, weight in self.weights.items():
            if not weight >= 0:
                raise ConfigError(f"trainer.balance.weights.{name} must be >= 0, got {weight}")
        if not self.gradnorm_alpha >= 0:
            raise ConfigError(
                f"trainer.balance.gradnorm_alpha must be >= 0, got {self.gradnorm_alpha}"
            )
        if not self.gradnorm_lr > 0:
            raise ConfigError(f"trainer.balance.gradnorm_lr must be > 0, got {self.gradnorm_lr}")


@dataclass
class TrainerConfig:
    """How a network is trained.

    Attributes:
        epochs: Passes over the training people.
        batch_size: People per optimiser step, over all processes.
        lr: Peak learning rate.
        weight_decay: AdamW's; biases and norms are exempt.
        schedule: ``one-cycle`` (rise over ``warmup``, then cosine to 0), ``cosine``, ``constant``.
        warmup: Share of the steps spent rising to ``lr``.
        class_weights: Whether classes weigh equally in the loss, from training people.
        label_smoothing: Share of probability spread over all classes in training.
        clip: Largest gradient norm; 0 for none.
        ema_decay: Decay per step of averaged weights, which are then validated and kept; 0: none.
        keep: ``best`` keeps the weights of lowest validation loss, ``last`` those at the end.
        patience: Epochs without a lower validation loss before training stops; 0 for never.
        flip_average: Whether a prediction is the mean over the volume and its mirror image.
        predict_batch_size: People per forward pass in validation and prediction.
        even_labels: Whether every batch holds its share of each combination of labels.
        balance: How the losses of several tasks are weighed.
        distributed: Whether this process is one of several started by ``torchrun``.
        augment: Augmentation of training batches.
    """

    epochs: int = 16
    batch_size: int = 16
    lr: float = 3e-3
    weight_decay: float = 1e-2
    schedule: str = "one-cycle"
    warmup: float = 0.2
    class_weights: bool = True
    label_smoothing: float = 0.0
    clip: float = 1.0
    ema_decay: float = 0.0
    keep: str = "best"
    patience: int = 0
    flip_average: bool = False
    predict_batch_size: int = 32
    even_labels: bool = False
    balance: BalanceConfig = field(default_factory=BalanceConfig)
    distributed: bool = False
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def check(self) -> None:
        """Refuses values that cannot work.

        Raises:
            ConfigError: A value is out of its range.
            UnknownNameError: ``schedule`` or ``keep`` is none of the known ones.
        """
        if self.schedule not in SCHEDULES:
            raise UnknownNameError("trainer.schedule", self.schedule, SCHEDULES)
        if self.keep not in KEEP:
            raise UnknownNameError("trainer.keep", self.keep, KEEP)
        for name in ("epochs", "batch_size", "predict_batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"trainer.{name} must be at least 1, got {getattr(self, name)}")
        for name in ("warmup", "label_smoothing", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"trainer.{name} must be in [0, 1), got {getattr(self, name)}")
        for name in ("lr", "weight_decay", "clip", "patience"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"trainer.{name} must be >= 0, got {getattr(self, name)}")
        self.balance.check()
        if self.distributed and self.balance.weighting in ("gradnorm", "pcgrad"):
            raise ConfigError(
                f"trainer.balance.weighting={self.balance.weighting} compares gradients within one "
                "process; expected fixed or uncertainty with trainer.distributed=true"
            )


def cnn_trainer(epochs: int) -> TrainerConfig:
    """Settings that the board's convolutional networks share, chosen on the development twins.

    What each of them is worth: docs/training.md.
    """
    return TrainerConfig(
        epochs=epochs,
        lr=5e-3,
        ema_decay=0.97,
        keep="last",
        flip_average=True,
        augment=AugmentConfig(contrast=0.1, bias=0.05, noise=0.05),
    )
