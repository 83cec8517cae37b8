"""What a cohort store holds: who has which modality, and whether every number is a number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.tracks import SOURCES

__all__ = ["broken_rows", "modality_counts"]

_ROWS = {v.T1W: "t1w_row", v.FMRI: "fmri_row", v.GENETIC: "snps_row"}
_TABLES = {v.REPORT: "reports", v.BIOMARKER: "biomarkers"}
_KEYS = [v.PARTICIPANT_ID, v.SESSION_ID]


def modality_counts(folder: Path) -> dict[str, int]:
    """Counts the people who have each modality at their index visit.

    Args:
        folder: A store with ``participants.parquet``.

    Returns:
        Number of people by modality, 0 where nobody has it; all people under ``people``.
    """
    visits = pd.read_parquet(folder / "participants.parquet")
    index = visits.loc[visits[v.IS_INDEX]]
    counts = {"people": len(index)} | dict.fromkeys(v.MODALITIES, 0)
    for modality, column in _ROWS.items():
        if column in index:
            counts[modality] = int((index[column] >= 0).sum())
    if _ROWS[v.GENETIC] not in index:  # genotypes without a SNP panel: APOE alone
        counts[v.GENETIC] = _known(index, [v.APOE_E4])
    counts[v.CLINICAL] = _known(index, SOURCES["clinical"].columns)
    for modality, name in _TABLES.items():
        path = folder / f"{name}.parquet"
        if path.is_file():
            rows = index[_KEYS].merge(pd.read_parquet(path), on=_KEYS, how="left")
            shown = ["text"] if modality == v.REPORT else list(rows.columns.drop(_KEYS))
            counts[modality] = _known(rows, shown)
    return counts


def _known(rows: pd.DataFrame, columns: Iterable[str]) -> int:
    present = [column for column in columns if column in rows]
    return int(rows[present].notna().any(axis=1).sum()) if present else 0


def broken_rows(folder: Path, arrays: Iterable[str]) -> Iterator[str]:
    """Describes each row of the store's arrays that holds NaN or infinity.

    One row is in memory at a time. Whole-number arrays cannot hold either and are not read.

    Args:
        folder: A store; its participants give rows their owners where there are any.
        arrays: Names without ``.npy``.
    """
    path = folder / "participants.parquet"
    visits = pd.read_parquet(path) if path.is_file() else pd.DataFrame()
    for name in arrays:
        array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        if not np.issubdtype(array.dtype, np.floating):
            continue
        for row, values in enumerate(array):
            bad = int(values.size - np.isfinite(values).sum())
            if bad:
                owner = _owner(visits, f"{name}_row", row)
                yield f"{name}.npy row {row}{owner}: {bad} of {values.size} values"


def _owner(visits: pd.DataFrame, column: str, row: int) -> str:
    owners = visits.loc[visits[column] == row, v.PARTICIPANT_ID] if column in visits else ()
    return f" (participant {', '.join(owners)})" if len(owners) else ""
