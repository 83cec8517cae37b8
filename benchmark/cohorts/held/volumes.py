"""Joins what ``neurodx volumes`` prepared to the people of a held cohort.

One rule says who has modality ``t1w`` in a cohort with volumes: who has a volume. Regional tables
keep their values, but rows of people without a volume leave them, since whoever has no scan in the
store has none of its measurements either: rows of the board that read regions and rows that read
volumes then see the same people. Where the study brings no regions, those that were measured in the
volumes enter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import CohortError
from benchmark.store.hashing import canonical_sha256, file_sha256

if TYPE_CHECKING:
    from benchmark.cohorts.held.reading import Reading
    from benchmark.imaging.volumes import PreparedVolumes

__all__ = [
    "NO_SESSION",
    "NO_VISIT",
    "HeldVolumes",
    "Placed",
    "ScanOf",
    "VisitOf",
    "folder_hash",
    "match_scans",
    "people_by_plain_id",
    "plain_id",
    "visit_rule",
    "with_volumes",
]

ScanOf = Callable[[str], tuple[str, str] | None]
VisitOf = Callable[[str, Sequence[str]], tuple[str, float] | None]
Placed = Callable[[str], tuple[str, tuple[str, float]] | None]
_Meant = Callable[[str, Sequence[str]], tuple[str, float]]
NO_VISIT: Final = ("", math.inf)  # a session that states a visit which the tables do not have

_KEYS: Final = [v.PARTICIPANT_ID, v.SESSION_ID]
_PARTS: Final = ("index.parquet", "regions.parquet", "failures.parquet", "preparation.json")
NO_SESSION: Final = "ses-M000"  # what the preparation writes where a file's name states none
_FAILED: Final = "scans that failed in `neurodx volumes`"
_REGIONS_ONLY: Final = "visits with regional measurements and without a volume: no T1w"
_MOST_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class HeldVolumes:
    """Volumes of a cohort's people.

    Attributes:
        prepared: The folder that ``neurodx volumes`` wrote.
        rows: participant_id and session_id of the cohort, ``row`` in the folder's index; one row
            per visit with a volume, in the order of the visits. They become rows of ``t1w.npy``.
        unmatched: Scans that belong to nobody, as the folder names them.
        flagged: How many of the volumes quality control wants looked at.
        spacing_mm: Edge length of a voxel.
        sha256: :func:`folder_hash`.
    """

    prepared: PreparedVolumes
    rows: pd.DataFrame
    unmatched: tuple[str, ...]
    flagged: int
    spacing_mm: float
    sha256: str

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D, H, W) of the volumes that enter the store."""
        return (len(self.rows), *self.prepared.shape[1:])


def folder_hash(folder: Path) -> str:
    """sha256 over whose volumes a prepared folder holds, their bytes, regions and voxel size.

    Times, pictures and paths do not enter, so preparing the same scans again by the same code gives
    the same hash.

    Raises:
        CohortError: The folder is missing, or is none that ``neurodx volumes`` wrote.
    """
    prepared = _opened(folder)
    index = prepared.index[[*_KEYS, "sha256"]]
    return canonical_sha256(
        {
            "volumes": index.astype(str).to_numpy().tolist(),
            "regions": file_sha256(folder / "regions.parquet"),
            "spacing_mm": prepared.spacing_mm,
        }
    )


def with_volumes(
    name: str,
    reading: Reading,
    folder: Path,
    scan_of: ScanOf | None = None,
    visit_of: VisitOf | None = None,
) -> Reading:
    """Adds prepared volumes to what was read of a cohort.

    A scan belongs to the person whose identifier it bears (``sub-`` and signs apart), or whom the
    adapter reads from its name. Where the study released a list of its images that has the scan
    (:attr:`~benchmark.cohorts.held.reading.Reading.placed`), it belongs where that list says.
    Otherwise, where the adapter knows what the scan's session means, it belongs to that visit, or
    to none; and else to the visit of that session, to the index visit where it states none, and to
    the only visit where the tables have one a person. Of several scans of a visit the nearest is
    taken, and of equally near ones the first in the folder's index.

    Args:
        name: The cohort, for messages.
        reading: What was read.
        folder: What ``neurodx volumes`` wrote.
        scan_of: The adapter's (participant, session) of a scan's name, or None where it says none.
        visit_of: From a scan's session and those of its person in the tables, the index visit
            first, to the one that is meant and its distance in days; :data:`NO_VISIT` where that is
            none of these, None where the adapter does not know such sessions.

    Raises:
        CohortError: The folder is none that was prepared or holds no volume, or no volume belongs
            to anybody in the tables.
    """
    prepared = _opened(folder)
    meant_by = visit_rule(visit_of, one_visit=reading.visits[v.PARTICIPANT_ID].is_unique)
    rows, unmatched, left_out = match_scans(
        prepared.index, reading.visits, scan_of, meant_by, placed=reading.placed
    )
    if rows.empty:
        raise CohortError(_nobody(name, prepared, reading.visits, unmatched))
    tables, unmeasured = _tables(reading, prepared, rows)
    left_out |= {_FAILED: len(prepared.failures), _REGIONS_ONLY: unmeasured}
    flags = prepared.qc["flags"].to_numpy()
    volumes = HeldVolumes(
        prepared=prepared,
        rows=rows,
        unmatched=unmatched,
        flagged=int((flags[rows["row"]] != "").sum()),
        spacing_mm=prepared.spacing_mm,
        sha256=folder_hash(folder),
    )
    return replace(
        reading,
        visits=_with_head_size(reading, tables),
        tables=tables,
        volumes=volumes,
        left_out={**reading.left_out, **{why: n for why, n in left_out.items() if n}},
    )


def _opened(folder: Path) -> PreparedVolumes:
    from benchmark.imaging.volumes import PreparedVolumes

    missing = [part for part in _PARTS if not (folder / part).is_file()]
    if missing:
        raise CohortError(
            f"{folder}: lacks {', '.join(missing)}; expected a folder that `neurodx volumes SCANS "
            "--out FOLDER` wrote to its end"
        )
    prepared = PreparedVolumes(folder)
    if prepared.index.empty:
        raise CohortError(
            f"{folder}: holds no volume, {len(prepared.failures)} scan(s) failed; see "
            f"{folder / 'qc.html'} for the reasons"
        )
    return prepared


def visit_rule(adapter: VisitOf | None, *, one_visit: bool) -> _Meant:
    """The adapter's visit; of sessions that it does not know the one that is stated.

    Where none is stated, or there is no other, the index visit.
    """

    def visit_of(session: str, sessions: Sequence[str]) -> tuple[str, float]:
        known = adapter(session, sessions) if adapter else None
        if known is not None:
            return known
        if session in sessions:
            return session, 0.0
        return (sessions[0], 0.0) if one_visit or session == NO_SESSION else NO_VISIT

    return visit_of


def match_scans(
    index: pd.DataFrame,
    visits: pd.DataFrame,
    scan_of: ScanOf | None,
    meant_by: _Meant,
    *,
    placed: Placed | None = None,
    what: str = "volumes",
) -> tuple[pd.DataFrame, tuple[str, ...], dict[str, int]]:
    """Finds the visit of each scan, by the rule of :func:`with_volumes`.

    Args:
        index: ``participant_id``, ``session_id`` (:data:`NO_SESSION` for none) and ``row``.
        visits: The cohort's visits.
        scan_of: The adapter's, see :func:`with_volumes`.
        meant_by: What :func:`visit_rule` gave.
        placed: Where a list of the study's images puts a scan, before what its name says.
        what: The word for scans in the reasons.

    Returns:
        ``participant_id``, ``session_id`` and ``row`` of each visit with a scan, in the order of
        the visits; scans of nobody; why others were left out, as counts.
    """
    nobody, other_visit = (
        f"{what} of nobody in the tables",
        f"{what} of a visit that the tables do not have",
    )
    further = f"further {what} of the same visit"
    people = people_by_plain_id(visits)
    ordered = visits.sort_values(v.IS_INDEX, ascending=False, kind="stable")
    sessions = ordered.groupby(v.PARTICIPANT_ID)[v.SESSION_ID].agg(list).to_dict()
    found: dict[tuple[str, str], tuple[float, int]] = {}  # distance in days, row
    unmatched, counts = [], {nobody: 0, other_visit: 0, further: 0}
    for scan, session, row in index[[*_KEYS, "row"]].itertuples(index=False):
        listed = placed(scan) if placed else None
        stated = scan_of(scan) if scan_of else None
        person, visit = stated or (scan, session)
        person = listed[0] if listed else person
        who = people.get(plain_id(person))
        if who is None:
            unmatched.append(f"{scan} {session}")
            counts[nobody] += 1
            continue
        stated_visit = f"ses-{visit.removeprefix('ses-')}"
        meant = listed[1] if listed else meant_by(stated_visit, sessions[who])
        if meant == NO_VISIT:
            counts[other_visit] += 1
            continue
        key, place = (who, meant[0]), (meant[1], int(row))
        counts[further] += key in found
        found[key] = min(found.get(key, place), place)
    keys = zip(*(visits[c] for c in _KEYS), strict=True)
    rows = visits[_KEYS].assign(row=[found[key][1] if key in found else -1 for key in keys])
    return rows.loc[rows["row"] >= 0].reset_index(drop=True), tuple(unmatched), counts


def people_by_plain_id(visits: pd.DataFrame) -> dict[str, str]:
    """People by the letters and digits of their identifiers; two that share them are left out."""
    people: dict[str, str] = {}
    twice = set()
    for who in visits[v.PARTICIPANT_ID].unique():
        plain = plain_id(who)
        if plain in people:
            twice.add(plain)
        people[plain] = who
    return {plain: who for plain, who in people.items() if plain not in twice}


def plain_id(name: str) -> str:
    """An identifier without ``sub-`` and signs, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.casefold().removeprefix("sub-"))


def _nobody(
    name: str, prepared: PreparedVolumes, visits: pd.DataFrame, unmatched: tuple[str, ...]
) -> str:
    scans = ", ".join(unmatched[:_MOST_SHOWN]) or "volumes of visits that the tables do not have"
    people = ", ".join(map(" ".join, visits[_KEYS].head(2).to_numpy()))
    return (
        f"cohort {name!r}: none of the {len(prepared.index)} volumes in {prepared.folder} belongs "
        f"to a visit in the tables: got {scans}; expected such as {people}. Prepare the scans from "
        "a table with participant_id, session_id and path: `neurodx volumes scans.csv`"
    )


def _tables(
    reading: Reading, prepared: PreparedVolumes, rows: pd.DataFrame
) -> tuple[dict[str, pd.DataFrame], int]:
    """The tables of people with a volume, and how many visits' measurements were left out."""
    tables = dict(reading.tables)
    regions = tables.get("regions")
    if regions is None:
        measured = prepared.regions.iloc[rows["row"]].drop(columns=_KEYS).reset_index(drop=True)
        if measured.notna().any(axis=None):
            tables["regions"] = pd.concat([rows[_KEYS], measured], axis=1)
        return tables, 0
    kept = regions.merge(rows[_KEYS], on=_KEYS, how="left", indicator=True)["_merge"] == "both"
    values = regions.drop(columns=_KEYS).notna().any(axis=1).to_numpy()
    tables["regions"] = regions.loc[kept.to_numpy()].reset_index(drop=True)
    return tables, int((values & ~kept.to_numpy()).sum())


def _with_head_size(reading: Reading, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Visits with the head size that was measured in the volumes, where the study has none."""
    visits, regions = reading.visits, tables.get("regions")
    own = v.HEAD_SIZE_MM3 in visits and visits[v.HEAD_SIZE_MM3].notna().any()
    if own or "regions" in reading.tables or regions is None:
        return visits
    sizes = visits[_KEYS].merge(regions[[*_KEYS, v.HEAD_SIZE_MM3]], on=_KEYS, how="left")
    return visits.assign(**{v.HEAD_SIZE_MM3: sizes[v.HEAD_SIZE_MM3].to_numpy(dtype=np.float64)})
