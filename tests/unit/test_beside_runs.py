"""Answers with modalities missing, and what a method shows of itself, beside the ledger."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_cohort import TINY, write_cohort

from benchmark import vocabulary as v
from benchmark.config import Profile
from benchmark.errors import MethodError
from benchmark.method import Method, RunContext
from benchmark.runs import beside, people
from benchmark.runs.beside import DROP_PERCENTS, missing_rows
from benchmark.runs.execute import execute, new_method
from benchmark.runs.identity import run_id
from benchmark.runs.job import Job, Workspace
from benchmark.runs.people import Cell, joint_samples, tasks_of
from benchmark.runs.planning import plan_jobs
from benchmark.runs.rows import resolve_row
from benchmark.samples.build import modality_mask
from benchmark.store import Cohort

pytestmark = pytest.mark.usefixtures("probe_site")
ALL = ("biomarker", "clinical", "fmri", "genetic", "report", "t1w")


class Fold:
    """A fitted probe with the people of its fold."""

    def __init__(self, workspace: Workspace, profile: Profile, track: str, scratch: Path) -> None:
        profile.plan[TINY].fit = ["dx3"]
        self.workspace = workspace
        row = resolve_row("probe", profile, {}, track)
        self.job: Job = plan_jobs(row, profile, workspace)[0]
        self.cell = Cell.open(self.job, self.job.parts[0], workspace)
        self.train = joint_samples([self.cell], self.job, v.TRAIN)
        val = joint_samples([self.cell], self.job, v.VALIDATION)
        self.method: Method = new_method(self.job)
        scratch.mkdir(exist_ok=True)
        self.method.fit(self.train, val, tasks_of(self.job.parts), RunContext(0, scratch))

    def rows(self) -> pd.DataFrame | None:
        return missing_rows(self.method, self.job, self.cell, self.train)

    def counts(self, shown: tuple[str, ...]) -> dict[str, int]:
        cohort = self.cell.cohort
        masks = np.sum([modality_mask(cohort, m) for m in shown], axis=0)
        return dict(zip(cohort.index_visits["participant_id"], masks.tolist(), strict=True))


@pytest.fixture
def fold(tiny_profile: Profile, tmp_path: Path) -> Callable[..., Fold]:
    def make(workspace: Workspace, track: str = "all") -> Fold:
        return Fold(workspace, tiny_profile, track, tmp_path / "scratch")

    return make


@pytest.fixture
def requires_t1w(monkeypatch: pytest.MonkeyPatch) -> None:
    real = beside.get_method

    def with_t1w(name: str):
        return dataclasses.replace(real(name), requires=("t1w",))

    for module in (beside, people):
        monkeypatch.setattr(module, "get_method", with_t1w)


def subsets(modalities: tuple[str, ...], least: int) -> set[str]:
    sizes = range(least, len(modalities))
    return {"+".join(kept) for kept in chain(*(combinations(modalities, n) for n in sizes))}


def test_every_subset_and_three_drops_are_answered(tiny_workspace: Workspace, fold) -> None:
    here = fold(tiny_workspace)
    rows = here.rows()
    drops = {f"drop-{percent}" for percent in DROP_PERCENTS}
    assert drops == {"drop-20", "drop-50", "drop-70"}
    assert set(rows["shown"]) == subsets(ALL, 1) | drops
    assert rows["shown"].nunique() == 2**6 - 2 + 3
    tested = here.cell.people[v.TEST]
    for _, table in rows.groupby("shown"):
        assert sorted(table["participant_id"]) == sorted(tested)
        np.testing.assert_allclose(table[["prob_0", "prob_1", "prob_2"]].sum(axis=1), 1.0)
        assert set(table["part"]) == {v.TEST}
        assert table["y_true"].notna().all()


def test_rows_say_how_many_of_a_persons_modalities_were_left(
    tiny_workspace: Workspace, fold
) -> None:
    here = fold(tiny_workspace)
    rows = here.rows()
    for shown in ("t1w", "biomarker+report", "clinical+fmri+genetic+report+t1w"):
        table = rows.loc[rows["shown"] == shown]
        expected = table["participant_id"].map(here.counts(tuple(shown.split("+"))))
        np.testing.assert_array_equal(table["n_shown"], expected)
    whole = here.counts(ALL)
    dropped = rows.loc[rows["shown"].str.startswith("drop-")]
    assert (dropped["n_shown"] >= 1).all(), "nobody loses everything"
    assert (dropped["n_shown"] <= dropped["participant_id"].map(whole)).all()
    means = dropped.groupby("shown")["n_shown"].mean()
    assert means["drop-20"] > means["drop-50"] > means["drop-70"]


@pytest.mark.usefixtures("requires_t1w")
def test_what_is_required_is_always_shown(tiny_workspace: Workspace, fold) -> None:
    here = fold(tiny_workspace)
    rows = here.rows()
    others = tuple(m for m in ALL if m != "t1w")
    expected = {"+".join(filter(None, ("t1w", kept))) for kept in subsets(others, 0)}
    assert {s for s in rows["shown"] if not s.startswith("drop")} == expected
    assert rows["shown"].nunique() == 2**5 - 1 + 3
    alone = rows.loc[rows["shown"] == "t1w"]
    assert set(alone["n_shown"]) == {1}
    imaged = here.cell.cohort.index_visits.set_index("participant_id")["t1w_row"] >= 0
    assert imaged[list(here.cell.people[v.TEST])].all()


@pytest.mark.parametrize(("track", "ways"), [("t1w+report", 5), ("t1w", 0), ("none", 0)])
def test_fewer_than_two_modalities_have_nothing_to_hide(
    tiny_workspace: Workspace, fold, track: str, ways: int
) -> None:
    rows = fold(tiny_workspace, track).rows()
    assert (rows is None) if not ways else (rows["shown"].nunique() == ways)


def test_a_method_that_needs_everything_is_not_asked(
    tiny_workspace: Workspace, fold, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = fold(tiny_workspace)
    real = beside.get_method

    def proud(name: str):
        return dataclasses.replace(real(name), copes_with_missing=False)

    monkeypatch.setattr(beside, "get_method", proud)
    assert here.rows() is None


def test_hidden_contents_cannot_change_an_answer(
    tiny_workspace: Workspace, fresh_workspace: Workspace, fold
) -> None:
    visits = Cohort(tiny_workspace.data / TINY).visits
    plain = visits.drop(columns=[c for c in visits if c.endswith("_row")])
    write_cohort(fresh_workspace.data / TINY, plain, seed=77)  # other volumes
    one, two = (fold(workspace).rows() for workspace in (tiny_workspace, fresh_workspace))
    probabilities = ["prob_0", "prob_1", "prob_2"]
    seen = one["shown"].str.split("+").map(lambda names: "t1w" in names)
    drops = one["shown"].str.startswith("drop-")
    same = (one[probabilities] == two[probabilities]).all(axis=1)
    assert same[~seen & ~drops].all()
    assert not same[seen].all()


def drops_of(ids: tuple[str, ...], has: dict[str, np.ndarray], rate: float) -> np.ndarray:
    gone = beside._dropped(has, list(has), ids, rate, needs=0)
    return np.stack([gone[m] for m in has], axis=1)


def test_a_drop_is_the_same_whoever_else_is_there() -> None:
    ids = tuple(f"sub-{i:04d}" for i in range(400))
    has = {m: np.random.default_rng(k).random(400) < 0.8 for k, m in enumerate(ALL)}
    for percent in DROP_PERCENTS:
        whole = drops_of(ids, has, percent / 100)
        order = np.random.default_rng(9).permutation(400)[:150]
        some = drops_of(
            tuple(ids[i] for i in order), {m: h[order] for m, h in has.items()}, percent / 100
        )
        np.testing.assert_array_equal(some, whole[order])
        measured = np.stack([*has.values()], axis=1)
        assert not (whole & ~measured).any(), "only what was measured is dropped"
        left = (measured & ~whole).sum(axis=1)
        assert (left[measured.any(axis=1)] >= 1).all()
    # The draws themselves, before anybody is given one back.
    draws = np.array([beside._uniform(who, "t1w", 0.5) for who in ids])
    assert abs((draws < 0.5).mean() - 0.5) < 0.08


def test_where_something_is_required_all_the_rest_may_go() -> None:
    ids = tuple(f"sub-{i:04d}" for i in range(300))
    has = {m: np.ones(300, dtype=bool) for m in ("fmri", "report")}
    gone = beside._dropped(has, list(has), ids, 0.7, needs=1)
    both = gone["fmri"] & gone["report"]
    assert abs(both.mean() - 0.49) < 0.1


# What a method shows of itself -------------------------------------------------------------------


SHOWS = """
    def expose(self, samples):
        return {"gate": np.arange(2.0 * len(samples)).reshape(-1, 2), "route": ["a"] * len(samples)}
    def embed(self, samples):
        return samples.volumes().reshape(len(samples), -1)[:, :3]
"""


def with_code(site: Path, code: str) -> None:
    model = site / "model.py"
    model.write_text(model.read_text() + code)


def run_one(workspace: Workspace, profile: Profile, track: str | None = None) -> Path:
    profile.plan[TINY].fit = ["dx3"]
    job = plan_jobs(resolve_row("probe", profile, {}, track), profile, workspace)[0]
    identity = run_id(job, workspace)
    execute(job, identity, workspace)
    return workspace.runs / "probe" / identity


def test_what_a_method_exposes_is_kept_with_the_people(
    fresh_workspace: Workspace, tiny_profile: Profile, probe_site: Path
) -> None:
    with_code(probe_site, SHOWS)
    folder = run_one(fresh_workspace, tiny_profile)
    assert [p.name for p in (folder / "exposed").iterdir()] == [f"{TINY}.npz"]
    with np.load(folder / "exposed" / f"{TINY}.npz", allow_pickle=False) as kept:
        assert set(kept) == {"gate", "route", "embedding", "participant_id"}
        ids = kept["participant_id"].tolist()
        assert kept["gate"].dtype == np.float32
        assert kept["gate"].tolist() == np.arange(2.0 * len(ids)).reshape(-1, 2).tolist()
        assert kept["route"].tolist() == ["a"] * len(ids)
        embedding = kept["embedding"]
    ledger = pd.read_parquet(folder / "predictions.parquet").query("part == 'test'")
    assert ids == ledger["participant_id"].tolist()
    cohort = Cohort(fresh_workspace.data / TINY)
    rows = cohort.index_visits.set_index("participant_id").loc[ids, "t1w_row"].to_numpy()
    own = cohort.array("t1w")[rows[rows >= 0]].reshape((rows >= 0).sum(), -1)[:, :3]
    np.testing.assert_array_equal(embedding[rows >= 0], own.astype(np.float32))


def test_a_run_keeps_its_answers_with_modalities_missing(
    fresh_workspace: Workspace, tiny_profile: Profile
) -> None:
    folder = run_one(fresh_workspace, tiny_profile, "t1w+report")
    rows = pd.read_parquet(folder / "missing.parquet")
    assert set(rows["shown"]) == {"t1w", "report", "drop-20", "drop-50", "drop-70"}
    assert {"n_shown", "prob_0", "cohort", "task", "y_true"} <= set(rows)
    assert not (folder / "exposed").exists()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("return {'gate': np.zeros((3, 2))}", r"'gate' of shape \(3, 2\), expected one row"),
        ("return {'gate': np.zeros(())}", "expected one row"),
        ("return {'participant_id': np.zeros(len(samples))}", "needs for itself"),
        ("return {'file': np.zeros(len(samples))}", "needs for itself"),
        ("return {'gate': [None] * len(samples)}", "type object, expected numbers or text"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    fresh_workspace: Workspace, tiny_profile: Profile, probe_site: Path, code: str, message: str
) -> None:
    with_code(probe_site, f"\n    def expose(self, samples):\n        {code}\n")
    with pytest.raises(MethodError, match=message):
        run_one(fresh_workspace, tiny_profile)


def test_labels_are_out_of_reach_of_what_is_exposed(
    fresh_workspace: Workspace, tiny_profile: Profile, probe_site: Path
) -> None:
    code = "\n    def expose(self, samples):\n        return {'y': samples.labels('dx3')[0]}\n"
    with_code(probe_site, code)
    with pytest.raises(Exception, match="asked of samples that carry none"):
        run_one(fresh_workspace, tiny_profile)


def test_an_evaluation_counts_even_if_what_comes_after_it_fails(
    fresh_workspace: Workspace, tiny_profile: Profile, probe_site: Path
) -> None:
    with_code(
        probe_site,
        """
    def expose(self, samples):
        raise FloatingPointError("shows nothing")
""",
    )
    with pytest.raises(FloatingPointError, match="shows nothing"):
        run_one(fresh_workspace, tiny_profile)
    row = fresh_workspace.runs / "probe"
    assert not list(row.glob("*/result.json"))
    (failed,) = (row / "failed").iterdir()
    (line,) = (row / "evaluations.jsonl").read_text().splitlines()
    assert json.loads(line)["run_id"] == failed.stem


def test_a_fit_that_fails_is_no_evaluation(
    fresh_workspace: Workspace, tiny_profile: Profile, probe_site: Path
) -> None:
    with_code(
        probe_site,
        """
    def fit(self, train, val, tasks, run):
        raise FloatingPointError("diverged")
""",
    )
    with pytest.raises(FloatingPointError, match="diverged"):
        run_one(fresh_workspace, tiny_profile)
    assert not (fresh_workspace.runs / "probe" / "evaluations.jsonl").exists()
