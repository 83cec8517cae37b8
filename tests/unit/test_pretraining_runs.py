"""Pretraining: learned once, continued, kept, and refused where it saw people who are held back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from process_caches import forget
from tiny_cohort import EXTERNAL, TINY, visit_table, write_cohort

from benchmark.cli import main
from benchmark.config import Profile, read_config
from benchmark.errors import CohortError, ConfigError, LeakageError, UnknownNameError
from benchmark.method import RunContext
from benchmark.runs import checkpoints, pretraining
from benchmark.runs.checkpoints import CHECKPOINT, WEIGHTS, checkpoint_facts, is_recipe
from benchmark.runs.execute import execute
from benchmark.runs.identity import feature_folder, input_hashes, run_id
from benchmark.runs.job import Job, Workspace
from benchmark.runs.planning import plan_jobs
from benchmark.runs.pretraining import resolve_pretraining, run_pretraining
from benchmark.runs.rows import resolve_row
from benchmark.store import Cohort
from benchmark.store.folders import lock_folder

NAME = "tiny_vit"
FILES = {WEIGHTS, CHECKPOINT, "config.yaml", "train.jsonl"}
RECIPE = """
cohorts: [phantom-memory]
encoder: volume_vit
settings: {width: 8, heads: 2, depth: 1, patch: [3, 4, 3]}
masked: {decoder: {width: 8, depth: 1, heads: 2}}
trainer: {epochs: 4, batch_size: 8, lr: 0.003}
"""


class Stop(BaseException):
    """What a user's Ctrl-C is."""


@pytest.fixture
def profile(tiny_profile: Profile) -> Profile:
    tiny_profile.plan[TINY].fit = ["dx3"]
    tiny_profile.stand_ins = {"phantom-memory": TINY}
    tiny_profile.pretraining = {NAME: {"trainer.epochs": 3}}
    tiny_profile.workers = 1
    return tiny_profile


@pytest.fixture
def workspace(fresh_workspace: Workspace, tmp_path: Path, monkeypatch) -> Workspace:
    """A workspace with twelve people to pretrain on, and a recipe beside those of the project."""
    configs = tmp_path / "configs"
    (configs / "pretraining").mkdir(parents=True)
    (configs / "pretraining" / f"{NAME}.yaml").write_text(RECIPE)
    monkeypatch.setattr(pretraining, "read_config", partial(read_config, configs=configs))
    monkeypatch.setattr(checkpoints, "is_recipe", partial(is_recipe, configs=configs))
    write_cohort(fresh_workspace.data / TINY, visit_table(48, 12))
    from benchmark.splitting import make_split, write_split

    split = make_split(Cohort(fresh_workspace.data / TINY), "3fold", 0)
    write_split(split, fresh_workspace.splits / TINY)
    forget()
    return fresh_workspace


@pytest.fixture
def learn(workspace: Workspace, profile: Profile) -> Callable[..., bool]:
    def run(**options: Any) -> bool:
        wanted = resolve_pretraining(NAME, profile)
        return run_pretraining(wanted, profile, options.pop("at", workspace), **options)

    return run


@pytest.fixture
def job(workspace: Workspace, profile: Profile, probe_site: Path) -> Callable[[str], Job]:
    """A job of the probe that starts from some weights."""
    info = probe_site / "info.py"
    info.write_text(
        info.read_text().replace("shift: float", 'pretrained: str = ""\n    shift: float')
    )
    model = probe_site / "model.py"
    logged = (
        'run.log({"from": str(run.pretrained), "features": str(run.features)})\n        threads ='
    )
    model.write_text(model.read_text().replace("threads =", logged, 1))
    forget()

    def make(pretrained: str) -> Job:
        row = resolve_row("probe", profile, {"pretrained": pretrained})
        return plan_jobs(row, profile, workspace)[0]

    return make


def weights(workspace: Workspace) -> Path:
    return workspace.pretrained / NAME / WEIGHTS


# What is learned ---------------------------------------------------------------------------------


def test_weights_are_learned_once_with_the_people_that_they_saw(
    learn, workspace: Workspace, profile: Profile
) -> None:
    records: list[Mapping[str, Any]] = []
    assert learn(on_log=records.append)
    assert [r["epoch"] for r in records] == [1, 2, 3], "the profile's epochs, not the recipe's"
    folder = workspace.pretrained / NAME
    assert {p.name for p in folder.iterdir()} == FILES
    assert list(workspace.pretrained.iterdir()) == [folder]
    facts = checkpoint_facts(folder)
    index = Cohort(workspace.data / TINY).index_visits
    seen = index.loc[(index["part"] == "pretrain") & (index["t1w_row"] >= 0), "participant_id"]
    assert facts["participants"] == {TINY: sorted(seen)}
    assert 0 < len(seen) < 12
    assert facts["profile"] == "tiny"
    assert facts["settings"]["trainer"]["epochs"] == 3
    state = torch.load(folder / WEIGHTS, weights_only=True)
    assert facts["params"] <= sum(t.numel() for t in state.values())
    lines = (folder / "train.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]

    times = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert not learn(on_log=lambda _: pytest.fail("it is there"))
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == times
    profile.pretraining[NAME]["trainer.epochs"] = 2
    assert learn()
    assert checkpoint_facts(folder)["identity"] != facts["identity"]


def test_nobody_who_is_tested_is_learned_from(learn, workspace: Workspace, monkeypatch) -> None:
    given = {}

    def pretrain(train, val, config, run):
        given.update(train=train, val=val)
        return torch.nn.Linear(2, 2)

    monkeypatch.setattr("benchmark.encoders.pretraining.pretrain", pretrain)
    assert learn()
    cohort = Cohort(workspace.data / TINY)
    index = cohort.index_visits
    n_seen = len(checkpoint_facts(workspace.pretrained / NAME)["participants"][TINY])
    assert len(given["train"]) + len(given["val"]) == n_seen
    assert len(given["val"]) == 1
    assert not given["train"].has_labels
    own = cohort.array("t1w")[index.loc[index["part"] == "pretrain", "t1w_row"].max()]
    both = [*given["train"].volumes(), *given["val"].volumes()]
    assert sum((volume == own).all() for volume in both) == 1


def test_force_learns_anew_to_the_same_bytes(learn, workspace: Workspace) -> None:
    learn()
    first = weights(workspace).read_bytes()
    stamp = weights(workspace).stat().st_ino
    assert learn(force=True)
    assert weights(workspace).read_bytes() == first
    assert weights(workspace).stat().st_ino != stamp


@pytest.mark.parametrize("saved", [True, False])
def test_an_interrupted_pretraining_equals_an_uninterrupted_one(
    learn, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: bool
) -> None:
    learn()
    whole = weights(workspace).read_bytes()
    cut = Workspace(tmp_path / "cut")
    cut.root.mkdir()
    (cut.root / "data").symlink_to(workspace.data)
    seconds = 0.0 if saved else 1e6
    monkeypatch.setattr(pretraining, "RunContext", partial(RunContext, checkpoint_seconds=seconds))

    def stop(record: Mapping[str, Any]) -> None:
        if record.get("epoch") == 2:
            raise Stop

    with pytest.raises(Stop):
        learn(at=cut, on_log=stop)
    assert not (cut.pretrained / NAME).exists()
    records: list[Mapping[str, Any]] = []
    assert learn(at=cut, on_log=records.append)
    resumed = [r["resumed_after_epoch"] for r in records if "resumed_after_epoch" in r]
    assert resumed == ([1] if saved else [])
    assert weights(cut).read_bytes() == whole
    assert [p.name for p in cut.pretrained.iterdir()] == [NAME]
    folder = cut.pretrained / NAME
    assert {p.name for p in folder.iterdir()} == FILES
    lines = map(json.loads, (folder / "train.jsonl").read_text().splitlines())
    seconds = {line["epoch"]: line["seconds"] for line in lines if "epoch" in line}
    assert list(seconds) == [1, 2, 3]
    assert checkpoint_facts(folder)["seconds"] >= sum(seconds.values())


def test_another_recipe_does_not_continue_an_interrupted_one(
    learn, workspace: Workspace, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretraining, "RunContext", partial(RunContext, checkpoint_seconds=0.0))

    def stop(record: Mapping[str, Any]) -> None:
        if record.get("epoch") == 2:
            raise Stop

    with pytest.raises(Stop):
        learn(on_log=stop)
    profile.pretraining[NAME]["trainer.lr"] = 0.001
    records: list[Mapping[str, Any]] = []
    learn(on_log=records.append)
    assert [r["epoch"] for r in records] == [1, 2, 3]


def test_one_process_makes_the_same_weights_at_a_time(learn, workspace: Workspace) -> None:
    handle = lock_folder(workspace.pretrained / f".{NAME}.partial")
    assert handle is not None
    with pytest.raises(CohortError, match="another process makes these weights"):
        learn()
    os.close(handle)
    assert learn()


def test_a_cohort_with_nobody_to_learn_from_is_named(
    learn, workspace: Workspace, profile: Profile
) -> None:
    profile.stand_ins = {"phantom-memory": EXTERNAL}
    with pytest.raises(CohortError, match=f"{EXTERNAL}.*nobody of part 'pretrain'"):
        learn()
    visits = Cohort(workspace.data / EXTERNAL).visits
    assert "t1w_row" in visits
    profile.stand_ins = {}
    with pytest.raises(CohortError, match="neurodx prepare phantom-memory"):
        learn()


def test_a_recipe_is_checked_before_anything_is_learned(
    learn, workspace: Workspace, profile: Profile, tmp_path: Path
) -> None:
    profile.pretraining = {NAME: {"trainer.epoch": 3}}
    with pytest.raises(ConfigError, match="epoch"):
        learn()
    with pytest.raises(UnknownNameError, match=f"'{NAME}'"):
        resolve_pretraining("tiny_vti", profile)
    recipe = tmp_path / "configs" / "pretraining" / f"{NAME}.yaml"
    recipe.write_text("encoder: conv\n")
    with pytest.raises(ConfigError, match="name its cohorts"):
        resolve_pretraining(NAME, profile)


# What starts from it -----------------------------------------------------------------------------


def test_a_run_gets_the_weights_and_its_name_follows_them(
    learn, job, workspace: Workspace, profile: Profile
) -> None:
    scratch = run_id(job(""), workspace)
    with pytest.raises(ConfigError, match=f"run `neurodx pretrain {NAME} --profile tiny`"):
        run_id(job(NAME), workspace)
    learn()
    mine = job(NAME)
    first = run_id(mine, workspace)
    assert first != scratch
    assert f"pretrained/{NAME}" in input_hashes(mine, workspace)
    execute(mine, first, workspace)
    line = (workspace.runs / "probe" / first / "train.jsonl").read_text().splitlines()[0]
    assert json.loads(line) == {
        "from": str(workspace.pretrained / NAME),
        "features": str(feature_folder(mine, workspace)),
    }
    profile.pretraining[NAME]["trainer.lr"] = 0.001
    learn()
    assert run_id(mine, workspace) != first


def test_people_who_are_held_back_are_refused_by_name(
    learn, job, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn()
    mine = job(NAME)
    identity = run_id(mine, workspace)
    from benchmark.runs.people import Cell

    people = Cell.open(mine, mine.parts[0], workspace).people
    path = workspace.pretrained / NAME / CHECKPOINT
    facts = json.loads(path.read_text())
    outside = Cell.whole(mine, mine.external[0], workspace).people["external"]
    for cohort, part, who in (
        (TINY, "validation", people["validation"][0]),
        (TINY, "test", people["test"][-1]),
        (EXTERNAL, "external", outside[0]),
    ):
        seen = {**facts["participants"]}
        seen[cohort] = [*seen.get(cohort, []), who]
        path.write_text(json.dumps({**facts, "participants": seen}))
        with pytest.raises(LeakageError, match=rf"seen 1 people of {cohort} .*: {who};") as error:
            execute(mine, identity, workspace)
        assert "part 'pretrain' only" in str(error.value), part
        assert not (workspace.runs / "probe" / identity).exists()
    seen = {TINY: [*facts["participants"][TINY], people["train"][0]], "other": people["test"]}
    path.write_text(json.dumps({**facts, "participants": seen}))
    assert execute(mine, identity, workspace), "people who are learned from may have been seen"


def test_damaged_weights_are_refused(learn, job, workspace: Workspace) -> None:
    learn()
    mine, path = job(NAME), weights(workspace)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    path.write_bytes(flipped)
    command = f"damaged: run `neurodx pretrain {NAME} --profile tiny --force`"
    with pytest.raises(ConfigError, match=command):
        run_id(mine, workspace)
    path.unlink()
    with pytest.raises(ConfigError, match="there is no such file"):
        run_id(mine, workspace)
    path.write_bytes(whole)
    assert run_id(mine, workspace)


def test_weights_from_elsewhere_are_taken_as_they_are(
    job, workspace: Workspace, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "model.safetensors.yaml").write_text("a card beside the file is no recipe")
    of_folder = run_id(job(str(folder)), workspace)
    of_file = run_id(job(str(folder / "model.safetensors")), workspace)
    execute(job(str(folder)), of_folder, workspace)
    log = (workspace.runs / "probe" / of_folder / "train.jsonl").read_text()
    assert json.loads(log.splitlines()[0])["from"] == str(folder)
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert run_id(job(str(folder)), workspace) != of_folder
    assert run_id(job(str(folder / "model.safetensors")), workspace) != of_file
    with pytest.raises(ConfigError, match=r"neither a pretraining .* nor a file or folder"):
        run_id(job(str(tmp_path / "nowhere")), workspace)


def test_a_copy_of_weights_still_says_whom_they_saw(
    learn, job, workspace: Workspace, tmp_path: Path
) -> None:
    learn()
    copy = tmp_path / "copy"
    (workspace.pretrained / NAME).rename(copy)
    mine = job(str(copy))
    identity = run_id(mine, workspace)
    from benchmark.runs.people import Cell

    who = Cell.open(mine, mine.parts[0], workspace).people["test"][0]
    facts = json.loads((copy / CHECKPOINT).read_text())
    facts["participants"][TINY].append(who)
    (copy / CHECKPOINT).write_text(json.dumps(facts))
    with pytest.raises(LeakageError, match=who):
        execute(mine, identity, workspace)


def test_a_trial_of_a_sweep_starts_from_the_same_weights(
    learn, job, workspace: Workspace, tmp_path: Path
) -> None:
    from benchmark.runs.people import Cell
    from benchmark.sweeps.evaluate import evaluate

    with pytest.raises(ConfigError, match="neurodx pretrain"):
        evaluate(job(NAME), workspace, tmp_path / "trials")
    learn()
    assert evaluate(job(NAME), workspace, tmp_path / "trials").losses
    mine, path = job(NAME), workspace.pretrained / NAME / CHECKPOINT
    facts = json.loads(path.read_text())
    who = Cell.open(mine, mine.parts[0], workspace).people["validation"][0]
    facts["participants"][TINY].append(who)
    path.write_text(json.dumps(facts))
    with pytest.raises(LeakageError, match=who):
        evaluate(mine, workspace, tmp_path / "trials")


# The verb ----------------------------------------------------------------------------------------


def test_the_verb_learns_keeps_and_forces(
    workspace: Workspace, profile: Profile, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr("benchmark.config.load_profile", lambda name: profile)
    monkeypatch.chdir(workspace.root)
    assert main(["pretrain", "--profile", "tiny"]) == 0
    assert f"{NAME}: learned in" in capsys.readouterr().out
    assert main(["pretrain", NAME]) == 0
    assert "already learned" in capsys.readouterr().out
    assert main(["pretrain", NAME, "--force"]) == 0
    assert "validation loss" in capsys.readouterr().out
    assert main(["pretrain", "tiny_vti"]) == 1
    assert NAME in capsys.readouterr().err
    profile.pretraining = {}
    assert main(["pretrain"]) == 0
    assert "names no pretraining" in capsys.readouterr().out
