"""Replicas of further forms of release: made-up people in the exact format. Nobody is real."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

COLLECTION = (
    *("Image Data ID", "Subject", "Group", "Sex", "Age", "Visit", "Modality", "Description"),
    *("Type", "Acq Date", "Format", "Downloaded"),
)


def write_bids(root: Path, n: int = 80) -> Path:
    """In turn CN, sMCI, pMCI, AD, three sessions each by dates that were shifted; MMSE a session.

    The group in ``participants.tsv`` is a number that ``participants.json`` explains; the sessions
    state a diagnosis of their own. Person 1 has no age, person 2 no table of sessions.
    """
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(8)
    courses = ("CN CN CN", "MCI MCI MCI", "MCI AD AD", "AD AD AD")
    people = []
    for i in range(n):
        who, states = f"sub-{i + 1:03d}", courses[i % 4].split()
        people.append(
            {
                "participant_id": who,
                "age": "n/a" if i == 0 else ("89+" if i == 2 else round(60 + 25 * rng.random(), 1)),
                "sex": ("F", "M", "female", "Male", "O")[i % 5],
                "handedness": ("right", "left", "n/a")[i % 3],
                "site": f"S{i % 2}",
                "education_years": 8 + i % 10,
                "group": {"CN": 0, "MCI": 1, "AD": 2}[states[0]],
                "MMSE": 30 - i % 4,
            }
        )
        (root / who).mkdir()
        if i == 1:
            (root / who / "ses-scan").mkdir()
            continue
        first = pd.Timestamp("1905-03-01T09:30:00") + pd.Timedelta(days=int(rng.integers(0, 900)))
        rows = [
            {
                "session_id": f"ses-{name}",
                "acq_time": (first + pd.Timedelta(days=days)).isoformat(),
                "diagnosis": state,
                "MMSE": 29 - ("CN", "MCI", "AD").index(state),
            }
            for name, days, state in zip("cab", (0, 400, 1200), states, strict=True)
        ]
        frame = pd.DataFrame(rows[::-1])
        frame.to_csv(root / who / f"{who}_sessions.tsv", sep="\t", index=False)
    pd.DataFrame(people).to_csv(root / "participants.tsv", sep="\t", index=False)
    levels = {"0": "healthy controls", "1": {"Description": "MCI"}, "2": "Alzheimer's disease"}
    columns = {"age": {"Units": "years"}, "group": {"Levels": levels}}
    (root / "participants.json").write_text(json.dumps(columns))
    facts = {"Name": "Made-up BIDS", "BIDSVersion": "1.10.0", "License": "CC0"}
    (root / "dataset_description.json").write_text(json.dumps(facts))
    return root


def write_ppmi_curated(root: Path, n: int = 80) -> Path:
    """PD and controls in turn with three visits; 1 is a control by consensus, 3 SWEDD, 5 prodromal.

    The last person has no baseline visit; person 7 neither age nor education.
    """
    root.mkdir(parents=True, exist_ok=True)
    cohort = [1 + i % 2 for i in range(n)]
    cohort[3], cohort[5] = 3, 4
    consensus = ["." if i % 4 == 2 else c for i, c in enumerate(cohort)]
    consensus[0] = 2
    rows = []
    for i in range(n):
        for event, year in (("V04", 1), ("BL", 0), ("V06", 2)):
            if i == n - 1 and event == "BL":
                continue
            rows.append(
                {
                    "SITE": 10 + i % 3,
                    "PATNO": 3000 + i,
                    "COHORT": cohort[i],
                    "CONCOHORT": consensus[i],
                    "subgroup": "Sporadic PD" if cohort[i] == 1 else "Healthy Control",
                    "EVENT_ID": event,
                    "YEAR": year,
                    "visit_date": f"03/{2011 + year}",
                    "age": 50 + i % 30,
                    "age_at_visit": "." if i == 7 else 50 + i % 30 + year,
                    "SEX": i // 2 % 2,
                    "EDUCYRS": "." if i == 7 else 12 + i % 8,
                    "APOE": ("e3/e3", "e3/e4", "E4/E4", ".")[i % 4],
                    "moca": 27,
                    "updrs3_score": 20 if cohort[i] == 1 else 1,
                }
            )
    name = "PPMI_Curated_Data_Cut_Public_20250321.csv"
    pd.DataFrame(rows).to_csv(root / name, index=False)
    return root


def write_collection(path: Path, rows: Sequence[tuple[str, str, str, str]]) -> Path:
    """IDA's CSV of an image collection: (image, subject, day, modality), all cells in quotes."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(COLLECTION)
        for image, subject, day, modality in rows:
            about = ("CN", "F", "70", "sc", modality, "MPRAGE", "Original")
            writer.writerow((image, subject, *about, day, "NiFTI", ""))
    return path


def write_mrilist(path: Path, rows: Sequence[tuple[str, str, str]]) -> Path:
    """ADNI's list of MRI: (image, subject, day)."""
    frame = pd.DataFrame(rows, columns=["IMAGEUID", "SUBJECT", "SCANDATE"])
    frame = frame.assign(TYPE="Original", VISIT="ADNI Screening", SEQUENCE="MP-RAGE")
    frame.to_csv(path, index=False)
    return path
