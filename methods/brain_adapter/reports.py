"""Reports through a frozen encoder, as the settings say."""

from __future__ import annotations

from benchmark.encoders import FeatureStore, ReportFeatures
from methods.brain_adapter.info import TextConfig

__all__ = ["report_features"]


def report_features(config: TextConfig, store: FeatureStore) -> ReportFeatures:
    """What makes features of reports.

    Args:
        config: Settings.
        store: Where features of units are kept.

    Raises:
        MethodError: The unit or the pooling is not known.
    """
    return ReportFeatures(
        store,
        folder=config.folder,
        layers=config.layers,
        max_tokens=config.max_tokens,
        unit=config.unit,
        pooling=config.pooling,
    )
