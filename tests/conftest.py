"""One thread a process, and a tiny cohort with its split that every test may read."""

# ruff: noqa: E402 - the number of threads is set before numpy is imported
from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before numpy is imported

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.config import CohortPlan, Profile
from benchmark.runs.job import Workspace

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "tiny"))

from process_caches import forget
from tiny_cohort import EXTERNAL, TINY, write_tiny_workspace


@pytest.fixture(scope="session")
def tiny_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with the cohorts ``tiny`` and ``tiny-external``, split; read it only."""
    return write_tiny_workspace(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def fresh_workspace(tiny_workspace: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the tiny workspace that a test may change."""
    root = tmp_path / "workspace"
    shutil.copytree(tiny_workspace.root, root)
    return Workspace(root)


@pytest.fixture
def tiny_profile() -> Profile:
    """Two classifications and a regression on ``tiny``, one seed, two workers."""
    plan = CohortPlan(
        fit=["dx3", "conversion"], derive={"ad_cn": "dx3"}, external={EXTERNAL: ["dx3"]}
    )
    return Profile(name="tiny", protocol="3fold", plan={TINY: plan}, workers=2)


@pytest.fixture
def probe_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Installs the method ``probe`` as a third party's package would be; returns its folder."""
    site = tmp_path / "site"
    shutil.copytree(HERE / "tiny" / "core_probe", site / "core_probe")
    facts = site / "core_probe-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: core-probe\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[neurodx.methods]\nprobe = core_probe.info:INFO\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr("benchmark.registry._registered", {})
    forget()
    yield site / "core_probe"
    for name in [n for n in sys.modules if n.partition(".")[0] == "core_probe"]:
        del sys.modules[name]
    forget()
