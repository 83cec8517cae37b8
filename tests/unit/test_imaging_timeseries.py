"""ROI series of a made-up BOLD image whose regional signals are known in closed form."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from benchmark.cli import main
from benchmark.errors import CohortError, ConfigError
from benchmark.imaging.timeseries import extract_series, find_bold, read_labels

T = 60
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
STEM = "sub-01_task-rest"


def confounds(rng: np.random.Generator) -> pd.DataFrame:
    """The columns that fMRIPrep writes and the strategy asks for, and others that it does not."""
    table = pd.DataFrame()
    for axis in ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"):
        table[axis] = rng.standard_normal(T)
        table[f"{axis}_derivative1"] = table[axis].diff()
        table[f"{axis}_power2"] = table[axis] ** 2
        table[f"{axis}_derivative1_power2"] = table[f"{axis}_derivative1"] ** 2
    table["csf"], table["white_matter"] = rng.standard_normal((2, T))
    table["cosine00"] = np.cos(np.pi * (np.arange(T) + 0.5) / T)
    table["global_signal"] = rng.standard_normal(T)
    return table


def free_of(table: pd.DataFrame, signals: np.ndarray) -> np.ndarray:
    """The part of signals (T, R) that no confound explains."""
    design = table.drop(columns="global_signal").bfill().to_numpy()  # as load_confounds
    design = np.column_stack([design, np.ones(T)])
    return signals - design @ np.linalg.lstsq(design, signals, rcond=None)[0]


def labels() -> np.ndarray:
    image = np.zeros((6, 6, 6), np.int16)
    image[:3], image[3:, :3], image[3:, 3:, :3] = 1, 2, 7
    return image


def write_prep(folder: Path, signals: np.ndarray, table: pd.DataFrame, stem: str = STEM) -> Path:
    """An image whose voxels scatter around their region's signal and average to it."""
    rng = np.random.default_rng(1)
    image = np.zeros((6, 6, 6, T))
    for column, label in enumerate((1, 2, 7)):
        inside = labels() == label
        scatter = rng.standard_normal((inside.sum(), T))
        image[inside] = 500 + signals[:, column] + scatter - scatter.mean(axis=0)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{stem}_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz"
    nib.Nifti1Image(image, AFFINE).to_filename(folder / name)
    path = folder / f"{stem}_desc-confounds_timeseries.tsv"
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    nib.Nifti1Image(labels(), AFFINE).to_filename(folder / "atlas.nii.gz")
    return folder / name


@pytest.mark.parametrize("steady_after", [0, 3])
def test_regional_means_without_the_confounds(tmp_path: Path, steady_after: int) -> None:
    """Signals that no confound explains come out as they are, whatever is added to them."""
    rng = np.random.default_rng(0)
    table = confounds(rng)
    known = free_of(table, rng.standard_normal((T, 3)))
    mixed = known + 4 * table[["trans_x", "csf", "cosine00"]].to_numpy()
    for k in range(steady_after):  # the scanner's first volumes
        table[f"non_steady_state_outlier{k:02d}"] = np.eye(T)[k]
        mixed[k] += 1e4
    write_prep(tmp_path, mixed, table)
    ((done),) = extract_series(find_bold(tmp_path), tmp_path / "out", tmp_path / "atlas.nii.gz")
    assert done.table is not None, done.reason
    assert done.table.name == f"{STEM}_space-MNI152NLin2009cAsym_res-2_timeseries.tsv"
    series = pd.read_csv(done.table, sep="\t")
    assert list(series) == ["label_1", "label_2", "label_7"]
    found = series.to_numpy() - series.to_numpy().mean(axis=0)
    if steady_after:
        design = table.filter(regex="^(trans|rot|csf|white|cosine)")[steady_after:]
        design = np.column_stack([design, np.ones(T - steady_after)])
        kept = mixed[steady_after:]
        known = kept - design @ np.linalg.lstsq(design, kept, rcond=None)[0]
    np.testing.assert_allclose(found, known, atol=5e-3)


def test_a_region_without_a_voxel_or_a_signal_is_missing(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    table = confounds(rng)
    write_prep(tmp_path, rng.standard_normal((T, 3)), table)
    atlas = labels()
    atlas[3:, 3:, 3:] = 9  # outside of the field of view: zeros all over
    nib.Nifti1Image(atlas, AFFINE).to_filename(tmp_path / "atlas.nii.gz")
    (done,) = extract_series(find_bold(tmp_path), tmp_path / "out", tmp_path / "atlas.nii.gz")
    assert done.table is not None, done.reason
    series = pd.read_csv(done.table, sep="\t")
    assert series.isna().all().tolist() == [False, False, False, True]


def test_one_failure_stops_no_other_and_what_is_there_is_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    table = confounds(rng)
    write_prep(tmp_path, rng.standard_normal((T, 3)), table)
    write_prep(tmp_path, rng.standard_normal((T, 3)), table, "sub-02_task-rest")
    (tmp_path / f"{STEM}_desc-confounds_timeseries.tsv").unlink()
    (tmp_path / "atlas.tsv").write_text("index\tname\n1\tLeft\n2\tRight\n7\tMiddle\n")
    atlas, out = tmp_path / "atlas.nii.gz", tmp_path / "out"
    names = tmp_path / "atlas.tsv"
    first, second = extract_series(find_bold(tmp_path), out, atlas, names)
    assert first.table is None
    assert "confound" in first.reason
    assert second.table is not None
    assert list(pd.read_csv(second.table, sep="\t")) == ["Left", "Right", "Middle"]
    said = json.loads((out / "timeseries.json").read_text())
    assert said["confounds"]["strategy"] == ["motion", "wm_csf", "high_pass"]
    assert said["regions"] == ["Left", "Right", "Middle"]
    again = [*extract_series(find_bold(tmp_path), out, atlas, names)]
    assert [one.kept for one in again] == [False, True]
    with pytest.raises(ConfigError, match="another label image"):
        [*extract_series(find_bold(tmp_path), out, atlas)]
    arguments = ["timeseries", str(tmp_path), "--labels", str(atlas), "--names", str(names)]
    assert main([*arguments, "--out", str(out)]) == 0


def test_labels_and_images_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"no file sub-\*_space-MNI"):
        find_bold(tmp_path)
    nib.Nifti1Image(np.full((2, 2, 2), 0.5), AFFINE).to_filename(tmp_path / "half.nii.gz")
    with pytest.raises(CohortError, match="expected whole numbers"):
        read_labels(tmp_path / "half.nii.gz")
    with pytest.raises(CohortError, match="cannot be read"):
        read_labels(tmp_path / "none.nii.gz")
    nib.Nifti1Image(labels(), AFFINE).to_filename(tmp_path / "atlas.nii.gz")
    (tmp_path / "few.csv").write_text("index,name\n1,Left\n")
    with pytest.raises(CohortError, match="names no label 2, 7"):
        read_labels(tmp_path / "atlas.nii.gz", tmp_path / "few.csv")
