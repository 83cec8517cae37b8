"""Leaks by what a method is given or fitted on, rather than by who is in which part."""

from __future__ import annotations

import re
from collections.abc import Iterable

from benchmark import vocabulary as v
from benchmark.errors import LeakageError
from benchmark.leakage.naming import listed
from benchmark.splitting.split import Fold
from benchmark.tasks import Task

__all__ = ["check_fit_ids", "check_inputs", "check_reports", "states"]

_NAMES = {
    v.CDR_GLOBAL: r"\b(?:CDR|clinical dementia rating)",
    v.MMSE: r"\b(?:MMSE|mini[- ]?mental)",
}
_NUMBER = (
    r"(?:\d|\b(?:zero|half|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    r"|(?:thir|four|fif|six|seven|eigh|nine)teen|twenty|thirty)\b)"
)
# Within one sentence: "approx. 27" and "Dr. Smith" end none.
_NEAR = r"(?:(?!(?<!\b[a-z])(?<!\b[a-z][a-z])[.!?]\s+[^\s\d]).){0,40}?"
# How a scale is stated in a report: its name with a number near, before or behind. Where in doubt,
# as about the year of a test, it is.
_STATED = {
    column: re.compile(f"{name}{_NEAR}{_NUMBER}|{_NUMBER}{_NEAR}{name}", re.IGNORECASE | re.DOTALL)
    for column, name in _NAMES.items()
}


def check_inputs(columns: Iterable[str], task: Task, sources: Iterable[str] = ()) -> None:
    """Refuses inputs that define the label.

    Args:
        columns: Names of all columns that a method would be given.
        task: The task.
        sources: Names of the sources that would be opened, e.g. ``report``.

    Raises:
        LeakageError: A column or source is forbidden for the task; all are named.
    """
    circular = sorted(
        set(columns) & task.forbidden | set(sources) & task.forbidden_sources,
    )
    if circular:
        raise LeakageError(
            f"task {task.name!r}: circular inputs {', '.join(circular)}: they define the label. "
            "Expected none of them among the inputs; choose another track "
            "(`neurodx list tracks`)"
        )


def check_reports(texts: Iterable[str | None], task: Task) -> None:
    """Refuses written reports that state a scale which defines the label.

    Args:
        texts: One report per person; None where there is none.
        task: The task.

    Raises:
        LeakageError: Reports state such a scale; the scale and their number are named.
    """
    known = [text for text in texts if isinstance(text, str)]
    for column in sorted(task.forbidden & set(_STATED)):
        found = sum(states(text, column) for text in known)
        if found:
            raise LeakageError(
                f"task {task.name!r}: {found} of {len(known)} reports state {column}, which "
                "defines the label; expected none. Remove it from the texts and prepare the "
                "cohort again (`neurodx prepare`)"
            )


def states(text: str, column: str) -> bool:
    """Whether a report states a scale, by its column: its name with a number near.

    >>> states("MMSE 27 of 30.", "mmse"), states("MMSE was not done.", "mmse")
    (True, False)
    """
    return bool(_STATED[column].search(text))


def check_fit_ids(seen_ids: Iterable[str], fold: Fold, what: str = "preprocessing") -> None:
    """Refuses a fit (scaling, imputation, harmonisation, ...) on people outside the training part.

    Args:
        seen_ids: Participants whose data the fit read.
        fold: The fold that it was made for.
        what: What was fitted, for the message.

    Raises:
        LeakageError: People outside the training part were seen; they are named with their part.
    """
    parts = {v.VALIDATION: set(fold.validation), v.TEST: set(fold.test)}
    outside = sorted(set(seen_ids) - set(fold.train))
    if outside:
        named = [
            f"{who} ({next((part for part, ids in parts.items() if who in ids), 'in no part')})"
            for who in outside
        ]
        raise LeakageError(
            f"{what} was fitted on {len(outside)} people outside the training part: "
            f"{listed(named)}. Expected training people only; fit it inside `Method.fit` on "
            "`train`, then run `neurodx check` on the method"
        )
