"""OASIS-1, OASIS-2 and IXI: made-up people in the released format, and the released files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from held_replicas import write_ixi, write_oasis1, write_oasis2
from held_replicas_forms import write_bids
from held_replicas_gated import write_adni, write_aibl, write_oasis3, write_ppmi, write_ukb
from sklearn.base import is_classifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmark.cohorts.held import released
from benchmark.cohorts.held.adapters import ADAPTERS
from benchmark.cohorts.held.entry import CohortEntry, read_held
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import Reading
from benchmark.cohorts.held.regional import read_regions
from benchmark.cohorts.held.released import ReleasedTable
from benchmark.errors import CohortError, ConfigError
from benchmark.tasks import TASKS, get_task, labels_for

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
REPLICAS: dict[str, Callable[[Path], Path]] = {
    "oasis1": write_oasis1,
    "oasis2": write_oasis2,
    "ixi": write_ixi,
    "bids": write_bids,
}
GATED: dict[str, Callable[[Path], Path]] = {
    "adni": write_adni,
    "aibl": write_aibl,
    "oasis3": write_oasis3,
    "ppmi": write_ppmi,
    "ukb": write_ukb,
}


def read(name: str, root: Path, **options: str) -> Reading:
    return read_held(name, CohortEntry(source=name, root=str(root), options=options))


def real(name: str, **options: str) -> Reading:
    if not (SHARED / name).is_dir():
        pytest.skip(f"{SHARED / name} is absent: the released files are not in this repository")
    return read(name, SHARED / name, **options)


def class_counts(reading: Reading, task: str) -> dict[str, int]:
    labels = labels_for(get_task(task), reading.visits)
    values = labels.values[labels.mask].astype(int)
    return {name: int((values == k).sum()) for k, name in enumerate(get_task(task).classes)}


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_an_adapter_states_its_terms_and_answers_known_tasks(name: str, tmp_path: Path) -> None:
    adapter = ADAPTERS[name]
    assert adapter.name == name
    assert all([adapter.source, adapter.licence, adapter.terms, adapter.citation])
    assert set(adapter.options) == set(adapter.about_options)
    reading = read(name, (REPLICAS | GATED)[name](tmp_path))
    assert reading.tasks.keys() <= TASKS.keys()
    assert all(file.is_relative_to(tmp_path) for file in reading.files)


def test_oasis1_rates_the_old_and_keeps_repeats_with_their_person(tmp_path: Path) -> None:
    reading = read("oasis1", write_oasis1(tmp_path))
    table = pd.read_csv(tmp_path / "oasis_cross-sectional.csv", keep_default_na=False)
    first = table.loc[table["ID"].str.endswith("MR1")]
    index = reading.visits.loc[reading.visits["is_index"]].reset_index(drop=True)
    assert index["participant_id"].tolist() == [f"sub-OAS1{i[5:9]}" for i in first["ID"]]
    assert len(reading.visits) == len(table)
    again = reading.visits.loc[~reading.visits["is_index"]]
    assert again["visit_months"].tolist() == [round(7 / 30.4375, 2), round(89 / 30.4375, 2)]
    old = (first["Age"].astype(int) >= 60).to_numpy()
    expected = np.where(old, (first["CDR"] > "0").astype(float), np.nan)
    np.testing.assert_array_equal(index["impaired"], expected)
    assert set(index.loc[~old, "diagnosis"]) == {"CN"}
    regions = reading.tables["regions"]
    head = first["eTIV"].to_numpy(float) * 1000
    np.testing.assert_allclose(regions["head_size_mm3"].iloc[: len(first)], head)
    brain = (head * first["nWBV"].astype(float)).round(1)
    np.testing.assert_allclose(regions["whole_brain_mm3"].iloc[: len(first)], brain)
    ants = pd.read_csv(tmp_path / "ants_thickness.csv")
    found = regions["left_entorhinal_thickness_mm"].to_numpy()
    assert np.isnan(found[0])  # the scan that failed
    np.testing.assert_array_equal(found[1:], ants["left.entorhinal"])


def test_oasis1_as_released() -> None:
    reading = real("oasis1")
    assert class_counts(reading, "impaired") == {"control": 98, "impaired": 100}
    assert reading.visits["is_index"].sum() == 416
    assert (~reading.visits["is_index"]).sum() == 20
    regions = reading.tables["regions"].set_index(["participant_id", "session_id"])
    thick = regions.filter(like="_thickness_mm")
    assert thick.shape == (436, 62)
    assert thick.notna().all(axis=1).sum() == 433
    assert not reading.left_out


def sklearn_score(model: Pipeline, inputs: pd.DataFrame, labels: np.ndarray) -> float:
    """Five folds by scikit-learn: AUROC of classes, else the mean absolute error."""
    filled = inputs.fillna(inputs.median())
    if is_classifier(model):
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        answer = cross_val_predict(model, filled, labels, cv=folds, method="predict_proba")[:, 1]
        return float(roc_auc_score(labels, answer))
    answer = cross_val_predict(model, filled, labels, cv=KFold(5, shuffle=True, random_state=0))
    return float(np.abs(answer - labels).mean())


def joined(reading: Reading, task: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Index visits with their regions, and labels, of the people who are eligible."""
    labels = labels_for(get_task(task), reading.visits)
    index = reading.visits.loc[reading.visits["is_index"]].reset_index(drop=True)
    keys = ["participant_id", "session_id"]
    both = index.drop(columns=["head_size_mm3"], errors="ignore")
    both = both.merge(reading.tables["regions"], on=keys, how="left")
    return both.loc[labels.mask], labels.values[labels.mask]


def test_oasis1_scores_as_others_score_it() -> None:
    """Of other code on the same files: age and sex 0.55, with eTIV and nWBV 0.73, with MMSE 0.88;
    thickness 0.72."""
    people, labels = joined(real("oasis1"), "impaired")
    people = people.assign(sex=(people["sex"] == "M").astype(float))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    people["nwbv"] = people["whole_brain_mm3"] / people["head_size_mm3"]
    known = ["age_years", "sex"]
    assert sklearn_score(model, people[known], labels) == pytest.approx(0.55, abs=0.05)
    volumes = [*known, "head_size_mm3", "nwbv"]
    assert sklearn_score(model, people[volumes], labels) == pytest.approx(0.73, abs=0.05)
    circular = [*volumes, "mmse"]
    assert sklearn_score(model, people[circular], labels) == pytest.approx(0.88, abs=0.05)
    thick = people.filter(like="_thickness_mm")
    sparse = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=5000))
    assert sklearn_score(sparse, thick, labels) == pytest.approx(0.72, abs=0.05)


@pytest.mark.parametrize(("features", "expected"), [("freesurfer", 8.5), ("ants", 6.7)])
def test_ixi_scores_as_others_score_it(features: str, expected: float) -> None:
    people, ages = joined(real("ixi", features=features), "brain_age")
    assert np.abs(ages - ages.mean()).mean() == pytest.approx(14.5, abs=0.2)
    model = make_pipeline(StandardScaler(), Ridge(30.0))
    measured = people.filter(regex="_mm3?$")  # FreeSurfer's table has two volumes as well
    assert sklearn_score(model, measured, ages) == pytest.approx(expected, abs=0.5)


def test_oasis2_labels_come_from_the_visits_alone(tmp_path: Path) -> None:
    reading = read("oasis2", write_oasis2(tmp_path))
    assert class_counts(reading, "conversion") == {"sMCI": 20, "pMCI": 20}
    assert class_counts(reading, "impaired") == {"control": 40, "impaired": 40}
    assert "Group" not in reading.visits
    table = pd.read_csv(tmp_path / "oasis_longitudinal.csv").sample(frac=1, random_state=0)
    table.assign(Group="Nondemented").to_csv(tmp_path / "oasis_longitudinal.csv", index=False)
    other = read("oasis2", tmp_path)
    keys = ["participant_id", "session_id"]
    a, b = (r.visits.sort_values(keys).reset_index(drop=True) for r in (reading, other))
    pd.testing.assert_frame_equal(a, b)


def test_oasis2_as_released() -> None:
    """Against a count by hand over the released rows."""
    reading = real("oasis2")
    table = pd.read_csv(SHARED / "oasis2" / "oasis_longitudinal.csv")
    counted = {"sMCI": 0, "pMCI": 0}
    for _, visits in table.sort_values("MR Delay").groupby("Subject ID"):
        if visits["CDR"].iloc[0] != 0.5:
            continue
        months = visits["MR Delay"].iloc[1:] / 30.4375
        demented = visits["CDR"].iloc[1:] >= 1
        reached = months[demented].min() if demented.any() else np.inf
        if reached <= 36:
            counted["pMCI"] += 1
        elif (months[months < reached] >= 36).any():
            counted["sMCI"] += 1
    assert class_counts(reading, "conversion") == counted
    assert reading.visits["participant_id"].nunique() == 150
    at_first = table.loc[table["Visit"] == 1, "CDR"]
    assert class_counts(reading, "impaired")["impaired"] == (at_first > 0).sum()


def test_ixi_duplicates(tmp_path: Path) -> None:
    reading = read("ixi", write_ixi(tmp_path), features="ants")
    ids = reading.visits["participant_id"].tolist()
    assert len(ids) == len(set(ids)) == 58
    assert "sub-IXI005" in ids
    assert not {"sub-IXI007", "sub-IXI009"} & set(ids)
    assert reading.left_out == {
        "lines without an age": 1,
        "people whose lines disagree about age or sex": 1,
        "scans of nobody whose age is known": 2,
    }
    first = reading.visits.iloc[0]
    assert (first["site_id"], first["field_strength_t"], first["sex"]) == ("HH", 3.0, "M")


def test_ixi_by_freesurfer_or_ants(tmp_path: Path) -> None:
    root = write_ixi(tmp_path)
    ours, theirs = (read("ixi", root, features=f).tables["regions"] for f in ("freesurfer", "ants"))
    assert ours["head_size_mm3"].between(1.2e6, 1.9e6).all()
    np.testing.assert_allclose(
        ours["lh_entorhinal_thickness_mm"], theirs["left_entorhinal_thickness_mm"] - 0.3
    )
    with pytest.raises(ConfigError, match="features is 'spm', expected freesurfer or ants"):
        read("ixi", root, features="spm")
    with pytest.raises(ConfigError, match=r"has no option 'feature'.*Did you mean 'features'"):
        read("ixi", root, feature="ants")


@pytest.mark.parametrize("features", ["freesurfer", "ants", "none"])
def test_ixi_reads_each_of_its_files_once_and_names_them(
    features: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    records = released._records

    def counted(path: Path, separator: str) -> dict[int, list[str]]:
        seen.append(path)
        return records(path, separator)

    root = write_ixi(tmp_path)
    monkeypatch.setattr(released, "_records", counted)
    reading = read("ixi", root, features=features)
    assert sorted(seen) == sorted(reading.files)
    assert len(seen) == len(set(seen))
    assert "ants_thickness.csv" in {path.name for path in seen}  # for the sites, whatever enters


def test_ixi_as_released() -> None:
    reading = real("ixi")
    table = pd.read_csv(SHARED / "ixi" / "IXI_age_gender.csv")
    measured = pd.read_csv(SHARED / "ixi" / "IXI_aparc_thickness.csv")
    common = set(table["participant_id"]) & set(measured["participant_id"])
    assert len(common) == 558
    assert set(reading.visits["participant_id"]) == common - {"sub-IXI219", "sub-IXI328"}
    assert reading.visits["site_id"].isin(["Guys", "HH", "IOP"]).all()
    again = real("ixi", features="ants").visits.set_index("participant_id")
    ours = reading.visits.set_index("participant_id")["age_years"]
    common = ours.index.intersection(again.index)
    assert len(common) > 550
    pd.testing.assert_series_equal(ours[common], again.loc[common, "age_years"])


def test_every_violation_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    root = write_oasis1(tmp_path)
    path = root / "oasis_cross-sectional.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table.loc[0, "Age"] = "unknown"
    table.loc[1, "Age"] = "150"
    table.loc[4, "M/F"] = "female"
    table.loc[7, "ID"] = table.loc[6, "ID"]
    table = table.rename(columns={"nWBV": "nwbv"})
    table.to_csv(path, index=False)
    problems = Problems()
    with pytest.raises(CohortError) as caught:
        read_held("mine", CohortEntry(source="oasis1", root=str(root)), problems)
    told = str(caught.value)
    assert "'Age': expected a number from 18 to 120 (line 2: 'unknown'; line 3: '150')" in told
    assert "'M/F': expected one of M, F (line 6: 'female')" in told
    assert f"this session appears twice (line 9: '{table.loc[6, 'ID']}')" in told
    assert "column 'nWBV': this column is missing; is it 'nwbv'?" in told
    lines = set(problems.table()[["column", "line"]].itertuples(index=False, name=None))
    assert lines == {("Age", 2), ("Age", 3), ("M/F", 6), ("ID", 9), ("nWBV", 0)}


@pytest.mark.parametrize("name", sorted(REPLICAS))
def test_a_missing_or_broken_file_is_named(name: str, tmp_path: Path) -> None:
    root = REPLICAS[name](tmp_path)
    files = [p for p in sorted(root.iterdir()) if p.suffix != ".json"]
    needed = next(p for p in files if not p.name.startswith(("ants", "IXI")))
    content = needed.read_text()
    needed.write_bytes(b"\xff\xfe\x00broken")
    with pytest.raises(CohortError, match=rf"{needed.name}: cannot be read as a table"):
        read(name, root)
    needed.write_text(content.splitlines()[0] + "\n")
    with pytest.raises(CohortError, match=rf"{needed.name}.*: the table has no rows"):
        read(name, root)
    needed.unlink()
    with pytest.raises(CohortError, match="this file is missing"):
        read(name, root)


def test_freesurfer_tables_keep_regions_and_their_units(tmp_path: Path) -> None:
    """Headers as ``aparcstats2table`` and ``asegstats2table`` write them."""
    path = tmp_path / "aseg.tsv"
    path.write_text(
        "Measure:volume\tLeft-Hippocampus\tlh_bankssts_thickness\tlh_bankssts_volume\t"
        "lh_MeanThickness_thickness\tlhSurfaceHoles\tBrainSegVol-to-eTIV\t"
        "EstimatedTotalIntraCranialVol\tCC_Posterior\n"
        "s1\t3512.5\t2.45\t2345\t2.61\t12\t0.74\t1545767.8\t900\n"
    )
    problems = Problems()
    table = ReleasedTable.read(path, problems)
    keys = pd.DataFrame({"participant_id": ["sub-1"], "session_id": ["ses-1"]})
    found = read_regions(table, "freesurfer", keys).drop(columns=["participant_id", "session_id"])
    assert not problems.found
    assert found.iloc[0].to_dict() == {
        "left_hippocampus_mm3": 3512.5,
        "lh_bankssts_thickness_mm": 2.45,
        "lh_bankssts_volume_mm3": 2345.0,
        "lh_mean_thickness_thickness_mm": 2.61,
        "head_size_mm3": 1545767.8,
        "cc_posterior_mm3": 900.0,
    }
