"""Which files of a folder are scans, whose they are, and what was done to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.errors import ConfigError, UnknownNameError
from benchmark.imaging.finding import find_scans, seen_at

FMRIPREP = "sub-01/ses-a/anat/sub-01_ses-a"
MNI = f"{FMRIPREP}_space-MNI152NLin2009cAsym"
CLINICA = "sub-02_ses-M012_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz"


def touched(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def found(root: Path, **options: str) -> list[tuple[str, str, str, str]]:
    sources = find_scans(root, **options)
    return [(s.participant, s.session, s.path.name, s.done) for s in sources]


def test_bids(tmp_path: Path) -> None:
    names = ("sub-02/ses-b/anat/sub-02_ses-b_T1w.nii.gz", "sub-01/anat/sub-01_T1w.nii")
    touched(tmp_path, *names, "sub-01/anat/sub-01_T2w.nii.gz", "sub-01/anat/sub-01_T1w.json")
    touched(tmp_path, f"derivatives/fmriprep/{FMRIPREP}_desc-preproc_T1w.nii.gz")
    assert found(tmp_path) == [
        ("sub-01", "ses-M000", "sub-01_T1w.nii", "raw"),
        ("sub-02", "ses-b", "sub-02_ses-b_T1w.nii.gz", "raw"),
    ]


def test_fmriprep_in_its_own_space_goes_before_mni(tmp_path: Path) -> None:
    own = (f"{FMRIPREP}_desc-preproc_T1w.nii.gz", f"{FMRIPREP}_desc-brain_mask.nii.gz")
    mni = (f"{MNI}_desc-preproc_T1w.nii.gz", f"{MNI}_desc-brain_mask.nii.gz")
    (only,) = find_scans(touched(tmp_path, *own, *mni))
    assert only.done == "fmriprep"
    assert only.mask == tmp_path / own[1]
    for name in own:
        (tmp_path / name).unlink()
    assert find_scans(tmp_path, done="raw")[0].mask is None
    (only,) = find_scans(tmp_path)
    assert only.done == "fmriprep-mni"
    assert only.mask == tmp_path / mni[1]


def test_clinica_and_freesurfer(tmp_path: Path) -> None:
    assert found(touched(tmp_path / "caps", CLINICA)) == [
        ("sub-02", "ses-M012", CLINICA, "t1-linear")
    ]
    root = touched(
        tmp_path / "fs", "bert/mri/orig.mgz", "bert/mri/brainmask.mgz", "bert/mri/T1.mgz"
    )
    (only,) = find_scans(root)
    assert (only.participant, only.done) == ("bert", "freesurfer-orig")
    assert only.mask == root / "bert/mri/brainmask.mgz"


def test_any_images_where_nothing_says_more(tmp_path: Path) -> None:
    touched(tmp_path, "IXI002_Guys (1).nii.gz", "notes.txt", "a_mask.nii.gz")
    assert found(tmp_path) == [("IXI002-Guys-1", "ses-M000", "IXI002_Guys (1).nii.gz", "raw")]


def test_a_pattern_and_a_statement_win(tmp_path: Path) -> None:
    touched(tmp_path, "sub-01_T1w.nii.gz", "sub-01_desc-n4_T1w.nii.gz")
    assert found(tmp_path, pattern="*desc-n4*", done="t1-linear") == [
        ("sub-01", "ses-M000", "sub-01_desc-n4_T1w.nii.gz", "t1-linear")
    ]


def test_a_table(tmp_path: Path) -> None:
    table = "participant_id\tpath\tdone\tmask\tsession_id\taxes\n"
    table += (
        "a\tx/one.nii.gz\t\t\t\tLAS\nb\ttwo_desc-preproc_T1w.nii.gz\tfmriprep\tm.nii\tses-2\t\n"
    )
    (tmp_path / "scans.tsv").write_text(table)
    one, two = find_scans(tmp_path / "scans.tsv")
    assert (one.participant, one.session, one.done, one.mask) == ("a", "ses-M000", "raw", None)
    assert (one.path, one.axes) == (tmp_path / "x/one.nii.gz", "LAS")
    assert (two.session, two.done, two.mask) == ("ses-2", "fmriprep", tmp_path / "m.nii")


def test_a_mask_that_is_not_there_is_not_used() -> None:
    assert seen_at(Path("/nowhere/sub-01_desc-preproc_T1w.nii.gz")) == ("fmriprep", None)


def test_what_cannot_be_searched_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        find_scans(tmp_path / "gone")
    with pytest.raises(ConfigError, match="holds no image"):
        find_scans(touched(tmp_path, "readme.txt"))
    with pytest.raises(ConfigError, match="holds no file that matches"):
        find_scans(tmp_path, pattern="*.nii")
    (tmp_path / "scans.csv").write_text("id,path\n1,a.nii\n")
    with pytest.raises(ConfigError, match="lacks the column"):
        find_scans(tmp_path / "scans.csv")
    (tmp_path / "empty.csv").write_text("participant_id,path\n")
    with pytest.raises(ConfigError, match="holds no scan"):
        find_scans(tmp_path / "empty.csv")
    with pytest.raises(ConfigError, match="cannot be read"):
        find_scans(tmp_path / "gone.csv")
    with pytest.raises(UnknownNameError, match="t1-linear"):
        find_scans(tmp_path, done="t1_linear")


def test_a_table_whose_rows_end_in_a_separator_is_refused(tmp_path: Path) -> None:
    """pandas takes the first column for an index then: the path would be the participant."""
    table = tmp_path / "scans.csv"
    table.write_text("participant_id,path,done\nsub-1,a.nii.gz,raw,\n")
    with pytest.raises(ConfigError, match="rows have more cells than its header"):
        find_scans(table)
