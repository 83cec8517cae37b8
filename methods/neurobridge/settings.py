"""Which settings NeuroBridge takes."""

from __future__ import annotations

from benchmark.api import BalanceConfig, MethodError, one_of

from .info import NeuroBridgeConfig

ENCODERS = ("conv", "swin")
GATES = ("channel", "stream")
POOLINGS = ("probability", "mean")
REFERENCES = ("healthy", "everyone")
ERRORS = ("l1", "mse")
COVARIATES = ("head_size_mm3", "age_years")


def check(config: NeuroBridgeConfig) -> None:
    """Refuses settings that cannot work.

    Raises:
        MethodError: A name is not known, a number is out of range, or ``guided.balance`` is set.
    """
    if config.guided.balance != BalanceConfig():
        raise MethodError(
            "neurobridge: guided.balance is not used; set trainer.balance, which weighs the "
            "losses of both phases"
        )
    if config.encoder not in ENCODERS:
        raise MethodError(
            f"neurobridge: encoder {config.encoder!r} gives no pyramid of maps; expected "
            f"{' or '.join(ENCODERS)}"
        )
    for key, values, known in (
        ("gate", [config.gate], GATES),
        ("segmentation_pooling", [config.segmentation_pooling], POOLINGS),
        ("volume_reference", [config.volume_reference], REFERENCES),
        ("reconstruction_loss", [config.reconstruction_loss], ERRORS),
        ("atrophy_reference", [config.atrophy_reference], REFERENCES),
        ("atrophy_adjusted_for", config.atrophy_adjusted_for, COVARIATES),
    ):
        for value in values:
            one_of(f"neurobridge: {key}", value, known)
    if config.atlas_smoothing < 1 or config.atlas_smoothing % 2 == 0:
        raise MethodError(
            "neurobridge: atlas_smoothing: expected an odd number of voxels, got "
            f"{config.atlas_smoothing}"
        )
    if not 0 < config.atlas_least_share < 0.5:
        raise MethodError(
            "neurobridge: atlas_least_share: expected a share between 0 and 0.5, got "
            f"{config.atlas_least_share}"
        )
    if config.atrophy_least_reference < len(COVARIATES) + 2:
        raise MethodError(
            f"neurobridge: atrophy_least_reference: a regression on {len(COVARIATES)} measures "
            f"needs {len(COVARIATES) + 2} people, got {config.atrophy_least_reference}"
        )
