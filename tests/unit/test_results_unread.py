"""Ledgers that have not changed are not read again, and one that has is noticed."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest

from benchmark.errors import ResultError
from benchmark.results import planned, rank_workspace, scoring, unread
from benchmark.results.planned import read_runs
from benchmark.results.robustness import Before, write_robustness
from benchmark.results.scoring import score_workspace
from benchmark.tasks import TASKS

pytestmark = pytest.mark.e2e  # whole boards, half a second or more each

METHODS = ("cnn", "svm", "volumes")
N = 60


def _write_run(folder, fold, seed):
    rng = np.random.default_rng([seed, fold, *folder.name.encode()])
    target = folder / f"run-{fold}"
    target.mkdir(parents=True, exist_ok=True)
    tables = []
    for part, place in (("test", fold), ("validation", (fold + 1) % 3)):
        people = np.flatnonzero(np.arange(N) // 2 % 3 == place)
        p1 = rng.random(len(people))
        frame = {"cohort": "memory", "task": "ad_cn", "part": part, "session_id": "ses-M000"}
        frame |= {"participant_id": [f"sub-{i:02d}" for i in people], "y_true": people % 2 * 1.0}
        tables.append(pd.DataFrame(frame | {"prob_0": 1 - p1, "prob_1": p1}))
    pd.concat(tables).to_parquet(target / "predictions.parquet", index=False)
    run = {"run_id": target.name, "track": "t1w", "protocol": "3fold", "fold": fold, "seed": 0}
    facts = {"method": folder.name, "profile": "toy", "tuned": False, "provenance": "reproduced"}
    facts |= {"parts": [{"cohort": "memory", "tasks": ["ad_cn"]}], "n_train": 1, "n_validation": 1}
    facts |= dict.fromkeys(("fit_seconds", "fit_cpu_seconds", "predict_seconds"), 1.5 + seed)
    facts |= {"peak_memory_mib": None, "params": 7, "started": "", "versions": {}, "hashes": {}}
    facts |= {"commit": "", "schema_version": 1, "processes": 1}
    (target / "result.json").write_text(json.dumps({**run, **facts}))
    return {**run, "cohort": "memory", "tasks": ["ad_cn"], "status": "done", "external": {}}


def _write_method(runs, name, seed=0):
    listed = [_write_run(runs / name, fold, seed) for fold in range(3)]
    (runs / name / "plan.json").write_text(json.dumps({"method": name, "runs": listed}))


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setattr(unread, "SETTLED_NS", 0)
    for name in METHODS:
        _write_method(tmp_path / "runs", name)
    return tmp_path


@pytest.fixture
def files_read(monkeypatch):
    """Runs whose predictions are read."""
    names = []
    whole = planned.read_table

    def watched(path, columns):
        names.append(f"{path.parent.parent.name}/{path.parent.name}")
        return whole(path, columns)

    monkeypatch.setattr(planned, "read_table", watched)
    return names


def _score(root, name="scores"):
    scores = root / name
    runs = read_runs(root / "runs", TASKS, with_validation=True, scores=scores)
    before = Before.read(scores)
    score_workspace(runs, scores, n_resamples=50)
    write_robustness(runs, scores, before=before)
    rank_workspace(scores, root / f"board-{name}")
    return {
        f"{folder}/{path.relative_to(root / folder)}": path.read_bytes()
        for folder in (name, f"board-{name}")
        for path in sorted((root / folder).rglob("*.*"))
        if path.name != "board.json"
    }


def _same_as_anew(root, after):
    fresh = _score(root, "fresh")
    assert {k.replace("fresh", "scores"): x for k, x in fresh.items()} == after


def _repredict(runs):
    _write_method(runs, "svm", seed=1)


def _cost(runs):
    path = runs / "svm" / "run-0" / "result.json"
    path.write_text(path.read_text().replace('"fit_seconds": 1.5', '"fit_seconds": 9.5'))


def _same_size_and_time(runs):
    path = runs / "svm" / "run-0" / "predictions.parquet"
    then, content = path.stat(), bytearray(path.read_bytes())
    content[20] ^= 255
    path.write_bytes(content)
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))


def _damage(runs):
    path = runs / "svm" / "run-0" / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:-7])


def _lost(runs):
    (runs / "svm" / "run-1" / "result.json").unlink()


def _met_again(runs):
    (runs / "svm" / "evaluations.jsonl").write_text('{"run_id": "run-0"}\n')


@pytest.mark.parametrize(
    "change", [_repredict, _cost, _same_size_and_time, _damage, _lost, _met_again]
)
def test_a_changed_method_is_read_and_the_board_is_as_made_anew(workspace, files_read, change):
    _score(workspace)
    assert len(files_read) == 9
    change(workspace / "runs")
    files_read.clear()
    after = _score(workspace)
    if change in (_repredict, _cost, _met_again):  # the first kept row stands for the others
        assert set(files_read) == {f"{m}/run-{k}" for m in ("cnn", "svm") for k in range(3)}
    else:
        assert "svm/run-0" in files_read or change is _lost
    _same_as_anew(workspace, after)


def test_without_a_change_one_row_is_read(workspace, files_read):
    _score(workspace)
    files_read.clear()
    after = _score(workspace)
    assert sorted(set(files_read)) == ["cnn/run-0", "cnn/run-1", "cnn/run-2"]
    _same_as_anew(workspace, after)


def test_young_files_and_other_code_are_read_again(workspace, files_read, monkeypatch):
    _score(workspace)
    note = workspace / ".scores.read.json"
    note.write_text(note.read_text().replace('"code": "', '"code": "0'))
    files_read.clear()
    _score(workspace)
    assert len(files_read) == 9
    monkeypatch.setattr(unread, "SETTLED_NS", 10**18)
    for _ in range(2):
        files_read.clear()
        _score(workspace)
        assert len(files_read) == 9


def test_content_that_changes_behind_equal_times_is_an_error(workspace, monkeypatch):
    digest = scoring.read_runs.__globals__["files_digest"]
    monkeypatch.setitem(
        scoring.read_runs.__globals__,
        "files_digest",
        lambda plan: digest(plan) and plan.parent.name,
    )
    _score(workspace)
    _write_method(workspace / "runs", "cnn", seed=1)
    with pytest.raises(ResultError, match="check the disk"):
        _score(workspace)
