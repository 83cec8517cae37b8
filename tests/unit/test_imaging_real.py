"""Real heads, where the folder of data lies beside the repository; nothing of it is kept."""

from __future__ import annotations

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
HEADS = ("ixi/t1w_2mm", "ixi/t1w_1mm_head", "oasis1/t1w_1mm")


def head(folder: str) -> Path:
    found = sorted((DATA / folder).glob("*.nii.gz"))
    if not found:
        pytest.skip(f"no heads in shared/data/{folder} beside the repository")
    return found[0]


@pytest.mark.parametrize("folder", HEADS)
def test_a_real_head_is_prepared(folder: str) -> None:
    prepared = prepare_scan(ScanSource("a", "b", head(folder)), 5.0)
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
