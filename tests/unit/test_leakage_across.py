"""People who are in two cohorts of one fit, or in a pretraining and in another cohort's folds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from visit_tables import store, visit_table, with_images

from benchmark.errors import LeakageError
from benchmark.runs.job import Job, Part, Workspace
from benchmark.runs.refereeing import referee_jobs
from benchmark.splitting import Split, make_split, write_split
from benchmark.store import Cohort

N = 48


def cohort(root: Path, name: str, volumes: np.ndarray, pretrain: int = 0) -> Split:
    visits, _ = with_images(visit_table(N, pretrain=pretrain))
    made: Cohort = store(root / "data" / name, visits, volumes)
    split = make_split(made, "3fold", 0)
    write_split(split, root / "splits" / name)
    return split


def volumes(seed: int) -> np.ndarray:
    return with_images(visit_table(N), seed)[1]


def job(*names: str, **changes: object) -> Job:
    parts = tuple(Part(name, ("dx3",)) for name in names)
    plain = Job("probe", "probe", "t1w", parts, "3fold", fold=0, seed=0, profile="tiny")
    return replace(plain, **changes)  # type: ignore[arg-type]


def place(who: str) -> int:
    return int(who[-4:])


def test_a_person_who_trains_in_one_cohort_of_a_fit_and_is_held_back_in_another(
    tmp_path: Path,
) -> None:
    ours, theirs = volumes(0), volumes(1)
    fold = cohort(tmp_path, "a", ours).fold(0)
    noise = np.random.default_rng(2).normal(0, 0.02, ours.shape[1:])
    tested, tuned = place(fold.test[0]), place(fold.validation[0])
    trained, other = place(fold.train[0]), place(fold.train[1])
    theirs[tested] = ours[trained]
    theirs[other] = ours[tuned] * 1.2 + noise
    cohort(tmp_path, "b", theirs)
    workspace = Workspace(tmp_path)
    with pytest.raises(LeakageError, match="one fit spans a and b") as refusal:
        referee_jobs([job("a", "b")], workspace)
    said = str(refusal.value)
    assert "2 times two people share data" in said
    assert f"a/sub-{trained:04d} = b/sub-{tested:04d} (equal T1w image) in fold 0" in said
    assert f"a/sub-{tuned:04d} = b/sub-{other:04d} (T1w image, similarity 0.9" in said
    assert "take one cohort out of the suite" in said
    referee_jobs([job("a"), job("b")], workspace)


def test_a_person_of_two_cohorts_who_is_in_one_part_is_no_leak(tmp_path: Path) -> None:
    ours, theirs = volumes(0), volumes(1)
    fold = cohort(tmp_path, "a", ours).fold(0)
    theirs[place(fold.train[1])] = ours[place(fold.train[0])]
    theirs[place(fold.test[1])] = ours[place(fold.test[0])]
    cohort(tmp_path, "b", theirs)
    referee_jobs([job("a", "b")], Workspace(tmp_path))


def test_a_scan_of_pretraining_that_another_cohort_holds_back(tmp_path: Path) -> None:
    unlabelled, theirs = volumes(0), volumes(1)
    fold = cohort(tmp_path, "b", theirs).fold(0)
    tested, trained = place(fold.test[0]), place(fold.train[0])
    unlabelled[N - 1], unlabelled[N - 2] = theirs[tested], theirs[trained]
    cohort(tmp_path, "unlabelled", unlabelled, pretrain=4)
    cohort(tmp_path, "c", volumes(2))
    weights = tmp_path / "weights"
    weights.mkdir()
    facts = weights / "checkpoint.json"
    config = {"text": {"folder": str(weights)}}
    workspace = Workspace(tmp_path)

    def saw(*rows: int) -> None:
        people = [f"sub-{row:04d}" for row in rows]
        facts.write_text(json.dumps({"participants": {"unlabelled": people, "gone": people}}))

    saw(N - 1, N - 2, N - 3)
    told = (
        rf"of 'text\.folder' have seen 1 people of unlabelled .* of b who are held back: "
        rf"b/sub-{tested:04d} = unlabelled/sub-{N - 1:04d} \(equal T1w image\)\."
    )
    with pytest.raises(LeakageError, match=told):
        referee_jobs([job("b", config=config)], workspace)
    predicted = job("c", config=config, external=(Part("b", ("dx3",)),))
    with pytest.raises(LeakageError, match="have seen 2 people of unlabelled"):
        referee_jobs([predicted], workspace)
    referee_jobs([job("b")], workspace)
    saw(N - 2, N - 3)
    referee_jobs([job("b", config=config)], workspace)
