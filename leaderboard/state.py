"""What the address of a page says: the choice of cohort, task, inputs and methods.

Every choice is a query parameter, so that the address of a view is its permalink. Unknown
parameters and values are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "ANY",
    "ASPECT",
    "CLAIM",
    "COHORT",
    "FIT",
    "METHOD",
    "PROTOCOL",
    "PROVENANCE",
    "ROW",
    "SORT",
    "SORTS",
    "TASK",
    "TASKS",
    "TRACK",
    "VARIABLE",
    "WITHOUT",
    "Selection",
]

COHORT: Final = "cohort"
TASK: Final = "task"
PROTOCOL: Final = "protocol"
TRACK: Final = "inputs"
PROVENANCE: Final = "provenance"
WITHOUT: Final = "without"
SORT: Final = "sort"
METHOD: Final = "method"
TASKS: Final = "tasks"
ASPECT: Final = "show"
VARIABLE: Final = "groups"
ROW: Final = "row"
CLAIM: Final = "claim"
FIT: Final = "fit"

ANY: Final = "any"
SORTS: Final = {
    "score": "Rank, then score",
    "gain": "Gain over the confound floor",
    "cost": "Cost, cheapest first",
    "name": "Name",
}


@dataclass(frozen=True, slots=True)
class Selection:
    """One ranked table: which cell of the board, and which of its rows.

    Attributes:
        cohort: The cohort that was scored.
        task: The task.
        protocol: The protocol of the folds, or "external".
        track: What the methods may see, or "any".
        provenance: Where the numbers come from, or "any".
        without: Methods that are left out; ranks are computed anew without them.
        sort: One of ``SORTS``; the order of the table, which does not change any rank.
    """

    cohort: str
    task: str
    protocol: str
    track: str = ANY
    provenance: str = ANY
    without: tuple[str, ...] = ()
    sort: str = "score"
