"""The score with modalities missing: by hand, on complete cases, and where answers are absent."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parent))
from board_workspace import FakeMethod, write_missing, write_workspace

from benchmark.results import Ledger, RowKey, missing_answers, rank_workspace, score_workspace
from benchmark.results.missing_answers import open_modalities
from benchmark.results.planned import Workspace, read_runs
from benchmark.results.robustness import write_robustness
from benchmark.results.robustness.missing_modalities import complete_cases
from benchmark.tasks import TASKS, get_task

PLACE = np.arange(40)
Y = PLACE % 2
SCANNED = PLACE < 20
REPORTED = PLACE % 20 < 18
KEY = RowKey("memory", "ad_cn", "t1w+report", "3fold", "cnn")


def people(p1) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in PLACE],
            "y_true": Y,
            "prob_0": 1 - p1,
            "prob_1": p1,
            "seed": 0,
            "fold": 0,
        }
    )


def left(shown: str, p1, *masks) -> pd.DataFrame:
    return people(p1).assign(shown=shown, n_shown=np.sum(masks, axis=0))


def ledger() -> Ledger:
    """Without fault with everything; 0.5 without a scan, wrong by the report alone."""
    sure = np.where(Y == 1, 0.9, 0.1)
    parts = [
        left("t1w", np.where(SCANNED, sure, 0.5), SCANNED),
        left("report", np.where(REPORTED, 1 - sure, 0.5), REPORTED),
        left("drop-50", np.where(SCANNED, sure, 0.5), SCANNED, REPORTED & ~SCANNED),
    ]
    return Ledger(KEY, people(sure), missing=pd.concat(parts, ignore_index=True))


def lines_of(root: Path, *ledgers: Ledger) -> pd.DataFrame:
    runs = Workspace(with_validation=True)
    score_workspace(runs, root / "scores", extra=ledgers, n_resamples=200)
    write_robustness(runs, root / "scores", extra=ledgers)
    return pd.read_parquet(root / "scores" / "robustness" / "missing_modalities.parquet")


def one(lines: pd.DataFrame, shown: str, people: str) -> pd.Series:
    found = lines[(lines["shown"] == shown) & (lines["people"] == people)]
    assert len(found) == 1
    return found.iloc[0]


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    return lines_of(tmp_path_factory.mktemp("by-hand"), ledger())


def test_by_hand(lines):
    """20 of each class, 10 of each with a scan.

    Of 400 pairs, 300 hold somebody with a scan and are right, 100 are tied. By the report 18 of
    each class are wrong and 2 say 0.5: all pairs are wrong but the 4 tied ones.
    """
    scan = one(lines, "t1w", "everybody")
    assert (scan["n"], scan["n_smallest_class"]) == (40, 20)
    assert scan["score"] == pytest.approx(350 / 400)
    assert scan["drop"] == pytest.approx(50 / 400)
    assert scan["drop_low"] < 50 / 400 < scan["drop_high"]
    assert scan["ci_low"] < 350 / 400 < scan["ci_high"]
    written = one(lines, "report", "everybody")
    assert written["score"] == pytest.approx(2 / 400)
    full = one(lines, "full", "everybody")
    assert (full["score"], full["n_modalities"], full["percent"]) == (1.0, 2, 0)
    assert np.isnan(full["drop"])
    assert set(lines["status"]) == {"done", "suppressed"}


def test_those_left_with_some_are_scored_apart(lines):
    scan = one(lines, "t1w", "some")
    assert (scan["n"], scan["score"], scan["drop"]) == (20, 1.0, 0.0)
    assert scan["drop_low"] == scan["drop_high"] == 0.0
    assert one(lines, "full", "some")["n"] == 38, "two have neither"


def test_complete_cases_have_what_the_track_opens_and_few_are_suppressed(lines):
    for shown in ("full", "t1w", "report", "drop-50"):
        few = one(lines, shown, "complete")
        assert (few["n"], few["n_smallest_class"], few["status"]) == (18, 9, "suppressed")
        assert few["n_everybody"] == 40
        assert np.isnan(few["score"])
        assert "fewer than 10" in few["note"]


def test_dropped_at_random(lines):
    half = one(lines, "drop-50", "everybody")
    assert half["percent"] == 50
    assert pd.isna(half["n_modalities"])
    assert half["score"] == pytest.approx(350 / 400)
    assert one(lines, "drop-50", "some")["n"] == (SCANNED | REPORTED).sum()
    subsets = lines[lines["shown"].isin(["t1w", "report"])]
    assert subsets["percent"].isna().all()
    assert set(subsets["n_modalities"]) == {1}


def test_who_is_a_complete_case():
    counts = pd.DataFrame(
        {  # the scan is required: it is in every set
            "t1w": [1, 1, 1, 1],
            "t1w+fmri": [2, 1, 2, 1],
            "t1w+report": [2, 2, 1, 1],
            "drop-20": [3, 2, 2, 1],
        }
    )
    assert complete_cases(counts).tolist() == [True, False, False, False]
    assert complete_cases(counts[["t1w", "drop-20"]]) is None


def test_a_hidden_modality_without_a_name_leaves_complete_cases_unknown(tmp_path):
    whole = ledger()
    kept = whole.missing[whole.missing["shown"] != "report"]
    found = lines_of(tmp_path, replace(whole, missing=kept))
    row = one(found, "t1w", "complete")
    assert row["status"] == "undefined"
    assert "cannot be told" in row["note"]
    assert one(found, "t1w", "everybody")["score"] == pytest.approx(350 / 400)
    assert pd.isna(one(found, "full", "everybody")["n_modalities"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x[x["participant_id"] < "sub-30"], "asked of 30 of 40 people"),
        (lambda x: x.assign(fold=1), "folds or seeds are not those"),
        (lambda x: x.assign(y_true=1 - x["y_true"]), "labels, folds"),
        (lambda x: x.assign(prob_1=np.nan), "NaN"),
    ],
)
def test_answers_that_do_not_fit_are_one_line_that_says_so(tmp_path, change, said):
    whole = ledger()
    inside = whole.missing["shown"] == "report"
    parts = [whole.missing[~inside], change(whole.missing[inside])]
    found = lines_of(tmp_path, replace(whole, missing=pd.concat(parts, ignore_index=True)))
    row = one(found, "report", "everybody")
    assert row["status"] == "undefined"
    assert said in row["note"]
    assert one(found, "t1w", "everybody")["status"] == "done"


# Read from runs ----------------------------------------------------------------------------------

TWO = FakeMethod("two", track="t1w+report", skill=1.2, seeds=(0, 1))


def table(root: Path) -> pd.DataFrame:
    score_workspace(root / "runs", root / "scores", n_resamples=60)
    write_robustness(root / "runs", root / "scores")
    rank_workspace(root / "scores", root / "board")
    return pd.read_parquet(root / "board" / "missing_modalities.parquet")


def test_answers_beside_the_ledgers_come_to_the_board_with_derived_tasks(tmp_path):
    runs = write_workspace(tmp_path, [TWO, FakeMethod("scan")])
    write_missing(runs, "two")
    found = table(tmp_path)
    assert set(found["method"]) == {"two"}, "one modality: nothing could be missing"
    assert set(found["task"]) == {"dx3", "ad_cn"}
    assert set(found.loc[found["task"] == "ad_cn", "derived_from"]) == {"dx3"}
    own = found[found["task"] == "dx3"]
    place = np.arange(240)
    complete = one(own, "report", "complete")
    assert complete["n"] == ((place % 4 > 0) & (place % 7 > 0)).sum()
    row = one(own, "report", "some")
    assert row["n"] == (place % 4 > 0).sum() == 180
    expected = []
    for seed in (0, 1):
        frames = [
            pd.read_parquet(runs / f"two/memory-{k}-{seed}/missing.parquet") for k in range(3)
        ]
        asked = pd.concat(
            frame.assign(fold=k)[(frame["shown"] == "report") & (frame["n_shown"] == 1)]
            for k, frame in enumerate(frames)
        )
        for k in range(3):  # one class against the rest, pairs within folds
            won = total = 0.0
            for _, part in asked.groupby("fold"):
                positive = part["y_true"] == k
                pairs = positive.sum() * (~positive).sum()
                won += pairs * roc_auc_score(positive, part[f"prob_{k}"])
                total += pairs
            expected.append(won / total)
    assert row["score"] == pytest.approx(np.mean(expected))
    scores = pd.read_parquet(tmp_path / "board" / "leaderboard.parquet")
    board = scores[(scores["method"] == "two") & (scores["task"] == "dx3")].iloc[0]
    full = one(own, "full", "everybody")
    for name in ("score", "ci_low", "ci_high", "n"):
        assert full[name] == board[name]


def test_a_missing_or_damaged_file_is_a_line_and_no_crash(tmp_path):
    damaged = replace(TWO, name="damaged")
    runs = write_workspace(tmp_path, [TWO, damaged, replace(TWO, name="never", seeds=(0,))])
    for name in ("two", "damaged"):
        write_missing(runs, name)
    (runs / "two" / "memory-1-0" / "missing.parquet").unlink()
    (runs / "damaged" / "memory-1-0" / "missing.parquet").write_bytes(b"no table")
    found = table(tmp_path)
    notes = found[found["task"] == "dx3"].set_index("method")["note"].to_dict()
    assert notes["two"] == "1 of 6 runs hold no missing.parquet; rerun with `neurodx run`"
    assert "missing.parquet: cannot be read" in notes["damaged"]
    assert notes["never"].startswith("its runs hold no missing.parquet: the method does not cope")
    assert set(found["status"]) == {"missing"}
    scores = pd.read_parquet(tmp_path / "board" / "leaderboard.parquet")
    assert set(scores["status"]) == {"done"}


def test_without_any_the_table_says_so(tmp_path):
    write_workspace(tmp_path, [FakeMethod("scan")])
    assert table(tmp_path).empty
    said = pd.read_parquet(tmp_path / "board" / "robustness.parquet").set_index("table")
    assert said.loc["missing_modalities", "says"] == (
        "empty: no row's track opens two modalities, or its runs were not asked"
    )


def test_answers_are_read_once_and_only_for_the_tables(tmp_path, monkeypatch):
    runs = write_workspace(tmp_path, [TWO])
    write_missing(runs, "two")
    read = []
    whole = missing_answers.read_table
    monkeypatch.setattr(
        missing_answers, "read_table", lambda path, names: read.append(path) or whole(path, names)
    )
    read_runs(runs, TASKS)
    assert not read
    found = read_runs(runs, TASKS, with_validation=True)
    assert [path.name for path in read] == ["missing.parquet"] * 6
    assert len(found.ledgers) == 2  # dx3, and ad_cn from it


def test_what_a_task_closes_is_not_open():
    age = get_task("brain_age")
    assert open_modalities("t1w+report", [get_task("dx3")]) == {"t1w", "report"}
    assert open_modalities("t1w+report", [age]) == {"t1w", "report"} - age.forbidden_sources
    assert open_modalities("demographic", []) == frozenset()
