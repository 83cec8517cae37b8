"""``neurodx across``: one task over cohorts, from a board with three of them."""

from __future__ import annotations

import json
import shutil
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau
from statsmodels.stats.multitest import multipletests

from benchmark.cli import main
from benchmark.errors import ResultError, UnknownNameError
from benchmark.metrics import METRICS
from benchmark.results import Ledger, RowKey, rank_workspace, read_replicates, score_workspace
from benchmark.results.across import across_cohorts
from benchmark.results.planned import Workspace
from benchmark.stats import pool_random_effects

N = 60
SKILL = {"cnn": 1.5, "svm": 1.2, "weak": 0.2}
PLACES = {"one": "3fold", "two": "3fold", "abroad": "external"}


def _ledger(method, cohort, protocol):
    rng = np.random.default_rng([*method.encode(), *cohort.encode()])
    y = np.arange(N) % 2
    p1 = 1 / (1 + np.exp(-(rng.normal(size=N) + SKILL[method] * (y - 0.5))))
    frame = pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in range(N)],
            "y_true": y,
            "fold": 0 if protocol == "external" else np.arange(N) // 20,
            "prob_0": 1 - p1,
            "prob_1": p1,
        }
    )
    track = "t1w" if method != "weak" else "demographic"
    return Ledger(RowKey(cohort, "ad_cn", track, protocol, method), frame)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    root = tmp_path_factory.mktemp("across")
    ledgers = [_ledger(m, c, p) for c, p in PLACES.items() for m in SKILL]
    ledgers += [_ledger("cnn", "two", "external")]  # has folds of its own: these count
    ledgers = [x for x in ledgers if (x.key.method, x.key.cohort) != ("weak", "abroad")]
    score_workspace(Workspace(), root / "scores", extra=ledgers, n_resamples=200)
    rank_workspace(root / "scores", root / "board")
    return root / "board"


def test_pooled_differences_are_those_of_the_boards_own_comparisons(board):
    found = across_cohorts(board, "ad_cn")
    assert found.cohorts == {"abroad": "external", "one": "3fold", "two": "3fold"}
    expected, p_values = [], []
    names = {"cnn|t1w|": ("abroad", "one", "two"), "svm|t1w|": ("abroad", "one", "two")}
    names["weak|demographic|"] = ("one", "two")
    for a, b in combinations(names, 2):
        differences, errors = [], []
        for cohort in names[b]:
            cell = read_replicates(
                board / "replicates" / f"{cohort}__ad_cn__{PLACES[cohort]}.parquet"
            )
            ours, theirs = cell.candidates[a].own, cell.candidates[b].own
            differences.append(ours.score - theirs.score)
            errors.append(max((ours.replicates - theirs.replicates).std(ddof=1), 1 / 30))
        expected.append(pool_random_effects(differences, errors))
        p_values.append(expected[-1].p_value)
    assert list(zip(found.pairs["a"], found.pairs["b"], strict=True)) == list(
        combinations(names, 2)
    )
    np.testing.assert_allclose(found.pairs["difference"], [x.difference for x in expected])
    np.testing.assert_allclose(found.pairs["low"], [x.low for x in expected])
    np.testing.assert_allclose(found.pairs["p_holm"], multipletests(p_values, method="holm")[1])
    assert found.pairs["n_cohorts"].tolist() == [3, 2, 2]


def test_wins_and_orders_by_hand(board):
    found = across_cohorts(board, "ad_cn")
    frame = found.scores
    for cohort, protocol in PLACES.items():
        y = np.arange(N) % 2
        ledger = _ledger("cnn", cohort, protocol).frame
        p = ledger[["prob_0", "prob_1"]].to_numpy()
        own = METRICS["roc_auc"].compute(y, p, ledger["fold"].to_numpy())
        assert frame.loc[cohort, "cnn|t1w|"] == pytest.approx(float(own))
    assert np.isnan(frame.loc["abroad", "weak|demographic|"]), "it is not filled in"
    better = (frame["cnn|t1w|"] > frame["svm|t1w|"]).mean()
    assert found.wins.loc["cnn|t1w|", "svm|t1w|"] == pytest.approx(better)
    assert found.wins.loc["svm|t1w|", "cnn|t1w|"] == pytest.approx(1 - better)
    whole = frame.dropna(axis=1)
    assert list(whole) == ["cnn|t1w|", "svm|t1w|"]
    line = found.agreement.iloc[0]
    assert (line["first"], line["second"], line["n_pairs"]) == ("abroad", "one", 1)
    assert line["tau"] == pytest.approx(kendalltau(whole.loc["abroad"], whole.loc["one"]).statistic)
    assert found.diagram is None
    assert "allowed from 10 data sets on, got 3" in found.no_diagram


def _some(method, cohort, easy, hard, *, everybody=True):
    """Answers that separate most people by ``easy`` and the others by ``hard`` deviations."""
    rng = np.random.default_rng([*method.encode(), *cohort.encode()])
    y, is_hard = np.arange(N) % 2, np.arange(N) % 10 < 4
    p1 = 1 / (1 + np.exp(-(rng.normal(size=N) + np.where(is_hard, hard, easy) * (y - 0.5))))
    frame = pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in range(N)],
            "y_true": y,
            "fold": np.arange(N) // 20,
            "prob_0": 1 - p1,
            "prob_1": p1,
        }
    )
    frame = frame if everybody else frame[~is_hard].reset_index(drop=True)
    return Ledger(RowKey(cohort, "ad_cn", "t1w", "3fold", method), frame)


def _auc(frame):
    """Within folds, pairs of all folds together."""
    parts = [(x.loc[x["y_true"] == 1, "prob_1"], x.loc[x["y_true"] == 0, "prob_1"])
             for _, x in frame.groupby("fold")]  # fmt: skip
    wins = [np.greater.outer(a.to_numpy(), b.to_numpy()).ravel() for a, b in parts]
    return np.concatenate(wins).mean()


def test_rows_are_compared_on_the_people_that_both_predicted(tmp_path):
    """``part`` looks better where it leaves out the people who are hard for all."""
    ledgers = []
    for cohort in ("one", "two"):
        ledgers += [_some("whole", cohort, 4.0, -2.0), _some("low", cohort, 0.2, 0.2)]
        ledgers.append(_some("part", cohort, 2.0, -2.0, everybody=cohort == "two"))
    score_workspace(Workspace(), tmp_path / "scores", extra=ledgers, n_resamples=200)
    rank_workspace(tmp_path / "scores", tmp_path / "board")
    found = across_cohorts(tmp_path / "board", "ad_cn")
    low, part, whole = "low|t1w|", "part|t1w|", "whole|t1w|"
    assert found.scores.loc["one", part] > found.scores.loc["one", whole]  # of other people
    frames = {(x.key.cohort, f"{x.key.method}|t1w|"): x.frame for x in ledgers}
    for a, b in combinations((low, part, whole), 2):
        won = []
        for cohort in ("one", "two"):
            ours, theirs = frames[cohort, a], frames[cohort, b]
            common = set(ours["participant_id"]) & set(theirs["participant_id"])
            both = (x[x["participant_id"].isin(common)] for x in (ours, theirs))
            won.append(_auc(next(both)) > _auc(next(both)))
        assert found.wins.loc[a, b] == np.mean(won)
        assert found.wins.loc[b, a] == 1 - np.mean(won)
    assert found.wins.loc[whole, part] == 1.0
    assert found.agreement["tau"].tolist() == [1.0] * 6  # whole, part, low in every order
    assert found.agreement["flips"].tolist() == [0.0] * 6


def test_one_diagram_needs_the_same_people(tmp_path, capsys):
    ledgers = []
    for k in range(10):
        ledgers += [_some(m, f"c{k}", SKILL[m], SKILL[m]) for m in SKILL if m != "weak"]
        ledgers.append(_some("weak", f"c{k}", 0.2, 0.2, everybody=k != 3))
    score_workspace(Workspace(), tmp_path / "scores", extra=ledgers, n_resamples=50)
    rank_workspace(tmp_path / "scores", tmp_path / "board")
    found = across_cohorts(tmp_path / "board", "ad_cn")
    assert found.diagram is None
    assert "did not predict the same people in c3," in found.no_diagram
    asked = ["across", "--task", "ad_cn", "--board", str(tmp_path / "board")]
    assert main(asked) == 0
    assert "choose rows that did with --track or --method" in capsys.readouterr().out
    assert {"mean gain", "mean rank"} <= set(found.agreement["second"])
    some = across_cohorts(tmp_path / "board", "ad_cn", methods=["cnn", "svm"])
    assert some.diagram is not None
    assert not some.no_diagram


def test_another_choice_is_another_family(board):
    every = across_cohorts(board, "ad_cn")
    some = across_cohorts(board, "ad_cn", tracks=["t1w"], cohorts=["one", "two"])
    assert list(some.cohorts) == ["one", "two"]
    assert len(some.pairs) == 1
    assert some.pairs["n_cohorts"].tolist() == [2]
    first = every.pairs.iloc[0]
    assert some.pairs["difference"].iloc[0] != first["difference"]
    with pytest.raises(ResultError, match="1 cohorts and 3 ranked rows"):
        across_cohorts(board, "ad_cn", cohorts=["one"])
    with pytest.raises(UnknownNameError, match="svm"):
        across_cohorts(board, "ad_cn", methods=["svn"])
    with pytest.raises(UnknownNameError, match="ad_cn"):
        across_cohorts(board, "ad_nc")
    with pytest.raises(ResultError, match="neurodx rank"):
        across_cohorts(board / "nowhere", "ad_cn")


def test_a_figure_is_refused_where_no_diagram_may_be_drawn(board, tmp_path, capsys):
    asked = ["across", "--task", "ad_cn", "--board", str(board), "--figure"]
    assert main([*asked, str(tmp_path / "ranks.svg")]) == 1
    assert "--figure: critical difference: allowed from 10 data sets on, got 3" in (
        capsys.readouterr().err
    )
    assert main([*asked, str(tmp_path / "ranks.png")]) == 1
    assert "expected a name that ends in .svg" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_the_verb(board, tmp_path, capsys):
    out = tmp_path / "across.json"
    assert main(["across", "--task", "ad_cn", "--board", str(board), "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "over 3 cohorts: abroad (external), one (3fold), two (3fold)" in said
    assert "cnn|t1w| against svm|t1w|" in said
    assert "allowed from 10 data sets on" in said
    record = json.loads(out.read_text())
    found = across_cohorts(board, "ad_cn")
    assert record["pairs"][0]["difference"] == pytest.approx(found.pairs["difference"].iloc[0])
    assert record["scores"]["abroad"]["weak|demographic|"] is None
    assert main(["across", "--task", "dx3", "--board", str(board)]) == 1


def test_models_that_answer_for_two_cohorts_are_one_training(board, tmp_path, capsys):
    copy = tmp_path / "board"
    shutil.copytree(board, copy)
    apart = across_cohorts(board, "ad_cn")
    assert apart.trained_on == {"abroad": "elsewhere", "one": "one", "two": "two"}
    assert apart.pairs["n_trainings"].tolist() == [3, 2, 2]
    drops = [("ad_cn", "one", "abroad"), ("dx3", "two", "abroad")]
    frame = pd.DataFrame(drops, columns=["task", "cohort", "external_cohort"])
    frame.to_parquet(copy / "external_drop.parquet")
    found = across_cohorts(copy, "ad_cn")
    assert found.trained_on == {"abroad": "one", "one": "one", "two": "two"}
    assert found.pairs["n_cohorts"].tolist() == [3, 2, 2]
    assert found.pairs["n_trainings"].tolist() == [2, 2, 2]
    for place, told in ((board, False), (copy, True)):
        assert main(["across", "--task", "ad_cn", "--board", str(place)]) == 0
        said = capsys.readouterr().out
        assert ("abroad: answered by models that answer for another cohort" in said) is told
        assert f"3 cohorts (models trained on {2 if told else 3})" in said


def test_without_two_common_rows_no_order_is_compared(board, capsys):
    asked = ["across", "--task", "ad_cn", "--board", str(board), "--method", "cnn"]
    assert main([*asked, "--method", "weak"]) == 0
    said = capsys.readouterr().out
    assert "nan" not in said
    assert "do orders agree" not in said
    assert "fewer than two rows have a score in every cohort" in said


def test_from_ten_cohorts_on_there_is_a_diagram(tmp_path, capsys):
    names = [f"c{k}" for k in range(10)]
    ledgers = [_ledger(m, c, "3fold") for c in names for m in SKILL]
    score_workspace(Workspace(), tmp_path / "scores", extra=ledgers, n_resamples=50)
    rank_workspace(tmp_path / "scores", tmp_path / "board")
    found = across_cohorts(tmp_path / "board", "ad_cn")
    ranks = found.scores.rank(axis=1, ascending=False).mean()
    assert dict(zip(found.diagram.names, found.diagram.mean_ranks, strict=True)) == dict(ranks)
    assert found.diagram.names[-1] == "weak|demographic|"
    orders = found.agreement.set_index(["first", "second"])["tau"]  # all predicted everybody
    by_score = found.scores.mean()
    assert orders["mean gain", "mean rank"] == kendalltau(by_score, -ranks).statistic
    for cohort in names:
        expected = kendalltau(found.scores.loc[cohort], by_score).statistic
        assert orders[cohort, "mean gain"] == pytest.approx(expected)
    out = tmp_path / "across.json"
    asked = ["across", "--task", "ad_cn", "--board", str(tmp_path / "board"), "--json", str(out)]
    drawn = tmp_path / "ranks.svg"
    assert main([*asked, "--figure", str(drawn)]) == 0
    assert "AD against CN, AUROC" in drawn.read_text()
    said = capsys.readouterr().out
    assert f"weak|demographic|: {ranks['weak|demographic|']:.2f}" in said
    assert "not told apart" in said
    assert json.loads(out.read_text())["diagram"]["names"] == list(found.diagram.names)
