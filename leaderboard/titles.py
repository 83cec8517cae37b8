"""How cohorts, tasks and metrics are written for readers."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.metrics import get_metric
from benchmark.results.rank_cell import FLOORS
from leaderboard.board_data import Board
from leaderboard.formats import decimals
from leaderboard.rows import cohort_origins

__all__ = [
    "cohort_titles",
    "floor_method",
    "floor_title",
    "higher_is_better",
    "metric_digits",
    "metric_title",
    "task_titles",
]


def cohort_titles(board: Board) -> Callable[[str], str]:
    """Returns a function that gives a cohort its origin."""
    origins = cohort_origins(board.rows)
    return lambda name: f"{name} ({origins[name]})"


def task_titles(board: Board) -> Callable[[str], str]:
    """Returns a function that gives a task's title with its name."""
    titles = board.facts.get("task_titles") or {}
    return lambda name: f"{titles[name]} ({name})" if name in titles else name


def metric_title(name: str) -> str:
    """Title of a metric with its direction.

    >>> metric_title("mae")
    'MAE (lower is better)'
    """
    metric = get_metric(name)
    return metric.title if metric.higher_is_better else f"{metric.title} (lower is better)"


def metric_digits(name: str) -> int:
    """Digits after the point that a metric is shown with."""
    return decimals(get_metric(name).kind)


def higher_is_better(name: str) -> bool:
    """Direction of a metric."""
    return get_metric(name).higher_is_better


def floor_method(name: str) -> str:
    """Name of the method from which gains by a metric are counted."""
    return FLOORS[get_metric(name).kind]


def floor_title(name: str) -> str:
    """What the confound floor of a metric is: what costs no image at all."""
    regression = get_metric(name).kind == "regression"
    return "predicting the mean" if regression else "age and sex"
