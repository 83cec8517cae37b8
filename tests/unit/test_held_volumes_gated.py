"""Scans of gated studies by their BIDS names; files and people are made up, the names are not.

Names as the converters of Clinica write them (https://github.com/aramis-lab/clinica,
``clinica/converters``), and OASIS-3's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from held_replicas import write_oasis1
from held_replicas_gated import write_adni, write_aibl, write_oasis3, write_ukb
from held_volumes import write_prepared

from benchmark.cohorts.held.adapters import ADAPTERS
from benchmark.cohorts.held.build import build_store
from benchmark.cohorts.held.entry import CohortEntry, read_held
from benchmark.cohorts.held.reading import Reading
from benchmark.cohorts.held.volumes import with_volumes
from benchmark.imaging.finding import find_scans
from benchmark.samples.build import modality_mask
from benchmark.store import Cohort

OTHER_VISIT = "volumes of a visit that the tables do not have"
FURTHER = "further volumes of the same visit"


def bids(root: Path, *scans: tuple[str, str]) -> list[tuple[str, str]]:
    """A BIDS folder with empty files; what `neurodx volumes` would call them."""
    for who, session in scans:
        folder = root / who / session / "anat"
        folder.mkdir(parents=True)
        (folder / f"{who}_{session}_T1w.nii.gz").touch()
    return [(source.participant, source.session) for source in find_scans(root)]


def joined(tmp_path: Path, study: str, write: Callable[[Path], Path], *scans: tuple[str, str]):
    """Rows (participant, session, row) of the volumes that a study takes, and its reading."""
    prepared = write_prepared(tmp_path / "volumes", bids(tmp_path / "bids", *scans))
    entry = CohortEntry(study, str(write(tmp_path / "files")), volumes=str(prepared))
    reading = read_held("mine", entry)
    assert reading.volumes is not None
    rows = [tuple(row) for row in reading.volumes.rows.to_numpy().tolist()]
    build_store("mine", entry, reading, tmp_path / "store")
    return rows, reading, Cohort(tmp_path / "store")


@pytest.mark.parametrize("months", ["M000", "M00", "M0"])  # Clinica's digits have changed
def test_adni_as_clinica_names_it(months: str, tmp_path: Path) -> None:
    scans = [("sub-ADNI002S0001", f"ses-{months}"), ("sub-ADNI002S0001", "ses-M012")]
    stranger, unseen = ("sub-ADNI999S9999", "ses-M000"), ("sub-ADNI003S0002", "ses-M003")
    rows, reading, cohort = joined(tmp_path, "adni", write_adni, *scans, stranger, unseen)
    assert [row[:2] for row in rows] == [
        ("sub-ADNI002S0001", "ses-M000"),
        ("sub-ADNI002S0001", "ses-M012"),
    ]
    assert reading.left_out[OTHER_VISIT] == 1
    assert reading.volumes.unmatched == ("sub-ADNI999S9999 ses-M000",)
    has = modality_mask(cohort, "t1w")
    assert cohort.index_visits.loc[has, "participant_id"].tolist() == ["sub-ADNI002S0001"]


def test_aibl_as_clinica_names_it(tmp_path: Path) -> None:
    scans = [("sub-AIBL2", "ses-M000"), ("sub-AIBL2", "ses-M018"), ("sub-AIBL3", "ses-M036")]
    rows, _, cohort = joined(tmp_path, "aibl", write_aibl, *scans)
    assert [row[:2] for row in rows] == scans
    assert cohort.card["availability"]["t1w"] == 1, "who has a volume of the index visit"


def test_oasis3_by_the_nearest_visit(tmp_path: Path) -> None:
    """Visits on days 0, 400 and 1100; day 0 is before the index visit at 400 and is left out."""
    near, nearer, later, far = "ses-d0301", "ses-d0390", "ses-d1200", "ses-d0700"
    scans = [("sub-OAS30001", s) for s in (near, nearer, later, far)]
    clinica = [("sub-OAS30002", "ses-M012"), ("sub-OAS30002", "ses-M024")]  # days 365 and 731
    rows, reading, cohort = joined(tmp_path, "oasis3", write_oasis3, *scans, *clinica)
    named = bids(tmp_path / "again", *scans, *clinica)
    assert [(who, visit, named[row]) for who, visit, row in rows] == [
        ("sub-OAS30001", "ses-d0400", ("sub-OAS30001", nearer)),
        ("sub-OAS30001", "ses-d1100", ("sub-OAS30001", later)),
        ("sub-OAS30002", "ses-d0400", ("sub-OAS30002", "ses-M012")),
    ]
    assert (reading.left_out[FURTHER], reading.left_out[OTHER_VISIT]) == (1, 2)
    assert cohort.card["availability"]["t1w"] == 2
    first = cohort.index_visits.set_index("participant_id")["t1w_row"]["sub-OAS30001"]
    assert np.asarray(cohort.array("t1w")[first]).max() == named.index(("sub-OAS30001", nearer)) + 1


def test_oasis3_as_its_first_release_spells_sessions(tmp_path: Path) -> None:
    folder = tmp_path / "OAS30001_MR_d0129" / "anat2"
    folder.mkdir(parents=True)
    (folder / "sub-OAS30001_sess-d0129_T1w.nii.gz").touch()
    (source,) = find_scans(tmp_path)
    assert (source.participant, source.session) == ("sub-OAS30001", "ses-d0129")


def test_uk_biobank_at_the_first_imaging_visit_alone(tmp_path: Path) -> None:
    scans = [("sub-UKB1000001", "ses-M000"), ("sub-UKB1000001", "ses-M036")]
    only_later = ("sub-UKB1000004", "ses-M024")
    rows, reading, _ = joined(tmp_path, "ukb", write_ukb, *scans, only_later)
    assert rows == [("sub-UKB1000001", "ses-2", 0)]
    assert reading.left_out[OTHER_VISIT] == 2


def test_oasis1_as_clinica_names_it(tmp_path: Path) -> None:
    rows, _, _ = joined(tmp_path, "oasis1", write_oasis1, ("sub-OASIS10002", "ses-M000"))
    assert rows == [("sub-OAS10002", "ses-MR1", 0)]


@pytest.mark.parametrize(
    ("study", "write", "who"),
    [
        ("adni", write_adni, "sub-ADNI002S0001"),
        ("aibl", write_aibl, "sub-AIBL2"),
        ("oasis3", write_oasis3, "sub-OAS30001"),
        ("ukb", write_ukb, "sub-UKB1000001"),
    ],
)
def test_a_session_that_a_study_does_not_know_is_the_only_visit(
    study: str, write: Callable[[Path], Path], who: str, tmp_path: Path
) -> None:
    reading = read_held("mine", CohortEntry(study, str(write(tmp_path / "files"))))
    visit_of = ADAPTERS[study].visit_of
    index = reading.visits.loc[reading.visits["is_index"]].reset_index(drop=True)
    only = replace(reading, visits=index, tables={})
    home = index.set_index("participant_id")["session_id"][who]

    def rows(session: str, tables: Reading) -> list[tuple[str, str]]:
        other = (index["participant_id"].iloc[-1], index["session_id"].iloc[-1])  # always found
        folder = write_prepared(tmp_path / session, [(who, session), other])
        joint = with_volumes("mine", tables, folder, visit_of=visit_of)
        assert joint.volumes is not None
        keys = joint.volumes.rows[["participant_id", "session_id"]].to_numpy().tolist()
        return [tuple(key) for key in keys if tuple(key) != other]

    assert rows("ses-scan", only) == [(who, home)]
    late = "ses-d9999" if study == "oasis3" else "ses-M240"
    assert rows(late, only) == [], "a session that it knows is no other visit's"
    if not reading.visits["participant_id"].is_unique:
        assert rows("ses-first", reading) == []
