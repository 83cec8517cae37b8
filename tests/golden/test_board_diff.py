"""``neurodx protocol diff``: what changed between two boards, and which conclusions flipped."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from board_workspace import FakeMethod, write_workspace

from benchmark.cli import main
from benchmark.cli.cards import board_facts
from benchmark.config import load_profile
from benchmark.errors import ResultError
from benchmark.results import rank_workspace, score_workspace, write_reference
from benchmark.results.board_diff import diff_boards, read_side
from benchmark.runs.job import Workspace

METHODS = [
    FakeMethod("good", skill=1.6),
    FakeMethod("fair", skill=1.5),
    FakeMethod("weak", "t1w", 0.2),
]
FACTS = {
    "profile": "mini",
    "data_hashes": {"memory": "a" * 64},
    "data_parts": {"memory": {"t1w.npy": "b" * 64, "participants.parquet": "c" * 64}},
    "split_hashes": {"memory/3fold": "d" * 64},
    "preparation": {"memory": {"spacing_mm": 4.0, "seed": 1}},
}
CARDS = [{"method": m.name, "config_yaml": "epochs: 12\nlr: 0.001\n"} for m in METHODS]


def make_board(root: Path, methods, facts=None, cards=None, sizes=None) -> Path:
    runs = write_workspace(root, methods, sizes)
    score_workspace(runs, root / "scores", n_resamples=200)
    rank_workspace(root / "scores", root / "board", cards or CARDS, facts=facts or FACTS)
    return root / "board"


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    return make_board(tmp_path_factory.mktemp("old"), METHODS)


def test_a_board_is_like_itself(board):
    found = diff_boards(read_side(board), read_side(board))
    assert found.unchanged
    assert found.changes == ()
    assert found.ranks.empty
    assert found.same == 2 * 2 * 3  # two families, two tasks, three pairs


def test_what_a_board_was_made_from(board, tmp_path):
    facts = json.loads(json.dumps(FACTS))
    facts["data_hashes"]["memory"] = "e" * 64
    facts["data_parts"]["memory"]["t1w.npy"] = "f" * 64
    facts["preparation"]["memory"]["spacing_mm"] = 5.0
    facts["split_hashes"] = {"memory/5fold": "d" * 64}
    cards = [{**CARDS[0], "config_yaml": "epochs: 20\nlr: 0.001\n"}, *CARDS[1:]]
    other = make_board(tmp_path, METHODS, facts, cards)
    found = diff_boards(read_side(board), read_side(other))
    said = {(c.kind, c.name, c.old[:4], c.new[:6]) for c in found.changes}
    assert said == {
        ("data", "memory", "aaaa", "eeeeee"),
        ("data part", "memory.t1w.npy", "bbbb", "ffffff"),
        ("preparation", "memory.spacing_mm", "4.0", "5.0"),
        ("split", "memory/3fold", "dddd", "absent"),
        ("split", "memory/5fold", "abse", "dddddd"),
        ("config", "good: epochs", "12", "20"),
    }
    assert found.unchanged  # the same predictions


STAGES = """\
guided:
  lr: 0.01
  epochs: 3
  balance:
    weights: {}
trainer:
  lr: 0.02
  epochs: 6
  widths:
  - 8
  - 16
"""


def with_settings(board: Path, place: Path, text: str) -> Path:
    copy = shutil.copytree(board, place)
    table = pd.read_parquet(copy / "methods.parquet")
    table.loc[table["method"] == "good", "config_yaml"] = text
    table.to_parquet(copy / "methods.parquet")
    return copy


def test_settings_of_every_stage_are_compared(board, tmp_path):
    old = with_settings(board, tmp_path / "old", STAGES)
    changed = STAGES.replace("lr: 0.01", "lr: 0.05").replace("  epochs: 3\n", "")
    changed = changed.replace("{}", "{dx3: 2.0}").replace("- 8\n  - 16", "- 16\n  - 8")
    new = with_settings(board, tmp_path / "new", changed)
    found = diff_boards(read_side(old), read_side(new))
    assert [(c.kind, c.name, c.old, c.new) for c in found.changes] == [
        ("config", "good: guided.balance.weights", "{}", "absent"),
        ("config", "good: guided.balance.weights.dx3", "absent", "2.0"),
        ("config", "good: guided.epochs", "3", "absent"),
        ("config", "good: guided.lr", "0.01", "0.05"),
        ("config", "good: trainer.widths", "[8, 16]", "[16, 8]"),
    ]


@pytest.mark.parametrize("text", ["lr: 0.1: 0.2", "- lr"])
def test_settings_that_are_no_yaml_mapping_are_refused(board, tmp_path, text):
    other = with_settings(board, tmp_path / "board", text)
    with pytest.raises(ResultError, match=r"settings of good are no YAML mapping.*neurodx rank"):
        diff_boards(read_side(board), read_side(other))


def test_labels_by_class_are_compared(board, tmp_path):
    other = make_board(tmp_path, METHODS, sizes={"memory": 120})
    found = diff_boards(read_side(board), read_side(other))
    dx3 = next(c for c in found.changes_of("labels") if "dx3" in c.name)
    old = json.loads(read_side(board).rows.query("task == 'dx3'")["n_by_class"].iloc[0])
    assert json.loads(dx3.old) == old
    assert sum(json.loads(dx3.new).values()) == 120


def test_a_conclusion_is_reversed_lost_and_gained(board, tmp_path):
    swapped = [replace(METHODS[0], skill=0.2), METHODS[1], replace(METHODS[2], skill=1.6)]
    other = make_board(tmp_path, swapped)
    found = diff_boards(read_side(board), read_side(other))
    dx3 = found.flips[(found.flips["task"] == "dx3") & (found.flips["family"] == "track")]
    flips = {frozenset((f["method_a"], f["method_b"])): f["flip"] for f in dx3.to_dict("records")}
    good, fair, weak = (f"{m.name} [t1w]" for m in METHODS)
    assert flips == {
        frozenset((good, weak)): "reversed",
        frozenset((good, fair)): "gained",
        frozenset((fair, weak)): "lost",
    }
    assert not found.unchanged
    ranks = found.ranks[found.ranks["task"] == "dx3"].set_index("method")
    assert ranks.loc["good", ["old", "new"]].tolist() == [1, 2]


def test_a_method_that_is_gone_takes_its_conclusions_along(board, tmp_path):
    other = make_board(tmp_path, [METHODS[0], replace(METHODS[2], status={0: "failed"})])
    found = diff_boards(read_side(board), read_side(other))
    assert set(found.flips["flip"]) == {"gone"}
    rows = {c.name: (c.old, c.new) for c in found.changes_of("row")}
    assert rows["memory / dx3 / 3fold: fair [t1w]"] == ("done", "absent")
    assert rows["memory / dx3 / 3fold: weak [t1w]"] == ("done", "failed")


def test_a_reference_is_read_by_its_intervals(board, tmp_path):
    write_reference(board, tmp_path / "leaderboard.csv")
    found = diff_boards(read_side(tmp_path / "leaderboard.csv"), read_side(board))
    assert found.by_intervals
    assert found.unchanged
    assert found.same == 2 * 3
    table = pd.read_csv(tmp_path / "leaderboard.csv")
    weak = table["method"] == "weak"
    table.loc[weak, ["score", "ci_low", "ci_high"]] = [0.99, 0.98, 1.0]
    table.to_csv(tmp_path / "leaderboard.csv", index=False)
    found = diff_boards(read_side(tmp_path / "leaderboard.csv"), read_side(board))
    assert set(found.flips["flip"]) == {"reversed"}
    assert len(found.flips) == 4


def test_neither_a_board_nor_a_reference(tmp_path):
    with pytest.raises(ResultError, match="neither a board folder"):
        read_side(tmp_path / "nowhere")
    (tmp_path / "a.csv").write_text("cohort,task\n")
    with pytest.raises(ResultError, match=r"columns .* are missing; write it with"):
        read_side(tmp_path / "a.csv")


def test_the_verb_prints_and_exits(board, tmp_path, capsys):
    assert main(["protocol", "diff", str(board), str(board)]) == 0
    assert "no conclusion changed" in capsys.readouterr().out
    other = shutil.copytree(board, tmp_path / "board")
    table = pd.read_parquet(other / "comparisons.parquet")
    table.assign(separated=False).to_parquet(other / "comparisons.parquet")
    out = tmp_path / "diff.json"
    assert main(["protocol", "diff", str(board), str(other), "--json", str(out)]) == 1
    shown = capsys.readouterr().out
    assert "(lost)" in shown
    assert "conclusions changed" in shown
    stored = json.loads(out.read_text())
    assert {f["flip"] for f in stored["flips"]} == {"lost"}
    assert not stored["unchanged"]


def test_the_board_records_what_a_diff_compares(tmp_path):
    sheet = {"sha256": {"t1w.npy": "a" * 64}, "synthetic": True, "preparation": {"seed": 1}}
    for name in ("memory", "older"):  # an older datasheet says nothing of its preparation
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "cohort.json").write_text(json.dumps(sheet))
        sheet.pop("preparation", None)
    facts = board_facts(load_profile("smoke"), Workspace(tmp_path))
    assert facts["data_parts"]["memory"] == {"t1w.npy": "a" * 64}
    assert facts["preparation"] == {"memory": {"seed": 1}, "older": ""}
