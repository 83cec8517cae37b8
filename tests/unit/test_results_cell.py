"""How ledgers of one cell are lined up: replicas, folds, people."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from benchmark.metrics import METRICS
from benchmark.results import Ledger, RowKey
from benchmark.results.cell import build_cell
from benchmark.results.score_cell import score_cell
from benchmark.tasks import TASKS, get_task

TASK = TASKS["ad_cn"]
RNG = np.random.default_rng(3)
PEOPLE = np.array([f"sub-{i:02d}" for i in range(20)])
LABEL = np.arange(20) % 2


def _part(people, seed=0, fold=None):
    p1 = np.clip(0.3 + 0.3 * LABEL[people] + 0.3 * RNG.normal(size=len(people)), 0.01, 0.99)
    frame = pd.DataFrame(
        {
            "participant_id": PEOPLE[people],
            "y_true": LABEL[people],
            "prob_0": 1 - p1,
            "prob_1": p1,
            "seed": seed,
        }
    )
    return frame if fold is None else frame.assign(fold=fold)


def _ledger(frames, method="svm", protocol="2fold"):
    frame = pd.concat(frames, ignore_index=True)
    return Ledger(RowKey("memory", "ad_cn", "t1w", protocol, method), frame)


FIRST, SECOND = np.arange(10), np.arange(10, 20)
ODD = [np.flatnonzero(np.arange(20) // 2 % 2 == k) for k in (0, 1)]


def test_repeated_folds_are_replicas_of_one_seed():
    parts = [
        _part(FIRST, fold=0),
        _part(SECOND, fold=1),
        _part(ODD[0], fold=2),
        _part(ODD[1], fold=3),
    ]
    cell = build_cell([_ledger(parts, protocol="2x2fold")], TASK, "2x2fold")
    entry = cell.entries[0]
    assert entry.predictions.shape == (2, 20, 2)
    assert entry.seeds.tolist() == [0, 0]
    scored = score_cell(cell, TASK, n_resamples=20).entries[0]
    expected = []
    for pair in (parts[:2], parts[2:]):
        whole = pd.concat(pair)
        prob = whole[["prob_0", "prob_1"]].to_numpy()
        expected.append(float(METRICS["roc_auc"].compute(whole["y_true"], prob, whole["fold"])))
    assert scored.candidate.own.score == pytest.approx(np.mean(expected))
    assert scored.seeds == 1
    assert len(np.unique(cell.strata)) == 2  # people have several folds: by class alone


def test_strata_are_fold_and_class():
    cell = build_cell([_ledger([_part(FIRST, fold=0), _part(SECOND, fold=1)])], TASK, "2fold")
    assert len(np.unique(cell.strata)) == 4


def test_external_replicas_are_fold_models():
    frames = [_part(np.arange(20), fold=k) for k in range(3)]
    cell = build_cell([_ledger(frames, protocol="external")], TASK, "external")
    entry = cell.entries[0]
    assert entry.predictions.shape == (3, 20, 2)
    assert not entry.folds.any()
    assert entry.n_folds == 3


def test_seeds_must_predict_the_same_people():
    frames = [
        _part(FIRST, fold=0),
        _part(SECOND, fold=1),
        _part(FIRST, 1, 0),
        _part(SECOND[1:], 1, 1),
    ]
    cell = build_cell([_ledger(frames)], TASK, "2fold")
    assert not cell.entries
    assert "same people, got 19 to 20 of 20" in cell.gaps[0].error


def _flipped(ledger, person="sub-03"):
    y = ledger.frame["y_true"]
    other = y.where(ledger.frame["participant_id"] != person, 1 - y)
    return Ledger(ledger.key, ledger.frame.assign(y_true=other))


def _in_folds(method, first=FIRST, second=SECOND):
    return _ledger([_part(first, fold=0), _part(second, fold=1)], method)


@pytest.mark.parametrize("wrong", ["a", "b", "c"])
def test_a_label_that_most_ledgers_contradict_is_refused_wherever_it_stands(wrong):
    rows = [_in_folds(name) for name in "abc"]
    rows = [_flipped(row) if row.key.method == wrong else row for row in rows]
    cell = build_cell(rows, TASK, "2fold")
    rest = [name for name in "abc" if name != wrong]
    assert [e.ledger.key.method for e in cell.entries] == rest
    assert cell.y_true[list(cell.participant_ids).index("sub-03")] == 1
    assert [gap.key.method for gap in cell.gaps] == [wrong]
    assert (
        f"the label of 1 participants is disputed (first: sub-03, 0 by {wrong}|t1w| against "
        f"1 by {rest[0]}|t1w|, {rest[1]}|t1w|)"
    ) in cell.gaps[0].error


def test_without_a_majority_all_that_contradict_each_other_are_refused_and_named():
    absent = np.setdiff1d(FIRST, [3])
    rows = [_in_folds("a"), _flipped(_in_folds("b")), _in_folds("c", first=absent)]
    cell = build_cell(rows, TASK, "2fold")
    assert [e.ledger.key.method for e in cell.entries] == ["c"], "it never saw the person"
    errors = {gap.key.method: gap.error for gap in cell.gaps}
    assert set(errors) == {"a", "b"}
    assert "1 by a|t1w| against 0 by b|t1w|" in errors["a"]
    assert "0 by b|t1w| against 1 by a|t1w|" in errors["b"]


def test_a_ledger_without_folds_has_a_voice_about_labels():
    oracle = _ledger([_part(np.arange(20))], "oracle")
    cell = build_cell([_flipped(_in_folds("a")), _in_folds("b"), oracle], TASK, "2fold")
    assert [e.ledger.key.method for e in cell.entries] == ["b", "oracle"]
    assert "against 1 by b|t1w|, oracle|t1w|" in cell.gaps[0].error


def test_another_fold_than_the_others_is_refused():
    other = _in_folds("a", SECOND, FIRST)
    cell = build_cell([other, _in_folds("b"), _in_folds("c")], TASK, "2fold")
    assert [e.ledger.key.method for e in cell.entries] == ["b", "c"]
    assert "fold of 20 participants is disputed (first: sub-00, 1 by a|t1w| against" in (
        cell.gaps[0].error
    )
    assert not build_cell([other, _in_folds("b")], TASK, "2fold").entries


def test_a_ledger_without_folds_takes_those_of_the_others_and_their_people():
    ours = _ledger([_part(FIRST[:8], fold=0), _part(SECOND, fold=1)], "svm")
    cell = build_cell([_ledger([_part(np.arange(20))], "oracle"), ours], TASK, "2fold")
    oracle = next(e for e in cell.entries if e.ledger.key.method == "oracle")
    assert len(oracle.rows) == 18
    assert oracle.folds[0].tolist() == [0] * 8 + [1] * 10


def test_scores_do_not_depend_on_row_order_or_on_other_methods():
    frames = [_part(FIRST, fold=0), _part(SECOND, fold=1)]
    shuffled = [pd.concat(frames).sample(frac=1, random_state=0)]
    other = _ledger([_part(FIRST, fold=0), _part(SECOND, fold=1)], "other")
    alone = score_cell(build_cell([_ledger(frames)], TASK, "2fold"), TASK, n_resamples=50)
    both = score_cell(build_cell([other, _ledger(shuffled)], TASK, "2fold"), TASK, n_resamples=50)
    ours = next(e for e in both.entries if e.key.method == "svm")
    scores = [[m.score for m in e.metrics] for e in (ours, alone.entries[0])]
    np.testing.assert_array_equal(*scores)
    lows = [[m.interval.low for m in e.metrics] for e in (ours, alone.entries[0])]
    np.testing.assert_array_equal(*lows)
    np.testing.assert_array_equal(
        ours.candidate.own.replicates, alone.entries[0].candidate.own.replicates
    )


def _of_ages(change):
    ids = [f"sub-{i:02d}" for i in range(20)]
    age = 60.0 + np.arange(20)
    frame = pd.DataFrame({"participant_id": ids, "y_true": age, "y_pred": age + 1, "fold": 0})
    key = RowKey("memory", "brain_age", "t1w", "2fold", "sfcn")
    return Ledger(key, change(frame.assign(fold=np.arange(20) % 2)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(y_pred=f["y_pred"].where(f.index != 3)), "1 participants .*sub-03"),
        (lambda f: f.assign(y_pred=f["y_pred"].where(f.index != 3, np.inf)), "NaN or infinity"),
        (lambda f: f.assign(y_true=f["y_true"].where(f.index != 3)), "1 participants .*sub-03"),
        (lambda f: pd.concat([f, f.iloc[[3]]]), "several for 1: sub-03"),
        (lambda f: pd.concat([f, f.iloc[[3]].assign(y_true=1.0)]), "two different labels"),
        (lambda f: f.drop(columns="y_pred"), r"\['y_pred'\] are missing"),
    ],
)
def test_a_faulty_ledger_of_ages_is_refused_and_names_whom(change, message):
    cell = build_cell([_of_ages(change)], get_task("brain_age"), "2fold")
    assert not cell.entries
    (gap,) = cell.gaps
    assert gap.status == "failed"
    assert re.search(message, gap.error)


def test_people_without_a_prediction_are_left_out_and_counted_never_filled_in():
    whole = _ledger([_part(FIRST, fold=0), _part(SECOND, fold=1)], "whole")
    few = _ledger([_part(FIRST[2:], fold=0), _part(SECOND, fold=1)], "few")
    scored = score_cell(build_cell([whole, few], TASK, "2fold"), TASK, n_resamples=50)
    by_name = {e.key.method: e for e in scored.entries}
    assert len(by_name["few"].entry.rows) == 18
    ours, theirs = (by_name[name].candidate for name in ("whole", "few"))
    assert ours.own.n == 20
    assert ours.against(theirs).n == theirs.against(ours).n == 18
