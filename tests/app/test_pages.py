"""Every page on a whole, an empty and a damaged board, by address and by its controls."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from board_fixture import TUNING

from benchmark import vocabulary
from benchmark.results import LEADERBOARD_DTYPES
from benchmark.results import schema as board_schema
from leaderboard import rows as names

VIEWS = (
    *("ranking", "by_task", "robustness", "honesty", "ablations"),
    *("cards", "protocol", "about"),
)


def text(page) -> str:
    """All that a page says, without tags."""
    kinds = (page.html, page.markdown, page.info, page.error, page.title, page.caption)
    said = " ".join(str(getattr(e, "value", "") or e.proto.body) for kind in kinds for e in kind)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", said))


def methods_in(page) -> list[str]:
    """Method names of the ranked table, in order."""
    table = next(e.proto.body for e in page.html if "<table" in e.proto.body)
    found = re.findall(r'<th[^>]*scope="row"[^>]*>(.*?)</th>', table)
    return [re.sub(r"<[^>]*>", "", cell.split("<span")[0]) for cell in found]


def ranks_in(page) -> dict[str, str]:
    """Rank interval and tie group by method of the ranked table."""
    table = next(e.proto.body for e in page.html if "<table" in e.proto.body)
    found = {}
    for line in re.findall(r"<tr[^>]*>(.*?)</tr>", table):
        rank = re.search(r'class="ranks">([^<]*)<.*?class="group"[^>]*>([^<]*)<', line)
        method = re.search(r'cards\?method=([^"]*)"', line)
        if rank and method:
            found[method[1]] = f"{rank[1]} {rank[2]}"
    return found


@pytest.mark.parametrize("view", VIEWS)
def test_every_page_opens_and_says_what_is_synthetic_and_where_numbers_come_from(
    open_page, board, view
):
    page = open_page(view, board)
    assert not page.exception
    first = re.sub(r"<[^>]*>", "", page.html[0].proto.body)
    assert first.startswith("SYNTHETIC: phantom-external and phantom-memory are computer-generated")
    assert "Real people: ad-csf" in first
    last = page.html[-1].proto.body
    assert "0123456789abcdef" in last
    assert "d3d3d3d3d3" in last
    assert "a1a1a1a1a1" in last
    assert "Research only, not a diagnostic device." in last


def test_the_whole_app_opens_on_the_ranked_table(open_page, board):
    page = open_page("app", board)
    assert not page.exception
    assert [e.value for e in page.title] == ["Leaderboard"]


def test_the_sentence_names_who_cannot_be_told_apart(open_page, board):
    page = open_page("ranking", board, cohort="phantom-memory", task="ad_cn", inputs="t1w")
    said = text(page)
    assert "3 methods are ranked by AUROC on ad_cn in phantom-memory (synthetic)." in said
    assert "3D ResNet, Linear SVM on voxels and Regional volumes, linear" in said or (
        "None of them can be told apart from the best" in said
    )


def test_a_failed_row_stands_last_with_its_reason_and_the_oracle_has_no_rank(open_page, board):
    page = open_page("ranking", board, cohort="phantom-memory", task="ad_cn")
    assert methods_in(page)[-1] == "NeuroBridge &lt;mini&gt;"
    assert "failed: RuntimeError: loss is NaN at epoch 3" in text(page)
    assert "reference Oracle" in text(page)
    assert "oracle" not in ranks_in(page)
    assert "Not scored: 1 failed" in text(page)


def test_by_default_ranks_by_inputs_are_those_the_board_stores(board):
    from leaderboard.board_data import load_board, load_cell
    from leaderboard.ranking import input_families, ranked_by_inputs

    loaded = load_board(board)
    for cell, stored in loaded.rows.groupby(names.CELL):
        found = ranked_by_inputs(
            stored, load_cell(loaded, *cell), input_families(loaded.comparisons, *cell)
        )
        columns = ["rank_low", "rank_high", "tie_group"]
        columns += ["rank_all_low", "rank_all_high", "tie_group_all"]
        columns += ["position", "first_place_share", "n_more_to_separate"]
        pd.testing.assert_frame_equal(found[columns], stored[columns])


def test_leaving_a_method_out_ranks_the_others_anew(open_page, board):
    page = open_page("ranking", board, cohort="phantom-memory", task="ad_cn")
    before = ranks_in(page)
    assert before["brain_adapter"] == "1 A"
    page.multiselect(key="without").select("brain_adapter").run()
    after = ranks_in(page)
    assert "brain_adapter" not in after
    assert before["resnet3d"].endswith("B")
    assert after["resnet3d"].endswith("A")
    assert after["age_sex"].split()[0] == str(int(before["age_sex"].split()[0]) - 1)
    assert page.query_params["without"] == "brain_adapter"


def test_choosing_a_track_ranks_within_it_and_changes_the_address(open_page, board):
    page = open_page("ranking", board, cohort="phantom-memory", task="ad_cn")
    page.selectbox(key="inputs").select("t1w").run()
    assert set(ranks_in(page)) == {"resnet3d", "voxel_svm", "regional_linear"}
    assert page.query_params["inputs"] == "t1w"
    assert "Rank, same inputs" not in text(page)


def test_a_metric_where_lower_is_better_puts_the_smallest_first(open_page, board):
    page = open_page("ranking", board, cohort="phantom-memory", task="brain_age")
    assert methods_in(page)[2:] == ["Linear SVM on voxels", "Brain-Adapter"]
    assert "MAE (lower is better)" in text(page)
    assert "missing: 3 runs are missing" in text(page)


def test_sorting_changes_the_order_and_no_rank(open_page, board):
    page = open_page("ranking", board, cohort="phantom-memory", task="ad_cn")
    before = ranks_in(page)
    page.selectbox(key="sort").select("cost").run()
    assert ranks_in(page) == before
    assert methods_in(page)[0] == "Chance"


def test_unknown_values_in_the_address_are_ignored(open_page, board):
    page = open_page(
        "ranking", board, cohort="nowhere", task="../../etc", sort="x", without=["a", "chance"]
    )
    assert not page.exception
    assert page.selectbox(key="cohort").value == "ad-csf"
    assert page.multiselect(key="without").value == ["chance"]
    assert "chance" not in ranks_in(page)


def test_the_matrix_shows_missing_and_failed_cells_and_keeps_external_apart(open_page, board):
    page = open_page("by_task", board)
    said = text(page)
    assert "phantom-external external, AUROC" in said
    assert " missing " in said
    assert " failed " in said
    assert "In-domain against external" in [e.value for e in page.header]


def stored(folder: Path) -> tuple[Path, pd.DataFrame]:
    """A board's own table, to be changed."""
    path = folder / "leaderboard.parquet"
    return path, pd.read_parquet(path)


def test_the_reason_of_a_missing_row_is_the_one_that_the_board_recorded(open_page, own_board):
    path, table = stored(own_board)
    absent = table["status"] == "missing"
    for error, said in (
        ("models of several trainings predict this cohort", None),
        ("", "not run on this cohort and task"),
    ):
        table.assign(error=table["error"].mask(absent, error)).to_parquet(path)
        reason = said or error
        page = open_page("ranking", own_board, cohort="phantom-memory", task="brain_age")
        assert f"missing: {reason}" in text(page)
        assert said or "not run" not in text(page)
        matrix = " ".join(e.proto.body for e in open_page("by_task", own_board).html)
        assert f'title="{reason}">missing<' in matrix
        assert reason in text(open_page("cards", own_board, method="brain_adapter"))


def test_against_the_oracle_is_positive_where_the_row_is_better(open_page, own_board):
    path, table = stored(own_board)
    table.assign(
        oracle_gap=table["oracle_gap"].mask(table["task"] == "brain_age", 0.25)
    ).to_parquet(path)
    gap = table.query("task == 'ad_cn' and protocol == '3fold' and method == 'resnet3d'")
    assert gap["oracle_gap"].item() < 0
    for task, said in (("ad_cn", f"−{-gap['oracle_gap'].item():.3f}"), ("brain_age", "−0.25")):
        page = open_page("ranking", own_board, cohort="phantom-memory", task=task)
        html = " ".join(e.proto.body for e in page.html)
        line = re.search(r'method=resnet3d"(.*?)</tr>', html)[1]
        assert re.search(r'"Against the oracle \(\+ is better\)">([^<]*)<', line)[1] == said


def in_domain_pairs(page) -> list[str]:
    """Headings of the charts of transfer."""
    return [e.value for e in page.subheader if " to " in e.value]


def test_external_scores_stand_beside_the_cohort_that_their_models_saw(open_page, own_board):
    path, table = stored(own_board)
    home = table.query("cohort == 'phantom-memory' and task == 'ad_cn'")
    pd.concat([table, home.assign(cohort="ad-csf")], ignore_index=True).to_parquet(path)
    page = open_page("by_task", own_board)
    assert not page.exception
    assert in_domain_pairs(page) == ["ad_cn: phantom-memory (3fold) to phantom-external"]
    drops = own_board / "external_drop.parquet"
    pd.read_parquet(drops).query("method != 'resnet3d'").to_parquet(drops)
    shown = in_domain_pairs(open_page("by_task", own_board, without=["age_sex", "regional_linear"]))
    assert shown == [], "nothing says where this external row was trained"


def test_without_the_table_of_sources_the_page_says_so(open_page, own_board):
    for name in ("external_drop", "robustness"):
        (own_board / f"{name}.parquet").unlink()
    page = open_page("by_task", own_board)
    assert not page.exception
    assert in_domain_pairs(page) == []
    assert "written before this table was known" in page.info[0].value
    without = ["age_sex", "regional_linear", "resnet3d"]
    assert not open_page("by_task", own_board, without=without).info


def test_the_matrix_ranks_anew_without_a_method(open_page, board):
    page = open_page("by_task", board, without="brain_adapter", tasks="ad_cn")
    assert "Brain-Adapter" not in text(page)
    table = next(e.proto.body for e in page.html if "<table" in e.proto.body)
    line = re.search(r"method=resnet3d.*?</tr>", table)[0]
    assert line.count(">A</span>") == 2
    assert "brain_age" not in table


def test_a_card_opens_by_its_address_and_shows_failures(open_page, board):
    page = open_page("cards", board, method="neurobridge")
    assert [e.value for e in page.header] == ["NeuroBridge <mini>"]
    assert "neurodx run method=neurobridge" in [e.value for e in page.code]
    assert any("loss is NaN at epoch 3" in e.value for e in page.error)


def test_a_card_gives_the_budget_of_its_tuning(open_page, board):
    assert f"**Tuning**: {TUNING}" in text(open_page("cards", board, method="resnet3d"))
    plain = text(open_page("cards", board, method="neurobridge"))
    assert "none: settings as published or by default" in plain


def test_text_from_a_method_never_becomes_html(open_page, board):
    page = open_page("ranking", board, cohort="phantom-memory", task="ad_cn")
    tables = " ".join(e.proto.body for e in page.html)
    assert "NeuroBridge &lt;mini&gt;" in tables
    assert "<mini>" not in tables
    card = open_page("cards", board, method="neurobridge")
    assert not any(e.proto.allow_html for e in card.markdown if "<script>" in e.value)
    assert any("<script>" in e.value for e in card.markdown)


@pytest.mark.parametrize("view", ["ranking", "cards"])
def test_no_board_says_what_to_run(open_page, tmp_path, view):
    page = open_page(view, tmp_path)
    assert not page.exception
    assert "make repro" in text(page)
    assert str(tmp_path) in text(page)


def test_a_damaged_table_is_named(open_page, own_board):
    (own_board / "leaderboard.parquet").write_bytes(b"PAR1 and then nothing")
    page = open_page("ranking", own_board)
    assert not page.exception
    assert "leaderboard.parquet" in page.error[0].value
    assert "neurodx rank" in page.error[0].value


@pytest.mark.parametrize("broken", ["{", "[]"])
def test_damaged_facts_are_named(open_page, own_board, broken):
    (own_board / "board.json").write_text(broken)
    assert "board.json" in open_page("about", own_board).error[0].value


def test_a_missing_table_is_named(open_page, own_board):
    (own_board / "methods.parquet").unlink()
    assert "methods.parquet is missing" in open_page("about", own_board).error[0].value


def test_damaged_replicates_are_named(open_page, own_board):
    for path in (own_board / "replicates").iterdir():
        path.write_bytes(b"no table")
    assert "replicates" in open_page("ranking", own_board).error[0].value


def test_a_cohort_that_does_not_say_is_not_called_real(open_page, own_board):
    table = pd.read_parquet(own_board / "leaderboard.parquet")
    table.loc[table["cohort"] == "ad-csf", "synthetic"] = pd.NA
    table.to_parquet(own_board / "leaderboard.parquet")
    said = text(open_page("ranking", own_board))
    assert "Origin not stated: ad-csf" in said
    assert "Real people" not in said


def test_quoted_rows_stand_apart_and_are_never_ranked(open_page, own_board):
    table = pd.read_parquet(own_board / "leaderboard.parquet")
    chosen = (table["method"] == "age_sex") & (table["cohort"] == "ad-csf")
    table.loc[chosen, "provenance"] = vocabulary.QUOTED
    table.to_parquet(own_board / "leaderboard.parquet")
    page = open_page("ranking", own_board, cohort="ad-csf")
    assert "age_sex" not in ranks_in(page)
    assert "Quoted from papers" in [e.value for e in page.subheader]


def test_a_board_without_rows_says_so(open_page, own_board):
    table = pd.read_parquet(own_board / "leaderboard.parquet")
    table.iloc[:0].to_parquet(own_board / "leaderboard.parquet")
    for view in ("ranking", "by_task"):
        assert "no rows yet" in text(open_page(view, own_board))
    assert not open_page("protocol", own_board).exception


def test_names_agree_with_the_package_that_writes_the_board(board):
    assert names.ORACLE == board_schema.ORACLE
    assert names.EXTERNAL == board_schema.EXTERNAL_PROTOCOL
    assert tuple(names.CELL) == board_schema.CELL
    assert names.QUOTED == vocabulary.QUOTED
    assert names.AUTHOR_REPORTED == vocabulary.AUTHOR_REPORTED
    stored = pd.read_parquet(board / "leaderboard.parquet")
    assert set(stored.columns) == set(LEADERBOARD_DTYPES)
    assert {names.FAILED, names.MISSING} < set(stored["status"])
    assert json.loads((board / "board.json").read_text())["commit"]


def test_the_app_imports_no_heavy_library():
    import ast

    heavy = {"torch", "monai", "nibabel", "hydra", "optuna", "omegaconf", "methods", "baselines"}
    folder = Path(names.__file__).parent
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            roots = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            roots += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not heavy & {r.split(".")[0] for r in roots}, path
        assert path.stem not in {"benchmark", "baselines", "methods", "leaderboard", "data"}
