"""Tables of the default board that need runs by another protocol, scored beside it.

The few-label curve and the drop on left-out sites are made where their protocol is scored together
with the default rows, in ``protocols/<protocol>/scores``. The default board takes them from there,
as long as the default rows that they rest on are those of this board; where they are not, or the
protocol has not been scored, it says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from benchmark.errors import ResultError
from benchmark.results.folders import cell_file
from benchmark.results.robustness.schema import TABLES
from benchmark.results.schema import LEAVE_SITE_OUT, typed

__all__ = ["BESIDE", "FEW_LABEL_PROTOCOL", "tables_beside"]

FEW_LABEL_PROTOCOL: Final = "few-label"
BESIDE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "few_label": FEW_LABEL_PROTOCOL,
        "leave_site_out": LEAVE_SITE_OUT,
        "left_out_sites": LEAVE_SITE_OUT,
    }
)
_ROW: Final = ("method", "track", "derived_from")
_CURVE: Final = ("cohort", "task", *_ROW)


def tables_beside(scores: Path, others: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """The tables that come from scores by other protocols, and what is said of them.

    Args:
        scores: Scores of the board.
        others: Scores by protocol, where they would lie.

    Returns:
        Tables by name, ``robustness`` with what each holds included; none where ``scores`` has no
        robustness tables.

    Raises:
        ResultError: A folder of scores lacks a table.
    """
    summary = scores / "robustness" / "robustness.parquet"
    if not summary.is_file():
        return {}
    stated = pd.read_parquet(summary)
    rows = dict(zip(stated["table"], stated["rows"].astype(int), strict=True))
    says = dict(zip(stated["table"], stated["says"], strict=True))
    found: dict[str, pd.DataFrame] = {}
    for name, protocol in BESIDE.items():
        if protocol not in others or rows.get(name, 0):
            continue  # the board's own runs answer
        there, how = others[protocol], _how(protocol)
        if not (there / "robustness" / "robustness.parquet").is_file():
            says[name] = f"empty: protocol {protocol} has not been scored; {how}"
            continue
        lines, changed = _unchanged(_read(there, name), scores, there)
        found[name], rows[name] = lines, len(lines)
        says[name] = _said(len(lines), len(changed), protocol)
    names = sorted(says)
    summed = {"table": names, "rows": [rows.get(x, 0) for x in names]}
    table = pd.DataFrame(summed | {"says": [says[x] for x in names]})
    return {**found, "robustness": typed(table, TABLES["robustness"])}


def _said(lines: int, changed: int, protocol: str) -> str:
    if changed:
        gone = f"{changed} rows have changed since protocol {protocol} was scored; {_how(protocol)}"
        return f"{lines} lines; {gone}" if lines else f"empty: {gone}"
    return f"{lines} lines" if lines else f"empty: no row here has whole runs of {protocol}"


def _how(protocol: str) -> str:
    return (
        f"run `neurodx run method=NAME protocol={protocol}`, `neurodx score --protocol {protocol}` "
        "and `neurodx rank`"
    )


def _read(scores: Path, name: str) -> pd.DataFrame:
    path = scores / "robustness" / f"{name}.parquet"
    if not path.is_file():
        raise ResultError(
            f"{path}: there is no such file; write it with "
            f"`neurodx score --protocol {BESIDE[name]}`"
        )
    return pd.read_parquet(path)


def _unchanged(
    lines: pd.DataFrame, scores: Path, there: Path
) -> tuple[pd.DataFrame, set[tuple[str, ...]]]:
    """Lines whose default row is that of the board, and the rows of which it is not."""
    default = lines[~lines["protocol"].str.startswith(tuple(BESIDE.values()))]
    checked = default.drop_duplicates([*_CURVE, "protocol"])
    changed: set[tuple[str, ...]] = set()
    for cell, rows in checked.groupby(["cohort", "task", "protocol"]):
        name = cell_file(*map(str, cell))
        ours, theirs = (_by_row(folder / "predictions" / name) for folder in (scores, there))
        for line in rows.to_dict("records"):
            row = tuple(str(line[c]) for c in _ROW)
            same = row in ours and row in theirs and ours[row].equals(theirs[row])
            if not same:
                changed.add((str(line["cohort"]), str(line["task"]), *row))
    keys = zip(*(lines[c] for c in _CURVE), strict=True)
    return lines[[key not in changed for key in keys]].reset_index(drop=True), changed


def _by_row(path: Path) -> dict[tuple[Any, ...], pd.DataFrame]:
    if not path.is_file():
        return {}
    groups = iter(pd.read_parquet(path).groupby(list(_ROW)))
    return {tuple(row): part.reset_index(drop=True) for row, part in groups}
