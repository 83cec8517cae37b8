"""A tiny cohort with its split, and the probe method, for the tests of sweeps."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.registry import registry
from benchmark.runs.job import Workspace
from benchmark.splitting import make_split, write_split
from benchmark.store import Cohort, CohortWriter

HERE = Path(__file__).resolve().parent
COHORT = "tiny"


def make_workspace(root: Path, cohort: str = COHORT, n: int = 90) -> Workspace:
    """A workspace with one cohort of ``n`` people: CN, MCI (half convert) and AD differ in age."""
    workspace = Workspace(root)
    rng = np.random.default_rng(5)
    stage = np.arange(n) % 3
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{i:03d}" for i in range(n)],
            "session_id": "ses-M000",
            "visit_months": 0,
            "is_index": True,
            "site_id": "site-a",
            "part": "evaluate",
            "age_years": np.round(66 + 4 * stage + rng.normal(0, 4, n), 6),
            "sex": np.where(np.arange(n) % 2, "F", "M"),
            "education_years": np.round(rng.normal(14, 3, n), 3),
            "diagnosis": np.array(["CN", "MCI", "AD"])[stage],
        }
    )
    later = table.loc[stage == 1].assign(session_id="ses-M036", visit_months=36, is_index=False)
    later["diagnosis"] = np.where(np.arange(len(later)) % 2, "MCI", "AD")
    table = pd.concat([table, later], ignore_index=True)
    writer = CohortWriter(workspace.data / cohort, {"n": n})
    writer.table("participants", table)
    card = dict.fromkeys(("title", "source", "licence", "preparation"), "made up for a test")
    writer.finish({**card, "name": cohort, "synthetic": True})
    split = make_split(Cohort(workspace.data / cohort), "3fold", 0)
    write_split(split, workspace.splits / cohort)
    return workspace


def install_probe(site: Path) -> list[str]:
    """Writes the entry point that a third party's package would have; returns its search path."""
    info = site / "sweep_probe-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sweep-probe\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[neurodx.methods]\nprobe = sweep_probe.info:INFO\n")
    return [str(site), str(HERE)]


@contextmanager
def probe_installed(site: Path) -> Iterator[None]:
    """The probe is in the registry of this process, and of its workers, for a while."""
    before = list(sys.path)
    sys.path[:0] = install_probe(site)
    registry.cache_clear()
    try:
        yield
    finally:
        sys.path[:] = before
        registry.cache_clear()
