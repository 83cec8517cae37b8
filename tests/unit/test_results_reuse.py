"""Scores that are kept are the scores that would be made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmark.results import Ledger, RowFacts, RowKey, rank_workspace, scoring
from benchmark.results.scoring import score_workspace
from benchmark.tasks import TASKS

pytestmark = pytest.mark.e2e  # whole boards, half a second or more each

N = 60
TASK = replace(TASKS["ad_cn"], metrics=("roc_auc", "mcc"))
CELLS = (("memory", "ad_cn"), ("external", "ad_cn"))


def _ledger(method, cohort, task, *, seed=0, people=slice(None), folds=True):
    rng = np.random.default_rng([seed, *method.encode(), *cohort.encode()])
    y = np.arange(N) % 2
    p1 = (rng.random(N) + 0.4 * y) / 1.4
    frame = pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in range(N)],
            "y_true": y,
            "fold": np.arange(N) // 20,
            "prob_0": 1 - p1,
            "prob_1": p1,
        }
    )[people]
    if not folds:
        frame = frame.drop(columns="fold")
    return Ledger(RowKey(cohort, task, "t1w", "3fold", method), frame)


def _ledgers():
    found = [_ledger(m, c, t) for c, t in CELLS for m in ("svm", "cnn", "volumes")]
    found += [_ledger("partial", c, t, people=slice(0, 50)) for c, t in CELLS]
    return [*found, _ledger("oracle", "memory", "ad_cn", folds=False)]


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "runs" / "none").mkdir(parents=True)
    (tmp_path / "runs" / "none" / "plan.json").write_text('{"method": "none", "runs": []}')
    return tmp_path


@pytest.fixture
def scored_rows(monkeypatch):
    """Names of the rows that are scored, not kept."""
    names = []
    whole = scoring.score_cell

    def watched(cell, task, **options):
        result = whole(cell, task, **options)
        names.extend(e.key.method for e in result.entries)
        return result

    monkeypatch.setattr(scoring, "score_cell", watched)
    return names


def _score(root, name, ledgers, **options):
    options = {"n_resamples": 50, "tasks": {"ad_cn": TASK}, **options}
    score_workspace(root / "runs", root / name, extra=ledgers, **options)
    return {
        str(p.relative_to(root / name)): p.read_bytes()
        for p in sorted((root / name).rglob("*"))
        if p.is_file()
    }


def _board(root, scores):
    """The board's tables, but for the date."""
    rank_workspace(root / scores, root / f"board-{scores}")
    tables = sorted((root / f"board-{scores}").rglob("*.parquet"))
    return {str(p.relative_to(root / f"board-{scores}")): p.read_bytes() for p in tables}


def _swap(ledgers, old, new):
    return [new if x.key == old.key else x for x in ledgers]


def _new_facts(ledgers):
    return _swap(ledgers, ledgers[0], replace(ledgers[0], facts=RowFacts(title="Another title")))


def _relabelled(ledgers):
    def flip(ledger):
        wrong = ledger.frame["participant_id"] == "sub-03"
        y = ledger.frame["y_true"].where(~wrong, 0)
        return replace(ledger, frame=ledger.frame.assign(y_true=y))

    return [flip(x) if x.key.cohort == "memory" else x for x in ledgers]


def _contradiction(ledgers):
    bad = ledgers[2].frame.assign(y_true=1 - ledgers[2].frame["y_true"])
    return _swap(ledgers, ledgers[2], replace(ledgers[2], frame=bad))


CHANGES = {
    "nothing": (lambda x: x, 0),
    "order": (lambda x: x[::-1], 0),
    "one method": (lambda x: _swap(x, x[0], _ledger("svm", "memory", "ad_cn", seed=1)), 1),
    "its facts": (_new_facts, 1),
    "a new method": (lambda x: [*x, _ledger("new", "memory", "ad_cn")], 1),
    "a method less": (lambda x: x[1:], 0),
    "the oracle": (
        lambda x: [*x[:-1], _ledger("oracle", "memory", "ad_cn", seed=1, folds=False)],
        1,
    ),
    "the only one of its people": (lambda x: [y for y in x if y.key.method != "partial"], 7),
    "other people": (
        lambda x: _swap(x, x[0], _ledger("svm", "memory", "ad_cn", people=slice(0, 40))),
        5,
    ),
    "labels": (_relabelled, 5),
    "a method that contradicts": (_contradiction, 4),
}


@pytest.mark.parametrize("change", CHANGES)
def test_kept_scores_equal_those_made_anew(workspace, scored_rows, change):
    alter, n_scored = CHANGES[change]
    _score(workspace, "scores", _ledgers())
    assert len(scored_rows) == 9
    scored_rows.clear()
    after = _score(workspace, "scores", alter(_ledgers()))
    assert len(scored_rows) == n_scored
    fresh = _score(workspace, "fresh", alter(_ledgers()))
    assert set(after) == set(fresh)
    different = [name for name in fresh if after[name] != fresh[name]]
    for name in different:
        pd.testing.assert_frame_equal(
            pd.read_parquet(workspace / "scores" / name),
            pd.read_parquet(workspace / "fresh" / name),
        )
    assert not different
    boards = [_board(workspace, name) for name in ("scores", "fresh")]
    assert boards[0] == boards[1]


def test_other_settings_or_damaged_tables_keep_nothing(workspace, scored_rows):
    _score(workspace, "scores", _ledgers())
    for damage in ("settings", "scores.parquet", "reuse.json", "memory__ad_cn__3fold.parquet"):
        scored_rows.clear()
        if damage == "settings":
            _score(workspace, "scores", _ledgers(), seed=3)
            assert len(scored_rows) == 9
            continue
        _score(workspace, "scores", _ledgers())
        scored_rows.clear()
        for path in (workspace / "scores").rglob(damage):
            path.write_bytes(path.read_bytes()[:-7])
        _score(workspace, "scores", _ledgers())
        assert len(scored_rows) == (5 if damage.startswith("memory") else 9)


def test_changed_code_keeps_nothing(workspace, scored_rows, monkeypatch, tmp_path):
    from benchmark.results import digests

    _score(workspace, "scores", _ledgers())
    scored_rows.clear()
    (tmp_path / "code" / "metrics").mkdir(parents=True)
    (tmp_path / "code" / "metrics" / "metric.py").write_text("changed = True")
    monkeypatch.setattr(digests, "_CODE", tmp_path / "code")
    _score(workspace, "scores", _ledgers())
    assert len(scored_rows) == 9
