"""The few-label curve and the drop on left-out sites, made by another protocol, on the board."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parent))
from board_workspace import FakeMethod, people, write_workspace

from benchmark.errors import ResultError
from benchmark.results import PlanFilter, rank_workspace, score_workspace
from benchmark.results.people import Background, people_table
from benchmark.results.robustness import write_robustness

pytestmark = pytest.mark.e2e  # whole boards, half a second or more each

N = 240
METHODS = [FakeMethod("cnn", skill=1.2), FakeMethod("weak", skill=0.4)]
TABLES = ("few_label", "leave_site_out", "left_out_sites")


def background() -> Background:
    place = np.arange(N)
    visits = {
        "participant_id": people("memory", "dx3", N)["participant_id"],
        "is_index": True,
        "site_id": [f"site-{'abc'[i % 3]}" for i in place],
    }
    omitted = [{"fold": 1, "percent": 1, "task": "dx3", "class": "AD", "people": 1}]
    return Background({"memory": people_table(pd.DataFrame(visits))}, {"memory": omitted})


def plan_as(runs: Path, method: str, protocol: str, name: str) -> None:
    """Plans runs of another protocol, each with predictions of its own."""
    folder = runs / method
    plan = json.loads((folder / "plan.json").read_text())
    again = []
    for run in plan["runs"]:
        own = {**run, "protocol": protocol, "run_id": f"{protocol}-{run['fold']}"}
        shutil.copytree(folder / run["run_id"], folder / own["run_id"])
        blur(folder / own["run_id"])
        again.append(own)
    (folder / name).write_text(json.dumps({**plan, "runs": again}))


def blur(run: Path) -> None:
    """Mixes every answer with noise."""
    frame = pd.read_parquet(run / "predictions.parquet")
    rng = np.random.default_rng([*run.name.encode()])
    noise = rng.dirichlet(np.ones(3), len(frame))
    columns = [f"prob_{k}" for k in range(3)]
    frame[columns] = 0.3 * frame[columns] + 0.7 * noise
    frame.to_parquet(run / "predictions.parquet")


def score(root: Path, protocol: str | None = None) -> Path:
    """What `neurodx score` does, for the default job or another protocol."""
    plans = ("plan.json", f"plan.{protocol}.json") if protocol else ("plan.json",)
    scores = root / "protocols" / protocol / "scores" if protocol else root / "scores"
    only = PlanFilter(plans=plans)
    score_workspace(root / "runs", scores, n_resamples=60, only=only)
    write_robustness(root / "runs", scores, background(), only=only)
    return scores


def rank(root: Path) -> dict[str, pd.DataFrame]:
    names = ("few-label", "leave-site-out")
    beside = {name: root / "protocols" / name / "scores" for name in names}
    rank_workspace(root / "scores", root / "board", beside=beside)
    read = {name: pd.read_parquet(root / "board" / f"{name}.parquet") for name in TABLES}
    said = pd.read_parquet(root / "board" / "robustness.parquet")
    return read | {"says": said.set_index("table")["says"]}


@pytest.fixture
def workspace(tmp_path):
    runs = write_workspace(tmp_path, METHODS)
    for method in ("cnn", "weak"):
        plan_as(runs, method, "few-label-10", "plan.few-label.json")
    plan_as(runs, "cnn", "leave-site-out", "plan.leave-site-out.json")
    score(tmp_path)
    return tmp_path


def test_what_has_not_been_scored_is_said_to_be_absent(workspace):
    board = rank(workspace)
    for name in TABLES:
        protocol = "few-label" if name == "few_label" else "leave-site-out"
        assert board[name].empty
        assert board["says"][name] == (
            f"empty: protocol {protocol} has not been scored; run `neurodx run method=NAME "
            f"protocol={protocol}`, `neurodx score --protocol {protocol}` and `neurodx rank`"
        )
    assert board["says"]["honesty"] == "4 lines"


def test_a_curve_comes_to_the_board_with_its_omitted_points(workspace):
    score(workspace, "few-label")
    board = rank(workspace)
    curve = board["few_label"]
    assert set(curve["method"]) == {"cnn", "weak"}
    ours = curve[(curve["method"] == "cnn") & (curve["task"] == "dx3")].set_index("percent")
    assert ours["status"].to_dict() == {1: "omitted", 10: "done", 100: "done"}
    rows = pd.read_parquet(workspace / "board" / "leaderboard.parquet")
    own = rows[(rows["method"] == "cnn") & (rows["task"] == "dx3")].iloc[0]
    assert ours.loc[100, ["score", "ci_low", "ci_high"]].tolist() == (
        own[["score", "ci_low", "ci_high"]].tolist()
    )
    assert ours.loc[10, "score"] < ours.loc[100, "score"]
    assert set(rows["protocol"]) == {"3fold"}, "no other row of the board changes"
    assert board["leave_site_out"].empty


def test_a_left_out_site_is_scored_on_its_people(workspace):
    score(workspace, "leave-site-out")
    board = rank(workspace)
    sites = board["left_out_sites"].query("task == 'ad_cn'").set_index("site")
    assert list(sites.index) == ["site-a", "site-b", "site-c"]
    assert set(sites["protocol"]) == {"3fold"}
    for site, row in sites.iterrows():
        place = "abc".index(site[-1])
        for column, run in (
            ("left_out", f"leave-site-out-{place}"),
            ("in_domain", f"memory-{place}-0"),
        ):
            frame = pd.read_parquet(workspace / "runs" / "cnn" / run / "predictions.parquet")
            frame = frame[frame["y_true"] != 1]
            share = frame["prob_2"] / (frame["prob_0"] + frame["prob_2"])
            assert row[column] == pytest.approx(roc_auc_score(frame["y_true"] == 2, share))
        assert row["n"] == len(frame)
        assert row["left_out_low"] < row["left_out"] < row["left_out_high"]
        assert row["drop"] == pytest.approx(row["in_domain"] - row["left_out"])
        assert row["drop_low"] < row["drop"] < row["drop_high"]
    whole = board["leave_site_out"].query("task == 'ad_cn'").iloc[0]
    assert whole["n"] == sites["n"].sum()
    assert whole["drop"] > 0


def test_a_small_site_is_suppressed_and_an_unknown_one_has_the_number_of_its_fold(workspace):
    for path in (workspace / "runs" / "cnn").glob("leave-site-out-0/predictions.parquet"):
        frame = pd.read_parquet(path)
        keep = (frame["y_true"] != 2) | (frame.groupby("y_true").cumcount() < 4)
        frame[keep].to_parquet(path)
    scores = score(workspace, "leave-site-out")
    only = PlanFilter(plans=("plan.json", "plan.leave-site-out.json"))
    write_robustness(workspace / "runs", scores, only=only)
    sites = pd.read_parquet(scores / "robustness" / "left_out_sites.parquet")
    small = sites.query("task == 'ad_cn' and site == 'fold 0'").iloc[0]
    assert (small["status"], small["n_smallest_class"]) == ("suppressed", 4)
    assert np.isnan(small["left_out"])
    assert set(sites["site"]) == {"fold 0", "fold 1", "fold 2"}


def test_lines_whose_default_row_has_changed_are_left_out_and_said_to_be(workspace):
    score(workspace, "few-label")
    score(workspace, "leave-site-out")
    blur(workspace / "runs" / "cnn" / "memory-0-0")
    score(workspace)
    board = rank(workspace)
    assert set(board["few_label"]["method"]) == {"weak"}
    assert board["says"]["few_label"].startswith(
        "5 lines; 2 rows have changed since protocol few-label was scored; run `neurodx run"
    )
    assert board["says"]["leave_site_out"].startswith("empty: 2 rows have changed since")
    score(workspace, "few-label")
    assert set(rank(workspace)["few_label"]["method"]) == {"cnn", "weak"}


def test_scores_of_before_a_table_was_known_are_named(workspace):
    scores = score(workspace, "leave-site-out")
    (scores / "robustness" / "left_out_sites.parquet").unlink()
    with pytest.raises(ResultError, match=r"write it with `neurodx score --protocol leave-site"):
        rank(workspace)
