"""Second forms of two studies' files, on replicas: made-up people in that format. Nobody is real.

PPMI's curated data cut in place of its single tables; ADNI's lists of images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from held_replicas_forms import write_collection, write_mrilist, write_ppmi_curated
from held_replicas_gated import write_adni, write_ppmi
from held_volumes import write_prepared

from benchmark.cohorts.held.entry import CohortEntry, read_held
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import Reading
from benchmark.errors import CohortError
from benchmark.imaging.finding import find_scans
from benchmark.tasks import get_task, labels_for

CURATED = "PPMI_Curated_Data_Cut_Public_20250321.csv"
OTHER_VISIT = "volumes of a visit that the tables do not have"
FURTHER = "further volumes of the same visit"
P1, P2, P3 = "002_S_0001", "003_S_0002", "004_S_0003"


def test_ppmi_by_the_curated_data_cut(tmp_path: Path) -> None:
    reading = read_held("ppmi", CohortEntry("ppmi", str(write_ppmi_curated(tmp_path))))
    labels = labels_for(get_task("pd_hc"), reading.visits)
    values = labels.values[labels.mask]
    assert ((values == 0).sum(), (values == 1).sum()) == (38, 39)
    assert reading.left_out == {"people without a baseline visit": 1, "people of neither class": 2}
    people = reading.visits.set_index("participant_id")
    assert people.loc["sub-PPMI3000", "diagnosis"] == "HC", "by consensus"
    assert people.loc["sub-PPMI3002", "diagnosis"] == "PD", "by enrolment, without consensus"
    source = pd.read_csv(tmp_path / CURATED).query("EVENT_ID == 'BL'").set_index("PATNO")
    source = source.loc[[int(p.removeprefix("sub-PPMI")) for p in people.index]]
    ages, years = (pd.to_numeric(source[c], errors="coerce") for c in ("age_at_visit", "EDUCYRS"))
    np.testing.assert_array_equal(people["age_years"], ages)
    np.testing.assert_array_equal(people["education_years"], years)
    assert people["age_years"].isna().sum() == 1
    assert people["sex"].tolist() == ["FM"[s] for s in source["SEX"]]
    assert people["site_id"].tolist() == source["SITE"].astype(str).tolist()
    alleles = [np.nan if a == "." else a.count("4") for a in source["APOE"]]
    np.testing.assert_array_equal(people["apoe_e4"], alleles)
    assert not {"moca", "updrs3_score", "mmse"} & set(people)


def test_ppmi_curated_with_freesurfer_tables(tmp_path: Path) -> None:
    write_ppmi(tmp_path)
    for name in ("Participant_Status", "Demographics", "Socio-Economics"):
        (tmp_path / f"{name}_01Jan2025.csv").unlink()
    reading = read_held("ppmi", CohortEntry("ppmi", str(write_ppmi_curated(tmp_path))))
    assert len(reading.tables["regions"]) == len(reading.visits) == 77
    assert reading.visits["head_size_mm3"].eq(1.5e6).all()


def test_ppmi_curated_what_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    write_ppmi_curated(tmp_path)
    frame = pd.read_csv(tmp_path / CURATED, dtype=str).drop(columns="YEAR")
    frame.loc[1, ["COHORT", "SEX"]] = ["8.5", "2"]
    frame.loc[4, ["PATNO", "age_at_visit", "APOE"]] = ["3000", "205", "e5"]
    frame.to_csv(tmp_path / CURATED, index=False)
    problems = Problems()
    with pytest.raises(CohortError):
        read_held("ppmi", CohortEntry("ppmi", str(tmp_path)), problems)
    assert {(p.file, p.column, p.line) for p in problems.found} == {
        (CURATED, "COHORT", 3),
        (CURATED, "SEX", 3),
        (CURATED, "PATNO", 6),
        (CURATED, "age_at_visit", 6),
        (CURATED, "APOE", 6),
    }


def test_ppmi_in_two_forms_and_as_a_workbook(tmp_path: Path) -> None:
    write_ppmi(tmp_path / "both")
    write_ppmi_curated(tmp_path / "both")
    with pytest.raises(CohortError, match=r"Participant_Status_01Jan2025.csv: the curated data"):
        read_held("ppmi", CohortEntry("ppmi", str(tmp_path / "both")))
    (tmp_path / "excel").mkdir()
    (tmp_path / "excel" / CURATED.replace("csv", "xlsx")).touch()
    with pytest.raises(CohortError, match=r"20250321.xlsx: a workbook is not read; save its"):
        read_held("ppmi", CohortEntry("ppmi", str(tmp_path / "excel")))


def dated_adni(root: Path) -> Path:
    """The replica of ADNI with visits a year apart, on the first of June from 2006 on."""
    write_adni(root)
    path = root / "ADNIMERGE_01Jan2025.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    years = table["VISCODE"].map({"bl": "2006", "m12": "2007", "m24": "2008"})
    table.assign(EXAMDATE=years + "-06-01").to_csv(path, index=False)
    return root


def joined(root: Path, names: list[tuple[str, str]]) -> tuple[list[tuple[str, str, str]], Reading]:
    """(participant, session, the scan that was taken) and the reading."""
    prepared = write_prepared(root / "volumes", names)
    reading = read_held("adni", CohortEntry("adni", str(root / "files"), volumes=str(prepared)))
    rows = reading.volumes.rows.itertuples(index=False)
    return [(who, visit, names[row][0]) for who, visit, row in rows], reading


def test_adni_scans_by_image_identifier(tmp_path: Path) -> None:
    root = dated_adni(tmp_path / "files")
    rows = [
        ("I101", P1, "4/20/2006", "MRI"),  # 42 days before the baseline visit
        ("102", P1, "6/03/2006", "MRI"),  # nearer to it
        ("I103", P1, "7/01/2007", "MRI"),
        ("I104", P2, "1/15/2010", "MRI"),  # 137 days before month 48, known from DXSUM alone
        ("I105", P3, "12/15/2006", "MRI"),  # nearest to month 12: 168 days
        ("I106", P3, "1/01/2013", "MRI"),  # near no visit
        ("I107", P3, "6/01/2006", "PET"),
        ("I108", "941_S_9999", "6/01/2006", "MRI"),
    ]
    write_collection(root / "my_collection_6_01_2025.csv", rows)
    write_mrilist(
        root / "MRILIST_01Jan2025.csv", [("109", P2, "2008-05-01"), ("101", P1, "2006-04-20")]
    )
    ida = "ADNI-002-S-0001-MR-MPRAGE-br-raw-20060420120000-1-S10-"
    names = [(f"{ida}I{number}", "ses-M000") for number in range(101, 110)]
    names += [("I00103", "ses-M000"), ("sub-ADNI004S0003", "ses-M024"), ("I999", "ses-M000")]
    found, reading = joined(tmp_path, names)
    assert found == [
        ("sub-ADNI002S0001", "ses-M000", f"{ida}I102"),
        ("sub-ADNI002S0001", "ses-M012", f"{ida}I103"),
        ("sub-ADNI003S0002", "ses-M024", f"{ida}I109"),
        ("sub-ADNI003S0002", "ses-M048", f"{ida}I104"),
        ("sub-ADNI004S0003", "ses-M012", f"{ida}I105"),
        ("sub-ADNI004S0003", "ses-M024", "sub-ADNI004S0003"),
    ]
    assert (reading.left_out[FURTHER], reading.left_out[OTHER_VISIT]) == (2, 1)
    assert reading.volumes.unmatched == tuple(
        f"{scan} ses-M000" for scan in (f"{ida}I107", f"{ida}I108", "I999")
    )
    assert {"my_collection_6_01_2025.csv", "MRILIST_01Jan2025.csv"} < {
        file.name for file in reading.files
    }


def test_adni_in_the_folders_of_ida(tmp_path: Path) -> None:
    root = dated_adni(tmp_path / "files")
    write_collection(
        root / "t1.csv", [("I5", P1, "6/02/2006", "MRI"), ("7", P2, "5/30/2007", "MRI")]
    )
    scans = tmp_path / "ADNI"
    released = "ADNI_002_S_0001_MR_MPRAGE_br_raw_20060602120000_1_S10_I5.nii"
    for place, name in (
        (f"{P1}/MPRAGE/2006-06-02_12_00_00.0/I5", released),
        (f"{P2}/MPRAGE/2007-05-30_09_00_00.0/I7", "converted.nii.gz"),
    ):
        (scans / place).mkdir(parents=True)
        (scans / place / name).touch()
    names = [(s.participant, s.session) for s in find_scans(scans)]
    assert [name for name, _ in names] == [released[:-4].replace("_", "-"), "converted-I7"]
    found, _ = joined(tmp_path, names)
    assert [row[:2] for row in found] == [
        ("sub-ADNI002S0001", "ses-M000"),
        ("sub-ADNI003S0002", "ses-M012"),
    ]


def test_adni_lists_what_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    root = dated_adni(tmp_path)
    rows = [
        ("I1", P1, "2006-06-02", "MRI"),
        ("one", "2_S_1", "6/02/2006", "MRI"),
        ("I3", P1, "6/02/2006", "MRI"),
    ]
    write_collection(root / "t1.csv", rows)
    write_mrilist(root / "MRILIST.csv", [("3", P2, "2006-06-02"), ("4", P2, "6/2/2006")])
    problems = Problems()
    with pytest.raises(CohortError, match="another person or day than where this image"):
        read_held("adni", CohortEntry("adni", str(root)), problems)
    assert {(p.file, p.column, p.line) for p in problems.found} == {
        ("t1.csv", "Acq Date", 2),
        ("t1.csv", "Image Data ID", 3),
        ("t1.csv", "Subject", 3),
        ("MRILIST.csv", "IMAGEUID", 2),
        ("MRILIST.csv", "SCANDATE", 3),
    }
