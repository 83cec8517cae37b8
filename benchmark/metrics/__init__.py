"""Every metric, torch-free and vectorised over bootstrap weights.

``METRICS[name].compute(y_true, prediction, folds, weights)`` returns one value, or one per row of
the weight matrix. The positive class of a binary task is class index 1. A new metric is one
function under ``register_metric``. What is a curve or a table is a plain function of its own.
"""

from __future__ import annotations

from benchmark.metrics.brain_age import (
    BiasCorrection,
    BrainAgeErrors,
    brain_age_errors,
    fit_bias_correction,
)
from benchmark.metrics.brier_decomposition import BrierDecomposition, brier_decomposition
from benchmark.metrics.calibration import N_BINS, equal_mass_bins
from benchmark.metrics.catalogue import NET_BENEFIT_THRESHOLDS
from benchmark.metrics.decision_curve import DecisionCurve, decision_curve
from benchmark.metrics.decisions import confusion
from benchmark.metrics.metric import Metric
from benchmark.metrics.per_class import class_values
from benchmark.metrics.registry import METRICS, add_metric, get_metric, register_metric
from benchmark.metrics.reliability import ReliabilityBins, reliability_bins
from benchmark.metrics.selective import RiskCoverage, risk_coverage
from benchmark.metrics.validation import check_participants

__all__ = [
    "METRICS",
    "NET_BENEFIT_THRESHOLDS",
    "N_BINS",
    "BiasCorrection",
    "BrainAgeErrors",
    "BrierDecomposition",
    "DecisionCurve",
    "Metric",
    "ReliabilityBins",
    "RiskCoverage",
    "add_metric",
    "brain_age_errors",
    "brier_decomposition",
    "check_participants",
    "class_values",
    "confusion",
    "decision_curve",
    "equal_mass_bins",
    "fit_bias_correction",
    "get_metric",
    "register_metric",
    "reliability_bins",
    "risk_coverage",
]
