"""Penalised linear model on every table of the track."""

from benchmark.api import PenalisedLinear


class ClinicalLinear(PenalisedLinear):
    """All tables of the track, as they are; missing values by the training median, and flagged."""
