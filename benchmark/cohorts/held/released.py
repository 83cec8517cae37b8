"""Reads a released table as text and turns its columns into checked values."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark.cohorts.held.problems import Problems
from benchmark.errors import nearest

__all__ = ["MISSING", "ReleasedTable", "find_file", "find_one"]

MISSING = frozenset({"", "n/a", "na", "nan", "null", "none", "."})  # in lower case
_SEPARATORS: Final = (",", ";", "\t", "|")


def find_file(root: Path, *names: str) -> Path | None:
    """The first of some files that lies in a folder or directly below one of its folders.

    Args:
        root: The folder of a download.
        names: File names, the preferred one first.
    """
    for name in names:
        for path in (root / name, *sorted(root.glob(f"*/{name}"))):
            if path.is_file():
                return path
    return None


def find_one(root: Path, problems: Problems, *patterns: str) -> Path | None:
    """The one file that fits a pattern, in a folder or directly below one of its folders.

    Args:
        root: The folder of a download.
        problems: Told where several fit: releases carry a date in their names. Data dictionaries
            (``..._DICT_...``) do not count.
        patterns: Such as ``ADNIMERGE*.csv``, the preferred one first.
    """
    for pattern in patterns:
        files = [*sorted(root.glob(pattern)), *sorted(root.glob(f"*/{pattern}"))]
        found = [path for path in files if "DICT" not in path.name.upper()]
        if len(found) > 1:
            names = ", ".join(path.relative_to(root).as_posix() for path in found)
            problems.add(pattern, f"several files fit, leave one in the folder: {names}")
        if found:
            return found[0]
    return None


@dataclass(frozen=True, slots=True)
class ReleasedTable:
    """A table as released; every cell is text, and each row knows its line.

    Attributes:
        file: Name of the file, for messages.
        frame: One row per row of the file, all text; the index holds the line numbers, blank lines
            counted, the first line of the file being line 1.
        problems: Where violations go.
    """

    file: str
    frame: pd.DataFrame
    problems: Problems

    @classmethod
    def read(
        cls,
        path: Path | None,
        problems: Problems,
        needed: Sequence[str] = (),
        *,
        name: str = "",
        separator: str | None = None,
    ) -> ReleasedTable:
        """Reads a table; what is wrong with the file itself is recorded, not raised.

        Args:
            path: The file, comma- or tab-separated; None where it was not found.
            problems: Where violations go.
            needed: Columns that must be there.
            name: The name in messages, e.g. where the file is missing.
            separator: Between cells; by default a tab for ``.tsv``, else a comma.
        """
        name = name or (path.name if path else "")
        frame = pd.DataFrame(columns=list(needed), dtype=str)
        if path is None or not path.is_file():
            problems.add(name, "this file is missing")
            return cls(name, frame, problems)
        separator = separator or ("\t" if path.suffix == ".tsv" else ",")
        try:
            other = _other_separator(path, separator, needed)
            records = {} if other else _records(path, separator)
        except (ValueError, OSError) as error:  # decoding errors are ValueErrors
            problems.add(name, f"cannot be read as a table: {str(error).splitlines()[0]}")
            return cls(name, frame, problems)
        if other:
            shown, wrong = (s.replace("\t", r"\t") for s in (other, separator))
            problems.add(
                name,
                f"the header looks separated by '{shown}', not by '{wrong}': state "
                f"`separator: '{shown}'` in a mapping, or save the file with '{wrong}'",
            )
            return cls(name, frame, problems)
        frame = _frame(records, name, problems)
        for column in needed:
            if column not in frame:
                known = {str(c).lower(): str(c) for c in frame.columns}
                close = nearest(column.lower(), known, 1)
                hint = f"; is it {known[close[0]]!r}?" if close else ""
                problems.add(name, f"this column is missing{hint}", column=column)
        return cls(name, frame, problems)

    def __len__(self) -> int:
        return len(self.frame)

    def __contains__(self, column: object) -> bool:
        return column in self.frame

    def keep(self, mask: pd.Series | np.ndarray) -> ReleasedTable:
        """Some of its rows; they keep their line numbers."""
        return ReleasedTable(self.file, self.frame.loc[np.asarray(mask, dtype=bool)], self.problems)

    def text(self, column: str, pattern: str = "", *, needed: bool = True) -> pd.Series:
        """A column as text; None where missing.

        Args:
            column: Its name.
            pattern: A regular expression that the whole cell must match.
            needed: Whether an empty cell is a violation.
        """
        cells, given = self._cells(column, needed)
        if pattern:
            matches = cells.str.fullmatch(pattern).to_numpy(dtype=bool)
            self._refuse(column, given & ~matches, f"expected the form {pattern}")
            given &= matches
        return cells.astype("object").where(given, None)

    def dates(
        self,
        column: str,
        form: str,
        said: str = "",
        *,
        needed: bool = True,
        missing: Sequence[str] = (),
        utc: bool = False,
    ) -> pd.Series:
        """A column of dates; NaT where missing.

        Args:
            column: Its name.
            form: As ``pandas.to_datetime`` takes it.
            said: The same for readers; by default ``form``.
            needed: Whether an empty cell is a violation.
            missing: Cells that stand for none.
            utc: Whether offsets are read, and dates given in UTC.
        """
        texts = self.text(column, needed=needed)
        given = texts.notna() & ~texts.isin(missing)
        dates = pd.to_datetime(texts.where(given), format=form, errors="coerce", utc=utc)
        self._refuse(column, (given & dates.isna()).to_numpy(), f"expected a date {said or form}")
        return dates

    def number(
        self,
        column: str,
        low: float,
        high: float,
        *,
        needed: bool = False,
        missing: Sequence[str] = (),
    ) -> pd.Series:
        """A column as numbers, float64; NaN where missing or wrong.

        Args:
            column: Its name.
            low: The smallest value that is possible.
            high: The largest.
            needed: Whether an empty cell is a violation.
            missing: Codes that the study uses for missing values, e.g. ``-4``.
        """
        cells, given = self._cells(column, needed, missing)
        values = pd.to_numeric(cells.where(given, "nan"), errors="coerce").astype(np.float64)
        inside = values.between(low, high).to_numpy()
        self._refuse(column, given & ~inside, f"expected a number from {low:g} to {high:g}")
        return values.where(given & inside)

    def code(
        self,
        column: str,
        codes: Mapping[str, Any],
        *,
        needed: bool = False,
        missing: Sequence[str] = (),
    ) -> pd.Series:
        """A column translated by a code book; None where missing or unknown.

        Args:
            column: Its name.
            codes: Released code -> value; ``"1"`` also stands for ``1.0``.
            needed: Whether an empty cell is a violation.
            missing: Codes that the study uses for missing values.
        """
        cells, given = self._cells(column, needed, missing)
        plain = cells.str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True)
        known = plain.isin(list(codes)).to_numpy()
        self._refuse(column, given & ~known, f"expected one of {', '.join(codes)}")
        return plain.map(dict(codes)).astype("object").where(given & known, None)

    def refuse_repeats(self, columns: Sequence[str], values: pd.DataFrame, what: str) -> None:
        """Records each row whose values stand in an earlier row as well."""
        known = values.notna().all(axis=1)
        twice = (known & values.duplicated(keep="first")).to_numpy()
        self._refuse(columns[0], twice, f"{what} appears twice")

    def _cells(
        self, column: str, needed: bool, missing: Sequence[str] = ()
    ) -> tuple[pd.Series, np.ndarray]:
        if column not in self.frame:
            if needed and not self.problems.knows(self.file, column):
                self.problems.add(self.file, "this column is missing", column=column)
            return pd.Series("", index=self.frame.index, dtype=str), np.zeros(len(self), bool)
        cells = self.frame[column].astype(str)
        given = ~(cells.str.lower().isin(MISSING) | cells.isin(list(missing))).to_numpy()
        if needed:
            self._refuse(column, ~given, "a value is needed")
        return cells, given

    def _refuse(self, column: str, bad: np.ndarray, rule: str) -> None:
        cells = self.frame.get(column)
        for place in np.flatnonzero(bad).tolist():
            value = "" if cells is None else str(cells.iloc[place])
            line = int(self.frame.index[place])
            self.problems.add(self.file, rule, column=column, line=line, value=value)


def _first_cells(path: Path, separator: str) -> list[str]:
    """The cells of the first line that is not blank."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = next((line for line in file if line.strip()), "")
    return [cell.strip() for row in csv.reader([line], delimiter=separator) for cell in row]


def _other_separator(path: Path, separator: str, needed: Sequence[str]) -> str:
    """The separator that fits a header better than the one that was said; "" where none does."""
    ours = _first_cells(path, separator)
    for other in _SEPARATORS:
        theirs = _first_cells(path, other)
        found, known = (len({*needed} & {*cells}) for cells in (theirs, ours))
        if found > known or (found == known and len(theirs) > len(ours) == 1):
            return other
    return ""


def _records(path: Path, separator: str) -> dict[int, list[str]]:
    """The rows that are not blank, by the line on which each begins; the first is the header.

    Raises:
        ValueError: A quote is not closed, or the file holds nothing.
    """
    records: dict[int, list[str]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True)
        line = 1
        try:
            for row in reader:
                if len(row) > 1 or any(cell.strip() for cell in row):
                    records[line] = [cell.strip() for cell in row]
                line = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(f"line {line}: {error}") from error
    if not records:
        raise ValueError("the file is empty")
    return records


def _frame(records: Mapping[int, list[str]], name: str, problems: Problems) -> pd.DataFrame:
    """The rows as text, by line; rows of another width and doubled columns are recorded.

    A row that is too wide by empty cells keeps the others, so that these are checked as well.
    """
    header, *rows = records.values()
    width = len(header)
    fitting: dict[int, list[str]] = {}
    for line, row in zip(list(records)[1:], rows, strict=True):
        if len(row) != width:
            rule = f"expected {width} cells in each row, as in the header"
            problems.add(name, rule, line=line, value=f"{len(row)} cells")
        if len(row) >= width and not any(row[width:]):
            del row[width:]
            fitting[line] = row
    if not rows:
        problems.add(name, "the table has no rows")
    for column, times in Counter(filter(None, header)).items():
        if times > 1:
            what = f"{times} columns bear this name, expected one; rename the others"
            problems.add(name, what, column=column)
    names = [column or f"Unnamed: {place}" for place, column in enumerate(header)]
    lines = pd.Index([*fitting], dtype="int64")
    frame = pd.DataFrame([*fitting.values()], columns=names, index=lines, dtype=str)
    frame = frame.loc[:, ~frame.columns.duplicated()]
    empty = [
        column
        for column, given in zip(names, header, strict=True)
        if not given and (frame[column] == "").all()
    ]
    return frame.drop(columns=empty)
