"""Two releases of one table: who appeared, who vanished, whose label or stratum is another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.diff.changes import Change, mapping_changes
from benchmark.errors import CohortError
from benchmark.splitting import people_of
from benchmark.splitting.people import AGE_BAND, CLASS, OUTCOME, UNIT
from benchmark.tasks import TASKS, Task

__all__ = ["PeopleDiff", "classes_of", "diff_people", "labels_of"]

_DECIMALS = 6  # of a label, as in the hash of labels that names a run


@dataclass(frozen=True, slots=True)
class PeopleDiff:
    """What separates the people of two visit tables; only those who are split count.

    Attributes:
        appeared: Only in the new table, sorted.
        vanished: Only in the old table, sorted.
        stay: In both, sorted.
        labels: Labels that changed of people who stay; ``kind`` is the task, ``name`` the person.
        strata: Strata that changed of people who stay; ``kind`` is the column of
            :func:`~benchmark.splitting.people_of`. Class and outcome are told as labels.
        one_sided: Tasks that one of the tables can answer and the other cannot: task -> which.
        old_people: The rows of :func:`~benchmark.splitting.people_of` on the old side.
        new_people: The same on the new side.
    """

    appeared: tuple[str, ...]
    vanished: tuple[str, ...]
    stay: tuple[str, ...]
    labels: tuple[Change, ...]
    strata: tuple[Change, ...]
    one_sided: Mapping[str, str]
    old_people: pd.DataFrame = field(repr=False)
    new_people: pd.DataFrame = field(repr=False)

    @property
    def same(self) -> bool:
        """Whether nothing of this changed."""
        return not (self.appeared or self.vanished or self.labels or self.strata or self.one_sided)

    @property
    def relabelled(self) -> frozenset[str]:
        """People of whom the label of some task changed."""
        return frozenset(change.name for change in self.labels)


def diff_people(old: pd.DataFrame, new: pd.DataFrame) -> PeopleDiff:
    """Compares the people of two visit tables.

    Args:
        old: All visits of the older table, one row each.
        new: All visits of the newer one.

    Returns:
        Who came, who went, and what changed of those who stay.
    """
    old_people, new_people = people_of(old), people_of(new)
    before, after = (set(table[v.PARTICIPANT_ID]) for table in (old_people, new_people))
    stay = before & after
    labels: list[Change] = []
    one_sided: dict[str, str] = {}
    for task in TASKS.values():
        found = [_answered(task, visits) for visits in (old, new)]
        if any(found) and not all(found):
            one_sided[task.name] = "old" if found[0] else "new"
        elif all(found):
            known, now = ({who: x[who] for who in sorted(stay)} for x in found)
            changed = (who for who in known if known[who][0] != now[who][0])
            labels += [Change(task.name, w, _told(known[w]), _told(now[w])) for w in changed]
    return PeopleDiff(
        appeared=tuple(sorted(after - before)),
        vanished=tuple(sorted(before - after)),
        stay=tuple(sorted(stay)),
        labels=tuple(labels),
        strata=tuple(_strata(old_people, new_people, stay)),
        one_sided=one_sided,
        old_people=old_people,
        new_people=new_people,
    )


def classes_of(people: pd.DataFrame, ids: Iterable[str]) -> dict[str, int]:
    """Counts people by class and by outcome, as the manifest of a split counts them.

    Args:
        people: Rows of :func:`~benchmark.splitting.people_of`.
        ids: Whom to count; those who are not among ``people`` are left out.
    """
    chosen = people.loc[people[v.PARTICIPANT_ID].isin(set(ids))]
    names = [*chosen[CLASS].tolist(), *chosen[OUTCOME].tolist()]
    return dict(sorted(Counter(name for name in names if name).items()))


def labels_of(task: Task, visits: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """The label of each index visit's person as text, with the reason where there is none.

    Returns:
        By participant: (class name or value, ""), or ("", why there is none).

    Raises:
        CohortError: The table lacks a column that the task needs.
    """
    index = visits.loc[visits[v.IS_INDEX]].reset_index(drop=True)
    values, reasons = task.rule(index, visits)
    ids = index[v.PARTICIPANT_ID].astype(str)
    return {
        who: ("", str(reason)) if np.isnan(value) else (_written(task, float(value)), "")
        for who, value, reason in zip(ids, values, reasons, strict=True)
    }


def _answered(task: Task, visits: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Labels of a task; none where the table lacks a column or nobody has one."""
    try:
        labels = labels_of(task, visits)
    except CohortError:
        return {}
    return labels if any(text for text, _ in labels.values()) else {}


def _written(task: Task, value: float) -> str:
    return task.classes[int(value)] if task.classes else str(round(value, _DECIMALS))


def _told(label: tuple[str, str]) -> str:
    text, reason = label
    return text or f"no label ({reason})"


def _strata(old: pd.DataFrame, new: pd.DataFrame, stay: set[str]) -> list[Change]:
    changes: list[Change] = []
    for column in (UNIT, v.SEX, AGE_BAND, v.SITE_ID):
        sides = (
            {
                who: text or "unknown"
                for who, text in zip(table[v.PARTICIPANT_ID], table[column], strict=True)
                if who in stay
            }
            for table in (old, new)
        )
        changes += mapping_changes(column, *sides)
    return changes
