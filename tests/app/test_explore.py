"""Explore / Robustness and Explore / Honesty: what they say, and what they say is absent."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from robust_board import rank, write_robust_board
from test_pages import text

from benchmark.results.robustness import TABLES, missing_modalities
from leaderboard import state
from leaderboard.aspects import (
    DROP,
    FULL,
    PEOPLE,
    as_differences,
    curves_in_order,
    group_rows,
    left_title,
    lines_of,
    subsets_in_order,
)
from leaderboard.board_data import load_board, load_robustness
from leaderboard.charts.differences import CLEAR, UNCLEAR, differences, differences_alt_text
from leaderboard.charts.few_label import few_label, few_label_alt_text
from leaderboard.charts.groups import groups, groups_alt_text
from leaderboard.charts.missing import (
    dropping,
    dropping_alt_text,
    subsets,
    subsets_alt_text,
)
from leaderboard.charts.palette import palette_for
from leaderboard.charts.spread import site_guess, two_spreads
from leaderboard.components.aspect_sections import ASPECTS
from leaderboard.rows import labelled
from leaderboard.state import Selection

WHERE = {"cohort": "memory", "task": "dx3", "protocol": "3fold"}
PALETTE = palette_for("light")


@pytest.fixture(scope="module")
def robust(tmp_path_factory):
    return write_robust_board(tmp_path_factory.mktemp("robust"))


@pytest.fixture(scope="module")
def plain(robust):
    """A board without runs of other protocols."""
    return rank(robust.parent, "plain", protocols="not scored")


def cells(page, caption: str) -> list[list[str]]:
    """Cells of the table with a caption, line by line."""
    table = next(e.proto.body for e in page.html if f"<caption>{caption}" in e.proto.body)
    body = table.partition("<tbody>")[2]
    found = []
    for line in re.findall(r"<tr[^>]*>(.*?)</tr>", body):
        parts = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)
        found.append([re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", p)).strip() for p in parts])
    return found


def lines(folder, name: str) -> pd.DataFrame:
    board = load_board(folder)
    rows = board.rows
    for column, value in WHERE.items():
        rows = rows.loc[rows[column] == value]
    table = load_robustness(board).tables[name]
    return lines_of(table, labelled(rows), Selection(**WHERE), any_protocol=name == "few_label")


@pytest.mark.parametrize("aspect", ASPECTS)
def test_every_aspect_opens_by_its_address_on_a_full_and_on_an_older_board(
    open_page, robust, board, aspect
):
    page = open_page("robustness", robust, show=aspect, **WHERE)
    assert not page.exception
    assert page.header[0].value == ASPECTS[aspect][0]
    assert page.html[0].proto.body.count("SYNTHETIC") == 1
    assert any("<table" in e.proto.body for e in page.html)
    assert not page.info
    bare = open_page("robustness", board, show=aspect, cohort="ad-csf")
    assert not bare.exception


def test_a_group_too_small_is_suppressed_with_its_count_and_the_worst_is_marked(open_page, robust):
    page = open_page("robustness", robust, row="weak|t1w|", **WHERE)
    table = {line[0]: line[1:] for line in cells(page, "Weak in groups of people")}
    assert table["APOE e4 carrier: 1"][0].startswith("suppressed")
    assert "fewer than 10" in table["APOE e4 carrier: 1"][0]
    assert table["APOE e4 carrier: 1"][2] == "20"
    assert table["sex: F"][2] == "120"
    marked = [name for name, line in table.items() if line[-1] == "worst"]
    assert {name.partition(":")[0] for name in marked} == {
        "sex",
        "site",
    }  # one age band is large enough


def test_the_kind_of_groups_of_the_gaps_is_in_the_address(open_page, robust):
    page = open_page("robustness", robust, groups="site_id", **WHERE)
    assert {line[2] for line in cells(page, "Gaps by site")} <= {"site-a", "site-b", "site-c"}
    page.selectbox(key=state.VARIABLE).select("sex").run()
    assert cells(page, "Gaps by sex")
    assert "groups" not in page.query_params  # sex is the first, so the address need not say it


def test_drops_elsewhere_stand_with_those_on_each_site(open_page, robust):
    page = open_page("robustness", robust, show="elsewhere", **WHERE)
    assert [line[0] for line in cells(page, "In-domain against external")] == [
        "Svm",
        "Cnn",
        "Copied",
    ]
    sites = cells(page, "The same people by models")
    assert [line[1] for line in sites if line[0] == "Cnn"] == ["all", "site-a", "site-b", "site-c"]
    stored = pd.read_parquet(robust / "leave_site_out.parquet")
    drop = stored.query("method == 'cnn' and task == 'dx3'")["drop"].iloc[0]
    whole = next(line for line in sites if line[:2] == ["Cnn", "all"])
    assert whole[-1].startswith(f"{drop:+.3f}")


def test_an_omitted_point_is_in_the_table_and_in_the_chart(open_page, robust):
    page = open_page("robustness", robust, show="few-label", **WHERE)
    curve = [line for line in cells(page, "Score by share") if line[0] == "Svm"]
    assert [line[1] for line in curve] == ["1 %", "10 %", "50 %", "100 %"]
    assert curve[0][2] == "omitted fold 1 has 1 people of class AD"
    rows = curves_in_order(lines(robust, "few_label"))
    spec = few_label(rows, "AUROC", PALETTE).to_dict()
    assert len(spec["layer"]) == 4
    assert spec["layer"][3]["mark"]["shape"] == "cross"
    assert spec["layer"][2]["encoding"]["shape"]["scale"]["range"] == ["circle", "square"]
    assert few_label_alt_text(rows, "AUROC").count("1 % omitted") == 2
    assert len(few_label(rows.loc[rows["status"] == "done"], "AUROC", PALETTE).layer) == 3


def test_the_trace_of_the_site_in_embeddings_stands_below_those_in_outputs(open_page, robust):
    page = open_page("robustness", robust, show="sites", **WHERE)
    table = {line[0]: line[1:] for line in cells(page, "Trace of the site")}
    names = list(table)
    assert names[-1] == "Two, embedding"
    assert "Two" in names[:-1]
    assert not any(", embedding" in name for name in names[:-1])
    stored = pd.read_parquet(robust / "site_trace.parquet")
    row = stored.query("method == 'two' and task == 'dx3' and told_from == 'embedding'").iloc[0]
    assert table["Two, embedding"][1] == f"{row['balanced_accuracy']:.3f}"
    assert table["Two, embedding"][3] == "0.333"


def test_missing_modalities_stand_beside_complete_cases_and_rows_without_answers(open_page, robust):
    page = open_page("robustness", robust, show="missing", **WHERE)
    assert not page.exception
    assert page.selectbox(key=state.ROW).options == ["Two"]
    left = cells(page, "Two by modalities left")
    sets = ["everything", "report", "t1w"]
    assert [line[:2] for line in left] == [[s, p] for s in sets for p in PEOPLE.values()]
    stored = pd.read_parquet(robust / "missing_modalities.parquet")
    own = stored.query("method == 'two' and task == 'dx3'").set_index(["shown", "people"])
    scan = own.loc[("t1w", "complete")]
    assert left[7][2] == f"{scan['score']:.3f}"
    assert left[7][4].startswith(f"{scan['drop']:+.3f}")
    assert left[7][5] == f"{scan['n']} of 240"
    curve = cells(page, "Two with modalities dropped at random")
    assert [line[0] for line in curve] == ["everything"] * 3 + ["50 % dropped"] * 3
    (without,) = cells(page, "Why a row was not asked")
    assert without[0] == "Needy"
    assert "does not cope with missing modalities" in without[1]


def test_subsets_are_ordered_by_size_and_people_differ_by_shape(robust):
    own = subsets_in_order(lines(robust, "missing_modalities").query("method == 'two'"))
    assert list(dict.fromkeys(own["shown"])) == ["full", "report", "t1w", "drop-50"]
    scored = own.query("status == 'done' and people != 'some'")
    spec = subsets(scored, "AUROC", PALETTE).to_dict()
    assert spec["layer"][0]["encoding"]["y"]["sort"] == list(dict.fromkeys(scored["left"]))
    assert spec["layer"][1]["encoding"]["shape"]["scale"]["range"] == ["circle", "square"]
    assert "report, complete (n " in subsets_alt_text(scored, "AUROC")
    curve = scored.loc[scored["percent"].notna()]
    spec = dropping(curve, "AUROC", PALETTE).to_dict()
    assert spec["layer"][2]["encoding"]["x"]["axis"]["values"] == [0, 50]
    assert "50 % dropped, everybody (n 240): " in dropping_alt_text(curve, "AUROC")
    whole = ["fmri", "genetic", "report", "t1w"]
    assert left_title("genetic+report+t1w", whole) == "without fmri"
    assert left_title("genetic+t1w", whole) == "genetic, t1w"
    assert left_title("t1w", ["t1w"]) == "t1w", "what was hidden has no name"


def test_names_of_the_table_are_those_of_the_package_that_writes_it():
    names = (missing_modalities.EVERYBODY, missing_modalities.COMPLETE, missing_modalities.SOME)
    assert tuple(PEOPLE) == names
    assert missing_modalities.FULL == FULL
    assert missing_modalities._DROP.fullmatch(f"{DROP}50")


@pytest.mark.parametrize(
    ("aspect", "protocol"), [("few-label", "few-label"), ("elsewhere", "leave-site-out")]
)
def test_a_protocol_that_has_not_been_scored_is_said_to_be_absent(
    open_page, plain, aspect, protocol
):
    page = open_page("robustness", plain, show=aspect, **WHERE)
    assert any(
        f"protocol {protocol} has not been scored" in e.value and "neurodx rank" in e.value
        for e in page.info
    )


def test_a_board_written_before_the_tables_says_how_to_write_them(open_page, own_board):
    for name in TABLES:
        (own_board / f"{name}.parquet").unlink()
    page = open_page("robustness", own_board, cohort="phantom-memory", task="ad_cn")
    assert not page.exception
    assert "written before this table was known" in text(page)
    assert "No two rows" in text(open_page("honesty", own_board))


def test_a_table_that_lacks_a_column_says_so_and_the_others_are_shown(open_page, own_board):
    path = own_board / "site_trace.parquet"
    pd.read_parquet(path).drop(columns="told_from").to_parquet(path)
    page = open_page("robustness", own_board, show="sites", cohort="phantom-memory", task="ad_cn")
    assert not page.exception
    said = "site_trace.parquet lacks told_from: an older version wrote this board"
    assert any(said in e.value and "`neurodx score`" in e.value for e in page.info)


def test_a_leaderboard_that_lacks_a_column_is_named(open_page, own_board):
    path = own_board / "leaderboard.parquet"
    pd.read_parquet(path).drop(columns="tie_group").to_parquet(path)
    page = open_page("ranking", own_board)
    assert "leaderboard.parquet lacks tie_group" in page.error[0].value


def test_a_damaged_robustness_table_is_named(open_page, own_board):
    (own_board / "subgroups.parquet").write_bytes(b"no table")
    assert "subgroups.parquet" in open_page("robustness", own_board).error[0].value


def test_without_rows_both_pages_say_so(open_page, own_board):
    table = pd.read_parquet(own_board / "leaderboard.parquet")
    table.iloc[:0].to_parquet(own_board / "leaderboard.parquet")
    for view in ("robustness", "honesty"):
        assert "no rows yet" in text(open_page(view, own_board))


def test_unknown_values_in_the_address_are_ignored(open_page, robust):
    page = open_page("robustness", robust, show="everything", row="nobody", groups="height")
    assert not page.exception
    assert page.selectbox(key=state.ASPECT).value == "subgroups"


def test_honesty_counts_evaluations_shows_optimism_and_names_copies(open_page, robust):
    page = open_page("honesty", robust, **WHERE)
    assert not page.exception
    counted = {line[0]: line[1:] for line in cells(page, "How often predictions")}
    assert counted["Svm"] == ["9", "9", "0"]
    optimism = {line[0]: line[1:] for line in cells(page, "Validation and test")}
    assert optimism["Cnn"][2].startswith("+0.000")
    assert optimism["Weak"][2] == "no validation predictions: not stored"
    assert cells(page, "Rows that say the same") == [
        ["cnn (t1w)", "copied (t1w)", "identical", "1.0000", "240"]
    ]
    said = (
        "Claims tested by `neurodx ablate` predict the same test folds and are not in these counts."
    )
    assert said in text(page)
    without = open_page("honesty", robust, cohort="external")
    assert "No two rows of this cell" in text(without) or cells(without, "Rows that say the same")


def test_lines_follow_the_rows_shown_and_leave_others_out(robust):
    board = load_board(robust)
    rows = labelled(board.rows.query("cohort == 'memory' and task == 'dx3'"))
    table = load_robustness(board).tables["seed_variance"]
    chosen = rows.loc[rows["method"].isin(["weak", "cnn"])].iloc[::-1]
    found = lines_of(table, chosen, Selection(**WHERE))
    assert list(found["label"]) == list(chosen["label"])


def test_kinds_differ_by_colour_and_shape(robust):
    rows = as_differences(lines(robust, "leave_site_out"))
    assert rows["clear"].all()
    spec = differences(rows.assign(clear=[True, False]), "Drop", PALETTE).to_dict()
    points = spec["layer"][2]["encoding"]
    assert points["color"]["scale"]["domain"] == [UNCLEAR, CLEAR]
    assert len(set(points["color"]["scale"]["range"])) == 2
    assert points["shape"]["scale"]["range"] == ["circle", "diamond"]
    assert differences_alt_text(rows.iloc[:0], "Drop") == "Drop: no row."
    own = lines(robust, "subgroups").query("method == 'weak'")
    scored = group_rows(own)
    assert "APOE e4 carrier 1, n 20" not in set(scored["label"])
    spec = groups(scored, "AUROC", PALETTE, whole=0.6).to_dict()
    assert spec["layer"][2]["encoding"]["shape"]["scale"]["range"] == ["circle", "triangle-down"]
    assert "the worst of its kind" in groups_alt_text(scored, "AUROC")
    trace = lines(robust, "site_trace")
    assert site_guess(trace, PALETTE).to_dict()["layer"][0]["mark"]["type"] == "bar"
    spread = two_spreads(lines(robust, "seed_variance"), "AUROC", PALETTE).to_dict()
    (data,) = spread["datasets"].values()
    assert sum(point["kind"] == "between training seeds" for point in data) == 1  # svm alone
