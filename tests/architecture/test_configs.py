"""Every profile loads, every row in it resolves, and the pipelines are in step with them."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from benchmark.cli import main
from benchmark.cli.compose import Request, compose_request
from benchmark.cohorts.catalogue import COHORTS, untwinned
from benchmark.cohorts.held.entry import GROUP, added_profiles
from benchmark.config import CONFIGS, Profile, load_profile, load_suite, rebuilt
from benchmark.registry import registry
from benchmark.runs.pretraining import resolve_pretraining
from benchmark.runs.rows import resolve_row
from benchmark.splitting import PROTOCOLS
from benchmark.tasks import get_task

# Those that are shipped; whoever has added a cohort has one more, which git ignores.
PROFILES = sorted({path.stem for path in (CONFIGS / "profile").glob("*.yaml")} - added_profiles())


def test_the_three_sizes_are_there() -> None:
    assert set(PROFILES) >= {"smoke", "mini", "standard"}


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_consistent(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.protocol in PROTOCOLS
    assert set(profile.cohorts) <= set(COHORTS)
    assert len(set(profile.methods)) == len(profile.methods)
    phantoms = {untwinned(c) for c in profile.cohorts if c.startswith("phantom")}
    assert phantoms <= set(profile.phantom.participants)
    for cohort, plan in profile.plan.items():
        assert {cohort, *plan.external} <= set(profile.cohorts)
        for task, source in plan.derive.items():
            assert set(get_task(task).classes) < set(get_task(source).classes)
            assert source in plan.fit
        for tasks in plan.external.values():
            assert set(tasks) <= set(plan.fit)


@pytest.mark.parametrize("name", PROFILES)
def test_every_value_of_a_profile_can_be_overridden(name: str) -> None:
    """Hydra overrides only what the file names."""
    written = set(OmegaConf.load(CONFIGS / "profile" / f"{name}.yaml"))
    assert written == {entry.name for entry in fields(Profile)}
    request = compose_request(["method=chance", f"profile={name}", "profile.workers=7"])
    assert request.profile.workers == 7


@pytest.mark.parametrize("name", PROFILES)
def test_every_row_of_a_profile_resolves(name: str) -> None:
    profile = load_profile(name)
    planned = {task for plan in profile.plan.values() for task in plan.fit}
    for method in profile.methods:
        row = resolve_row(method, profile)
        assert row.name == method
        assert set(row.info.tasks) & planned, f"{method} answers nothing of profile {name}"


@pytest.mark.parametrize("name", PROFILES)
def test_what_rows_start_from_is_made_by_the_profile(name: str) -> None:
    profile = load_profile(name)
    for pretraining in profile.pretraining:
        wanted = resolve_pretraining(pretraining, profile)
        assert set(wanted.cohorts) <= set(profile.cohorts)
        assert wanted.config.trainer.epochs > 0
    for method in profile.methods:
        row = resolve_row(method, profile)
        assert not row.pretrained or row.pretrained in profile.pretraining
        if row.suite:
            parts = load_suite(row.suite, profile).parts
            assert any(
                set(t) & set(profile.plan[c].fit) for c, t in parts.items() if c in profile.plan
            )
    assert set(profile.stand_ins.values()) <= set(profile.cohorts)


def test_every_scale_of_a_method_resolves_and_is_rebuilt_whole() -> None:
    """No default of the small scale slips into another one on its way to a worker process."""
    profile = load_profile("mini")
    scaled = {i.name: i for i in registry().methods.values() if i.scales}
    assert scaled.keys() >= {"neurobridge", "denseformer_moe", "anchored_qformer", "brain_adapter"}
    for info in scaled.values():
        for scale, make in info.scales.items():
            row = resolve_row(info.name, profile, scale=scale)
            assert row.config == asdict(make()) != resolve_row(info.name, profile).config
            assert info.config is not None
            assert asdict(rebuilt(info.config, row.config, info.name)) == row.config


def test_settings_of_a_profile_belong_to_its_rows() -> None:
    for name in PROFILES:
        profile = load_profile(name)
        known = set(profile.methods) | {resolve_row(m, profile).info.name for m in profile.methods}
        assert set(profile.settings) <= known


def test_no_folder_of_configs_bears_the_name_of_a_key() -> None:
    """Hydra would take ``cohort=x`` for a file in ``configs/cohort/``."""
    keys = {entry.name for entry in fields(Request)}
    folders = {path.name for path in CONFIGS.iterdir() if path.is_dir()} | {GROUP}
    assert folders & keys == {"profile"}


def test_the_pipelines_are_in_step(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.chdir(Path(CONFIGS).parent)
    assert main(["pipeline", "--check"]) == 0, capsys.readouterr().out
