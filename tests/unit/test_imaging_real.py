"""Real heads, where the folder of data lies beside the repository; nothing of it is kept."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from benchmark.imaging.grid import store_shape
from benchmark.imaging.qc_measures import flags, likeness
from benchmark.imaging.scan import ScanSource
from benchmark.imaging.steps import prepare_scan

for package in ("SimpleITK", "isal", "deepbet"):
    pytest.importorskip(package, reason="the group `imaging` is not installed")
pytestmark = pytest.mark.slow

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
HEADS = [
    path
    for folder in ("ixi/t1w_2mm", "ixi/t1w_1mm_head", "oasis1/t1w_1mm")
    for path in sorted((DATA / folder).glob("*.nii.gz"))
]


FLAGGED = "sub-0139_T1w_jdac"  # of all heads the one whose extracted brain is to be looked at


def names(paths: list[Path]) -> list[str]:
    return [path.name.partition(".")[0] for path in paths]


PLAIN = [path for path in HEADS if not path.name.startswith(FLAGGED)]
LARGE = [path for path in HEADS if path.name.startswith(FLAGGED)]


@pytest.mark.parametrize("head", PLAIN, ids=names(PLAIN))
def test_a_real_head_is_prepared(head: Path) -> None:
    prepared = prepare_scan(ScanSource("a", "b", head), 5.0)
    record, volume = prepared.record, prepared.volume.astype(np.float32)
    smooth, sharp = likeness(prepared.qc_brain)
    assert not flags(record["brain_ml"], smooth, record["outside_share"], np.nan, in_mni=False)
    assert 1000 < record["brain_ml"] < 1900
    assert smooth >= 0.80
    assert sharp > 0.55
    assert volume.shape == store_shape(5.0)
    assert np.quantile(volume[volume > 0], 0.85) == pytest.approx(1, abs=0.01)
    assert 0.5e6 < prepared.regions["head_size_mm3"] < 2.5e6
    assert 1500 < prepared.regions["hippocampus_mm3"] < 20000
    assert [s["step"] for s in record["steps"] if "skipped" in s] == []


@pytest.mark.parametrize("head", LARGE, ids=names(LARGE))
def test_a_brain_that_is_too_large_and_unlike_the_template_is_flagged(head: Path) -> None:
    prepared = prepare_scan(ScanSource("a", "b", head), 5.0)
    record = prepared.record
    smooth, _ = likeness(prepared.qc_brain)
    found = flags(record["brain_ml"], smooth, record["outside_share"], np.nan, in_mni=False)
    assert re.fullmatch(
        r"brain of 19\d\d ml, expected 1000 to 1900; correlation 0.7\d+, expected 0.80 or more",
        found,
    )
    assert prepared.volume.shape == store_shape(5.0)
