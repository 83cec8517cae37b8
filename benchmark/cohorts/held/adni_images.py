"""ADNI's lists of images, by which a scan named by its image identifier finds its visit.

Two forms, both of LONI IDA; either or both may be there:

- the CSV that IDA gives with an image collection, under a name of the user's own, with the columns
  ``Image Data ID, Subject, Group, Sex, Age, Visit, Modality, Description, Type, Acq Date, Format,
  Downloaded``; dates are month/day/year. So read by ``pie/imaging/index.py`` of
  https://github.com/MJFF-ResearchCommunity/PIE, which also describes IDA's folders:
  ``<project>/<subject>/<description>/<date>/I<identifier>/``.
- ``MRILIST`` (Study Data, Imaging, MR Image Acquisition), of which ``SUBJECT SCANDATE IMAGEUID``
  are read; dates are year-month-day. Used by the converters of https://github.com/aramis-lab/clinica.

An image belongs to the visit whose examination (``EXAMDATE`` of ``ADNIMERGE``) is nearest to the
day of the scan, within half a year; a visit without a date lies its months after the baseline's.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held import loni
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import DAYS_A_MONTH, ReleasedFile
from benchmark.cohorts.held.released import ReleasedTable, find_one
from benchmark.cohorts.held.volumes import NO_VISIT, Placed

__all__ = ["FILES", "participant_ids", "placed", "read_images"]

_LIST: Final = "MRILIST*.csv"
_MARK: Final = "Image Data ID"  # a collection's file has any name: its first line tells
_COLLECTION: Final = (_MARK, "Subject", "Modality", "Acq Date")
_LISTED: Final = ("SUBJECT", "SCANDATE", "IMAGEUID")
_PERSON: Final = r"\d{3}_S_\d{4,5}"
_IMAGE: Final = re.compile(r"(?<![A-Za-z0-9])I(\d+)(?![A-Za-z0-9])")
_NEAR_DAYS: Final = 183
_US, _ISO = ("%m/%d/%Y", "month/day/year"), ("%Y-%m-%d", "year-month-day")
FILES: Final = (
    ReleasedFile(
        "*.csv",
        f"any table with the column {_MARK!r}: an image collection's CSV (Download, Image "
        "Collections), which ties scans named by image identifier to visits",
        needed=False,
    ),
    ReleasedFile(_LIST, "the same for all MRI (Imaging, MR Image Acquisition)", needed=False),
)


def participant_ids(table: ReleasedTable, column: str) -> pd.Series:
    """``sub-ADNI002S0295`` of ``002_S_0295``, as in Clinica's folders; missing where unreadable."""
    return "sub-ADNI" + table.text(column, _PERSON).astype("str").str.replace("_", "")


def read_images(root: Path, problems: Problems) -> tuple[pd.DataFrame, list[Path]]:
    """The images of all lists in a folder or directly below it, and the lists.

    Args:
        root: The folder of a download.
        problems: Told of every violation, e.g. two lists that disagree about an image.

    Returns:
        One row an image: ``image`` (digits), participant_id, ``day``; and the files.
    """
    paths = sorted(p for p in {*root.glob("*.csv"), *root.glob("*/*.csv")} if _is_collection(p))
    found = [_collection(ReleasedTable.read(p, problems, _COLLECTION)) for p in paths]
    path = find_one(root, problems, _LIST)
    if path:
        paths.append(path)
        table = ReleasedTable.read(path, problems, _LISTED)
        found.append(_images(table, "IMAGEUID", "SUBJECT", "SCANDATE", _ISO))
    if not found:
        return pd.DataFrame(columns=["image", v.PARTICIPANT_ID, "day"]), []
    images = pd.concat(found, ignore_index=True).dropna()
    facts = ["image", v.PARTICIPANT_ID, "day"]
    images = images.drop_duplicates(facts)
    other = images.loc[images.duplicated("image"), ["file", "column", "line"]]
    for file, column, line in zip(*(other[c].tolist() for c in other), strict=True):
        rule = "another person or day than where this image is listed before"
        problems.add(file, rule, column=column, line=line)
    return images[facts].drop_duplicates("image"), paths


def placed(images: pd.DataFrame, visits: pd.DataFrame, merged: ReleasedTable) -> Placed:
    """Where each listed image belongs, by the identifier ``I12345`` in a scan's name.

    Args:
        images: Of :func:`read_images`.
        visits: The cohort's, with participant_id, session_id, visit_months.
        merged: ``ADNIMERGE``, for the dates of the visits.
    """
    dated = _dated(visits, merged)
    pairs = images.merge(dated, on=v.PARTICIPANT_ID, how="left")
    pairs["days"] = (pairs["day"] - pairs["exam"]).abs().dt.days.astype("float64")
    pairs = pairs.sort_values(["image", "days"], kind="stable").drop_duplicates("image")
    homes = {
        image: (person, (session, days) if days <= _NEAR_DAYS else NO_VISIT)
        for image, person, session, days in zip(
            *(pairs[c].tolist() for c in ("image", v.PARTICIPANT_ID, v.SESSION_ID, "days")),
            strict=True,
        )
    }
    return partial(_home, homes)


def _home(
    homes: dict[str, tuple[str, tuple[str, float]]], scan: str
) -> tuple[str, tuple[str, float]] | None:
    """By the last identifier in the name: IDA writes it at the end, after that of the series."""
    found = _IMAGE.findall(scan)
    return homes.get(str(int(found[-1]))) if found else None


def _is_collection(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return _MARK in file.readline()


def _collection(table: ReleasedTable) -> pd.DataFrame:
    if "Modality" in table:
        table = table.keep(table.frame["Modality"] == "MRI")
    return _images(table, _MARK, "Subject", "Acq Date", _US)


def _images(
    table: ReleasedTable, image: str, person: str, day: str, form: tuple[str, str]
) -> pd.DataFrame:
    numbers = table.text(image, r"[ID]?\d+").astype("str").str.extract(r"(\d+)", expand=False)
    people = participant_ids(table, person)
    return pd.DataFrame(
        {
            "image": numbers.str.lstrip("0"),
            v.PARTICIPANT_ID: people,
            "day": table.dates(day, *form),
            "file": table.file,
            "column": image,
            "line": table.frame.index,
        }
    )


def _dated(visits: pd.DataFrame, merged: ReleasedTable) -> pd.DataFrame:
    """participant_id, session_id and ``exam``, the day of each visit."""
    people = participant_ids(merged, "PTID")
    exams = pd.DataFrame(
        {
            v.PARTICIPANT_ID: people,
            v.VISIT_MONTHS: loni.visit_months(merged.text("VISCODE", loni.VISIT)),
            "exam": merged.dates("EXAMDATE", *_ISO),
        }
    ).dropna()
    exams = exams.drop_duplicates([v.PARTICIPANT_ID, v.VISIT_MONTHS])
    keys = [v.PARTICIPANT_ID, v.SESSION_ID, v.VISIT_MONTHS]
    dated = visits[keys].merge(exams, on=[v.PARTICIPANT_ID, v.VISIT_MONTHS], how="left")
    first = exams.loc[exams[v.VISIT_MONTHS] == 0].set_index(v.PARTICIPANT_ID)["exam"]
    after = pd.to_timedelta(dated[v.VISIT_MONTHS] * DAYS_A_MONTH, unit="D")
    dated["exam"] = dated["exam"].fillna(dated[v.PARTICIPANT_ID].map(first) + after)
    return dated[[v.PARTICIPANT_ID, v.SESSION_ID, "exam"]]
