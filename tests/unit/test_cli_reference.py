"""``neurodx compare-reference``: what it prints and how it exits."""

from __future__ import annotations

import argparse

import pandas as pd
import pytest

from benchmark.cli import compare_reference
from benchmark.results import LEADERBOARD_DTYPES
from benchmark.results.schema import typed


@pytest.fixture
def board(tmp_path):
    row = {"cohort": "c", "task": "dx3", "track": "t1w", "protocol": "3fold", "method": "svm"}
    row |= {"metric": "roc_auc", "score": 0.7, "ci_low": 0.6, "ci_high": 0.8, "n": 100}
    row |= {"seeds": 1, "folds": 3, "status": "done"}
    frame = typed(pd.DataFrame([row]), LEADERBOARD_DTYPES)
    (tmp_path / "board").mkdir()
    frame.to_csv(tmp_path / "board" / "leaderboard.csv", index=False)
    return tmp_path / "board"


def _run(board, *options: str) -> int:
    parser = argparse.ArgumentParser()
    compare_reference.add_arguments(parser)
    reference = str(board.parent / "reference.csv")
    return compare_reference.run(
        parser.parse_args(["--board", str(board), "--reference", reference, *options])
    )


def test_the_same_board_is_reproduced(board, capsys):
    assert _run(board, "--write") == 0
    assert _run(board) == 0
    assert "identical            1" in capsys.readouterr().out


def test_a_moved_score_is_named_and_fails(board, capsys):
    _run(board, "--write")
    path = board / "leaderboard.csv"
    path.write_text(path.read_text().replace("0.7,0.6,0.8", "0.9,0.6,0.8"))
    assert _run(board) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "different: c / dx3 / t1w / svm: 0.9000 here, 0.7000 published" in printed
    assert "not reproduced" in printed
