"""Explore / Ablations: verdicts in words, and the insides of the methods."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from ablation_tables import READING, REASON, write_ablations, write_newer
from test_explore import cells
from test_pages import text

from benchmark import method_info
from benchmark.ablations import claims as benchmark_claims
from benchmark.ablations import inside_tables
from benchmark.results.ablation import VERDICTS
from leaderboard import claims, state
from leaderboard.charts.claims import MARKS, claim_forest, claim_forest_alt_text
from leaderboard.charts.insides import (
    class_map,
    class_map_alt_text,
    class_means,
    class_means_alt_text,
    routing_alt_text,
    routing_map,
)
from leaderboard.charts.palette import palette_for
from leaderboard.claims import NOT_JUDGED, completed
from leaderboard.components import insides_section as section

PALETTE = palette_for("light")


@pytest.fixture(scope="module")
def tested(board: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board with tested claims; tests must not change it."""
    folder = tmp_path_factory.mktemp("tested") / "board"
    return write_ablations(Path(shutil.copytree(board, folder)))


@pytest.fixture(scope="module")
def insides(tested: Path) -> pd.DataFrame:
    return pd.read_parquet(tested / "insides.parquet")


def test_each_claim_has_its_verdict_in_words_with_arms_n_seeds_and_source(open_page, tested):
    page = open_page("ablations", tested, claim="guided_over_single")
    assert not page.exception
    said = text(page)
    assert "5 claims, 7 differences: 4 shown, 2 not shown, 1 reversed." in said
    assert "**SYNTHETIC**: phantom-memory." in said
    assert page.selectbox(key=state.CLAIM).value == "guided_over_single"
    assert "arXiv 2607.01401: the largest gains are in MCI" in said
    own = cells(page, "Differences that this claim")
    assert own[0] == [
        *("dx3", "▲ shown", "guided (AUROC 0.760)", "single task (0.710)"),
        *("+0.050 (+0.020 to +0.080)", "300"),
    ]
    assert own[1][1] == "● not shown"
    every = {line[0]: line for line in cells(page, "Every claim")}
    assert every["Trained projections beat frozen ones (TLP over FPM)"][2] == "▼ reversed"
    age = every["Experts beat a shared network where tasks conflict, brain age"]
    assert age[3:6] == ["chosen (MAE 4.80)", "one (5.10)", "+0.30 (+0.10 to +0.50)"]
    assert age[7:] == ["3", "Ding et al. 2025, 10.1109/TMI.2025.3551514"]
    gates = cells(page, "Gate weights by class")
    assert gates[0] == ["guided", "dx3", "segmentation", "CN", "0.200 (0.180 to 0.220)", "90"]
    (missing,) = page.info
    assert "Missing for single task (neurobridge_single), dx3: 'gate'" in missing.value


def test_kinds_reasons_readings_and_commits_of_a_newer_board_are_said(open_page, tested, tmp_path):
    newer = write_newer(Path(shutil.copytree(tested, tmp_path / "board")))
    page = open_page("ablations", newer, claim="guided_over_single")
    assert not page.exception
    said = text(page)
    assert "5 claims, 10 differences: 4 shown, 4 not shown, 1 reversed, 1 not judged." in said
    assert "no interval is corrected for their number" in said
    assert READING in said
    tested_on = "Tested on phantom-memory (synthetic), 3 seeds"
    assert f"{tested_on}, fitted by the code of commit abc1234." in said
    own = cells(page, "Differences that this claim")
    assert own[0][0] == "dx3"
    assert own[2] == [
        *("mci_cn - ad_cn contrast", "● not shown", "gain on mci_cn (gain in AUROC +0.019)"),
        *("gain on ad_cn (+0.005)", "+0.014 (−0.036 to +0.064)", "259 + 345"),
    ]
    every = cells(page, "Every claim")
    (third,) = [line for line in every if "confidence" in line[1]]
    assert third[6] == "162 + 161"
    (unjudged,) = [line for line in every if "not judged" in line[2]]
    assert unjudged[1:7] == ["dx3", "○ not judged", "no such arm", "text", REASON, "–"]
    page = open_page("ablations", newer, claim="tlp_over_fpm")
    assert f"{tested_on}." in text(page)
    assert READING not in text(page)


def test_a_board_with_nothing_judged_and_a_verdict_not_known_here_open_too(open_page, own_board):
    path = write_newer(write_ablations(own_board)) / "ablations.parquet"
    table = pd.read_parquet(path)
    table.assign(verdict="undecided").to_parquet(path)
    page = open_page("ablations", own_board)
    assert "0 shown, 0 not shown, 0 reversed, 10 undecided." in text(page)
    assert "◇" not in text(page)
    assert cells(page, "Every claim")[0][2] == "○ undecided"
    table.query("verdict == 'not judged'").to_parquet(path)
    page = open_page("ablations", own_board)
    assert not page.exception
    assert "1 claim, 1 difference: 0 shown, 0 not shown, 0 reversed, 1 not judged." in text(page)


def test_gains_of_an_older_board_are_a_contrast_though_it_calls_them_an_order(tested):
    table = pd.read_parquet(tested / "ablations.parquet")
    table.loc[0, ["lower", "higher"]] = ["gain on ad_cn", "gain on mci_cn"]
    assert completed(table)["kind"].tolist() == ["contrast", *["order"] * 6]
    assert completed(table.drop(columns="kind"))["people"].tolist() == ["300"] * 7


def test_the_fit_whose_routing_is_shown_is_in_the_address(open_page, tested):
    page = open_page("ablations", tested, claim="experts_over_shared", fit="1-0")
    assert not page.exception
    assert page.selectbox(key=state.FIT).value == "1-0"
    assert cells(page, "How far tasks share experts")[0][2:] == ["0.45", "0.20 to 0.70"]
    page.selectbox(key=state.CLAIM).select("tlp_over_fpm").run()
    assert not page.exception
    assert page.query_params["claim"] == "tlp_over_fpm"
    assert [e.value for e in page.markdown if e.value.startswith("Epoch ")] == [
        *("Epoch 1", "Epoch 5", "Epoch 9"),
    ]
    assert cells(page, "Neighbours of the same class")[0][3] == "0.330"
    assert [e.label for e in page.get("download_button")][:1] == ["CSV"]


def test_without_tables_the_page_says_what_to_run(open_page, board, own_board):
    assert "Run `neurodx ablate`" in text(open_page("ablations", board))
    write_ablations(own_board)
    for name in ("insides", "embeddings"):
        (own_board / f"{name}.parquet").unlink()
    page = open_page("ablations", own_board, claim="no such claim", fit="9")
    assert not page.exception
    assert "tested before such tables were written" in page.info[0].value
    (own_board / "insides.parquet").write_bytes(b"no table")
    assert "insides.parquet" in open_page("ablations", own_board).error[0].value


def test_verdicts_differ_by_colour_and_shape(tested):
    table = completed(pd.read_parquet(tested / "ablations.parquet"))
    own = table[table["metric"] == "roc_auc"]
    points = claim_forest(own, "Difference", PALETTE).to_dict()["layer"][2]["encoding"]
    assert points["color"]["scale"]["domain"] == list(MARKS)
    assert len(set(points["color"]["scale"]["range"])) == 3
    assert points["shape"]["scale"]["range"] == ["triangle-up", "circle", "triangle-down"]
    assert len(points["y"]["sort"]) == len(set(points["y"]["sort"])) == len(own)
    assert "trained over frozen −0.040 (−0.070 to −0.010), reversed" in claim_forest_alt_text(
        own, "Difference"
    )


def test_insides_are_drawn_by_class_with_numbers_and_in_words(insides, tested):
    gates = insides[(insides["array"] == "gate") & (insides["note"] == "")]
    spec = class_means(gates, "Gate", PALETTE, limits=(0.0, 1.0)).to_dict()
    marks = spec["layer"][1]["encoding"]
    assert marks["x"]["scale"]["domain"] == [0.0, 1.0]
    for channel in ("color", "shape"):
        assert marks[channel]["scale"]["domain"] == ["CN", "MCI", "AD"]
        assert len(set(marks[channel]["scale"]["range"])) == 3
    assert "segmentation, AD 0.140 (0.120 to 0.160)" in class_means_alt_text(gates, "Gate")
    routed = insides[(insides["kind"] == "routing") & (insides["seed"] == 0)]
    spec = routing_map(routed, PALETTE).to_dict()
    assert [layer["mark"]["type"] for layer in spec["layer"]] == ["rect", "text", "text"]
    (values,) = spec["datasets"].values()
    assert (values[0]["weight"], values[0]["share"], values[2]["share"]) == ("0.55", "100 %", "0 %")
    assert "dx3: expert 1 0.55 (100%)" in routing_alt_text(routed)
    points = pd.read_parquet(tested / "embeddings.parquet").query("epoch == 9")
    marks = class_map(points, ["CN", "MCI", "AD"], PALETTE).to_dict()["layer"][0]["encoding"]
    assert marks["shape"]["scale"]["range"] == ["circle", "square", "triangle-up"]
    assert "after epoch 9: 30 CN, 30 MCI, 30 AD" in class_map_alt_text(points, "9")


def test_names_are_those_of_the_package_that_writes_the_tables():
    assert claims.ORDER == benchmark_claims.ORDER
    assert set(MARKS) == set(VERDICTS) - {NOT_JUDGED}
    assert (section.BY_CLASS, section.ROUTING) == (method_info.BY_CLASS, method_info.ROUTING)
    own = (section.OVERLAP, section.NEIGHBOURS)
    assert own == (inside_tables.OVERLAP, inside_tables.NEIGHBOURS)
