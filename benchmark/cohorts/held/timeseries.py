"""ROI time series of resting-state fMRI, one table a scan: frames as rows, regions as columns.

As XCP-D writes them (Mehta et al. 2024, 10.1162/imag_a_00257), as ``neurodx timeseries`` does, or
any ``.tsv``, ``.csv`` or ``.npy`` of that shape whose name begins with ``sub-``. What the store
keeps of them:

- Each region of each scan is z-scored over its frames, as in the phantoms.
- A region without a number (``n/a`` in all frames: not covered) or without a change is zeros, which
  readers of time series take for a missing region.
- A frame without a number in any region was censored and is taken out. Any other missing number is
  a violation.
- All series have the same regions, and one length. Nothing is resampled in time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held.arrays import HeldArray, SeriesRule
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.released import MISSING
from benchmark.cohorts.held.volumes import NO_SESSION, ScanOf, VisitOf, match_scans, visit_rule

__all__ = ["EXTRACTION", "read_timeseries"]

EXTRACTION: Final = "timeseries.json"  # what `neurodx timeseries` says of its tables
_FORMS: Final = {".tsv": "\t", ".csv": ","}
# Entities of a BIDS name that may differ between the scans of a cohort.
_OF_SCAN: Final = frozenset({"sub", "ses", "run", "acq", "dir", "rec", "echo"})
_KEYS: Final = [v.PARTICIPANT_ID, v.SESSION_ID]
_WHAT: Final = "time series"
_MOST_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class _Scan:
    """One table: (T, R) numbers, NaN in all of a column where the region is missing."""

    file: str
    names: tuple[str, ...]  # of the regions; empty where the file has none
    values: np.ndarray
    censored: int  # frames that were taken out


def read_timeseries(
    rule: SeriesRule,
    root: Path,
    visits: pd.DataFrame,
    problems: Problems,
    scan_of: ScanOf | None = None,
    visit_of: VisitOf | None = None,
) -> HeldArray | None:
    """Reads the time series of a cohort's people.

    A table belongs to a person and visit as a T1w scan does, see
    :func:`~benchmark.cohorts.held.volumes.with_volumes`. Of several runs of a visit the first is
    taken.

    Args:
        rule: Where they lie.
        root: The cohort's folder.
        visits: The cohort's visits.
        problems: Where violations go.
        scan_of: The adapter's.
        visit_of: The adapter's.

    Returns:
        float16 (N, T, R), each region z-scored; None where anything is wrong.
    """
    before = len(problems.found)
    folder = root / rule.folder
    paths = _paths(rule, folder, problems)
    index = pd.DataFrame([_whose(path) for path in paths], columns=_KEYS)
    meant_by = visit_rule(visit_of, one_visit=visits[v.PARTICIPANT_ID].is_unique)
    rows, unmatched, left_out = match_scans(
        index.assign(row=range(len(paths))), visits, scan_of, meant_by, what=_WHAT
    )
    if paths and rows.empty:
        got = ", ".join(unmatched[:_MOST_SHOWN]) or "visits that the tables do not have"
        expected = ", ".join(map(" ".join, visits[_KEYS].head(2).to_numpy()))
        what = f"no time series belongs to a visit in the tables: got {got}; expected {expected}"
        problems.add(rule.folder, what)
    taken = [paths[row] for row in rows["row"]]
    scans = [_read(path, path.relative_to(folder).as_posix(), problems) for path in taken]
    found = [scan for scan in scans if scan is not None]
    if len(problems.found) > before or not found:
        return None
    found = _same_regions(found, problems)
    frames = _frames(rule, found, problems)
    if len(problems.found) > before:
        return None
    long_enough = [len(scan.values) >= frames for scan in found]
    left_out[f"{_WHAT} of fewer than {frames} frames"] = long_enough.count(False)
    kept = [scan for scan, long in zip(found, long_enough, strict=True) if long]
    values = np.stack([_standardised(scan.values[:frames]) for scan in kept])
    for scan, series in zip(kept, values, strict=True):
        if not series.any():
            problems.add(scan.file, "no region varies in time; take the file away")
    return HeldArray(
        name="fmri",
        rows=rows.loc[long_enough, _KEYS].reset_index(drop=True),
        values=values,
        facts=_facts(folder, kept, values),
        files=(*taken, *([folder / EXTRACTION] if (folder / EXTRACTION).is_file() else [])),
        left_out={why: n for why, n in left_out.items() if n},
    )


def _paths(rule: SeriesRule, folder: Path, problems: Problems) -> list[Path]:
    """The tables, earlier runs first; names that leave open which are meant are violations."""
    if not folder.is_dir():
        problems.add(rule.folder, "this folder of time series is missing")
        return []
    pattern = rule.files or "sub-*timeseries.*"
    paths = [p for p in folder.rglob(pattern) if p.suffix in {*_FORMS, ".npy"}]
    if not rule.files:
        paths = [p for p in paths if "desc-confounds" not in p.name]
    if not paths:
        problems.add(rule.folder, f"no file {pattern} of .tsv, .csv or .npy; say `files`, a glob")
    for path in paths:
        if not path.name.startswith("sub-"):
            what = "expected a name as sub-001_ses-1_task-rest_timeseries.tsv"
            problems.add(path.relative_to(folder).as_posix(), what)
    entities = [_entities(path) for path in paths]
    for key in sorted({key for e in entities for key in e} - _OF_SCAN):
        values = {e.get(key, "none") for e in entities}
        if len(values) > 1:
            what = f"files differ in `{key}`: {', '.join(sorted(values))}; choose by `files`, a "
            problems.add(rule.folder, f"{what}glob such as sub-*_{key}-{min(values)}_*")
    return [p for _, p in sorted((_run(e), p) for e, p in zip(entities, paths, strict=True))]


def _entities(path: Path) -> dict[str, str]:
    """``{"sub": "001", "task": "rest"}`` of a BIDS name."""
    pairs = (part.partition("-") for part in path.stem.split("_"))
    return {key: value for key, sign, value in pairs if sign}


def _run(entities: dict[str, str]) -> int:
    number = entities.get("run", "0")
    return int(number) if number.isdigit() else 0


def _whose(path: Path) -> tuple[str, str]:
    entities = _entities(path)
    session = f"ses-{entities['ses']}" if "ses" in entities else NO_SESSION
    return f"sub-{entities.get('sub', '')}", session


def _read(path: Path, file: str, problems: Problems) -> _Scan | None:
    """A table of numbers; None where something else stands in it."""
    try:
        names, values, first = _array(path) if path.suffix == ".npy" else _table(path)
    except (ValueError, OSError) as error:  # parser and decoding errors are ValueErrors
        problems.add(file, f"cannot be read as a table of numbers: {str(error).splitlines()[0]}")
        return None
    if len(set(names)) < len(names):
        problems.add(file, "two regions have one name")
    covered = ~np.isnan(values).all(axis=0)
    there = ~np.isnan(values[:, covered]).all(axis=1)
    holes = np.isnan(values) & covered & there[:, None] | np.isinf(values)
    for row, column in np.argwhere(holes).tolist():
        name = names[column] if names else str(column + 1)
        what = "a number is missing; n/a may stand in all frames of a region, or in all regions"
        problems.add(file, what, column=name, line=first + row)
    return None if holes.any() else _Scan(file, names, values[there], int((~there).sum()))


def _array(path: Path) -> tuple[tuple[str, ...], np.ndarray, int]:
    values = np.load(path, allow_pickle=False)
    if values.ndim != 2 or values.dtype.kind not in "fiu" or not values.size:
        raise ValueError(f"expected numbers of shape (T, R), got {values.dtype} {values.shape}")
    return (), values.astype(np.float64), 1


def _table(path: Path) -> tuple[tuple[str, ...], np.ndarray, int]:
    """Names of the regions, the numbers, and the line of the first frame."""
    cells = pd.read_csv(
        path,
        sep=_FORMS[path.suffix],
        dtype=str,
        header=None,
        keep_default_na=False,
        encoding="utf-8-sig",
    )
    cells = cells.apply(lambda column: column.str.strip())
    numbers = cells.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    words = np.isnan(numbers) & ~cells.apply(lambda c: c.str.lower().isin(MISSING)).to_numpy()
    head = bool(words[0].any())
    names = tuple(cells.iloc[0]) if head else ()
    numbers, words = numbers[head:], words[head:]
    if words.any():
        row, column = np.argwhere(words)[0].tolist()
        cell = cells.iloc[row + head, column]
        raise ValueError(f"line {row + head + 1}, column {column + 1}: {cell!r} is no number")
    if not numbers.size:
        raise ValueError("it has no frames")
    return names, numbers, head + 1


def _same_regions(scans: Sequence[_Scan], problems: Problems) -> list[_Scan]:
    """The scans with their regions in the order of the first; other regions are violations."""
    first = scans[0]
    same = []
    for scan in scans:
        if scan.names == first.names and scan.values.shape[1] == first.values.shape[1]:
            same.append(scan)
        elif scan.names and sorted(scan.names) == sorted(first.names):
            order = [scan.names.index(name) for name in first.names]
            same.append(_Scan(scan.file, first.names, scan.values[:, order], scan.censored))
        else:
            n, expected = scan.values.shape[1], first.values.shape[1]
            other = sorted({*scan.names} ^ {*first.names})[:_MOST_SHOWN]
            which = f", differing in {', '.join(other)}" if other else ""
            what = f"{n} regions, expected the {expected} of {first.file}{which}"
            problems.add(scan.file, what)
    return same


def _frames(rule: SeriesRule, scans: Sequence[_Scan], problems: Problems) -> int:
    """The length in the store."""
    lengths = Counter(len(scan.values) for scan in scans)
    shown = ", ".join(f"{n} of {t}" for t, n in sorted(lengths.items()))
    if not rule.frames and len(lengths) > 1:
        what = "say `frames`: longer series are cut to it, shorter ones left out"
        problems.add(rule.folder, f"series of several lengths, {shown} frames; {what}")
    elif rule.frames > max(lengths, default=0):
        problems.add(rule.folder, f"`frames` is {rule.frames} and no series is as long: {shown}")
    return rule.frames or max(lengths, default=0)


def _standardised(values: np.ndarray) -> np.ndarray:
    """float16 (T, R), mean 0 and standard deviation 1; zeros for a region without a change."""
    varies = np.ptp(values, axis=0) > 0  # False where NaN
    series = np.zeros(values.shape, dtype=np.float16)
    moving = values[:, varies] - values[:, varies].mean(axis=0)
    series[:, varies] = moving / moving.std(axis=0)
    return series


def _facts(folder: Path, scans: Sequence[_Scan], values: np.ndarray) -> dict[str, Any]:
    lengths = [len(scan.values) for scan in scans]
    facts: dict[str, Any] = {
        "scans": len(scans),
        "frames": values.shape[1],
        "frames_read": [min(lengths), max(lengths)],
        "scans_cut": sum(length > values.shape[1] for length in lengths),
        "frames_censored": sum(scan.censored for scan in scans),
        "regions": values.shape[2],
        "regions_without_signal": int((~values.any(axis=1)).sum()),
        "region_names": list(scans[0].names),
        "scale": "each region of each scan z-scored over its frames",
    }
    if (folder / EXTRACTION).is_file():
        facts["extraction"] = json.loads((folder / EXTRACTION).read_text(encoding="utf-8"))
    return {"fmri": facts}
