"""Gated studies on replicas: made-up people in the released format. Nobody in them is real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from held_replicas_gated import write_adni, write_aibl, write_oasis3, write_ppmi, write_ukb

from benchmark.cohorts.held.entry import CohortEntry, read_held
from benchmark.cohorts.held.reading import Reading
from benchmark.errors import CohortError
from benchmark.tasks import get_task, labels_for


def read(name: str, root: Path, **options: str) -> Reading:
    return read_held(name, CohortEntry(source=name, root=str(root), options=options))


def class_counts(reading: Reading, task: str) -> dict[str, int]:
    labels = labels_for(get_task(task), reading.visits)
    values = labels.values[labels.mask].astype(int)
    return {name: int((values == k).sum()) for k, name in enumerate(get_task(task).classes)}


def test_adni_baseline_and_follow_up(tmp_path: Path) -> None:
    reading = read("adni", write_adni(tmp_path))
    table = pd.read_csv(tmp_path / "ADNIMERGE_01Jan2025.csv", keep_default_na=False)
    first = table.loc[table["VISCODE"] == "bl"].set_index("PTID")
    index = reading.visits.loc[reading.visits["is_index"]]
    assert index["participant_id"].tolist() == [
        "sub-ADNI" + p.replace("_", "") for p in first.index
    ]
    assert class_counts(reading, "dx3") == {"CN": 30, "MCI": 60, "AD": 30}
    assert class_counts(reading, "conversion") == {"sMCI": 30, "pMCI": 30}
    np.testing.assert_allclose(index["age_years"], first["AGE"].astype(float))
    later = reading.visits.loc[reading.visits["session_id"] == "ses-M048"]
    assert len(later) == 120  # from the diagnostic summary
    assert later["age_years"].isna().all()
    genotype = pd.read_csv(tmp_path / "APOERES_01Jan2025.csv").set_index("PTID")["GENOTYPE"]
    assert index["apoe_e4"].iloc[0] == genotype.iloc[0].count("4")  # where the table has none
    assert index["apoe_e4"].iloc[1:4].tolist() == [1, 2, 0]
    fluids = reading.tables["biomarkers"].set_index("participant_id")
    assert fluids["abeta42_pg_ml"].iloc[:3].tolist() == [1700.0, 900.5, 200.0]
    assert fluids["p_tau181_pg_ml"].iloc[0] == 8.0
    regions = reading.tables["regions"]
    assert len(regions) == 120
    assert {"hippocampus_mm3", "ventricles_mm3", "head_size_mm3"} < set(regions)
    assert not {"hippocampus_mm3", "tau_pg_ml", "rid"} & set(reading.visits)
    assert "sub-ADNInan" not in set(reading.visits["participant_id"])


def test_adni_by_the_merged_table_alone(tmp_path: Path) -> None:
    root = write_adni(tmp_path)
    (root / "DXSUM_01Jan2025.csv").unlink()
    (root / "APOERES_01Jan2025.csv").unlink()
    reading = read("adni", root)
    assert class_counts(reading, "dx3") == {"CN": 30, "MCI": 60, "AD": 30}
    assert class_counts(reading, "conversion") == {"sMCI": 0, "pMCI": 30}  # followed for 24 months


@pytest.mark.parametrize("older", [{"DXCHANGE": {"1": "1", "2": "2", "3": "5"}}, {"DXCURREN": {}}])
def test_adni_diagnoses_of_older_phases(tmp_path: Path, older: dict[str, dict[str, str]]) -> None:
    root = write_adni(tmp_path)
    ((column, codes),) = older.items()
    path = root / "DXSUM_01Jan2025.csv"
    table = pd.read_csv(path, dtype=str)
    table = table.assign(**{column: table["DIAGNOSIS"].replace(codes)}).drop(columns="DIAGNOSIS")
    table.to_csv(path, index=False)
    reading = read("adni", root)
    assert class_counts(reading, "conversion") == {"sMCI": 30, "pMCI": 30}


def test_adni_alleles_and_two_releases_in_one_folder(tmp_path: Path) -> None:
    root = write_adni(tmp_path)
    path = root / "APOERES_01Jan2025.csv"
    table = pd.read_csv(path)
    split = table["GENOTYPE"].str.split("/", expand=True)
    table.assign(APGEN1=split[0], APGEN2=split[1]).drop(columns="GENOTYPE").to_csv(
        path, index=False
    )
    index = read("adni", root).visits.query("is_index")
    assert index["apoe_e4"].notna().all()
    (root / "ADNIMERGE_02Feb2025.csv").write_text((root / "ADNIMERGE_01Jan2025.csv").read_text())
    told = r"several files fit, leave one.*ADNIMERGE_01Jan2025.csv, ADNIMERGE_02Feb2025.csv"
    with pytest.raises(CohortError, match=told):
        read("adni", root)


def test_oasis3_takes_the_first_visit_with_a_scan_near(tmp_path: Path) -> None:
    reading = read("oasis3", write_oasis3(tmp_path))
    visits = reading.visits
    index = visits.loc[visits["is_index"]]
    assert set(index["session_id"]) == {"ses-d0400"}  # 50 days before the scan that passed
    assert not (visits["visit_months"] < 0).any()
    assert len(visits) == 2 * len(index) == 180
    later = visits.loc[~visits["is_index"], "visit_months"]
    np.testing.assert_allclose(later, 700 / 30.4375, atol=0.005)
    assert class_counts(reading, "impaired") == {"control": 30, "impaired": 60}
    assert class_counts(reading, "conversion") == {"sMCI": 0, "pMCI": 30}
    assert index["diagnosis"].isna().sum() == 30  # CDR 1 by another cause
    regions = reading.tables["regions"]
    assert len(regions) == 90
    assert regions["left_hippocampus_volume_mm3"].iloc[0] == 3500 + 450 / 100
    assert regions["lh_entorhinal_thickness_mm"].eq(3.2).all()
    head = regions.set_index("participant_id")["head_size_mm3"]
    assert index.set_index("participant_id")["head_size_mm3"].equals(head[index["participant_id"]])
    assert reading.left_out == {"MRI sessions that did not pass the quality check": 90}
    assert index["apoe_e4"].iloc[:3].tolist() == [0, 1, 2]


def test_oasis3_without_scans_begins_at_the_first_visit(tmp_path: Path) -> None:
    root = write_oasis3(tmp_path)
    (root / "OASIS3_Freesurfer_output.csv").unlink()
    reading = read("oasis3", root)
    assert set(reading.visits.query("is_index")["session_id"]) == {"ses-d0000"}
    assert not reading.tables
    assert class_counts(reading, "conversion") == {
        "sMCI": 0,
        "pMCI": 0,
    }  # 1100 days are 36.1 months


def test_aibl_joins_tables_by_visit(tmp_path: Path) -> None:
    reading = read("aibl", write_aibl(tmp_path))
    index = reading.visits.query("is_index")
    assert class_counts(reading, "dx3") == {"CN": 20, "MCI": 40, "AD": 19}
    assert index["diagnosis"].isna().sum() == 1  # another diagnosis
    assert class_counts(reading, "conversion") == {"sMCI": 20, "pMCI": 20}
    assert index["participant_id"].iloc[0] == "sub-AIBL2"
    assert index["age_years"].iloc[0] == pytest.approx(2007.5 - 1925.5, abs=0.01)
    assert index["apoe_e4"].iloc[:2].tolist() == [0, 1]
    assert index["mmse"].iloc[0] == 28
    assert set(index["site_id"]) == {"1", "2"}


@pytest.mark.parametrize(("cell", "refused"), [("2007-07-02", True), ("-4", False), ("", False)])
def test_aibl_dates_that_cannot_be_read_are_named(tmp_path: Path, cell: str, refused: bool) -> None:
    path = write_aibl(tmp_path) / "aibl_mmse_01-Jun-2018.csv"
    table = pd.read_csv(path, dtype=str)
    table.loc[4, "EXAMDATE"] = cell
    table.to_csv(path, index=False)
    if refused:
        with pytest.raises(CohortError, match=r"EXAMDATE.*expected a date month/day/year"):
            read("aibl", tmp_path)
    else:
        assert read("aibl", tmp_path).visits["age_years"].notna().all(), "CDR has the date too"


def test_ppmi_classes_are_those_of_the_consensus(tmp_path: Path) -> None:
    reading = read("ppmi", write_ppmi(tmp_path))
    assert class_counts(reading, "pd_hc") == {"HC": 39, "PD": 39}
    people = reading.visits.set_index("participant_id")
    assert people.loc["sub-PPMI3000", "diagnosis"] == "HC"
    assert reading.left_out == {"people of neither class": 2}
    assert people["sex"].iloc[:3].tolist() == ["F", "F", "M"]
    regions = reading.tables["regions"].set_index("participant_id")
    assert set(regions["left_putamen_mm3"]) == {4200.0, 4500.0}  # never those of a later visit
    assert regions["lh_cuneus_thickness_mm"].eq(2.1).all()
    assert regions["rh_cuneus_thickness_mm"].eq(2.2).all()
    assert people["head_size_mm3"].eq(1.5e6).all()


@pytest.mark.parametrize("platform", [False, True])
def test_ukb_in_either_spelling(tmp_path: Path, platform: bool) -> None:
    reading = read("ukb", write_ukb(tmp_path, platform=platform))
    assert len(reading.visits) == 59
    assert reading.left_out == {"people without an imaging visit": 1}
    assert "sub-UKB1000002" not in set(reading.visits["participant_id"])
    labels = labels_for(get_task("brain_age"), reading.visits)
    assert labels.mask.sum() == 58
    assert reading.visits.loc[~labels.mask, "participant_id"].tolist() == ["sub-UKB1000003"]
    regions = reading.tables["regions"]
    assert regions["left_hippocampus_mm3"].between(1800, 2000).all()
    assert regions["right_accumbens_mm3"].between(2300, 2500).all()
    assert set(reading.visits["site_id"]) == {"11025", "11026", "11027"}
