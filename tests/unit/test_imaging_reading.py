"""Reading scans: what is whole is read as nibabel does, what is not is refused with a reason."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
from imaging_files import ramp, write_nifti

from benchmark.imaging.reading import decompressed, read_scan
from benchmark.imaging.scan import ScanError

pytest.importorskip("isal", reason="the group `imaging` is not installed")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_voxels_and_affine_are_those_that_nibabel_reads(tmp_path: Path, name, dtype) -> None:
    affine = np.array([[0, 0, 5.0, -9], [-6, 0, 0, 8], [0, 7, 0, 3], [0, 0, 0, 1]])
    path = write_nifti(tmp_path / name, (ramp() % 250).astype(dtype), affine)
    scan = read_scan(path)
    expected = nibabel.load(path)
    np.testing.assert_array_equal(scan.data, expected.get_fdata())
    np.testing.assert_allclose(scan.affine, expected.affine)
    np.testing.assert_allclose(scan.voxel_mm, [6, 7, 5])
    assert scan.voxel_mm3 == pytest.approx(210)


def test_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(ramp(), np.diag([6, 6, 6, 1]))
    image.header.set_slope_inter(0.5, 10)
    image.set_sform(image.affine, 1)
    nibabel.save(image, tmp_path / "a.nii.gz")
    expected = nibabel.load(tmp_path / "a.nii.gz").get_fdata()
    np.testing.assert_allclose(read_scan(tmp_path / "a.nii.gz").data, expected, rtol=1e-6)


def test_big_endian_files_are_read(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(ramp(), np.diag([6, 6, 6, 1]))
    image.set_sform(image.affine, 1)
    swapped = nibabel.Nifti1Image(ramp(), image.affine, image.header.as_byteswapped(">"))
    nibabel.save(swapped, tmp_path / "a.nii")
    np.testing.assert_array_equal(read_scan(tmp_path / "a.nii").data, ramp())


def test_freesurfer_files_are_read(tmp_path: Path) -> None:
    affine = np.diag([6.0, 6.0, 6.0, 1.0])
    nibabel.save(nibabel.MGHImage(ramp().astype(np.float32), affine), tmp_path / "orig.mgz")
    np.testing.assert_array_equal(read_scan(tmp_path / "orig.mgz").data, ramp())


def test_a_trailing_axis_of_one_is_dropped(tmp_path: Path) -> None:
    assert read_scan(write_nifti(tmp_path / "a.nii", ramp()[..., None])).data.shape == (20, 22, 24)


def test_gzip_in_several_members_is_read_whole() -> None:
    content = bytes(range(256)) * 100
    packed = gzip.compress(content[:9000]) + gzip.compress(content[9000:])
    assert decompressed(packed, Path("a.nii.gz")) == content


def holding(value: float) -> np.ndarray:
    data = ramp().astype(np.float32)
    data[3, 4, 5] = value
    return data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (np.zeros((20, 20, 20, 3), np.int16) + 1, "expected one volume"),
        (np.zeros((20, 20), np.int16), "expected one volume"),
        (ramp((4, 20, 20)), "16 voxels or more"),
        (np.full((20, 20, 20), 7, np.int16), "empty"),
        (holding(np.nan), "NaN or infinite"),
        (holding(np.inf), "NaN or infinite"),
        (ramp().astype(np.complex64), "expected real numbers"),
    ],
    ids=["4-D", "2-D", "thin", "empty", "NaN", "infinite", "complex"],
)
def test_what_is_no_volume_is_refused(tmp_path: Path, data: np.ndarray, reason: str) -> None:
    with pytest.raises(ScanError, match=reason):
        read_scan(write_nifti(tmp_path / "a.nii.gz", data))


@pytest.mark.parametrize(
    ("affine", "reason"),
    [
        (np.diag([0.006, 0.006, 0.006, 1]), "voxels of"),
        (np.diag([1.0, 1, 1, 1]), "field of view"),
        (np.array([[6.0, 6, 0, 0], [0, 0.1, 0, 0], [0, 0, 6, 0], [0, 0, 0, 1]]), "skewed"),
    ],
    ids=["metres", "small", "skewed"],
)
def test_what_is_no_head_in_space_is_refused(tmp_path: Path, affine, reason: str) -> None:
    with pytest.raises(ScanError, match=reason):
        read_scan(write_nifti(tmp_path / "a.nii", ramp(), affine))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 999, (20, 22, 24)).astype(np.int16)
    packed = write_nifti(tmp_path / "a.nii.gz", noise).read_bytes()
    middle = len(packed) // 2
    flipped = packed[:middle] + bytes([packed[middle] ^ 1]) + packed[middle + 1 :]
    plain = gzip.decompress(packed)
    damages = {
        "half.nii.gz": packed[:middle],
        "no_end.nii.gz": packed[:-8],
        "flipped.nii.gz": flipped,
        "nothing.nii.gz": b"",
        "not_gzip.nii.gz": plain,
        "half.nii": plain[: len(plain) // 2],
        "other.nii": b"no image at all" * 100,
        "nothing.nii": b"",
        "half.mgz": packed[:middle],
    }
    for name, content in damages.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ScanError, match=name):
            read_scan(tmp_path / name)
    with pytest.raises(ScanError, match="No such file"):
        read_scan(tmp_path / "gone.nii.gz")


def test_an_orientation_that_is_not_stated_must_be_given(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(ramp(), None)
    image.header.set_zooms((5, 6, 7))
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(ScanError, match="does not state its orientation"):
        read_scan(tmp_path / "a.nii")
    nibabel.save(nibabel.Nifti1Pair(ramp(), None), tmp_path / "nifti.img")
    analyze = nibabel.AnalyzeImage(ramp(), np.diag([6, 6, 6, 1]))
    nibabel.save(analyze, tmp_path / "analyze.img")
    for name in ("nifti.hdr", "analyze.hdr"):
        with pytest.raises(ScanError, match="does not state its orientation"):
            read_scan(tmp_path / name)
    np.testing.assert_array_equal(read_scan(tmp_path / "analyze.hdr", axes="RAS").data, ramp())
    with pytest.raises(ScanError, match="three directions"):
        read_scan(tmp_path / "a.nii", axes="RLA")
    scan = read_scan(tmp_path / "a.nii", axes="LIA")
    np.testing.assert_allclose(scan.affine[:3, :3], [[-5, 0, 0], [0, 0, 7], [0, -6, 0]])
