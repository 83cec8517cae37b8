"""Whose volumes are explained."""

from __future__ import annotations

from typing import Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import ResultError
from benchmark.saliency.fold import FittedFold

__all__ = ["POSITION", "chosen_people"]

POSITION: Final = "position"


def chosen_people(fold: FittedFold, most: int) -> pd.DataFrame:
    """Test people with a label and a volume: the classes in turn, each in the order of its ids.

    Args:
        fold: The fitted fold.
        most: How many at most; 0 for all.

    Returns:
        Their ledger rows, with ``group`` (the true class), ``t1w_row`` (in the cohort store) and
        ``position`` (among the test people).

    Raises:
        ResultError: There is nobody.
    """
    order = pd.Index(fold.cell.people[v.TEST])
    table: pd.DataFrame = fold.rows.copy()
    table[POSITION] = order.get_indexer(pd.Index(table[v.PARTICIPANT_ID]))
    table = table[fold.test.arrays["t1w"].available[table[POSITION].to_numpy()]]
    table = table.sort_values(v.PARTICIPANT_ID, kind="stable")
    if fold.task.classes:
        classes = table["y_true"].astype(int)
        table["group"] = [fold.task.classes[k] for k in classes]
        table["turn"] = table.groupby("group").cumcount()
        table = table.sort_values(["turn", "y_true"], kind="stable").drop(columns="turn")
    else:
        table["group"] = pd.Series(pd.NA, index=table.index, dtype="string")
    if most:
        table = table.head(most)
    if table.empty:
        raise ResultError(f"{fold.job.label}: no test person has a volume and a label")
    index = fold.cell.cohort.index_visits.set_index(v.PARTICIPANT_ID)
    table["t1w_row"] = index["t1w_row"].reindex(table[v.PARTICIPANT_ID]).to_numpy()
    shown: pd.DataFrame = table.drop(columns=["cohort", "task", "part"])
    return shown.reset_index(drop=True)
