"""A board with a line in every robustness table, made by the project's own verbs."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
from board_workspace import (
    FakeMethod,
    people,
    write_embeddings,
    write_missing,
    write_workspace,
)

from benchmark.results import PlanFilter, rank_workspace, score_workspace
from benchmark.results.people import Background, people_table
from benchmark.results.robustness import write_robustness
from leaderboard.board_data import CARD_COLUMNS

N = 240
METHODS = [
    FakeMethod("svm", skill=1.2, external={"external": ("dx3",)}, seeds=(0, 1, 2)),
    FakeMethod("cnn", skill=1.3, external={"external": ("dx3",)}),
    FakeMethod("weak", skill=0.4),
    FakeMethod("two", track="t1w+report", skill=1.0),
    FakeMethod("needy", track="t1w+report", skill=0.8),
]
FACTS = {"profile": "smoke", "commit": "0123456789abcdef", "date": "2026-11-25"}


def background() -> Background:
    """Even people are women, patients are older, few carry APOE e4."""
    place = np.arange(N)
    known = people("memory", "dx3", N)
    visits = pd.DataFrame(
        {
            "participant_id": known["participant_id"],
            "is_index": True,
            "sex": np.where(place % 2, "M", "F"),
            "site_id": [f"site-{'abc'[i % 3]}" for i in place],
            "age_years": 65.0 + 4.0 * known["y_true"] + place % 10,
            "apoe_e4": np.where(place < 20, 1.0, 0.0),
        }
    )
    small = {"fold": 1, "percent": 1, "task": "dx3", "class": "AD", "people": 1}
    return Background({"memory": people_table(visits)}, {"memory": [small]})


def write_robust_board(root: Path) -> Path:
    """Writes a board, few-label and leave-site-out included, into a workspace."""
    runs = write_workspace(root, METHODS)
    write_missing(runs, "two")
    write_embeddings(runs, "two")
    shutil.copytree(runs / "cnn", runs / "copied")
    plan = json.loads((runs / "copied" / "plan.json").read_text())
    (runs / "copied" / "plan.json").write_text(
        json.dumps({**plan, "method": "copied", "title": "Copied"})
    )
    for path in (runs / "cnn").glob("*/predictions.parquet"):
        frame = pd.read_parquet(path)
        pd.concat([frame, frame.assign(part="validation")]).to_parquet(path)
    _score(root, ("plan.json",), root / "scores")
    for protocol, percents in (("few-label", (10, 50)), ("leave-site-out", (0,))):
        for method in ("svm", "cnn"):
            _plan_as(runs / method, protocol, percents)
        plans = ("plan.json", f"plan.{protocol}.json")
        _score(root, plans, root / "protocols" / protocol / "scores")
    return rank(root)


def rank(root: Path, board: str = "board", protocols: str = "protocols") -> Path:
    """Writes the board of a scored workspace; of other protocols, what that folder holds."""
    beside = {p: root / protocols / p / "scores" for p in ("few-label", "leave-site-out")}
    cohorts = {name: {"synthetic": True} for name in ("memory", "external")}
    names = ("svm", "cnn", "weak", "two", "needy", "copied")
    cards = [dict.fromkeys(CARD_COLUMNS, "") | {"method": n, "title": n.title()} for n in names]
    folder = root / board
    rank_workspace(root / "scores", folder, cards, cohorts=cohorts, facts=FACTS, beside=beside)
    return folder


def _score(root: Path, plans: tuple[str, ...], scores: Path) -> None:
    only = PlanFilter(plans=plans)
    score_workspace(root / "runs", scores, n_resamples=60, only=only)
    write_robustness(root / "runs", scores, background(), only=only)


def _plan_as(folder: Path, protocol: str, percents: tuple[int, ...]) -> None:
    plan = json.loads((folder / "plan.json").read_text())
    again: list[dict[str, Any]] = []
    for percent in percents:
        for run in plan["runs"]:
            if run["seed"]:
                continue
            shown = f"{protocol}-{percent}" if percent else protocol
            own = {**run, "protocol": shown, "run_id": f"{shown}-{run['fold']}", "external": {}}
            shutil.copytree(folder / run["run_id"], folder / own["run_id"])
            _blur(folder / own["run_id"] / "predictions.parquet", 0.8 - 0.01 * percent)
            again.append(own)
    (folder / f"plan.{protocol}.json").write_text(json.dumps({**plan, "runs": again}))


def _blur(path: Path, share: float) -> None:
    frame = pd.read_parquet(path)
    noise = np.random.default_rng([*path.parent.name.encode()]).dirichlet(np.ones(3), len(frame))
    columns = [f"prob_{k}" for k in range(3)]
    frame[columns] = (1 - share) * frame[columns] + share * noise
    frame.to_parquet(path)


if __name__ == "__main__":
    write_robust_board(Path(sys.argv[1]))
