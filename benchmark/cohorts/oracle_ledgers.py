"""The oracle's predictions as ledgers, for every cell that a method has a row in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.samples.build import modality_mask
from benchmark.splitting import read_split
from benchmark.store import Cohort
from benchmark.tasks import Task, get_task, labels_for
from benchmark.tracks import SOURCES, get_track

__all__ = ["OracleCell", "oracle_ledger"]


@dataclass(frozen=True, slots=True)
class OracleCell:
    """One cohort, task and track that the oracle answers.

    Attributes:
        cohort: Cohort name.
        task: Task name.
        track: Track whose sources the oracle may use.
        protocol: Protocol of the row, or "" where the whole cohort is an external test.
        split: The fold file behind it, where its name differs: all percentages share one.
    """

    cohort: str
    task: str
    track: str
    protocol: str
    split: str = ""


def oracle_ledger(cell: OracleCell, data: Path, truth: Path, splits: Path) -> pd.DataFrame | None:
    """Returns the Bayes-optimal predictions of one cell; None where the cohort has no truth.

    Args:
        cell: Which cell.
        data: Folder of cohort stores.
        truth: Folder of what the generator knows.
        splits: Folder of fold files.

    Returns:
        Columns of a run's ledger, and ``fold`` unless external: one row per eligible person who has
        the modality that the track consists of, and per repeat of the folds.
    """
    if not (truth / cell.cohort / "truth.json").is_file():
        return None
    from benchmark.cohorts.phantom import oracle

    cohort, task, sources = Cohort(data / cell.cohort), get_task(cell.task), get_track(cell.track)
    people = _people(cohort, task, sources)
    held = sources & oracle.SOURCES  # phantoms have no fluid proteins, which the track `all` opens
    answer = oracle.predict(truth / cell.cohort, cell.task, held, list(people[v.PARTICIPANT_ID]))
    columns = (
        {f"prob_{k}": column for k, column in enumerate(answer.T)}
        if task.classes
        else {"y_pred": answer[:, 0], "y_sd": answer[:, 1]}
    )
    part = v.TEST if cell.protocol else v.EXTERNAL
    ledger = people.assign(cohort=cell.cohort, task=cell.task, part=part, **columns)
    if not cell.protocol:
        return ledger  # the folds of an external cell are the models, and the oracle is one
    folds = _folds(splits / cell.cohort, cell.split or cell.protocol)
    return ledger.merge(folds, on=v.PARTICIPANT_ID, how="inner", validate="one_to_many")


def _people(cohort: Cohort, task: Task, sources: frozenset[str]) -> pd.DataFrame:
    index = cohort.index_visits
    labels = labels_for(task, cohort.visits)
    keep = labels.mask & (index[v.PART] == v.EVALUATE).to_numpy()
    modalities = {SOURCES[source].modality for source in sources} - {""}
    if len(modalities) == 1 and modalities == {SOURCES[s].modality for s in sources}:
        keep &= modality_mask(cohort, modalities.pop())
    people = index.loc[keep, [v.PARTICIPANT_ID, v.SESSION_ID]].reset_index(drop=True)
    return people.assign(y_true=labels.values[np.flatnonzero(keep)])


def _folds(folder: Path, protocol: str) -> pd.DataFrame:
    """Who is tested in which fold, counted over all repeats as runs count them."""
    split = read_split(folder, protocol)
    pairs = [
        (who, repeat * split.n_folds + fold)
        for repeat in range(split.n_repeats)
        for fold in range(split.n_folds)
        for who in split.fold(fold, repeat).test
    ]
    return pd.DataFrame(pairs, columns=[v.PARTICIPANT_ID, "fold"])
