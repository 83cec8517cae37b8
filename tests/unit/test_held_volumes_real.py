"""Real heads of IXI from raw scan to samples, where the folder of data lies beside the repository.

Nothing of them is kept: scans, volumes and store lie in pytest's own folder.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.cohorts.catalogue import all_cohorts
from benchmark.cohorts.held.add import add_cohort
from benchmark.cohorts.held.entry import CohortEntry
from benchmark.config import CONFIGS, Profile
from benchmark.imaging.finding import find_scans
from benchmark.imaging.grid import store_shape
from benchmark.imaging.volumes import prepare_volumes
from benchmark.runs.pipeline import pipeline_text
from benchmark.samples.build import build_samples
from benchmark.tasks import get_task
from benchmark.tracks import get_track

for package in ("SimpleITK", "isal", "deepbet"):
    pytest.importorskip(package, reason="the group `imaging` is not installed")
pytestmark = pytest.mark.slow

IXI = Path(__file__).resolve().parents[3] / "shared" / "data" / "ixi"


def test_real_heads_become_samples(tmp_path: Path) -> None:
    if not (IXI / "t1w_2mm").is_dir() or not (IXI / "IXI_age_gender.csv").is_file():
        pytest.skip("no tables and heads in shared/data/ixi beside the repository")
    sources = find_scans(IXI / "t1w_2mm")[:2]
    people = [f"sub-{source.participant[:6]}" for source in sources]
    prepared = prepare_volumes(sources, tmp_path / "volumes", 5.0)
    root = tmp_path / "repository"
    (root / "configs" / "profile").mkdir(parents=True)
    shutil.copy(CONFIGS / "cohort_profile.yaml", root / "configs")

    def pipeline(profile: Profile) -> str:
        return pipeline_text(profile, all_cohorts(root / "configs"))

    entry = CohortEntry(source="ixi", root=str(IXI), volumes=str(prepared.folder))
    added = add_cohort("mine", entry, pipeline, root)
    assert added.volumes is not None
    assert added.volumes.unmatched == ()
    assert [answer.counts for answer in added.few] == [{"people": 2}]
    assert added.qc_page is not None
    assert added.qc_page.read_text().count("data:image/png;base64,") == 2
    task = get_task("brain_age")
    track = get_track("t1w")
    samples = build_samples(added.cohort, people, track, [task], with_labels=True)
    volumes = samples.arrays["t1w"].take(np.arange(2))
    assert volumes.shape == (2, *store_shape(5.0))
    for row, volume in enumerate(volumes):
        np.testing.assert_array_equal(volume, prepared.volume(row))
    assert samples.spacing_mm == 5.0
    assert samples.tables["t1w"].notna().all(axis=None), "thickness by FreeSurfer"
    ages, known = samples.labels("brain_age")
    assert known.all()
    table = pd.read_csv(IXI / "IXI_age_gender.csv").drop_duplicates("participant_id")
    assert ages == pytest.approx(table.set_index("participant_id").loc[people, "age"])
