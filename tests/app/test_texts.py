"""Words, numbers, markup, exports and the command that opens the app."""

from __future__ import annotations

import argparse
import doctest
import io
import json
from pathlib import Path

import pandas as pd
import pytest

from benchmark.cli import board as board_verb
from leaderboard import exports, formats, titles, wording
from leaderboard.components.markup import Markup, chip, element
from leaderboard.components.notices import first_line_text
from leaderboard.rows import in_display_order, labelled
from leaderboard.wording import headline

NAN = float("nan")


@pytest.mark.parametrize("module", [formats, wording, titles])
def test_examples_in_the_documentation_hold(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def ranked(groups: list[float], more: float = NAN) -> pd.DataFrame:
    count = len(groups)
    return pd.DataFrame(
        {
            "label": [f"M{i}" for i in range(1, count + 1)],
            "shown_low": [1.0] * count,
            "shown_group": groups,
            "shown_position": range(1, count + 1),
            "shown_more": [more] * count,
        }
    )


@pytest.mark.parametrize(
    ("groups", "more", "ending"),
    [
        ([1.0, 1.0, 2.0], 120.0, "M1 and M2 cannot be told apart for first place. About 120 more "),
        ([1.0, 1.0, 2.0], NAN, "M1 and M2 cannot be told apart for first place."),
        ([1.0, 2.0], 0.0, "M1 is separated from every other method."),
        ([1.0, 1.0], NAN, "None of them can be told apart from the best."),
    ],
)
def test_the_headline_claims_no_more_than_the_tie_groups(groups, more, ending):
    said = headline(ranked(groups, more), "AD against CN", "AUROC")
    assert said.startswith(f"{len(groups)} methods are ranked by AUROC on AD against CN. {ending}")


def test_the_headline_of_one_and_of_none():
    assert headline(ranked([1.0]), "x", "AUROC").startswith("Only M1 is scored on x")
    assert headline(ranked([]), "x", "AUROC").startswith("No method is ranked on x")


def test_markup_escapes_text_and_attributes_but_not_itself():
    assert element("td", "<b>", title='"') == '<td title="&quot;">&lt;b&gt;</td>'
    assert element("td", Markup("<b>x</b>")) == "<td><b>x</b></td>"
    assert chip("a<b") == '<span class="chip">a&lt;b</span>'


def test_the_first_line_sorts_cohorts_by_origin():
    said = first_line_text({"p": "synthetic", "r": "real people", "u": "origin not stated"})
    assert "<strong>SYNTHETIC</strong>: p is computer-generated." in said
    assert "Real people: r." in said
    assert "Origin not stated: u." in said
    assert "SYNTHETIC" not in first_line_text({"r": "real people"})


def test_rows_of_one_title_are_told_apart():
    rows = pd.DataFrame(
        {
            "title": ["A", "A", "B", "B", "C"],
            "method": ["a", "a", "b", "b", "c"],
            "track": ["t1w", "report", "t1w", "t1w", "t1w"],
            "derived_from": ["", "", "", "dx3", "dx3"],
        }
    )
    assert labelled(rows)["label"].tolist() == ["A (t1w)", "A (report)", "B", "B (from dx3)", "C"]


def test_two_methods_of_one_title_are_told_apart_by_their_names():
    rows = pd.DataFrame(
        {
            "title": ["CNN", "CNN", "CNN", "CNN"],
            "method": ["ours", "theirs", "theirs", "ours"],
            "track": ["t1w", "t1w", "report", "t1w"],
            "derived_from": ["", "", "", ""],
        }
    )
    assert labelled(rows)["label"].tolist() == [
        *("CNN (t1w) (ours)", "CNN (t1w) (theirs)", "CNN (report)", "CNN (t1w) (ours)"),
    ]


def test_the_order_is_that_of_the_positions_and_then_of_the_scores():
    rows = pd.DataFrame(
        {
            "label": ["second", "first", "reference", "failed", "third", "chance"],
            "status": ["done", "done", "done", "failed", "done", "done"],
            "score": [0.82, 0.80, 0.81, NAN, 0.7, 0.5],
            "shown_position": [2.0, 1.0, NAN, NAN, 3.0, NAN],
            "floor_gain": [0.0, 0.0, 0.0, NAN, 0.2, NAN],
            "cpu_seconds": NAN,
            "fit_seconds": [3.0, 2.0, NAN, NAN, 1.0, 4.0],
        }
    )

    def order(sort: str, *, higher_is_better: bool = True) -> list[str]:
        found = in_display_order(rows, sort, higher_is_better=higher_is_better)
        assert list(found.columns) == list(rows.columns)
        return found["label"].tolist()

    assert order("score") == ["reference", "first", "second", "third", "chance", "failed"]
    assert order("gain")[0] == "third"
    assert order("cost")[:4] == ["third", "first", "second", "chance"]
    rows["score"] = -rows["score"]
    assert order("score", higher_is_better=False)[:4] == ["reference", "first", "second", "third"]
    rows["shown_position"] = NAN
    assert order("score")[:3] == ["chance", "third", "first"]


@pytest.fixture
def exported() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "key": ["k"] * 2,
            "label": ["A & B_1", "Late"],
            "method": ["a", "late"],
            "track": ["t1w"] * 2,
            "status": ["done", "failed"],
            "score": [0.123456789, NAN],
            "ci_low": [0.1, NAN],
            "ci_high": [0.2, NAN],
            "n": [90.0, NAN],
            "shown_low": [1.0, NAN],
            "shown_high": [3.0, NAN],
            "shown_group": [1.0, NAN],
        }
    )


def test_csv_and_json_are_whole_and_unrounded(exported):
    read = pd.read_csv(io.StringIO(exports.as_csv(exported)))
    assert read["score"][0] == 0.123456789
    assert "key" not in read
    stored = json.loads(exports.as_json(exported, {"commit": "abc"}))
    assert stored["board"] == {"commit": "abc"}
    assert stored["rows"][0]["score"] == pytest.approx(0.123456789, abs=1e-10)
    assert stored["rows"][1]["score"] is None


def test_latex_escapes_and_shows_failed_rows(exported):
    table = exports.as_latex(exported, "50 %, n < 30", "AUROC")
    assert r"\caption{50 \%, n \textless{} 30}" in table
    assert r"1--3 A & A \& B\_1 & t1w & 0.123 (0.100 to 0.200) & 90 \\" in table
    assert r"-- & Late & t1w & failed & -- \\" in table


def test_bibtex_holds_the_board_and_each_entry_once():
    cards = pd.DataFrame({"method": ["a", "b", "c"], "bibtex": ["@misc{x}", "@misc{x}", ""]})
    text = exports.as_bibtex(cards, ["a", "b", "c"], {"commit": "abc", "date": "2026-11-22"})
    assert text.count("@misc{x}") == 1
    assert "year = {2026}" in text
    assert "commit abc" in text


def test_the_command_sends_no_statistics_and_names_the_board(tmp_path):
    parser = argparse.ArgumentParser()
    board_verb.add_arguments(parser)
    args = parser.parse_args(["--board", str(tmp_path), "--port", "8600", "--headless"])
    command = board_verb.command(args)
    assert Path(command[4]).is_file()
    assert command[command.index("--browser.gatherUsageStats") + 1] == "false"
    assert command[command.index("--server.port") + 1] == "8600"
    assert command[-3:] == ["--", "--board", str(tmp_path)]
