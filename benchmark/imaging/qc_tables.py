"""Tables of a prepared folder: index, quality control, regions, failures, and the record of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import CohortError
from benchmark.imaging import qc_measures
from benchmark.imaging.grid import store_affine
from benchmark.imaging.one_scan import PICTURE, SPARSE, VOLUME, Failure, Question, kept_record
from benchmark.imaging.regions import REGION_NAMES
from benchmark.imaging.template import TEMPLATE_NAME, template
from benchmark.store.atomic import write_json, write_parquet

__all__ = ["write_tables"]

_REGIONS = (*(f"{name}_mm3" for name in REGION_NAMES), "head_size_mm3")


def write_tables(
    folder: Path,
    questions: Sequence[Question],
    failures: Sequence[Failure],
    recipe: Mapping[str, Any],
) -> None:
    """Writes ``index``, ``qc``, ``regions`` and ``failures`` (parquet) and ``preparation.json``.

    Args:
        folder: The prepared folder.
        questions: All scans, in order.
        failures: Those without a volume.
        recipe: What decided the voxels.

    Raises:
        CohortError: A volume has gone since it was prepared.
    """
    lost = {f"{f.participant}_{f.session}" for f in failures}
    whole = [q for q in questions if q.source.name not in lost]
    records = []
    for question in whole:
        record = kept_record(question)
        if record is None:
            raise CohortError(f"{question.folder}: changed while it was prepared; run it again")
        records.append(record)
    keys = [{v.PARTICIPANT_ID: r["participant_id"], v.SESSION_ID: r["session_id"]} for r in records]
    index = [
        {**key, "row": row, "volume": f"scans/{q.source.name}/{VOLUME}",
         "sha256": r["volume_sha256"], "source": r["source"]["file"], "done": r["source"]["done"]}
        for row, (key, q, r) in enumerate(zip(keys, whole, records, strict=True))
    ]  # fmt: skip
    regions = [{**key, **r["regions"]} for key, r in zip(keys, records, strict=True)]
    failed = [
        {v.PARTICIPANT_ID: f.participant, v.SESSION_ID: f.session, "file": f.file,
         "step": f.step, "reason": f.reason, "details": f.details}
        for f in failures
    ]  # fmt: skip
    person = (v.PARTICIPANT_ID, v.SESSION_ID)
    columns = [*person, "row", "volume", "sha256", "source", "done"]
    write_parquet(folder / "index.parquet", pd.DataFrame(index, columns=columns))
    table = pd.DataFrame(regions, columns=(*person, *_REGIONS))
    numbers = dict.fromkeys(_REGIONS, "float64")
    write_parquet(folder / "regions.parquet", table.astype(numbers))
    columns = [*person, "file", "step", "reason", "details"]
    write_parquet(folder / "failures.parquet", pd.DataFrame(failed, columns=columns))
    write_parquet(folder / "qc.parquet", _qc(keys, whole, records))
    write_json(folder / "preparation.json", _card(recipe, records, failures))


def _qc(
    keys: Sequence[Mapping[str, str]],
    questions: Sequence[Question],
    records: Sequence[Mapping[str, Any]],
) -> pd.DataFrame:
    sparse = [np.load(q.folder / SPARSE).astype(np.float32) for q in questions]
    distance, score = qc_measures.distances(sparse) if sparse else (np.zeros(0), np.zeros(0))
    rows = []
    for key, question, record, far, z in zip(
        keys, questions, records, distance, score, strict=True
    ):
        facts = {
            "brain_ml": record["brain_ml"],
            "magnification": record["magnification"],
            "correlation": record["correlation"],
            "correlation_unsmoothed": record["correlation_unsmoothed"],
            "outside_share": record["outside_share"],
            "distance": round(float(far), 5),
            "distance_z": round(float(z), 2),
        }
        steps = record["steps"]
        found = qc_measures.flags(
            facts["brain_ml"],
            facts["correlation"],
            facts["outside_share"],
            facts["distance_z"],
            in_mni=record["magnification"] is None,
        )
        rows.append(
            {
                **key,
                **facts,
                "seconds": round(sum(s.get("seconds", 0.0) for s in steps), 1),
                "cpu_seconds": round(sum(s.get("cpu_seconds", 0.0) for s in steps), 1),
                "skipped": ", ".join(s["step"] for s in steps if "skipped" in s),
                "picture": f"scans/{question.source.name}/{PICTURE}" if record["picture"] else "",
                "flags": found,
            }
        )
    columns = (
        v.PARTICIPANT_ID, v.SESSION_ID, "brain_ml", "magnification", "correlation",
        "correlation_unsmoothed", "outside_share", "distance", "distance_z", "seconds",
        "cpu_seconds", "skipped", "picture", "flags",
    )  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    return table.astype(dict.fromkeys(columns[2:11], "float64"))


def _card(
    recipe: Mapping[str, Any], records: Sequence[Mapping[str, Any]], failures: Sequence[Failure]
) -> dict[str, Any]:
    """What was done, with what, fitted on what."""
    steps: dict[str, dict[str, Any]] = {}
    for record in records:
        for step in record["steps"]:
            entry = steps.setdefault(step["step"], {"done": 0, "skipped": 0})
            if "skipped" in step:
                entry["skipped"] += 1
            else:
                entry["done"] += 1
                entry |= {"tool": step["tool"], "fitted_on": step["fitted_on"]}
    people = [f"{r['participant_id']}_{r['session_id']}" for r in records]
    shape = recipe["shape"]
    return {
        **recipe,
        "affine": store_affine(tuple(shape), recipe["spacing_mm"]).tolist(),
        "template": {"name": TEMPLATE_NAME, "sha256": template().sha256},
        "steps": steps,
        "outliers": {"fitted_on": people, "enters": "quality control only, no volume"},
        "limits": {
            "brain_ml": [*qc_measures.BRAIN_ML],
            "correlation": qc_measures.LEAST_CORRELATION,
            "outside_share": qc_measures.MOST_OUTSIDE,
            "distance_z": qc_measures.MOST_DISTANCE_Z,
        },
        "volumes": len(records),
        "failures": [asdict(failure) for failure in failures],
    }
