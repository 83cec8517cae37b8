"""The prediction tasks: who is eligible, what the label is, which inputs would be circular.

A label rule reads the visit table of a cohort (one row per visit) and answers for the index
visits. It is a pure function, so the same table gives the same labels everywhere.

References:
    Conversion within 36 months: Bron et al. 2021, NeuroImage: Clinical, 10.1016/j.nicl.2021.102712.
    Label-defining scales: Wen et al. 2020, Medical Image Analysis, 10.1016/j.media.2020.101694.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import CohortError, UnknownNameError

__all__ = ["CONVERSION_MONTHS", "TASKS", "Labels", "Task", "get_task", "labels_for"]

CONVERSION_MONTHS: Final = 36
CLASSIFICATION: Final = "classification"
REGRESSION: Final = "regression"

_CLASSIFICATION_METRICS = (
    "roc_auc",
    "balanced_accuracy",
    "pr_auc",
    "macro_f1",
    "mcc",
    "sensitivity",
    "specificity",
    "sensitivity_at_90_specificity",
    "brier_score",
    "log_loss",
    "ece",
    "calibration_slope",
    "calibration_intercept",
    "net_benefit_10",
    "net_benefit_20",
    "net_benefit_30",
    "net_benefit_50",
)
_MULTICLASS_METRICS = (
    "roc_auc",
    "balanced_accuracy",
    "macro_f1",
    "mcc",
    "accuracy",
    "brier_score",
    "log_loss",
    "ece",
    "calibration_slope",
    "calibration_intercept",
)
_REGRESSION_METRICS = ("mae", "rmse", "r2", "pearson_r", "age_bias_slope", "mae_predict_mean")


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of a cohort's index visits.

    Attributes:
        values: Class index or value, shape (N,), float64; NaN where ``mask`` is false.
        mask: Whether the person is eligible and the label known, shape (N,), bool.
        excluded: Why the others are not, as counts by reason.
    """

    values: np.ndarray
    mask: np.ndarray
    excluded: Mapping[str, int]


Answer = tuple[np.ndarray, pd.Series]
Rule = Callable[[pd.DataFrame, pd.DataFrame], Answer]


@dataclass(frozen=True, slots=True)
class Task:
    """One prediction task.

    Attributes:
        name: Its name in configs and on the board.
        title: How it is written for readers.
        kind: "classification" or "regression".
        classes: Class names in label order; empty for regression. Class 1 is the positive one.
        primary_metric: The metric that ranks.
        metrics: Every metric that is reported.
        forbidden: Columns that define the label and are never inputs.
        forbidden_sources: Whole sources that would give it away, e.g. a report that states the age.
        rule: (index visits, all visits) -> (values (N,) with NaN, reasons for the NaN).
        unit: Unit of a regression target.
    """

    name: str
    title: str
    kind: str
    classes: tuple[str, ...]
    primary_metric: str
    metrics: tuple[str, ...]
    rule: Rule = field(repr=False)
    forbidden: frozenset[str] = frozenset({v.CDR_GLOBAL})
    forbidden_sources: frozenset[str] = frozenset()
    unit: str = ""

    @property
    def n_outputs(self) -> int:
        """Number of classes, or 1 for a regression."""
        return len(self.classes) or 1


def _need(frame: pd.DataFrame, column: str, task: str) -> pd.Series:
    if column not in frame:
        raise CohortError(
            f"task {task!r} needs the column {column!r}, which this cohort does not have "
            f"(columns: {', '.join(map(str, frame.columns))}); see `neurodx list tasks`"
        )
    return frame[column]


def _diagnosis_rule(task: str, classes: tuple[str, ...]) -> Rule:
    def rule(index: pd.DataFrame, _visits: pd.DataFrame) -> Answer:
        diagnosis = _need(index, v.DIAGNOSIS, task)
        codes = {name: float(code) for code, name in enumerate(classes)}
        values = diagnosis.map(codes).to_numpy(dtype=np.float64)
        reasons = "diagnosis " + diagnosis.fillna("missing").astype(str)
        return values, reasons

    return rule


def _conversion_rule(index: pd.DataFrame, visits: pd.DataFrame) -> Answer:
    """Labels people with MCI at baseline: pMCI = 1, sMCI = 0.

    pMCI has AD at a visit within 36 months, whatever follows. sMCI has none, and a visit with a
    diagnosis at 36 months or later at which AD had not been reached. Who was seen neither way, for
    example at 24 months without and at 48 months with AD, is censored.
    """
    diagnosis = _need(index, v.DIAGNOSIS, "conversion")
    later = visits.loc[(visits[v.VISIT_MONTHS] > 0) & visits[v.DIAGNOSIS].notna()]
    has_ad = later[v.DIAGNOSIS] == v.AD
    ids = index[v.PARTICIPANT_ID]
    first_ad_by_person = later.loc[has_ad].groupby(v.PARTICIPANT_ID)[v.VISIT_MONTHS].min()
    reached = later[v.PARTICIPANT_ID].map(first_ad_by_person).astype(np.float64)
    before = later.loc[reached.isna() | (later[v.VISIT_MONTHS] < reached)]
    last_free_by_person = before.groupby(v.PARTICIPANT_ID)[v.VISIT_MONTHS].max()
    first_ad = ids.map(first_ad_by_person).to_numpy(dtype=np.float64)
    last_free = ids.map(last_free_by_person).to_numpy(dtype=np.float64)

    mci = (diagnosis == v.MCI).to_numpy()
    progressive = mci & (first_ad <= CONVERSION_MONTHS)
    stable = mci & ~progressive & (last_free >= CONVERSION_MONTHS)
    values = np.where(progressive, 1.0, np.where(stable, 0.0, np.nan))
    reasons = pd.Series(
        np.where(mci, "censored before 36 months", "not MCI at baseline"), index=index.index
    )
    return values, reasons


def _brain_age_rule(index: pd.DataFrame, _visits: pd.DataFrame) -> Answer:
    age = _need(index, v.AGE_YEARS, "brain_age").to_numpy(dtype=np.float64, na_value=np.nan)
    healthy = _need(index, v.DIAGNOSIS, "brain_age").isin([v.CN, v.HC]).to_numpy()
    reasons = pd.Series(np.where(healthy, "age missing", "not healthy"), index=index.index)
    return np.where(healthy, age, np.nan), reasons


def _impaired_rule(index: pd.DataFrame, _visits: pd.DataFrame) -> Answer:
    if v.IMPAIRED in index:
        values = index[v.IMPAIRED].to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        cdr = _need(index, v.CDR_GLOBAL, "impaired").to_numpy(dtype=np.float64, na_value=np.nan)
        values = np.where(np.isnan(cdr), np.nan, (cdr > 0).astype(np.float64))
    return values, pd.Series("status missing", index=index.index)


def _by_diagnosis(name: str, title: str, *classes: str) -> Task:
    multiclass = len(classes) > 2
    metrics = _MULTICLASS_METRICS if multiclass else _CLASSIFICATION_METRICS
    rule = _diagnosis_rule(name, classes)
    return Task(name, title, CLASSIFICATION, classes, "roc_auc", metrics, rule)


_TASKS = (
    _by_diagnosis("dx3", "CN / MCI / AD", v.CN, v.MCI, v.AD),
    _by_diagnosis("ad_cn", "AD against CN", v.CN, v.AD),
    _by_diagnosis("mci_cn", "MCI against CN", v.CN, v.MCI),
    _by_diagnosis("ad_mci", "AD against MCI", v.MCI, v.AD),
    Task(
        "conversion",
        "MCI to AD within 36 months",
        CLASSIFICATION,
        ("sMCI", "pMCI"),
        "roc_auc",
        _CLASSIFICATION_METRICS,
        _conversion_rule,
    ),
    _by_diagnosis("pd_hc", "PD against healthy controls", v.HC, v.PD),
    Task(
        "brain_age",
        "Age from the brain",
        REGRESSION,
        (),
        "mae",
        _REGRESSION_METRICS,
        _brain_age_rule,
        frozenset({v.AGE_YEARS, "age_transformed", v.CDR_GLOBAL}),
        frozenset({v.REPORT}),
        "years",
    ),
    Task(
        "impaired",
        "Cognitively impaired against control",
        CLASSIFICATION,
        ("control", "impaired"),
        "roc_auc",
        _CLASSIFICATION_METRICS,
        _impaired_rule,
        frozenset({v.CDR_GLOBAL, v.IMPAIRED, v.DIAGNOSIS}),
    ),
)
TASKS: Final[Mapping[str, Task]] = MappingProxyType({t.name: t for t in _TASKS})


def get_task(name: str) -> Task:
    """Returns the task of that name.

    Raises:
        UnknownNameError: No such task; the nearest names are suggested.
    """
    try:
        return TASKS[name]
    except KeyError:
        raise UnknownNameError("task", name, TASKS, "neurodx list tasks") from None


def labels_for(task: Task, visits: pd.DataFrame) -> Labels:
    """Applies a task's label rule to a visit table.

    Args:
        task: The task.
        visits: All visits of a cohort, one row each; ``is_index`` marks one per person.

    Returns:
        Labels in the order of the index visits.

    Raises:
        CohortError: A column that the rule needs is missing.
    """
    for column in (v.IS_INDEX, v.PARTICIPANT_ID, v.VISIT_MONTHS):
        _need(visits, column, task.name)
    index = visits.loc[visits[v.IS_INDEX]].reset_index(drop=True)
    values, reasons = task.rule(index, visits)
    mask = ~np.isnan(values)
    counts = reasons[~mask].value_counts().sort_index()
    return Labels(values, mask, {str(reason): int(n) for reason, n in counts.items()})
