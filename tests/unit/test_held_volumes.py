"""Prepared volumes join the people of a held cohort: whose they are, and who then has T1w."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from held_replicas import write_ixi, write_oasis1, write_oasis2
from held_volumes import write_prepared
from imaging_files import write_brain

from benchmark.cli.cohort import _told
from benchmark.cohorts.catalogue import all_cohorts
from benchmark.cohorts.held.add import Added, add_cohort
from benchmark.cohorts.held.build import build_store
from benchmark.cohorts.held.entry import CohortEntry, adapter_of, load_entry, read_held
from benchmark.cohorts.held.external import external_profile
from benchmark.cohorts.held.volumes import folder_hash, with_volumes
from benchmark.config import CONFIGS, Profile
from benchmark.errors import CohortError
from benchmark.imaging.finding import find_scans
from benchmark.imaging.volumes import prepare_volumes
from benchmark.runs.pipeline import pipeline_text
from benchmark.samples.build import build_samples, modality_mask
from benchmark.store import Cohort
from benchmark.tasks import get_task
from benchmark.tracks import get_track

IMAGED = {"voxel_svm", "resnet3d", "densenet3d", "sfcn"}
REGIONAL = {"regional_linear", "regional_clinical_linear"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "configs" / "profile").mkdir(parents=True)
    shutil.copy(CONFIGS / "cohort_profile.yaml", root / "configs")
    return root


def add(
    root: Path, source: str, files: Path, volumes: Path | None, name: str = "mine", **options: str
) -> Added:
    entry = CohortEntry(source, str(files), "", options, synthetic=True)
    entry.volumes = str(volumes) if volumes else ""
    return add_cohort(name, entry, pipeline_of(root), root)


def pipeline_of(root: Path) -> Callable[[Profile], str]:
    def pipeline(profile: Profile) -> str:
        return pipeline_text(profile, all_cohorts(root / "configs"))

    return pipeline


def oasis(numbers: range, visit: str = "MR1") -> list[tuple[str, str]]:
    """Scans as the preparation names the released files."""
    return [(f"OAS1-{n:04d}-{visit}-mpr-n4-anon-sbj-111", "ses-M000") for n in numbers]


def t1w_of(cohort: Cohort, people: list[str]) -> list[float]:
    """The mark of each person's volume, as a method would read it."""
    samples = build_samples(cohort, people, get_track("t1w"), [], with_labels=False)
    return samples.arrays["t1w"].take(np.arange(len(people))).max(axis=(1, 2, 3)).tolist()


def test_a_cohort_with_volumes_comes_to_rows_that_read_them(
    repository: Path, tmp_path: Path
) -> None:
    files = write_oasis1(tmp_path / "files")
    scans = [*oasis(range(80, 0, -1)), *oasis(range(80, 81), "MR2")]
    prepared = write_prepared(tmp_path / "v", scans, failed=["x"], flagged=[scans[0][0]])
    added = add(repository, "oasis1", files, prepared)
    assert set(added.profile.methods) >= IMAGED | REGIONAL
    assert added.few == []
    assert added.left_out["scans that failed in `neurodx volumes`"] == 1
    cohort = added.cohort
    cohort.verify()
    assert cohort.array("t1w").shape == (81, *cohort.card["shape"])
    assert cohort.card["spacing_mm"] == 16.0
    assert cohort.card["availability"]["t1w"] == 80
    assert cohort.card["volumes"]["flagged"] == 1
    assert t1w_of(cohort, ["sub-OAS10001", "sub-OAS10080"]) == [80.0, 1.0]
    later = cohort.visits.loc[~cohort.visits["is_index"]].set_index("participant_id")["t1w_row"]
    assert (later >= 0).to_dict() == {"sub-OAS10079": False, "sub-OAS10080": True}
    assert cohort.array("t1w")[later["sub-OAS10080"]].max() == 81
    samples = build_samples(
        cohort, ["sub-OAS10001"], get_track("t1w"), [get_task("impaired")], with_labels=True
    )
    assert samples.spacing_mm == 16.0
    assert added.qc_page is not None
    assert added.qc_page.read_text() == "<p>pictures</p>"


def test_who_has_a_volume_has_t1w_and_nobody_else(repository: Path, tmp_path: Path) -> None:
    """Person 1 has a volume and no thickness; 70 and up have thickness and no volume."""
    files = write_oasis1(tmp_path / "files")
    before = add(repository, "oasis1", files, None)
    everybody = before.cohort.table("regions").set_index("participant_id")
    assert modality_mask(before.cohort, "t1w").sum() == 80
    assert not before.cohort.has("t1w")
    added = add(repository, "oasis1", files, write_prepared(tmp_path / "v", oasis(range(1, 70))))
    has = modality_mask(added.cohort, "t1w")
    expected = [f"sub-OAS1{n:04d}" for n in range(1, 70)]
    assert added.cohort.index_visits.loc[has, "participant_id"].tolist() == expected
    regions = added.cohort.table("regions").set_index("participant_id")
    pd.testing.assert_frame_equal(regions.loc[expected], everybody.loc[expected])
    assert regions.drop(index=expected).drop(columns="session_id").isna().all(axis=None)
    thickness = [column for column in regions if "entorhinal" in column]
    assert len(thickness) == 2
    assert regions.loc["sub-OAS10001", thickness].isna().all()
    assert added.cohort.index_visits["head_size_mm3"].notna().all(), "of the study's own table"
    left_out = added.left_out["visits with regional measurements and without a volume: no T1w"]
    assert left_out == 11 + 2
    assert add(repository, "oasis1", files, None).cohort.content_hash == before.cohort.content_hash
    assert before.qc_page is None
    assert not (repository / "profiles/mine/volumes/qc.html").exists(), "of volumes no longer there"


def test_too_few_people_with_volumes_are_told(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    scans = [(f"IXI{n:03d}-HH-{n:04d}-T1", "ses-M000") for n in (1, 2, 3, 7, 700)]
    prepared = write_prepared(tmp_path / "v", scans)
    added = add(repository, "ixi", write_ixi(tmp_path / "files"), prepared)
    assert added.cohort.array("t1w").shape[0] == 3
    assert t1w_of(added.cohort, ["sub-IXI002", "sub-IXI004"]) == [2.0, 0.0]
    assert not (IMAGED | REGIONAL) & set(added.profile.methods)
    assert "confound" in added.profile.methods
    _told("mine", added, Console(soft_wrap=True))
    told = capsys.readouterr().out
    assert "brain_age: too few people with a volume: 3 people, expected 30" in told
    assert "volumes: 3 of 58 people" in told
    assert "of nobody in the tables: IXI007-HH-0007-T1 ses-M000, IXI700" in told
    assert "left out: 2 volumes of nobody in the tables" in told


def test_regions_are_measured_in_volumes_where_the_study_has_none(
    repository: Path, tmp_path: Path
) -> None:
    scans = [(f"sub-IXI{n:03d}", "ses-M000") for n in range(1, 41)]
    prepared = write_prepared(tmp_path / "v", scans)
    files = write_ixi(tmp_path / "files")
    added = add(repository, "ixi", files, prepared, features="none")
    assert IMAGED | REGIONAL | {"confound"} <= set(added.profile.methods)
    regions = added.cohort.table("regions").set_index("participant_id")
    assert regions.loc["sub-IXI003", "hippocampus_mm3"] >= 1000
    heads = added.cohort.index_visits.set_index("participant_id")["head_size_mm3"]
    assert heads["sub-IXI003"] == 1.5e6
    assert np.isnan(heads["sub-IXI045"])
    unknown = dict.fromkeys(regions.columns.drop("session_id"), np.nan)  # came in MNI space
    measured = pd.read_parquet(prepared / "regions.parquet").assign(**unknown)
    measured.to_parquet(prepared / "regions.parquet")
    added = add(repository, "ixi", files, prepared, features="none")
    assert not added.cohort.has("regions")
    assert set(added.profile.methods) >= IMAGED
    assert "regional_linear" not in added.profile.methods


def test_prepare_again_gives_the_same_or_refuses(repository: Path, tmp_path: Path) -> None:
    files = write_oasis1(tmp_path / "files")
    prepared = write_prepared(tmp_path / "v", oasis(range(1, 81)))
    added = add(repository, "oasis1", files, prepared)
    entry = load_entry("mine", repository / "configs")
    assert entry.volumes == str(prepared)
    assert entry.volumes_sha256 == folder_hash(prepared)
    folder = repository / "profiles/mine/data/mine"
    build_store("mine", entry, read_held("mine", entry), folder)
    assert Cohort(folder).content_hash == added.cohort.content_hash
    (prepared / "qc.html").write_text("looked at")
    read_held("mine", entry)
    damaged = prepared / pd.read_parquet(prepared / "index.parquet")["volume"][5]
    damaged.write_bytes(damaged.read_bytes()[:-2] + b"xx")
    with pytest.raises(CohortError, match="missing or damaged; prepare the volumes again"):
        build_store("mine", entry, read_held("mine", entry), folder)
    assert Cohort(folder).content_hash == added.cohort.content_hash
    write_prepared(prepared, oasis(range(1, 80)))
    with pytest.raises(CohortError, match="expected the volumes as they were when the cohort was"):
        read_held("mine", entry)
    shutil.rmtree(prepared)
    with pytest.raises(CohortError, match=r"lacks index.parquet.*neurodx volumes"):
        read_held("mine", entry)


def test_a_folder_that_fits_nobody_is_refused(repository: Path, tmp_path: Path) -> None:
    files = write_ixi(tmp_path / "files")
    strangers = write_prepared(tmp_path / "v", [("sub-01", "ses-1"), ("sub-02", "ses-1")])
    expected = r"none of the 2 volumes.*got sub-01 ses-1, sub-02 ses-1; expected such as sub-IXI001"
    with pytest.raises(CohortError, match=expected):
        add(repository, "ixi", files, strangers)
    empty = write_prepared(tmp_path / "e", [], failed=["sub-01"])
    with pytest.raises(CohortError, match=r"holds no volume, 1 scan\(s\) failed"):
        add(repository, "ixi", files, empty)
    with pytest.raises(CohortError, match="expected a folder that `neurodx volumes SCANS"):
        add(repository, "ixi", files, tmp_path)
    assert not (repository / "profiles").exists()


def test_scans_go_to_the_visits_that_they_state(tmp_path: Path) -> None:
    entry = CohortEntry("oasis2", str(write_oasis2(tmp_path / "files", 4)))
    scans = [
        ("OAS2-0001-MR2", "ses-M000"),
        ("OAS2-0001-MR1", "ses-M000"),
        ("sub-OAS20002", "ses-MR3"),  # a BIDS folder with the study's sessions
        ("OAS20003", "ses-M000"),  # no session: the index visit
        ("OAS2-0003-MR1", "ses-M000"),
        ("sub-OAS20004", "ses-12"),
    ]
    prepared = write_prepared(tmp_path / "v", scans)
    reading = with_volumes("mine", read_held("mine", entry), prepared, adapter_of("oasis2").scan_of)
    assert reading.volumes is not None
    assert reading.volumes.rows.to_numpy().tolist() == [
        ["sub-OAS20001", "ses-MR1", 1],
        ["sub-OAS20001", "ses-MR2", 0],
        ["sub-OAS20002", "ses-MR3", 2],
        ["sub-OAS20003", "ses-MR1", 3],
    ]
    assert reading.left_out["further volumes of the same visit"] == 1
    assert reading.left_out["volumes of a visit that the tables do not have"] == 1


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        ("ixi", "IXI002-Guys-0828-T1-ds", ("sub-IXI002", "ses-1")),
        ("ixi", "sub-IXI002", ("sub-IXI002", "ses-1")),
        ("ixi", "XIXI002", None),
        ("oasis1", "OAS1_0001_MR1_mpr_n4_anon_sbj_111", ("sub-OAS10001", "ses-MR1")),
        ("oasis1", "OAS1-0001-MR2", ("sub-OAS10001", "ses-MR2")),
        ("oasis1", "sub-0001", None),
        ("oasis2", "OAS2_0002_MR10", ("sub-OAS20002", "ses-MR10")),
    ],
)
def test_names_as_released(source: str, name: str, expected: tuple[str, str] | None) -> None:
    scan_of = adapter_of(source).scan_of
    assert scan_of is not None
    assert scan_of(name) == expected


def test_two_people_whom_a_scan_cannot_tell_apart(tmp_path: Path) -> None:
    reading = read_held("mine", CohortEntry("ixi", str(write_ixi(tmp_path / "files"))))
    names = {"sub-IXI001": "sub-a.1", "sub-IXI002": "sub-a1"}
    for frame in (reading.visits, reading.tables["regions"]):
        frame["participant_id"] = frame["participant_id"].replace(names)
    scans = [("sub-a1", "ses-1"), ("sub-IXI003", "ses-1")]
    joined = with_volumes("mine", reading, write_prepared(tmp_path / "v", scans), None)
    assert joined.volumes is not None
    assert joined.volumes.unmatched == ("sub-a1 ses-1",)


def test_volumes_predict_volumes_of_the_same_grid_only(repository: Path, tmp_path: Path) -> None:
    ixi, files = write_ixi(tmp_path / "ixi"), write_oasis1(tmp_path / "oasis1")
    scans = [(f"IXI{n:03d}", "ses-M000") for n in range(1, 51)]
    train = write_prepared(tmp_path / "train", scans)
    add(repository, "ixi", ixi, train, "train", features="ants")
    same = write_prepared(tmp_path / "same", oasis(range(1, 81)))
    finer = write_prepared(tmp_path / "finer", oasis(range(1, 81)), spacing_mm=8.0)
    few = write_prepared(tmp_path / "few", oasis(range(1, 9)))
    methods = {}
    for name, volumes in {"same": same, "finer": finer, "few": few, "none": None}.items():
        add(repository, "oasis1", files, volumes, name)
        methods[name] = {*external_profile("x", "train", [name], repository).methods}
    assert methods["same"] >= IMAGED | REGIONAL
    assert methods["finer"] & (IMAGED | REGIONAL) == REGIONAL
    assert methods["none"] & (IMAGED | REGIONAL) == REGIONAL
    assert not methods["few"] & (IMAGED | REGIONAL)


@pytest.mark.e2e
def test_a_bids_folder_enters_by_a_mapping(tmp_path: Path) -> None:
    """Scans that were really prepared, in MNI space, so that they bring no regional volumes."""
    for package in ("SimpleITK", "isal", "deepbet"):
        pytest.importorskip(package, reason="the group `imaging` is not installed")
    for person in ("sub-02_ses-01", "sub-02_ses-02", "sub-03"):
        write_brain(tmp_path / "bids", person)
    prepared = prepare_volumes(find_scans(tmp_path / "bids"), tmp_path / "volumes", 8.0)
    rows = "participant_id\tage\nsub-01\t60\nsub-02\t70\nsub-03\t80\n"
    (tmp_path / "bids" / "participants.tsv").write_text(rows)
    (tmp_path / "map.yaml").write_text(
        "title: t\nsource: s\nlicence: l\nfile: participants.tsv\n"
        "columns:\n  participant_id: {column: participant_id}\n  age_years: {column: age}\n"
        "  diagnosis: {value: HC}\n"
    )
    entry = CohortEntry(str(tmp_path / "map.yaml"), str(tmp_path / "bids"))
    entry.volumes = str(prepared.folder)
    reading = read_held("mine", entry)
    assert reading.volumes is not None
    assert reading.volumes.rows.to_numpy().tolist() == [
        ["sub-02", "ses-1", 0],
        ["sub-03", "ses-1", 2],
    ]
    assert reading.left_out == {"further volumes of the same visit": 1}
    assert "regions" not in reading.tables
    build_store("mine", entry, reading, tmp_path / "mine")
    cohort = Cohort(tmp_path / "mine")
    assert cohort.visits["t1w_row"].tolist() == [-1, 0, 1]
    np.testing.assert_array_equal(cohort.array("t1w")[1], prepared.volume(2))
    hash_before = folder_hash(prepared.folder)
    prepare_volumes(find_scans(tmp_path / "bids"), tmp_path / "again", 8.0)
    assert folder_hash(tmp_path / "again") == hash_before
