"""Builds `Samples` from a cohort store, a track and a list of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import SampleError
from benchmark.leakage.inputs import check_inputs, check_reports
from benchmark.samples.rows import LazyRows
from benchmark.samples.samples import LabelPair, Samples
from benchmark.store import Cohort
from benchmark.tasks import Task, labels_for
from benchmark.tracks import SOURCES

__all__ = ["build_samples", "modality_mask", "seen_mask"]

_KEYS = [v.PARTICIPANT_ID, v.SESSION_ID]
_TABLES = {"t1w": "regions", "biomarker": "biomarkers"}
_ARRAYS = {"t1w": ("t1w", "t1w_row"), "fmri": ("fmri", "fmri_row"), "genetic": ("snps", "snps_row")}
_TARGETS = {"hippocampus_mask": ("segmentations", "t1w_row")}


def build_samples(
    cohort: Cohort,
    participants: Sequence[str],
    sources: frozenset[str],
    tasks: Sequence[Task],
    *,
    with_labels: bool,
    also_fitted: Sequence[Task] = (),
    code: int = 0,
) -> Samples:
    """Selects people and the sources that a track opens.

    Args:
        cohort: The cohort store.
        participants: Whom to include, in this order.
        sources: Sources of the track.
        tasks: Tasks of this cohort; their forbidden columns and sources are removed.
        with_labels: Whether labels and auxiliary targets are included: training and validation.
        also_fitted: Tasks of other cohorts in the same run: what they forbid is removed too.
        code: The number that stands for this cohort in a suite.

    Raises:
        SampleError: A participant is not in the cohort.
        LeakageError: A column, source or report states what defines a label.
    """
    index = cohort.index_visits
    positions = _positions(index, participants, cohort.name)
    together = (*tasks, *also_fitted)
    forbidden = frozenset().union(*(task.forbidden for task in together))
    sources = sources.difference(*(task.forbidden_sources for task in together))
    people = index.iloc[positions].reset_index(drop=True)

    opened = {SOURCES[s].modality or s for s in sources} & set(v.MODALITIES)
    arrays = {}
    for source in sorted(sources & set(_ARRAYS)):
        name, column = _ARRAYS[source]
        if cohort.has(name):
            arrays[name] = _rows(cohort.array(name), people[column])
    labels: dict[str, LabelPair] | None = None
    targets = None
    if with_labels:
        labels = {}
        for task in tasks:
            known = labels_for(task, cohort.visits)
            labels[task.name] = (known.values[positions], known.mask[positions])
        targets = {
            name: _rows(cohort.array(part), people[column])
            for name, (part, column) in _TARGETS.items()
            if cohort.has(part) and "t1w" in sources
        }
    tables = _tables(cohort, people, positions, sources, forbidden)
    texts = _texts(cohort, positions, sources)
    for task in together:
        check_inputs([str(c) for table in tables.values() for c in table], task, sources)
        check_reports(texts.get("report", ()), task)
    names = {"snps": cohort.card.get("snp_names", [])} if "snps" in arrays else {}
    return Samples(
        n=len(positions),
        tables=tables,
        arrays=arrays,
        texts=texts,
        available={m: modality_mask(cohort, m)[positions] for m in sorted(opened)},
        cohort=np.full(len(positions), code, dtype=np.int64),
        names=names,
        spacing_mm=float(cohort.card.get("spacing_mm", 0.0)) if "t1w" in arrays else 0.0,
        _labels=labels,
        _targets=targets,
    )


def modality_mask(cohort: Cohort, modality: str) -> np.ndarray:
    """Which index visits of a cohort have a modality, shape (N,), bool."""
    index = cohort.index_visits
    rows = {"t1w": "t1w_row", "fmri": "fmri_row", "genetic": "snps_row"}
    if modality in rows and rows[modality] in index:
        return (index[rows[modality]] >= 0).to_numpy()
    if modality == v.GENETIC:  # genotypes without a SNP panel: APOE alone
        return _known(index, (v.APOE_E4,))
    if modality == v.CLINICAL:
        return _known(index, SOURCES["clinical"].columns)
    tables = {v.REPORT: ("reports", "text"), v.BIOMARKER: ("biomarkers", None)}
    if modality in tables:
        part, column = tables[modality]
        if cohort.has(part):
            table = cohort.table(part).drop(columns=_KEYS)
            values = table[[column]] if column else table
            return values.notna().any(axis=1).to_numpy()
    return np.zeros(len(index), dtype=bool)


def seen_mask(cohort: Cohort, sources: frozenset[str]) -> np.ndarray:
    """Of whom some sources show anything at all, shape (N,), bool.

    Everybody where a source is no modality (age, sex), or where there are no sources.
    """
    modalities = [SOURCES[source].modality for source in sources]
    if not modalities or not all(modalities):
        return np.ones(len(cohort.index_visits), dtype=bool)
    seen: np.ndarray = np.any([modality_mask(cohort, m) for m in modalities], axis=0)
    return seen


def _known(index: pd.DataFrame, columns: tuple[str, ...]) -> np.ndarray:
    present = [c for c in columns if c in index]
    return index[present].notna().any(axis=1).to_numpy() if present else np.zeros(len(index), bool)


def _positions(index: pd.DataFrame, participants: Sequence[str], cohort: str) -> np.ndarray:
    lookup = {who: row for row, who in enumerate(index[v.PARTICIPANT_ID])}
    unknown = [who for who in participants if who not in lookup]
    if unknown:
        raise SampleError(
            f"cohort {cohort!r} has no participant {', '.join(unknown[:5])}"
            f"{' ...' if len(unknown) > 5 else ''} ({len(unknown)} in all); the split belongs to "
            "another version of the cohort: `neurodx splits verify`"
        )
    return np.array([lookup[who] for who in participants], dtype=np.int64)


def _rows(array: np.ndarray, rows: pd.Series) -> LazyRows:
    numbers = rows.to_numpy(dtype=np.int64, copy=True)  # not a view of other columns
    return LazyRows([array], np.zeros(len(numbers), dtype=np.int64), numbers)


def _tables(
    cohort: Cohort,
    people: pd.DataFrame,
    positions: np.ndarray,
    sources: frozenset[str],
    forbidden: frozenset[str],
) -> Mapping[str, pd.DataFrame]:
    tables = {}
    for source in sorted(sources):
        columns = [c for c in SOURCES[source].columns if c not in forbidden]
        parts = [people[[c for c in columns if c in people]]]
        part = _TABLES.get(source)
        if part and cohort.has(part):
            extra = cohort.table(part).drop(columns=_KEYS).iloc[positions].reset_index(drop=True)
            parts.append(extra[[c for c in extra if c not in forbidden]])
        if source == "head_size" and v.HEAD_SIZE_MM3 not in people and cohort.has("regions"):
            sizes = cohort.table("regions").filter([v.HEAD_SIZE_MM3])
            parts.append(sizes.iloc[positions].reset_index(drop=True))
        table = pd.concat(parts, axis=1)
        if table.shape[1]:
            tables[source] = table.copy()  # a selection of columns is a view of all the others
    return tables


def _texts(
    cohort: Cohort, positions: np.ndarray, sources: frozenset[str]
) -> Mapping[str, Sequence[str]]:
    if "report" not in sources or not cohort.has("reports"):
        return {}
    column = "text_mmse" if "mmse" in sources else "text"
    text = cohort.table("reports")[column].fillna("").astype(str)
    return {"report": list(text.iloc[positions])}
