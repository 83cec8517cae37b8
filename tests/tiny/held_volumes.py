"""Folders as ``neurodx volumes`` writes them, of made-up volumes; no scan is prepared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.imaging.grid import store_shape
from benchmark.imaging.regions import REGION_NAMES
from benchmark.store.hashing import file_sha256

KEYS = ["participant_id", "session_id"]


def write_prepared(
    folder: Path,
    scans: Sequence[tuple[str, str]],
    spacing_mm: float = 16.0,
    failed: Sequence[str] = (),
    flagged: Sequence[str] = (),
) -> Path:
    """A volume for each (participant, session), the number of its row in the middle."""
    folder.mkdir(parents=True, exist_ok=True)
    index, regions = [], []
    for row, (who, session) in enumerate(scans):
        volume = np.zeros(store_shape(spacing_mm), np.float16)
        volume[volume.shape[0] // 2] = row + 1
        name = f"scans/{who}_{session}/volume.npy"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / name, volume)
        facts = {"row": row, "volume": name, "sha256": file_sha256(folder / name)}
        index.append([who, session, *facts.values(), f"{who}.nii.gz", "raw"])
        regions.append([who, session, *range(1000 + row, 1000 + row + len(REGION_NAMES)), 1.5e6])
    columns = [*KEYS, "row", "volume", "sha256", "source", "done"]
    pd.DataFrame(index, columns=columns).to_parquet(folder / "index.parquet")
    columns = [*KEYS, *(f"{name}_mm3" for name in REGION_NAMES), "head_size_mm3"]
    table = pd.DataFrame(regions, columns=columns)
    table.astype(dict.fromkeys(columns[2:], "float64")).to_parquet(folder / "regions.parquet")
    marks = [[who, s, "correlation" if who in flagged else ""] for who, s in scans]
    pd.DataFrame(marks, columns=[*KEYS, "flags"]).to_parquet(folder / "qc.parquet")
    lost = [[who, "ses-M000", f"{who}.nii.gz", "read", "empty", ""] for who in failed]
    columns = [*KEYS, "file", "step", "reason", "details"]
    pd.DataFrame(lost, columns=columns).to_parquet(folder / "failures.parquet")
    (folder / "preparation.json").write_text(json.dumps({"spacing_mm": spacing_mm}))
    (folder / "qc.html").write_text("<p>pictures</p>")
    return folder
