"""Robustness lines that are kept are the lines that would be made."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmark.results import Ledger, RowKey
from benchmark.results.embeddings import Embedding, Embeddings
from benchmark.results.ledger import Trail
from benchmark.results.people import Background, people_table
from benchmark.results.planned import Workspace
from benchmark.results.robustness import Before, tables, write_robustness
from benchmark.results.scoring import score_workspace

pytestmark = pytest.mark.e2e  # whole runs, a second or more each

N = 90
METHODS = ("cnn", "copy", "svm", "volumes")


def _ledger(method, protocol="3fold", cohort="memory", *, seed=0, people=slice(None)):
    rng = np.random.default_rng([seed, *method.replace("copy", "cnn").encode()])
    y = np.arange(N) % 2
    p1 = (rng.random(N) + 0.4 * y) / 1.4
    frame = pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in range(N)],
            "y_true": y,
            "fold": np.arange(N) // 30,
            "seed": 0,
            "prob_0": 1 - p1,
            "prob_1": p1,
        }
    )[people]
    validation = frame.assign(fold=(frame["fold"] + 1) % 3)
    if protocol == "external":
        frame, validation = frame.assign(fold=0), None
    trail = Trail(3, 3, 0, ("memory",) if protocol == "external" else ())
    return Ledger(
        RowKey(cohort, "ad_cn", "t1w", protocol, method), frame, trail=trail, validation=validation
    )


def _asked_again(ledger, share=0.5):
    """With answers for which the scan, the report or a half of both was missing."""
    place = ledger.frame["participant_id"].str[-2:].astype(int)
    left = {"t1w": place % 7 > 0, "report": place % 4 > 0, "drop-50": place % 2 > 0}
    tables = []
    for shown, known in left.items():
        p1 = np.where(known, share * ledger.frame["prob_1"] + (1 - share) / 2, 0.5)
        less = ledger.frame.assign(prob_0=1 - p1, prob_1=p1, shown=shown)
        tables.append(less.assign(n_shown=known.astype(int)))
    return replace(ledger, missing=pd.concat(tables, ignore_index=True))


def _shows(ledger, seed=0):
    """With an embedding of each fit."""
    fits = []
    for _, part in ledger.frame.groupby("fold"):
        values = np.random.default_rng(seed).normal(size=(len(part), 4))
        fits.append(Embedding(part["participant_id"].to_numpy(dtype=str), values))
    return replace(ledger, embeddings=Embeddings(tuple(fits)))


def _ledgers():
    found = [_ledger(method) for method in METHODS]
    found[0] = _shows(_asked_again(found[0]))
    found[2] = replace(found[2], missing_note="2 of 3 runs hold no missing.parquet")
    found += [_ledger("partial", people=slice(0, 80))]
    found += [_ledger(method, "leave-site-out", seed=3) for method in ("cnn", "svm")]
    found += [_ledger(method, "external", "abroad", seed=4) for method in ("cnn", "svm")]
    oracle = _ledger("oracle", seed=9)
    oracle = replace(oracle, frame=oracle.frame.drop(columns="fold"), trail=None, validation=None)
    return [*found, oracle]


def _people(shift=0):
    place = np.arange(N)
    visits = pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in place],
            "is_index": True,
            "sex": np.where((place + shift) // 2 % 2, "M", "F"),
            "site_id": [f"site-{i // 30}" for i in place],
            "age_years": 65.0 + place % 10,
        }
    )
    return Background({"memory": people_table(visits)})


def _swap(ledgers, new):
    return [new if x.key == new.key else x for x in ledgers]


def _without_validation(ledgers):
    return [replace(ledgers[0], validation=None), *ledgers[1:]]


def _relabelled(ledgers):
    def one(x):
        y = x.frame["y_true"].where(x.frame["participant_id"] != "sub-04", 1)
        return replace(x, frame=x.frame.assign(y_true=y))

    return [one(x) if x.key.cohort == "memory" else x for x in ledgers]


def _contradiction(ledgers):
    return _swap(
        ledgers,
        replace(ledgers[2], frame=ledgers[2].frame.assign(y_true=1 - ledgers[2].frame["y_true"])),
    )


CHANGES = {
    "nothing but the order": (lambda x: x[::-1], 0),
    "one method": (lambda x: _swap(x, _ledger("volumes", seed=1)), 1),
    "one that has a left-out row": (lambda x: _swap(x, _ledger("svm", seed=1)), 1),
    "the left-out row": (lambda x: _swap(x, _ledger("svm", "leave-site-out", seed=7)), 1),
    "the copy is none any more": (lambda x: _swap(x, replace(_ledger("volumes"), key=x[1].key)), 1),
    "validation": (_without_validation, 1),
    "answers with modalities missing": (lambda x: [_asked_again(x[0], 0.3), *x[1:]], 1),
    "no such answers any more": (lambda x: [replace(x[0], missing=None), *x[1:]], 1),
    "an embedding": (lambda x: [_shows(x[0], 1), *x[1:]], 1),
    "one where there was none": (lambda x: [*x[:2], _shows(x[2]), *x[3:]], 1),
    "why there are none": (lambda x: [*x[:2], replace(x[2], missing_note=""), *x[3:]], 1),
    "a trail": (lambda x: [replace(x[0], trail=Trail(3, 9, 6)), *x[1:]], 1),
    "a new method": (lambda x: [*x, _ledger("new")], 1),
    "a method less": (lambda x: x[1:], 0),
    "other people": (lambda x: _swap(x, _ledger("svm", people=slice(0, 70))), 1),
    "labels": (_relabelled, 8),
    "a method that contradicts": (_contradiction, 5),
}


def _write(root, ledgers, background, *, fresh=False):
    runs, scores = Workspace(with_validation=True), root / "scores"
    before = Before() if fresh else Before.read(scores)
    score_workspace(runs, scores, extra=ledgers, n_resamples=20)
    write_robustness(runs, scores, background, extra=ledgers, before=before)
    folder = scores / "robustness"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A workspace with the tables of all ledgers; copy it."""
    root = tmp_path_factory.mktemp("written")
    _write(root, _ledgers(), _people())
    return root


@pytest.fixture
def looked_at(monkeypatch):
    """Names of the rows whose lines are made, not kept."""
    names = []
    whole = tables.subgroup_lines

    def watched(subject):
        names.append(subject.key.method)
        return whole(subject)

    monkeypatch.setattr(tables, "subgroup_lines", watched)
    return names


@pytest.mark.parametrize("change", CHANGES)
def test_kept_lines_are_those_that_would_be_made(tmp_path, written, looked_at, change):
    turn, rows = CHANGES[change]
    shutil.copytree(written, tmp_path / "kept")
    kept = _write(tmp_path / "kept", turn(_ledgers()), _people())
    assert len(looked_at) == rows, looked_at
    anew = _write(tmp_path / "anew", turn(_ledgers()), _people(), fresh=True)
    assert kept == anew
    if change in ("one method", "a method that contradicts"):
        looked_at.clear()
        assert _write(tmp_path / "kept", turn(_ledgers()), _people()) == kept
        assert len(looked_at) == (5 if change == "a method that contradicts" else 0)


def test_other_people_settings_code_or_a_damaged_table_keep_nothing(
    tmp_path, looked_at, monkeypatch
):
    first = _write(tmp_path, _ledgers(), _people())
    lines = pd.read_parquet(tmp_path / "scores" / "robustness" / "missing_modalities.parquet")
    assert lines.groupby("method").size().to_dict() == {"cnn": 12, "svm": 1}
    everyone, inside = len(looked_at), len(looked_at) - 2

    def again(background=None):
        looked_at.clear()
        return _write(tmp_path, _ledgers(), background or _people())

    assert again(_people(shift=1)) != first
    assert len(looked_at) == inside  # nothing is known of the external people
    again()
    (tmp_path / "scores" / "robustness" / "honesty.parquet").write_bytes(b"no table")
    assert again() == first
    assert len(looked_at) == everyone
    monkeypatch.setattr(tables, "robustness_digest", lambda *_: "other code")
    again()
    assert len(looked_at) == everyone


def test_runs_that_were_read_without_their_validation_people_are_refused(tmp_path):
    score_workspace(Workspace(), tmp_path / "scores", extra=_ledgers(), n_resamples=20)
    with pytest.raises(ValueError, match="validation people"):
        write_robustness(Workspace(), tmp_path / "scores", extra=_ledgers())
