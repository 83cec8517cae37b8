"""A fit that was interrupted keeps the epochs of its log and their seconds."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_cohort import TINY

from benchmark.config import Profile
from benchmark.runs import execute as execution
from benchmark.runs import fit_log
from benchmark.runs.fit_log import FitLog
from benchmark.runs.identity import run_id
from benchmark.runs.job import Workspace
from benchmark.runs.planning import plan_jobs
from benchmark.runs.rows import resolve_row


class Stop(BaseException):
    """What a user's Ctrl-C is."""


class Clock:
    """Wall-clock and processor seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def wall(self) -> float:
        return self.now

    def cpu(self) -> float:
        return self.now / 2


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(
        fit_log, "time", SimpleNamespace(perf_counter=made.wall, process_time=made.cpu)
    )
    return made


def epochs(folder: Path, stage: str = "fit") -> list[Any]:
    lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    return [
        line.get("epoch", line.get("resumed_after_epoch"))
        for line in lines
        if line.get("stage") == stage
    ]


def learn(log: FitLog, clock: Clock, first: int, last: int, stage: str = "fit") -> None:
    for epoch in range(first, last + 1):
        clock.now += 10.0
        log({"stage": stage, "epoch": epoch, "train_loss": 1 / epoch})


def test_lines_that_are_learned_again_are_dropped_and_count_once(
    tmp_path: Path, clock: Clock
) -> None:
    first = FitLog(tmp_path)
    first({"pid": 1})
    learn(first, clock, 1, 3)
    assert first.spent() == (30.0, 15.0)
    clock.now += 1000.0  # killed; the last state was that of epoch 2
    second = FitLog(tmp_path)
    second({"pid": 2})
    second({"stage": "fit", "resumed_after_epoch": 2})
    learn(second, clock, 3, 4)
    assert second.spent() == (40.0, 20.0)
    assert epochs(tmp_path) == [1, 2, 2, 3, 4]
    assert (tmp_path / "train.jsonl").read_text().startswith('{"pid": 2}\n')
    second.close()
    assert [p.name for p in tmp_path.iterdir()] == ["train.jsonl"]


def test_every_stage_of_a_fit_comes_back_over_several_interruptions(
    tmp_path: Path, clock: Clock
) -> None:
    log = FitLog(tmp_path)
    learn(log, clock, 1, 2, "first")
    learn(log, clock, 1, 1, "second")
    clock.now += 1000.0
    log = FitLog(tmp_path)  # ended before any stage went on
    clock.now += 1000.0
    log = FitLog(tmp_path)
    log({"stage": "first", "resumed_after_epoch": 2})
    log({"stage": "second", "resumed_after_epoch": 1})
    learn(log, clock, 2, 2, "second")
    assert log.spent() == (40.0, 20.0)
    clock.now += 1000.0
    log = FitLog(tmp_path)
    log({"stage": "first", "resumed_after_epoch": 2})
    log({"stage": "second", "resumed_after_epoch": 2})
    learn(log, clock, 3, 3, "second")
    assert log.spent() == (50.0, 25.0)
    assert epochs(tmp_path, "first") == [1, 2, 2]
    assert epochs(tmp_path, "second") == [1, 2, 2, 3]


def test_a_fit_without_a_state_begins_its_log_and_its_cost_anew(
    tmp_path: Path, clock: Clock
) -> None:
    learn(FitLog(tmp_path), clock, 1, 3)
    log = FitLog(tmp_path)
    learn(log, clock, 1, 2)
    assert log.spent() == (20.0, 10.0)
    assert epochs(tmp_path) == [1, 2]


def test_a_line_that_a_kill_cut_is_left_out(tmp_path: Path, clock: Clock) -> None:
    learn(FitLog(tmp_path), clock, 1, 2)
    (sessions,) = (p for p in tmp_path.iterdir() if p.name != "train.jsonl")
    sessions.write_text(sessions.read_text()[:-9])
    log = FitLog(tmp_path)
    log({"stage": "fit", "resumed_after_epoch": 1})
    learn(log, clock, 2, 2)
    log = FitLog(tmp_path)
    log({"stage": "fit", "resumed_after_epoch": 2})
    assert epochs(tmp_path) == [1, 2, 2]


def test_a_run_that_goes_on_records_what_all_of_it_cost(
    fresh_workspace: Workspace,
    tiny_profile: Profile,
    probe_site: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny_profile.plan[TINY].fit = ["dx3"]
    job = plan_jobs(resolve_row("probe", tiny_profile), tiny_profile, fresh_workspace)[0]
    identity = run_id(job, fresh_workspace)
    new_method, stops_at = execution.new_method, [3]

    def in_epochs(job):
        method = new_method(job)
        plain = method.fit

        def fit(train, val, tasks, run):
            state = run.folder / "epoch"
            done = int(state.read_text()) if state.exists() else 0
            if done:
                run.log({"stage": "fit", "resumed_after_epoch": done})
            for epoch in range(done + 1, 5):
                clock.now += 10.0
                run.log({"stage": "fit", "epoch": epoch})
                if epoch in stops_at:
                    raise Stop
                state.write_text(str(epoch))
            plain(train, val, tasks, run)

        method.fit = fit
        return method

    monkeypatch.setattr(execution, "new_method", in_epochs)
    with pytest.raises(Stop):
        execution.execute(job, identity, fresh_workspace)
    stops_at.clear()
    ledger_rows = execution.ledger_rows

    def killed(*arguments):
        raise Stop

    monkeypatch.setattr(execution, "ledger_rows", killed)  # when all epochs are over
    with pytest.raises(Stop):
        execution.execute(job, identity, fresh_workspace)
    monkeypatch.setattr(execution, "ledger_rows", ledger_rows)
    assert execution.execute(job, identity, fresh_workspace)
    folder = fresh_workspace.runs / "probe" / identity
    record = json.loads((folder / "result.json").read_text())
    assert (record["fit_seconds"], record["fit_cpu_seconds"]) == (40.0, 20.0)
    assert epochs(folder) == [1, 2, 3, 4, 4]
    assert not (folder / "sessions.jsonl").exists()
