"""The report: what it says, how it is written, and that it asks nothing of a network."""

from __future__ import annotations

import json
import re
import shutil
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "app"))
from board_fixture import CSF, EXTERNAL, MEMORY, METHODS, write_board

from benchmark.cli import main
from benchmark.errors import ResultError, UnknownNameError
from benchmark.metrics import METRICS
from benchmark.report import read_content, write_report
from benchmark.report.conclusions import conclude
from benchmark.report.content import number, row_name
from benchmark.report.figures import forest_figure
from benchmark.report.latex import latex_table
from benchmark.report.sheet import Sheet
from benchmark.report.sheets import all_sheets
from benchmark.results.latex import escape_latex


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    return write_board(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def content(board):
    return read_content(board, MEMORY, "ad_cn")


@pytest.fixture(scope="module")
def written(content, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "memory.html"
    return out, write_report(content, out)


class _Page(HTMLParser):
    """Collects tags and their attributes, and checks that they are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "rect", "line", "circle", "polygon", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("rect", "line", "circle", "polygon", "polyline"):
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, words):
        self.words.append(words)


def test_the_page_is_one_whole_file(written):
    text = written[0].read_text()
    page = _Page(text)
    assert page.open == []
    attributes = [a for _, found in page.tags for a in found]
    assert not {"src", "href", "srcset"} & set(attributes)
    assert not re.search(r"url\(|@import|<script|<link|<iframe", text)
    hosts = set(re.findall(r"https?://([^/\"' ]+)", text))
    assert hosts <= {"www.w3.org"}  # the name of the SVG namespace, which nothing fetches
    assert {"charset": "utf-8"} in [a for t, a in page.tags if t == "meta"]
    assert "prefers-color-scheme: dark" in text


def test_every_figure_has_a_name_and_a_description(written):
    page = _Page(written[0].read_text())
    figures = [a for tag, a in page.tags if tag == "svg"]
    assert len(figures) == 2 + 3 * 6  # forest twice, and three of each of the six best
    ids = {a["id"] for _, a in page.tags if "id" in a}
    for attributes in figures:
        assert attributes["role"] == "img"
        assert set(attributes["aria-labelledby"].split()) <= ids


def test_what_a_card_or_a_name_holds_cannot_become_markup(written):
    text = written[0].read_text()
    assert "<mini>" not in text
    assert "NaN at epoch 3" in text  # why neurobridge has no score


def test_files_beside_the_page(written):
    out, files = written
    names = {path.name for path in files}
    assert files[0] == out
    assert {"forest.svg", "ranking.tex", "calibration.tex", "honesty.tex"} <= names
    assert "metrics.tex" in names
    assert {"decision.tex", "selective.tex", "reliability.tex", "brier_terms.tex"} <= names
    assert "few_label.tex" not in names  # there is nothing to set
    for path in files:
        if path.suffix == ".svg":
            root = ET.fromstring(path.read_text())
            kinds = [child.tag.rpartition("}")[2] for child in root]
            assert kinds[:4] == ["title", "desc", "style", "rect"]
            assert root.attrib["width"].isdigit()


def test_the_forest_places_scores_by_their_value(content):
    figure = forest_figure(content)
    ranked = [r for r in content.ranked if r["tie_group"] == 1]
    xs = [float(x) for m in figure.marks for x in re.findall(r'<circle cx="([0-9.]+)"', m)]
    assert len(xs) == len(ranked)
    scores = [r["score"] for r in ranked]
    slope = np.polyfit(scores, xs, 1)
    np.testing.assert_allclose(np.polyval(slope, scores), xs, atol=0.06)
    assert slope[0] > 0


def _said(content) -> str:
    found = conclude(content)
    return "\n".join([*found.warnings, "--", *found.may, "--", *found.may_not])


def test_sentences_follow_the_numbers(board, content):
    said = _said(content)
    assert said.startswith("SYNTHETIC: the people of phantom-memory are made up")
    assert "no patient was measured" in said
    rows = {row_name(r): r for r in content.ranked}
    first = next(r for r in content.ranked if r["track"] == "t1w")
    tied = [n for n, r in rows.items() if r["track"] == "t1w" and r["tie_group"] == 1]
    assert f"In track t1w, {row_name(first)} comes first with AUROC" in said
    for name in tied:
        assert name in said
    assert "cannot be told apart" in said
    assert "NOT SCORED: neurobridge [t1w] failed: RuntimeError: loss is NaN at epoch 3." in said
    better = [n for n, r in rows.items() if (r["floor_gain_low"] or 0) > 0]
    line = next(x for x in conclude(content).may if x.startswith("Better than age_sex"))
    assert all(name in line for name in better)
    assert "fewer than 3 seeds" in said
    adapter = rows["brain_adapter [t1w+report]"]
    assert f"brain_adapter [t1w+report] has rank {adapter['rank_all_low']}" in said
    assert "Among the 5 rows that see no more than track t1w+report shows" in said
    assert "Anything about few label: no such runs" in said
    drop = next(r for r in content.tables["external_drop"] if r["method"] == "regional_linear")
    clear = f"loses {number(drop['drop'])} on {EXTERNAL}"
    assert (clear in said) == (drop["drop_low"] > 0)


def test_real_people_and_no_oracle(board):
    real = _said(read_content(board, CSF, "impaired"))
    assert real.startswith("Real people. Research only")
    assert "SYNTHETIC" not in real
    assert "oracle" not in real
    assert "Alone in their tracks" in real


def test_a_small_sample_is_called_one(board, content):
    small = conclude(content).warnings
    assert not any("SMALL SAMPLE" in text for text in small)
    rows = [{**r, "n_by_class": json.dumps({"CN": 40, "AD": 12})} for r in content.rows]
    shrunk = replace(content, rows=tuple(rows))
    assert any("SMALL SAMPLE: 40 CN, 12 AD" in text for text in conclude(shrunk).warnings)


def test_a_separated_leader_is_said_to_be_one(content):
    t1w = [r for r in content.rows if r["track"] == "t1w" and r["tie_group"] is not None]
    rows = [{**t1w[0], "tie_group": 1}, *({**r, "tie_group": 2} for r in t1w[1:])]
    changed = replace(content, rows=tuple(rows))
    first = conclude(changed).may[0]
    assert f"{row_name(t1w[0])} is first, separated from all {len(t1w) - 1} others" in first
    tied = [{**r, "tie_group": k} for k, r in enumerate(t1w, start=1)]
    alone = replace(content, rows=tuple(tied))
    assert not any("equally good" in text for text in conclude(alone).may_not)


def test_a_regression_has_its_own_calibration(board, tmp_path):
    content = read_content(board, MEMORY, "brain_age")
    files = write_report(content, tmp_path / "age.html")
    assert any(p.name.startswith("calibration-resnet3d") for p in files)
    sheet = next(s for s in all_sheets(content) if s.name == "calibration")
    assert sheet.columns == ("row", "MAE", "R2", "age-bias slope")


def test_external_rows_are_their_own_cell(board):
    content = read_content(board, EXTERNAL, "ad_cn")
    assert content.protocol == "external"
    assert {r["method"] for r in content.ranked} == {"age_sex", "regional_linear", "resnet3d"}


def test_the_ranking_table_holds_every_row_of_the_cell(content):
    sheet = all_sheets(content)[0]
    assert len(sheet.rows) == len(content.rows) == len(METHODS) - 1 + 1  # less ad-csf's, and oracle
    oracle = next(r for r in sheet.rows if r[0] == "oracle")
    assert oracle[2] == "not ranked"
    failed = next(r for r in sheet.rows if r[0] == "neurobridge")
    assert failed[4] == "failed"


def test_latex_escapes_and_uses_booktabs():
    sheet = Sheet("a_b", "50 % & more", ("row", "n_a"), (("age_sex", "1.5"), ("x", "")), "Note.")
    text = latex_table(sheet, "Synthetic.")
    begins = [text.index(rf"\begin{{{name}}}") for name in ("table", "tabular")]
    assert begins[0] < text.index(r"\resizebox{") < begins[1]
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert r"\caption{50 \% \& more. Synthetic. Note.}" in text
    assert r"\label{tab:a-b}" in text
    assert r"\begin{tabular}{lr}" in text
    assert r"age\_sex & 1.5 \\" in text
    assert [text.count(rf"\{name}rule") for name in ("top", "mid", "bottom")] == [1, 1, 1]
    assert escape_latex("a\\b^2~<3") == (
        r"a\textbackslash{}b\textasciicircum{}2\textasciitilde{}\textless{}3"
    )


def test_tables_say_synthetic_in_latex(written):
    ranking = next(p for p in written[1] if p.name == "ranking.tex").read_text()
    assert "SYNTHETIC" in ranking
    assert METRICS["roc_auc"].title in ranking


def test_numbers():
    assert number(0.12345) == "0.123"
    assert number(-0.0001, sign=True) == "0.000"
    assert number(0.2, sign=True) == "+0.200"
    assert number(None) == number(float("nan")) == number("") == ""


def test_names_that_the_board_does_not_have(board, tmp_path):
    with pytest.raises(
        UnknownNameError, match=r"cohort of this board 'phantom-memry'. Did you mean"
    ):
        read_content(board, "phantom-memry", "ad_cn")
    with pytest.raises(UnknownNameError, match="task of this board 'ad_cnn'"):
        read_content(board, MEMORY, "ad_cnn")
    with pytest.raises(UnknownNameError, match="protocol of this board '5fold'"):
        read_content(board, MEMORY, "ad_cn", "5fold")
    with pytest.raises(ResultError, match="there is no board"):
        read_content(tmp_path, MEMORY, "ad_cn")


def _without(board: Path, target: Path, name: str, column: str) -> Path:
    shutil.copytree(board, target)
    path = target / f"{name}.parquet"
    pd.read_parquet(path).drop(columns=column).to_parquet(path)
    return target


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("site_trace", "told_from"),
        ("missing_modalities", "n_everybody"),
        ("leaderboard", "tie_group"),
    ],
)
def test_a_board_that_lacks_a_column_names_it_and_the_commands(board, tmp_path, name, column):
    old = _without(board, tmp_path / "old", name, column)
    with pytest.raises(ResultError) as caught:
        read_content(old, MEMORY, "ad_cn")
    assert str(caught.value) == (
        f"{old}: {name}.parquet lacks {column}: an older version wrote this board; write the "
        "board again with `neurodx score` and then `neurodx rank`"
    )


def test_a_board_from_before_the_robustness_tables_names_the_commands(board, tmp_path):
    (tmp_path / "board.json").write_text("{}")
    pd.DataFrame().to_parquet(tmp_path / "leaderboard.parquet")
    with pytest.raises(ResultError, match=r"subgroups.parquet is missing; write the board again"):
        read_content(tmp_path, MEMORY, "ad_cn")


def test_the_verb(board, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = ["report", "--board", str(board), "--cohort", MEMORY, "--task", "ad_cn"]
    assert main(asked) == 0
    assert (tmp_path / "reports" / f"{MEMORY}-ad_cn.html").is_file()
    assert "figures and tables in" in capsys.readouterr().out
    assert main([*asked, "--out", "report.pdf"]) == 1
    assert "expected a name that ends in .html" in capsys.readouterr().err
    before = (tmp_path / "reports" / f"{MEMORY}-ad_cn.html").read_bytes()
    assert main(asked) == 0  # again: the same bytes
    assert (tmp_path / "reports" / f"{MEMORY}-ad_cn.html").read_bytes() == before


def test_a_sheet_of_missing_modalities_keeps_complete_cases_beside_everybody(content):
    key = {"method": "resnet3d", "track": "t1w", "derived_from": "", "drop": 0.1}
    ends = dict.fromkeys(("ci_low", "ci_high", "drop_low", "drop_high"))

    def line(shown, size, people, score, n, percent=None):
        said = {"status": "suppressed" if score is None else "done", "n": n, "percent": percent}
        known = {"shown": shown, "n_modalities": size, "people": people, "score": score}
        known["n_everybody"] = 40
        return {**key, **ends, **said, **known}

    stored = [
        line("full", 4, "everybody", 0.9, 40, 0),
        line("full", 4, "complete", None, 8, 0),
        line("a", 1, "everybody", 0.7, 40),
        line("a", 1, "complete", 0.75, 20),
        line("a", 1, "some", 0.8, 30),
        line("a+b", 2, "everybody", 0.8, 40),
        line("drop-50", None, "everybody", 0.6, 40, 50),
    ]
    tables = {**content.tables, "missing_modalities": tuple(stored)}
    sheet = next(
        s for s in all_sheets(replace(content, tables=tables)) if s.name == "missing_modalities"
    )
    assert [row[1] for row in sheet.rows] == ["everything", "a", "50 % dropped"]
    assert sheet.rows[0][-2:] == ("8 of 40", "suppressed")
    assert sheet.rows[1][2:4] == ("40", "0.700")
    assert sheet.rows[1][-2:] == ("20 of 40", "0.750")
    assert sheet.rows[2][-2:] == ("", "")
