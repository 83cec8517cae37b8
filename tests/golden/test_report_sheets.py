"""All metrics of the board, the label of intervals, sentences that are cut, places of names."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "app"))
from board_fixture import EXTERNAL, MEMORY, write_board

from benchmark.report import read_content, write_report
from benchmark.report.conclusions import UNCORRECTED, conclude
from benchmark.report.content import number, row_name
from benchmark.report.figures import forest_figure
from benchmark.report.readings import readings
from benchmark.report.sheets import all_sheets

LABEL = "95 % intervals given these fitted models; training randomness not included"


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    return write_board(tmp_path_factory.mktemp("sheets"))


@pytest.fixture(scope="module")
def content(board):
    return read_content(board, MEMORY, "ad_cn")


def _sheets(content):
    own = {sheet.name: sheet for sheet in all_sheets(content)}
    return own | {s.name: s for section in readings(content, own) for s in section.sheets}


@pytest.mark.parametrize(
    ("cohort", "task"), [(MEMORY, "ad_cn"), (MEMORY, "brain_age"), (EXTERNAL, "ad_cn")]
)
def test_every_metric_of_the_board_stands_in_some_table_with_its_interval(board, cohort, task):
    content = read_content(board, cohort, task)
    sheets = _sheets(content)
    assert content.metrics
    lines = {
        name: {row[0]: " ; ".join(row) for row in sheets[name].rows}
        for name in ("metrics", "calibration", "decision")
        if name in sheets
    }
    lines["ranking"] = {
        row_name(r): " ; ".join(cells)
        for r, cells in zip(content.rows, sheets["ranking"].rows, strict=True)
    }
    scored = {row_name(r) for r in content.scored}
    for stored in content.metrics:
        if row_name(stored) not in scored:
            continue
        value = number(stored["score"])
        if stored["ci_low"] is not None:
            span = f"{number(stored['ci_low'])} to {number(stored['ci_high'])}"
            value = f"{value} ({span})"
        told = [table[row_name(stored)] for table in lines.values()]
        if stored["primary"]:
            value = value.replace(" (", " ; ").removesuffix(")")
        assert any(value in line for line in told), (row_name(stored), stored["metric"])


def test_the_table_of_all_other_metrics_has_what_the_protocol_asks(board, content):
    sheet = _sheets(content)["metrics"]
    asked = {"Balanced accuracy", "PR-AUC", "Macro F1", "MCC", "Log loss"}
    there = {m["title"] for m in content.metrics}
    asked |= {"Sensitivity", "Specificity", "Sensitivity at 90 % specificity"}
    assert set(sheet.columns) >= (asked & there) | {"row", "first places"}
    assert [row[0] for row in sheet.rows] == [row_name(r) for r in content.scored]
    shares = {row_name(r): r["first_place_share"] for r in content.scored}
    for name, first, *_ in sheet.rows:
        known = shares[name] is not None
        assert first == (f"{100 * shares[name]:.0f} %" if known else "")
    assert any(row[1] for row in sheet.rows)
    ages = _sheets(read_content(board, MEMORY, "brain_age"))["metrics"]
    stored = {m["title"] for m in read_content(board, MEMORY, "brain_age").metrics}
    assert set(ages.columns) >= {"Pearson r", "MAE of predicting the mean"} & stored


def test_tables_and_figures_with_intervals_say_what_these_hold_for(content, tmp_path):
    out = tmp_path / "memory.html"
    files = {path.name: path for path in write_report(content, out)}
    page = out.read_text()
    assert f"never ranked. {LABEL}." in page  # under the forest plot
    for sheet in _sheets(content).values():
        has = any("interval" in column for column in sheet.columns)
        has |= sheet.name in ("calibration", "metrics", "decision")
        assert sheet.intervals == (f"{LABEL}." if has else ""), sheet.name
        if has and sheet.rows:
            assert f"{sheet.intervals.replace('%', chr(92) + '%')}}}" in (
                files[f"{sheet.name}.tex"].read_text()
            )
    assert page.count(LABEL) == 1 + sum(
        bool(s.intervals and s.rows) for s in _sheets(content).values()
    )


def test_the_label_counts_rows_whose_intervals_hold_the_seeds(content):
    rows = [{**r, "ci_method": f"{r['ci_method']} + seed variance"} for r in content.rows[:1]]
    some = replace(content, rows=(*rows, *content.rows[1:]))
    assert f"scores of 1 of {len(content.scored)} rows" in _sheets(some)["ranking"].intervals


def _many(content, count: int):
    """A board on which that many rows drop everywhere."""
    first = content.ranked[0]
    names = [f"method_{k}" for k in range(count)]
    ranked = [{**first, "method": name} for name in names]
    key = {k: first[k] for k in ("track", "derived_from")}
    drop = {"drop": 0.1, "drop_low": 0.05, "drop_high": 0.15, "external_cohort": "abroad"}
    gap = {"gap": 0.2, "gap_low": 0.1, "gap_high": 0.3, "separated": True}
    gap |= {"variable": "sex", "best_group": "M", "worst_group": "F"}
    age = {"n_matched": 80, "matched_score": 0.881, "score": 0.894}
    lines = tuple({**key, **drop, **gap, **age, "method": name} for name in names)
    tables = dict.fromkeys(
        ("external_drop", "leave_site_out", "subgroup_gaps", "age_matched"), lines
    )
    return replace(content, rows=tuple(ranked), tables={**content.tables, **tables})


@pytest.mark.parametrize(("count", "more"), [(5, 0), (6, 0), (7, 1), (11, 5)])
def test_sentences_that_are_left_out_are_counted(content, count, more):
    may = conclude(_many(content, count)).may
    for said in (
        "on abroad",
        "on sites left out of its",
        "is worse for sex F",
        "scores worse among",
    ):
        assert sum(said in sentence for sentence in may) == min(count, 6)
    kinds = (
        "drops on an external cohort",
        "drops on sites left out of training",
        "gaps between groups",
        "drops among age-matched people",
    )
    for kind in kinds:
        counted = (
            f"And {more} more {kind} that are clear of zero; the tables below hold all {count}."
        )
        assert (counted in may) is (more > 0)
        assert any(f"more {kind}" in sentence for sentence in may) is (more > 0)


def test_what_age_matching_says_is_measured_and_names_no_cause(content):
    may = conclude(_many(content, 2)).may
    assert (
        f"{row_name(_many(content, 2).ranked[0])} scores worse among 80 age-matched people than "
        "among all: 0.881 against 0.894, a drop of 0.100 (0.050 to 0.150)."
    ) in may
    assert sum("may differ from all in more than age" in sentence for sentence in may) == 1
    assert not any("is age" in sentence for sentence in may)


def test_the_page_says_that_sentences_are_not_corrected(content, tmp_path):
    out = tmp_path / "memory.html"
    write_report(content, out)
    page = out.read_text()
    assert UNCORRECTED.startswith("No interval in these sentences is corrected for the number")
    place = page.index(UNCORRECTED)
    assert page.index("What may be concluded") < place < page.index("What may not be concluded")


_TEXT = re.compile(r'<text x="([\d.]+)" y="([\d.]+)" class="(\w*)" text-anchor="(\w+)">([^<]*)<')
_GRID = re.compile(
    r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)" class="(rule|ink dashed)"'
)


@pytest.mark.parametrize("narrow", [False, True])
def test_no_line_of_the_grid_runs_through_a_name(content, narrow):
    figure = forest_figure(content, narrow=narrow)
    marks = "\n".join(figure.marks)
    grid = [tuple(map(float, found[:4])) for found in _GRID.findall(marks)]
    assert len(grid) >= 3 * len(content.scored)
    words = [(float(x), float(y), a, w) for x, y, _, a, w in _TEXT.findall(marks)]
    assert {"track t1w", "oracle"} <= {w for *_, w in words}
    for x, y, anchor, word in words:
        long = 7.0 * len(word)
        left = {"start": x, "end": x - long, "middle": x - long / 2}[anchor]
        for across, top, _, bottom in grid:
            beside = across < left or across > left + long
            assert beside or bottom <= y - 10 or top >= y + 2, (word, across)


def test_the_plot_of_a_page_is_wide_and_a_telephones_is_not(content):
    wide, narrow = forest_figure(content), forest_figure(content, narrow=True)
    assert (wide.name, narrow.name) == ("forest", "forest-narrow")
    assert wide.width == 960
    assert narrow.width == 420
    for figure in (wide, narrow):
        across = [float(found[0]) for found in _GRID.findall("\n".join(figure.marks))]
        assert max(across) - min(across) > 0.55 * figure.width
        assert max(across) < figure.width
