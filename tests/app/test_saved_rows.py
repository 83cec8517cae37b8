"""Saved rows are what the screen shows, and no cell of a CSV is a formula."""

from __future__ import annotations

import io
import shutil

import pandas as pd
import pytest

from benchmark.results import compare_reference, rank_workspace, write_reference
from benchmark.results.board import without_formulas
from leaderboard import exports
from leaderboard.rows import CELL

FORMULAS = [
    "=HYPERLINK(1)",
    "+cmd",
    "-1+1",
    "-x",
    "@SUM(1)",
    "\tx",
    "\r=1",
    "\n=1",
    "=",
    "-0.1 to B2",
]
PLAIN = ["-0.1 to 0.2", "-0.5", "+1e-05", "-.5 to -0.25", "a = b", "1-3", "−0.1", ""]


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[pd.DataFrame]:
    """The rows that pages write as CSV, page by page."""
    seen: list[pd.DataFrame] = []

    def keep(rows: pd.DataFrame) -> str:
        seen.append(rows)
        return "saved"

    monkeypatch.setattr(exports, "as_csv", keep)
    return seen


def test_without_a_method_places_in_a_file_are_those_of_the_methods_left(open_page, board, saved):
    open_page("ranking", board, cohort="phantom-memory", task="ad_cn", without="resnet3d")
    own = saved[0].loc[saved[0]["track"] == "t1w"].query("method != 'oracle' and status == 'done'")
    assert sorted(own["position"]) == [1, 2]
    assert own["first_place_share"].sum() == pytest.approx(1)
    (needed,) = set(own["n_more_to_separate"])
    assert needed > 0, "two methods need the same people"
    alone = ["resnet3d", "voxel_svm", "regional_linear"]
    open_page("ranking", board, cohort="phantom-memory", task="ad_cn", without=alone[:2])
    (last,) = saved[1].loc[saved[1]["method"] == alone[2]].to_dict("records")
    assert (last["position"], last["first_place_share"]) == (1, 1)
    assert pd.isna(last["n_more_to_separate"])


def test_a_file_of_the_matrix_holds_the_ranks_of_the_page_alone(open_page, board, saved):
    open_page("by_task", board, without="brain_adapter")
    (rows,) = saved
    stale = {"rank_low", "rank_high", "tie_group", "rank_all_low", "rank_all_high", "tie_group_all"}
    stale |= {"position", "first_place_share", "n_more_to_separate"}
    assert not stale & set(rows.columns)
    ranked = rows.loc[rows["shown_low"].notna()]
    first = ranked.loc[ranked["shown_position"] == 1]
    assert len(first) == len(ranked[CELL].drop_duplicates())


def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe_and_numbers_stay():
    texts = [*FORMULAS, *PLAIN, None]
    frame = pd.DataFrame({"title": texts, "method": texts, "score": -0.5, "n": -1, "good": True})
    found = without_formulas(frame, keep=("method",))
    guarded = ["'" + text.replace("\r", "\n") for text in FORMULAS]
    assert found["title"].tolist()[:-1] == [*guarded, *PLAIN]
    assert pd.isna(found["title"].iloc[-1])
    kept = ["method", "score", "n", "good"]
    pd.testing.assert_frame_equal(found[kept], frame[kept])
    typed = frame.astype({"title": "string", "n": "Int64", "good": "boolean"})
    assert without_formulas(typed)["title"].iloc[0] == "'=HYPERLINK(1)"
    inside = pd.DataFrame({"title": ["a\r=1", "b\r\n=1"]})
    assert exports.as_csv(inside) == 'title\n"a\n=1"\n"b\n=1"\n'
    read = pd.read_csv(io.StringIO(exports.as_csv(frame[["title", "score"]])))
    assert read["title"][2] == "'-1+1"
    assert read["score"].tolist() == [-0.5] * len(frame)


def test_the_csv_of_a_board_is_guarded_and_is_still_compared_row_by_row(board, tmp_path):
    scores = shutil.copytree(board.parent / "scores", tmp_path / "scores")
    entries = pd.read_parquet(scores / "entries.parquet")
    entries["title"] = "=" + entries["title"]
    entries["error"] = "-1+1"
    entries.to_parquet(scores / "entries.parquet")
    rank_workspace(scores, tmp_path / "board")
    rows = pd.read_csv(tmp_path / "board" / "leaderboard.csv")
    assert rows["title"].str.startswith("'=").all()
    assert (rows["error"] == "'-1+1").all()
    assert rows["oracle_gap"].min() < 0
    table = pd.read_parquet(tmp_path / "board" / "leaderboard.parquet")
    assert table["title"].str.startswith("=").all()
    write_reference(board, tmp_path / "reference.csv")
    report = compare_reference(tmp_path / "board", tmp_path / "reference.csv")
    assert report.counts["identical"] == len(rows)
