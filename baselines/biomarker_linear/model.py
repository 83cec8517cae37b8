"""Penalised logistic regression on every table of the track."""

from benchmark.api import PenalisedLinear


class BiomarkerLinear(PenalisedLinear):
    """All tables of the track, as they are."""
