"""A folder of scans becomes volumes: the bad are listed, the good are kept, faces are not drawn.

The scans are templates in MNI space with masks, as fMRIPrep leaves them, so that neither network
nor fit is needed; those have tests of their own.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from imaging_files import ramp, write_brain, write_nifti

from benchmark.cli import main
from benchmark.errors import CohortError, ConfigError
from benchmark.imaging import one_scan, qc_measures
from benchmark.imaging.finding import find_scans
from benchmark.imaging.grid import store_shape
from benchmark.imaging.one_scan import Question, kept_record, prepare_into
from benchmark.imaging.qc_pictures import picture
from benchmark.imaging.scan import ScanSource
from benchmark.imaging.steps import StepError, prepare_scan
from benchmark.imaging.template import template_on_grid
from benchmark.imaging.volumes import Event, PreparedVolumes, prepare_volumes
from benchmark.store import Cohort
from benchmark.store.folders import lock_folder
from benchmark.store.writer import CohortWriter

for package in ("SimpleITK", "isal", "deepbet"):
    pytest.importorskip(package, reason="the group `imaging` is not installed")

pytestmark = pytest.mark.e2e  # real scans through real programs: half a minute

BAD = {
    "sub-truncated": "truncated or damaged",
    "sub-fourd": "expected one volume",
    "sub-flat": "16 voxels or more",
    "sub-empty": "empty",
    "sub-nan": "NaN or infinite",
    "sub-gone": "No such file",
    "sub-othermask": "expected the same grid",
}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three good scans and one of every bad kind, in a table."""
    root = tmp_path_factory.mktemp("scans")
    good = [write_brain(root, f"sub-{n}", n) for n in (1, 2, 3)]
    whole = good[0].read_bytes()
    nan = ramp().astype(np.float32)
    nan[0, 0, 0] = np.nan
    write_nifti(root / "sub-fourd.nii.gz", np.stack([ramp()] * 2, axis=-1))
    write_nifti(root / "sub-flat.nii.gz", ramp((20, 20, 3)))
    write_nifti(root / "sub-empty.nii.gz", np.zeros((20, 20, 20), np.int16))
    write_nifti(root / "sub-nan.nii.gz", nan)
    (root / "sub-truncated.nii.gz").write_bytes(whole[: len(whole) // 2])
    mask = write_nifti(root / "other_mask.nii.gz", (ramp((20, 20, 20)) > 9).astype(np.uint8))
    rows = [{"participant_id": p.name[:5], "path": p.name} for p in good]
    rows += [{"participant_id": n, "path": f"{n}.nii.gz"} for n in BAD if n != "sub-othermask"]
    other = {"participant_id": "sub-othermask", "path": good[0].name, "mask": mask.name}
    pd.DataFrame([*rows, other]).to_csv(root / "scans.csv", index=False)
    return root / "scans.csv"


@pytest.fixture(scope="module")
def prepared(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedVolumes:
    folder = tmp_path_factory.mktemp("out") / "volumes"
    return prepare_volumes(find_scans(scans), folder, 4.0, workers=2)


def test_good_scans_are_volumes_of_the_store(prepared: PreparedVolumes) -> None:
    assert prepared.index["participant_id"].tolist() == ["sub-1", "sub-2", "sub-3"]
    assert prepared.index["row"].tolist() == [0, 1, 2]
    assert prepared.shape == (3, *store_shape(4.0))
    array = np.zeros(prepared.shape, np.float16)
    prepared.copy_into(array)
    reference = template_on_grid(4.0)
    for volume in array.astype(np.float32):
        assert np.isfinite(volume).all()
        assert np.quantile(volume[volume > 0], 0.85) == pytest.approx(1, abs=0.01)
        assert np.corrcoef(volume.ravel(), reference.ravel())[0, 1] > 0.98
        assert not volume[0].any()


def test_the_volumes_enter_a_store(prepared: PreparedVolumes, tmp_path: Path) -> None:
    visits = pd.DataFrame(
        {
            "participant_id": ["sub-3", "sub-0", "sub-1"],
            "session_id": "ses-M000",
            "visit_months": 0,
            "is_index": True,
            "site_id": "a",
            "part": "evaluate",
        }
    )
    visits["t1w_row"] = prepared.rows_of(visits)
    assert visits["t1w_row"].tolist() == [2, -1, 0]
    card = dict.fromkeys(("name", "title", "source", "licence", "preparation"), "x")
    facts = json.loads((prepared.folder / "preparation.json").read_text())
    with CohortWriter(tmp_path / "real", facts) as store:
        prepared.copy_into(store.array("t1w", prepared.shape, "float16"))
        store.table("participants", visits)
        store.table("regions", prepared.regions)
        store.finish({**card, "synthetic": False, "spacing_mm": 4.0})
    cohort = Cohort(tmp_path / "real")
    np.testing.assert_array_equal(cohort.array("t1w")[2], prepared.volume(2))
    assert cohort.card["availability"]["t1w"] == 2
    assert cohort.table("regions")["participant_id"].tolist() == ["sub-3", "sub-0", "sub-1"]


def test_bad_scans_are_listed_with_their_reason(prepared: PreparedVolumes) -> None:
    failures = prepared.failures.set_index("participant_id")
    assert set(failures.index) == set(BAD)
    for name, reason in BAD.items():
        assert reason in failures.loc[name, "reason"]
    assert failures.drop("sub-othermask")["step"].eq("read").all()
    assert failures.loc["sub-othermask", "step"] == "brain"
    page = (prepared.folder / "qc.html").read_text()
    assert all(name in page for name in BAD)
    assert not list(prepared.folder.rglob("*.partial"))


def test_each_step_says_what_it_was_fitted_on(prepared: PreparedVolumes) -> None:
    record = json.loads((prepared.folder / "scans/sub-1_ses-M000/record.json").read_text())
    steps = {step["step"]: step for step in record["steps"]}
    assert [*steps] == ["read", "orientation", "brain", "bias", "mni", "crop", "intensity"]
    assert steps["bias"]["skipped"] == steps["mni"]["skipped"] == "done by fmriprep-mni"
    for name in set(steps) - {"bias", "mni"}:
        assert steps[name]["fitted_on"]
        assert steps[name]["tool"]
    card = json.loads((prepared.folder / "preparation.json").read_text())
    assert card["outliers"]["fitted_on"] == ["sub-1_ses-M000", "sub-2_ses-M000", "sub-3_ses-M000"]
    assert card["steps"]["mni"] == {"done": 0, "skipped": 3}
    assert card["volumes"] == 3
    assert len(card["failures"]) == len(BAD)


def test_sizes_are_not_known_where_the_scan_came_in_mni_space(prepared: PreparedVolumes) -> None:
    assert prepared.regions.drop(columns=["participant_id", "session_id"]).isna().all(axis=None)
    assert prepared.qc["magnification"].isna().all()
    assert (prepared.qc["correlation"] > 0.98).all()
    assert (prepared.qc["flags"] == "").all()


def test_the_page_asks_nothing_of_the_network(prepared: PreparedVolumes) -> None:
    page = (prepared.folder / "qc.html").read_text()
    assert "http" not in page
    assert page.count("data:image/png;base64,") == 3
    assert "<script" not in page


def test_what_is_there_is_kept(scans: Path, prepared: PreparedVolumes) -> None:
    stamps = {p: p.stat().st_mtime_ns for p in prepared.folder.glob("scans/*/*")}
    events: list[Event] = []
    sources = find_scans(scans)
    again = prepare_volumes(sources, prepared.folder, 4.0, workers=1, progress=events.append)
    assert [e.name for e in events if e.kept] == [f"sub-{n}_ses-M000" for n in (1, 2, 3)]
    assert sorted(e.done for e in events) == [*range(1, 11)]
    assert {p: p.stat().st_mtime_ns for p in again.folder.glob("scans/*/*")} == stamps


def source_of(folder: Path, name: str = "sub-9") -> ScanSource:
    path = write_brain(folder, name)
    mask = path.with_name(path.name.replace("preproc_T1w", "brain_mask"))
    return ScanSource(name, "ses-1", path, "fmriprep-mni", mask)


def test_a_changed_scan_is_prepared_again(tmp_path: Path) -> None:
    source = source_of(tmp_path)
    question = Question(source, tmp_path / "out", 8.0, "recipe")
    assert kept_record(question) is None
    assert prepare_into(question) is None
    assert kept_record(question) is not None
    os.utime(source.path, (1, 1))
    assert kept_record(question) is not None, "the same bytes at another time"
    for other in (
        Question(source, tmp_path / "out", 8.0, "other"),
        Question(ScanSource("sub-9", "ses-1", source.path), tmp_path / "out", 8.0, "recipe"),
    ):
        assert kept_record(other) is None
    write_brain(tmp_path, "sub-9", seed=5)
    assert kept_record(question) is None


def test_an_interruption_leaves_no_half_scan(tmp_path: Path, monkeypatch) -> None:
    question = Question(source_of(tmp_path), tmp_path / "out", 8.0, "recipe")
    assert prepare_into(question) is None
    monkeypatch.setattr(one_scan, "picture", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        prepare_into(question)
    assert kept_record(question) is None, "the volume is new, the record would be old"
    monkeypatch.undo()
    assert prepare_into(question) is None
    assert kept_record(question) is not None


def test_an_unexpected_fault_is_a_failure_and_a_full_disk_is_not(
    tmp_path: Path, monkeypatch
) -> None:
    question = Question(source_of(tmp_path), tmp_path / "out", 8.0, "recipe")
    monkeypatch.setattr(one_scan, "prepare_scan", lambda *_: 1 / 0)
    failure = prepare_into(question)
    assert failure is not None
    assert failure.step == "unexpected"
    assert "ZeroDivisionError" in failure.reason
    assert "Traceback" in failure.details
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(one_scan, "prepare_scan", lambda *_: (_ for _ in ()).throw(full))
    with pytest.raises(OSError, match="No space"):
        prepare_into(question)


def test_a_damaged_volume_is_found(tmp_path: Path) -> None:
    volumes = prepare_volumes([source_of(tmp_path)], tmp_path / "out", 8.0)
    path = tmp_path / "out/scans/sub-9_ses-1/volume.npy"
    path.write_bytes(path.read_bytes()[:-2] + b"xx")
    with pytest.raises(CohortError, match=r"volume\.npy: missing or damaged"):
        volumes.copy_into(np.zeros(volumes.shape, np.float16))


def test_no_scan_at_all_is_an_empty_folder(tmp_path: Path) -> None:
    volumes = prepare_volumes([], tmp_path / "out", 8.0)
    assert volumes.shape == (0, 0, 0, 0)
    assert len(volumes.index) == len(volumes.failures) == 0
    assert (tmp_path / "out/qc.html").is_file()


def test_lists_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    source = source_of(tmp_path)
    with pytest.raises(CohortError, match="'sub-9_ses-1' 2 times"):
        prepare_volumes([source, source], tmp_path / "out", 8.0)
    with pytest.raises(CohortError, match="cannot name a folder"):
        prepare_volumes([ScanSource("../a", "b", source.path)], tmp_path / "out", 8.0)
    with pytest.raises(ConfigError, match="holds something else"):
        prepare_volumes([source], tmp_path, 8.0)
    handle = lock_folder(tmp_path / "locked")
    assert handle is not None
    (tmp_path / "locked/scans").mkdir()
    with pytest.raises(CohortError, match="another process"):
        prepare_volumes([source], tmp_path / "locked", 8.0)
    os.close(handle)


def test_the_verb(tmp_path: Path, scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    command = ["volumes", str(scans), "--out", str(out), "--spacing", "10", "--workers", "1"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "3 volumes, 0 to look at, 7 failed" in said
    assert "failed sub-nan_ses-M000" in said
    assert "NaN or infinite" in said
    assert PreparedVolumes(out).shape == (3, 16, 20, 16)
    assert main(command) == 0
    assert capsys.readouterr().out.count("kept") == 3
    assert main(["volumes", str(tmp_path / "gone"), "--out", str(out)]) == 1
    assert "no such folder" in capsys.readouterr().err
    bad = tmp_path / "bad"
    write_nifti(bad / "a.nii.gz", ramp((20, 20, 3)))
    assert main(["volumes", str(bad), "--out", str(tmp_path / "none"), "--workers", "1"]) == 1


def test_every_preset_skips_what_it_has_done(tmp_path: Path) -> None:
    source = source_of(tmp_path)
    found = {}
    for done in ("t1-linear", "fmriprep-mni"):
        prepared = prepare_scan(ScanSource("a", "b", source.path, done, source.mask), 8.0)
        found[done] = [s["step"] for s in prepared.record["steps"] if "skipped" in s]
    assert found == {"t1-linear": ["bias", "mni"], "fmriprep-mni": ["bias", "mni"]}
    with pytest.raises(StepError) as raised:
        prepare_scan(ScanSource("a", "b", tmp_path / "gone.nii"), 8.0)
    assert raised.value.step == "read"


def test_a_face_is_never_drawn() -> None:
    """A mask that holds everything: what lies beyond a centimetre from the brain stays black."""
    from io import BytesIO

    from PIL import Image

    everything = np.full(store_shape(2.0), 100.0, np.float32)
    drawn = np.asarray(Image.open(BytesIO(picture(everything, everything / 100))).convert("L"))
    brain = template_on_grid(2.0)
    proper = np.asarray(
        Image.open(BytesIO(picture(brain, (brain > 20).astype(np.float32)))).convert("L")
    )
    assert (drawn > 30).mean() < 1.6 * (proper > 30).mean()
    assert drawn.shape == (4 * 192, 6 * 200)
    middle = drawn[2 * 192 : 3 * 192, 4 * 200 : 5 * 200]  # the midline: nose right, chin below
    assert not (middle[-25:, 100:] > 30).any()


def test_a_mask_of_no_brain_size_is_not_drawn(tmp_path: Path) -> None:
    source = source_of(tmp_path)
    image = nibabel.load(source.mask)
    everything = np.ones(image.shape, np.uint8)
    everything[0, 0, 0] = 0
    write_nifti(source.mask, everything, image.affine)
    assert prepare_into(Question(source, tmp_path / "out", 8.0, "recipe")) is None
    assert not (tmp_path / "out/qc.png").exists()


def test_likeness_tells_a_misplaced_brain() -> None:
    brain = np.array(template_on_grid(2.0))
    assert qc_measures.likeness(brain) == pytest.approx((1.0, 1.0))
    assert qc_measures.likeness(np.roll(brain, 5, axis=1))[0] < qc_measures.LEAST_CORRELATION
    assert qc_measures.likeness(brain[:, ::-1])[0] < qc_measures.LEAST_CORRELATION


def test_the_scan_far_from_the_others_stands_out() -> None:
    rng = np.random.default_rng(0)
    brain = qc_measures.sparse_brain(np.array(template_on_grid(2.0)))
    noisy = [brain + rng.normal(0, 0.05 + 0.002 * k, len(brain)) for k in range(9)]
    distance, score = qc_measures.distances([*noisy, brain[::-1]])
    assert int(np.argmax(distance)) == 9
    assert score[9] > qc_measures.MOST_DISTANCE_Z
    assert (score[:9] < qc_measures.MOST_DISTANCE_Z).all()
    assert np.isnan(qc_measures.distances(noisy[:4])[1]).all()
    assert "far from" in qc_measures.flags(1400, 0.9, 0.0, float(score[9]), in_mni=False)


def test_limits() -> None:
    assert qc_measures.flags(1400, 0.9, 0.0, float("nan"), in_mni=False) == ""
    assert "expected 1000 to 1900" in qc_measures.flags(1950, 0.9, 0.0, 0.0, in_mni=False)
    assert qc_measures.flags(1950, 0.9, 0.0, 0.0, in_mni=True) == ""
    assert "0.80 or more" in qc_measures.flags(1400, float("nan"), 0.0, 0.0, in_mni=False)
    assert "outside the grid" in qc_measures.flags(1400, 0.9, 0.1, 0.0, in_mni=False)
