"""Writes a reading to a cohort store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held.entry import CohortEntry, adapter_of
from benchmark.cohorts.held.reading import Adapter, Reading
from benchmark.cohorts.held.volumes import HeldVolumes
from benchmark.store import CohortWriter

__all__ = ["build_store"]

_KEYS = [v.PARTICIPANT_ID, v.SESSION_ID]
_T1W_ROW = "t1w_row"


def build_store(name: str, entry: CohortEntry, reading: Reading, folder: Path) -> None:
    """Writes the cohort store of a reading, whole or not at all.

    Args:
        name: The cohort's name.
        entry: Where it came from.
        reading: What was read of it.
        folder: ``data/<name>``.

    Raises:
        CohortError: A rule of the participant table is broken, a prepared volume is missing or
            damaged, or the store is being written.
    """
    adapter = adapter_of(entry.source)
    with CohortWriter(folder, {"entry": asdict(entry)}) as writer:
        writer.table("participants", _participants(reading))
        for table, frame in sorted(reading.tables.items()):
            writer.table(table, frame.reset_index(drop=True))
        if reading.volumes:
            array = writer.array("t1w", reading.volumes.shape, "float16")
            reading.volumes.prepared.copy_into(array, reading.volumes.rows["row"].tolist())
            array.flush()
        for held in reading.arrays:
            writer.array(held.name, held.values.shape, str(held.values.dtype))[:] = held.values
        writer.finish(_card(name, entry, adapter, reading))


def _participants(reading: Reading) -> pd.DataFrame:
    """The visits with the row of each in the arrays, -1 for none."""
    visits = _with_t1w_rows(reading)
    for held in reading.arrays:
        visits = _joined(visits, held.rows.assign(row=range(len(held.rows))), f"{held.name}_row")
    return visits


def _joined(visits: pd.DataFrame, rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """The visits with a column of row numbers."""
    numbered = rows[[*_KEYS, "row"]].rename(columns={"row": column})
    joined = visits.merge(numbered, on=_KEYS, how="left", validate="one_to_one")
    return joined.assign(**{column: joined[column].fillna(-1).astype(np.int64)})


def _with_t1w_rows(reading: Reading) -> pd.DataFrame:
    """The visits; ``t1w_row`` tells who has modality ``t1w``.

    With volumes it is the visit's row in ``t1w.npy``, whatever ``regions`` holds. Without, it is
    the row in ``regions`` of a visit of which something is measured.
    """
    visits = reading.visits.reset_index(drop=True)
    regions = reading.tables.get("regions")
    if regions is not None and v.HEAD_SIZE_MM3 not in visits:
        visits[v.HEAD_SIZE_MM3] = np.nan  # asked for wherever regions are
    if reading.volumes:
        rows = reading.volumes.rows[_KEYS].assign(row=range(len(reading.volumes.rows)))
    elif regions is not None:
        measured = regions.drop(columns=_KEYS).notna().any(axis=1).to_numpy()
        rows = regions[_KEYS].assign(row=np.where(measured, np.arange(len(regions)), -1))
    else:
        return visits
    return _joined(visits, rows, _T1W_ROW)


def _card(name: str, entry: CohortEntry, adapter: Adapter, reading: Reading) -> dict[str, Any]:
    card: dict[str, Any] = {
        "name": name,
        "title": entry.title or adapter.title,
        "synthetic": entry.synthetic,
        "source": adapter.source,
        "licence": adapter.licence,
        "terms": adapter.terms,
        "citation": adapter.citation,
        "preparation": adapter.preparation,
        "label_rules": dict(reading.tasks),
        "left_out": dict(reading.left_out),
        "options": adapter.with_defaults(entry.options),
    }
    if reading.volumes:
        card |= _volume_facts(reading.volumes)
    for held in reading.arrays:
        card |= held.facts
    return card | dict(reading.facts)


def _volume_facts(volumes: HeldVolumes) -> dict[str, Any]:
    """What a datasheet says of volumes; no name of a scan."""
    return {
        "spacing_mm": volumes.spacing_mm,
        "shape": list(volumes.shape[1:]),
        "volumes": {
            "visits": len(volumes.rows),
            "flagged": volumes.flagged,
            "prepared_sha256": volumes.sha256,
            "has_t1w": "who has a volume",
        },
    }
