"""Scores maps, and the controls beside them, where the true change is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark import vocabulary as v
from benchmark.saliency.agreement import CHANGE_SHARE, person_scores, summarise
from benchmark.saliency.controls import CONTROLS, GroupMaps, control_maps, head_mask
from benchmark.store import Cohort

__all__ = ["Scored", "score_maps", "true_change"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Scored:
    """Agreement with the truth; empty where there is none.

    Attributes:
        people: One line per person, kind and region.
        summary: Means with intervals, and differences to the controls.
        change: The true change of each person, (N, D, H, W) float16; None where it is not known.
        facts: For the record.
    """

    people: pd.DataFrame = field(default_factory=pd.DataFrame)
    summary: pd.DataFrame = field(default_factory=pd.DataFrame)
    change: Array | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Writes ``agreement.parquet``, ``summary.parquet`` and ``true_change.npy``."""
        if self.change is None:
            return
        np.save(folder / "true_change.npy", self.change)
        self.people.to_parquet(folder / "agreement.parquet", index=False)
        self.summary.to_parquet(folder / "summary.parquet", index=False)


def true_change(truth: Path, people: list[str]) -> Array | None:
    """What a phantom's generator knows: each person's log volume change by the disease.

    Args:
        truth: ``truth/<cohort>``.
        people: Participant ids.

    Returns:
        Shape (N, D, H, W), float16; zeros for a person without a map; None where there is no truth.

    Raises:
        CohortError: The truth is damaged.
    """
    if not truth.is_dir():
        return None
    store = Cohort(truth)
    store.verify()
    if not store.has("change_maps"):
        return None
    latents = pd.read_parquet(truth / "latents.parquet").set_index(v.PARTICIPANT_ID)
    rows = latents["change_map_row"].reindex(people).fillna(-1).to_numpy(dtype=np.int64)
    stored = store.array("change_maps")
    found = np.zeros((len(rows), *stored.shape[1:]), dtype=np.float16)
    found[rows >= 0] = stored[rows[rows >= 0]]
    return found


def score_maps(
    maps: Mapping[str, Array],
    volumes: Array,
    people: pd.DataFrame,
    groups: GroupMaps,
    truth: Path,
) -> Scored:
    """Scores maps against the true change.

    Args:
        maps: By kind, as stored, (N, D, H, W).
        volumes: The stored volumes, (N, D, H, W).
        people: ``participant_id`` and ``group`` of each.
        groups: What training people show, for the controls.
        truth: ``truth/<cohort>``.
    """
    ids = people[v.PARTICIPANT_ID].tolist()
    change = true_change(truth, ids)
    if change is None:
        return Scored(facts={"known": False})
    rows: list[dict[str, Any]] = []
    for n, who in enumerate(ids):
        own = {kind: found[n].astype(np.float32) for kind, found in maps.items()}
        shown = own | control_maps(volumes[n], who, groups)
        regions = {"grid": None, "head": head_mask(volumes[n])}
        found = person_scores(shown, change[n].astype(np.float64), regions)
        rows += [{v.PARTICIPANT_ID: who, "group": people["group"].iloc[n], **row} for row in found]
    table = pd.DataFrame(rows)
    facts = {
        "known": True,
        "content_hash": Cohort(truth).content_hash,
        "change_share": CHANGE_SHARE,
        "controls": list(CONTROLS),
    }
    return Scored(table, summarise(table, CONTROLS), change, facts)
