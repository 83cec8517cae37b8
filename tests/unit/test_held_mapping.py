"""A table that nobody foresaw, by a mapping: own names, codes, units, dates, repeated visits."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.cohorts.held.entry import CohortEntry, adapter_of, read_held
from benchmark.cohorts.held.mapping_schema import load_mapping
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import Reading
from benchmark.errors import CohortError, ConfigError
from benchmark.tasks import get_task, labels_for
from benchmark.vocabulary import COLUMN_RANGES

DOCS = Path(__file__).resolve().parents[2] / "docs" / "data.md"
FACTS = "title: Made-up clinic\nsource: tests\nlicence: none\nfile: visits.csv\n"


def example() -> str:
    """The mapping that the documentation shows."""
    text = DOCS.read_text(encoding="utf-8")
    return text.split("<!-- mapping -->\n```yaml\n")[1].split("```")[0]


def write_clinic(root: Path, n: int = 80) -> Path:
    """The files of the documentation's example; nobody in them is real."""
    rng = np.random.default_rng(3)
    root.mkdir(parents=True, exist_ok=True)
    rows, lab = [], []
    for i in range(n):
        born = pd.Timestamp("1940-03-01") + pd.Timedelta(days=int(rng.integers(0, 4000)))
        seen = pd.Timestamp("2015-01-10") + pd.Timedelta(days=int(rng.integers(0, 900)))
        state = ("0", "1", "1", "2")[i % 4]
        for visit, days in enumerate((0, 400, 1200)):
            now = "2" if i % 4 == 1 and visit else state
            rows.append(
                {
                    "PatNr": f"P-{i:03d}",
                    "Besuch": f"V{visit}",
                    "Datum": (seen + pd.Timedelta(days=days)).strftime("%d.%m.%Y"),
                    "Geburt": born.strftime("%d.%m.%Y"),
                    "Geschlecht": "wm"[(i // 4) % 2],
                    "Schuljahre": -9 if i % 10 == 0 else 8 + i % 10,
                    "Diagnose": now,
                    "MMST": 29 - 3 * int(now),
                    "ApoE": ("e3/e3", "e3/e4", "e4/e4", "")[i % 4],
                    "ICV_ml": int(rng.integers(1200, 1800)),
                }
            )
        lab.append(
            {
                "PatNr": f"P-{i:03d}",
                "Besuch": "V0",
                "Tau": round(200 + 150 * int(state) + rng.normal(0, 30), 1),
                "p-Tau 181": -9 if i % 7 == 0 else 40 + i % 5,
            }
        )
    frame = pd.DataFrame(rows).sample(frac=1, random_state=0)
    frame.to_csv(root / "besuche.csv", index=False, sep=";")
    pd.DataFrame(lab).to_csv(root / "labor.csv", index=False, sep=";")
    return root


def read(root: Path, text: str, problems: Problems | None = None) -> Reading:
    path = root / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    return read_held("mine", CohortEntry(source=str(path), root=str(root)), problems)


def test_the_documented_mapping_reads_its_files(tmp_path: Path) -> None:
    reading = read(write_clinic(tmp_path), example())
    visits, table = reading.visits, pd.read_csv(tmp_path / "besuche.csv", sep=";")
    assert len(visits) == len(table) == 240
    index = visits.loc[visits["is_index"]].set_index("participant_id")
    assert len(index) == 80
    assert (index["visit_months"] == 0).all()
    first = table.loc[table["Besuch"] == "V0"].set_index("PatNr").sort_index()
    assert index.index.tolist() == ["sub-" + i.replace("-", "") for i in first.index]
    dates = [pd.to_datetime(first[c], format="%d.%m.%Y") for c in ("Datum", "Geburt")]
    years = (dates[0] - dates[1]).dt.days / 365.25
    np.testing.assert_allclose(index["age_years"], years, atol=1e-9)
    assert index["sex"].tolist() == ["F" if s == "w" else "M" for s in first["Geschlecht"]]
    assert index["diagnosis"].tolist() == [("CN", "MCI", "AD")[d] for d in first["Diagnose"]]
    np.testing.assert_array_equal(index["education_years"].isna(), first["Schuljahre"] == -9)
    np.testing.assert_allclose(index["head_size_mm3"], first["ICV_ml"] * 1000.0)
    assert index["apoe_e4"].iloc[:3].tolist() == [0, 1, 2]
    assert np.isnan(index["apoe_e4"].iloc[3])
    later = visits.loc[~visits["is_index"], "visit_months"].unique()
    np.testing.assert_allclose(sorted(later), [400 / 30.4375, 1200 / 30.4375], atol=0.005)
    labels = labels_for(get_task("conversion"), visits)
    assert (labels.values[labels.mask] == 1).sum() == 20
    assert (labels.values[labels.mask] == 0).sum() == 20
    proteins = reading.tables["biomarkers"]
    assert list(proteins) == ["participant_id", "session_id", "tau_pg_ml", "p_tau_181_pg_ml"]
    assert set(proteins["session_id"]) == {"ses-1"}
    assert proteins["p_tau_181_pg_ml"].isna().sum() == len(range(0, 80, 7))
    assert set(reading.tasks) == {"brain_age", "dx3", "conversion"}


def test_what_is_wrong_in_the_files_is_told_at_once(tmp_path: Path) -> None:
    root = write_clinic(tmp_path)
    table = pd.read_csv(root / "besuche.csv", sep=";", dtype=str).reset_index(drop=True)
    table.loc[0, "Datum"] = "2015-01-10"
    table.loc[1, "Geschlecht"] = "x"
    table.loc[2, "ICV_ml"] = "1450000"
    table.loc[4, ["PatNr", "Datum"]] = table.loc[3, ["PatNr", "Datum"]]
    table.to_csv(root / "besuche.csv", sep=";", index=False)
    problems = Problems()
    with pytest.raises(CohortError) as caught:
        read(root, example().replace("column: Schuljahre", "column: Jahre"), problems)
    found = set(problems.table()[["column", "line"]].itertuples(index=False, name=None))
    assert found >= {("Datum", 2), ("Geschlecht", 3), ("ICV_ml", 4), ("Jahre", 0)}
    assert {line for column, line in found if column == "PatNr"} & {5, 6}
    assert "expected a date %d.%m.%Y (line 2: '2015-01-10')" in str(caught.value)
    assert "'ICV_ml': expected a number from 100 to 5000 (line 4: '1450000')" in str(caught.value)


SURVIVAL = """
columns:
  participant_id: {column: id}
  age_years: {column: age}
  sex: {column: sex, codes: {no: F, yes: M}}
  diagnosis: {value: MCI}
time_to_event:
  months: {column: years, unit: years}
  event: {column: dementia, codes: {yes: 1, no: 0}}
"""


@pytest.mark.parametrize("exact", [False, True])
def test_a_time_to_event_becomes_conversion(tmp_path: Path, exact: bool) -> None:
    """Years to dementia or to the last visit; found at 4 years says nothing of 3."""
    years, events = [1.0, 3.0, 4.0, 2.0, 3.5], ["yes", "yes", "yes", "no", "no"]
    frame = pd.DataFrame(
        {"id": range(5), "age": 70, "sex": "no", "years": years, "dementia": events}
    )
    frame.to_csv(tmp_path / "visits.csv", index=False)
    extra = "  exact: true\n" if exact else ""
    reading = read(tmp_path, FACTS + SURVIVAL + extra)
    labels = labels_for(get_task("conversion"), reading.visits)
    expected = [1, 1, 0 if exact else np.nan, np.nan, 0]
    np.testing.assert_array_equal(labels.values, expected)
    assert set(reading.visits["sex"].dropna()) == {"F"}
    assert not reading.visits.loc[~reading.visits["is_index"], "age_years"].notna().any()


def test_regions_of_a_pipeline_and_rows_of_nobody(tmp_path: Path) -> None:
    people = pd.DataFrame({"id": ["a_1", "a_2"], "dx": ["n", "d"]})
    people.to_csv(tmp_path / "visits.csv", index=False)
    (tmp_path / "aseg.tsv").write_text(
        "Measure:volume\tLeft-Hippocampus\tEstimatedTotalIntraCranialVol\n"
        "a_1\t3500\t1500000\na_3\t3000\t1400000\n"
    )
    text = FACTS + (
        "columns:\n  participant_id: {column: id}\n"
        "  diagnosis: {column: dx, codes: {n: HC, d: PD}}\n"
        "tables:\n- {file: aseg.tsv, kind: regions, form: freesurfer, "
        "participant_id: 'Measure:volume'}\n"
    )
    reading = read(tmp_path, text)
    regions = reading.tables["regions"]
    assert regions.to_dict("list") == {
        "participant_id": ["sub-a1"],
        "session_id": ["ses-1"],
        "left_hippocampus_mm3": [3500.0],
        "head_size_mm3": [1500000.0],
    }
    assert reading.left_out == {"aseg.tsv: rows of no known visit": 1}
    assert "pd_hc" in reading.tasks


def test_every_mistake_of_a_mapping_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(
        "title: x\nsource: y\nfile: f.csv\n"
        "columns:\n"
        "  age_year: {column: a}\n"
        "  sex: {column: s, codes: {1: male}}\n"
        "  head_size_mm3: {column: h, unit: pints}\n"
        "  diagnosis: {column: d, value: CN}\n"
        "tables: [{file: t.csv, kind: blood, participant_id: id}]\n"
        "tasks: {conversions: mine}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_mapping(path)
    told = str(caught.value)
    for line in (
        "8 mistake(s)",
        "`licence` is missing",
        "`columns` names no participant_id",
        "no column 'age_year' in the store; did you mean 'age_years'?",
        "columns.sex: 'male', expected one of F, M",
        "columns.head_size_mm3: unit 'pints', expected one of mm3, cm3, ml, l",
        "columns.diagnosis: expected either `column` or `value`",
        "tables[0].kind: 'blood', expected one of regions, biomarkers",
        "tasks: no task 'conversions'; did you mean 'conversion'?",
    ):
        assert line in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n- b\n", "expected `key: value` lines"),
        ("a: [", "no YAML"),
        ("titel: x\n", "titel.*Did you mean 'title'"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        adapter_of(str(path))
    with pytest.raises(ConfigError, match="no such file"):
        adapter_of(str(tmp_path / "other.yaml"))


def test_the_table_of_a_bids_folder(tmp_path: Path) -> None:
    text = "participant_id\tage\tsex\tgroup\nsub-01\t71\tF\tcontrol\nsub-02\tn/a\tM\tpatient\n"
    (tmp_path / "participants.tsv").write_text(text)
    mapping = FACTS.replace("visits.csv", "participants.tsv") + (
        "columns:\n  participant_id: {column: participant_id}\n  age_years: {column: age}\n"
        "  sex: {column: sex}\n  diagnosis: {column: group, codes: {control: HC, patient: PD}}\n"
    )
    visits = read(tmp_path, mapping).visits
    assert visits["participant_id"].tolist() == ["sub-01", "sub-02"]
    assert visits["diagnosis"].tolist() == ["HC", "PD"]
    assert visits["age_years"].isna().tolist() == [False, True]


@pytest.mark.parametrize("written", [r"'\t'", r'"\t"', r"\t"])
def test_a_tab_may_be_written_with_a_backslash(written: str, tmp_path: Path) -> None:
    columns = "columns: {participant_id: {column: id}, age_years: {column: age}}"
    tasks = "tasks: {brain_age: made up}"
    (tmp_path / "visits.csv").write_text("id\tage\nA1\t70\nB2\t71.5\n")
    mapping = f"{FACTS}separator: {written}\n{columns}\n{tasks}\n"
    visits = read(tmp_path, mapping).visits
    assert visits["participant_id"].tolist() == ["sub-A1", "sub-B2"]
    assert visits["age_years"].tolist() == [70.0, 71.5]


def test_a_separator_is_one_character(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(FACTS + "separator: '; '\ncolumns: {participant_id: {column: id}}\n")
    with pytest.raises(ConfigError, match=r"separator '; ', expected one character, or \\t for"):
        load_mapping(path)


def test_a_value_outside_the_one_table_of_ranges_is_refused(tmp_path: Path) -> None:
    for column, (low, high) in COLUMN_RANGES.items():
        path = tmp_path / "mapping.yaml"
        given = f"{{participant_id: {{column: id}}, {column}: {{value: '{high + 1}'}}}}"
        path.write_text(f"{FACTS}columns: {given}\n")
        expected = re.escape(f"expected a number from {low:g} to {high:g}")
        with pytest.raises(ConfigError, match=expected):
            load_mapping(path)
