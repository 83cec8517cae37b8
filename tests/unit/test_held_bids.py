"""A BIDS folder without a mapping, on a replica: made-up people in BIDS. Nobody in it is real."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from held_replicas_forms import write_bids
from held_volumes import write_prepared

from benchmark.cohorts.held.build import build_store
from benchmark.cohorts.held.entry import CohortEntry, read_held
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import Reading
from benchmark.errors import CohortError
from benchmark.imaging.finding import find_scans
from benchmark.store import Cohort
from benchmark.tasks import get_task, labels_for


def read(root: Path, problems: Problems | None = None, **options: str) -> Reading:
    return read_held("mine", CohortEntry("bids", str(root), options=options), problems)


def table(root: Path, name: str, change: dict[str, dict[int, str]]) -> None:
    """Changes cells of a table: column -> row -> text; a new column is ``n/a`` elsewhere."""
    frame = pd.read_csv(root / name, sep="\t", dtype=str, keep_default_na=False)
    for column, cells in change.items():
        values = list(frame.get(column, pd.Series("n/a", index=frame.index)))
        for row, text in cells.items():
            values[row] = text
        frame[column] = values
    frame.to_csv(root / name, sep="\t", index=False)


def people(root: Path, header: str, *rows: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    lines = [header, *rows]
    (root / "participants.tsv").write_text("\n".join(x.replace(" ", "\t") for x in lines) + "\n")
    return root


def sessions(root: Path, who: str, header: str, *rows: str) -> None:
    (root / who).mkdir(exist_ok=True)
    lines = [header, *rows]
    path = root / who / f"{who}_sessions.tsv"
    path.write_text("\n".join(x.replace(" ", "\t") for x in lines) + "\n")


def test_people_and_sessions(tmp_path: Path) -> None:
    reading = read(write_bids(tmp_path))
    visits, source = reading.visits, pd.read_csv(tmp_path / "participants.tsv", sep="\t")
    index = visits.loc[visits["is_index"]].set_index("participant_id")
    assert index.index.tolist() == source["participant_id"].tolist()
    assert len(visits) == 3 * 79 + 1
    assert set(index["session_id"]) == {"ses-c", "ses-scan"}, "the earliest, whatever its name"
    later = sorted(visits.loc[~visits["is_index"], "visit_months"].unique())
    np.testing.assert_allclose(later, [400 / 30.4375, 1200 / 30.4375], atol=0.005)
    assert index["diagnosis"].tolist() == ["CN", "MCI", "MCI", "AD"] * 20
    assert index["age_years"].iloc[2] == 89
    assert np.isnan(index["age_years"].iloc[0])
    at_first = float(source["age"].iloc[3])
    third = visits.loc[visits["participant_id"] == "sub-004"].set_index("session_id")
    np.testing.assert_allclose(
        third.loc[["ses-c", "ses-a", "ses-b"], "age_years"],
        [at_first, at_first + 400 / 365.25, at_first + 1200 / 365.25],
        atol=0.001,
    )
    assert index["sex"].iloc[:4].tolist() == ["F", "M", "F", "M"]
    assert index["sex"].isna().sum() == 16, "another sex is no class of the store"
    assert index["mmse"].iloc[:3].tolist() == [29, 29, 28], "of the session, else of the person"
    assert visits["education_years"].notna().all()
    assert set(visits["site_id"]) == {"S0", "S1"}
    assert not {"handedness", "group"} & set(visits)
    for task, least in (("conversion", {0: 19, 1: 20}), ("dx3", {0: 20, 1: 40, 2: 20})):
        labels = labels_for(get_task(task), visits)
        values = labels.values[labels.mask]
        assert {k: int((values == k).sum()) for k in least} == least
    assert list(reading.tasks) == ["dx3", "conversion", "brain_age"]
    assert reading.facts == {"source": "Made-up BIDS", "licence": "CC0", "terms": "CC0"}
    assert len(reading.files) == 1 + 79 + 2


def test_scans_join_their_sessions(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "bids")
    scans = [("sub-003", "ses-c"), ("sub-003", "ses-b"), ("sub-002", "ses-scan")]
    for who, session in [*scans, ("sub-004", "ses-other")]:
        folder = root / who / session / "anat"
        folder.mkdir(parents=True)
        (folder / f"{who}_{session}_T1w.nii.gz").touch()
    named = [(s.participant, s.session) for s in find_scans(root)]
    prepared = write_prepared(tmp_path / "volumes", named)
    entry = CohortEntry("bids", str(root), volumes=str(prepared))
    reading = read_held("mine", entry)
    rows = reading.volumes.rows[["participant_id", "session_id"]].to_numpy().tolist()
    assert sorted(map(tuple, rows)) == sorted(scans)
    assert reading.left_out["volumes of a visit that the tables do not have"] == 1
    build_store("mine", entry, reading, tmp_path / "store")
    cohort = Cohort(tmp_path / "store")
    assert cohort.card["availability"]["t1w"] == 2
    assert cohort.card["licence"] == "CC0"


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    root = write_bids(tmp_path)
    table(root, "participants.tsv", {"age": {3: "old"}, "sex": {4: "x"}, "group": {1: "7"}})
    table(root, "sub-005/sub-005_sessions.tsv", {"acq_time": {0: "n/a", 1: "yesterday"}})
    table(root, "sub-006/sub-006_sessions.tsv", {"diagnosis": {2: "FTD"}, "MMSE": {0: "31"}})
    table(root, "sub-007/sub-007_sessions.tsv", {"session_id": {1: "ses-b"}})
    table(root, "sub-008/sub-008_sessions.tsv", {"session_id": {0: "b"}})
    (root / "sub-999").mkdir()
    problems = Problems()
    with pytest.raises(CohortError) as caught:
        read(root, problems)
    found = {(p.file, p.column, p.line) for p in problems.found}
    assert found == {
        ("participants.tsv", "age", 5),
        ("participants.tsv", "sex", 6),
        ("participants.tsv", "group", 3),
        ("participants.tsv", "participant_id", 0),
        ("sub-005/sub-005_sessions.tsv", "", 2),
        ("sub-005/sub-005_sessions.tsv", "acq_time", 3),
        ("sub-006/sub-006_sessions.tsv", "diagnosis", 4),
        ("sub-006/sub-006_sessions.tsv", "MMSE", 2),
        ("sub-007/sub-007_sessions.tsv", "session_id", 3),
        ("sub-008/sub-008_sessions.tsv", "session_id", 2),
    }
    told = str(caught.value)
    assert "found in all: 'CN', '7', 'MCI', 'AD', 'FTD'. Say what they mean in a mapping" in told
    assert "docs/data.md" in told
    assert "these have none: sub-999" in told


def test_ages_give_the_time_where_there_are_no_dates(tmp_path: Path) -> None:
    root = people(tmp_path, "participant_id age group", "sub-1 70 MCI", "sub-2 80 AD")
    sessions(root, "sub-1", "session_id age", "ses-late 72.5", "ses-early 70", "ses-same 72.5")
    visits = read(root).visits.set_index("session_id")
    assert visits.loc["ses-early", "is_index"]
    times = visits.loc[["ses-early", "ses-late", "ses-same"], "visit_months"]
    assert times.tolist() == [0, 30, 30]
    assert visits.index.tolist() == ["ses-early", "ses-late", "ses-same", "ses-1"]
    assert visits["diagnosis"].tolist() == ["MCI", None, None, "AD"], "of the first visit alone"


def test_sessions_without_any_time_are_refused(tmp_path: Path) -> None:
    root = people(tmp_path, "participant_id group", "sub-1 AD", "sub-2 HC")
    sessions(root, "sub-1", "session_id", "ses-1", "ses-2")
    sessions(root, "sub-2", "session_id", "ses-1")
    with pytest.raises(CohortError, match=r"sub-1_sessions.tsv: several sessions need .*line 3"):
        read(root)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (("control", "PD", "Parkinson's-disease"), ["HC", "PD", "PD"]),
        (("Healthy_Controls", "AD", "eMCI"), ["CN", "AD", "MCI"]),
        (("CN", "PD"), ["HC", "PD"]),
        (("CN", "HC", "PD", "AD"), ["CN", "HC", "PD", "AD"]),
        (("cn", "n/a"), ["HC", None]),
    ],
)
def test_controls_are_named_by_the_company_they_keep(
    groups: tuple[str, ...], expected: list[str | None], tmp_path: Path
) -> None:
    rows = [f"sub-{k} {group}" for k, group in enumerate(groups)]
    reading = read(people(tmp_path, "participant_id diagnosis", *rows))
    assert reading.visits["diagnosis"].tolist() == expected


def test_levels_explain_codes_and_can_contradict_them(tmp_path: Path) -> None:
    root = people(tmp_path, "participant_id group sex", "sub-1 AD 1", "sub-2 2 2")

    def said(**levels: str) -> None:
        codes = {"group": {"Levels": levels}, "sex": {"Levels": {"1": "male", "2": "Female"}}}
        (root / "participants.json").write_text(json.dumps(codes))

    said(AD="probable Alzheimer's disease (NIA-AA)", **{"2": "Healthy controls"})
    visits = read(root).visits
    assert visits["diagnosis"].tolist() == ["AD", "CN"]
    assert visits["sex"].tolist() == ["M", "F"]
    said(AD="autistic disorder", **{"2": "typically developing"})
    with pytest.raises(CohortError, match=r"line 2: 'AD'; line 3: '2'"):
        read(root)


def test_other_units_and_another_column(tmp_path: Path) -> None:
    root = people(tmp_path, "participant_id age arm group", "sub-1 840 PD x", "sub-2 600 HC y")
    (root / "participants.json").write_text(json.dumps({"age": {"Units": "months"}}))
    visits = read(root, diagnosis="arm").visits
    assert visits["age_years"].tolist() == [70, 50]
    assert visits["diagnosis"].tolist() == ["PD", "HC"]
    with pytest.raises(CohortError, match=r"'nope': no table has this column"):
        read(root, diagnosis="nope")
    (root / "participants.json").write_text(json.dumps({"age": {"Units": "scans"}}))
    with pytest.raises(CohortError, match=r"Units of this column are 'scans'.*year, month"):
        read(root, diagnosis="arm")
    (root / "participants.json").write_text("{")
    with pytest.raises(CohortError, match=r"participants.json: cannot be read as JSON"):
        read(root, diagnosis="arm")


def test_two_rows_of_a_person_and_no_table(tmp_path: Path) -> None:
    root = people(tmp_path / "a", "participant_id group", "sub-1 AD", "sub-1 AD", "2 HC")
    problems = Problems()
    with pytest.raises(CohortError, match=r"sessions belong in sub-\*_sessions.tsv"):
        read(root, problems)
    assert {p.line for p in problems.found} == {3, 4}
    (tmp_path / "b").mkdir()
    with pytest.raises(CohortError, match=r"participants.tsv: this file is missing"):
        read(tmp_path / "b")
