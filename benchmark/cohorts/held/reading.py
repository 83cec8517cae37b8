"""What every adapter answers with, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.cohorts.held.arrays import GenotypeRule, HeldArray, SeriesRule
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.volumes import HeldVolumes, Placed, ScanOf, VisitOf
from benchmark.errors import ConfigError, nearest

__all__ = ["DAYS_A_MONTH", "Adapter", "Reading", "ReleasedFile", "months"]

DAYS_A_MONTH = 365.25 / 12


def months(days: pd.Series) -> pd.Series:
    """Months after a number of days, to 0.01."""
    return (days / DAYS_A_MONTH).round(2)


@dataclass(frozen=True, slots=True)
class ReleasedFile:
    """One file of a release.

    Attributes:
        name: Its name as released; several, separated by ``|``, where releases differ.
        about: What it holds and where to get it.
        needed: Whether the cohort cannot be read without it.
    """

    name: str
    about: str
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """A cohort as an adapter read it; nothing is on disk yet.

    Attributes:
        visits: One row per visit in the store's vocabulary, ``benchmark/vocabulary.py``.
        tables: Measurements by name of the store's table: ``regions`` (``_mm``, ``_mm2``,
            ``_mm3``), ``biomarkers``; one row per visit, with ``participant_id`` and
            ``session_id``.
        volumes: Prepared T1w scans of these people; no adapter reads them, ``--volumes`` does.
        placed: From a scan's name to its person and (session, distance in days), by a list of
            images that the study released; None for a scan that is not in the list.
        arrays: Time series and genotypes; no adapter reads them, a mapping's or the entry's rules
            do.
        files: The files that were read; their hashes are kept.
        left_out: Rows that were left out: why -> how many.
        tasks: The label rule of each task that the cohort may answer, with its source.
        facts: Entries of the datasheet that differ from the adapter's.
    """

    visits: pd.DataFrame
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    volumes: HeldVolumes | None = None
    placed: Placed | None = None
    arrays: tuple[HeldArray, ...] = ()
    files: tuple[Path, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    tasks: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


Read = Callable[[Path, Mapping[str, str], Problems], Reading]


@dataclass(frozen=True, slots=True)
class Adapter:
    """A study that can be read.

    Attributes:
        name: Its name on the command line.
        title: One line for readers.
        files: What to download.
        read: (root, options, problems) -> reading. Violations go to ``problems``; the reading is
            used only where there are none.
        source: Where the data come from.
        licence: The terms in a few words.
        terms: The terms at length, or where they stand.
        citation: What to cite.
        preparation: What is done to the files, in a sentence or two.
        options: Names and default values of its options.
        about_options: One line for each.
        scan_of: (participant_id, session_id) that a scan's name as released states, or None.
        visit_of: Which visit of a person a scan's session stands for, where the two differ; see
            :func:`~benchmark.cohorts.held.volumes.with_volumes`.
        fmri: Where the time series lie, if the source says it.
        snps: Where the genotypes lie, if the source says it.
    """

    name: str
    title: str
    files: tuple[ReleasedFile, ...]
    read: Read
    source: str
    licence: str
    terms: str
    citation: str
    preparation: str
    options: Mapping[str, str] = field(default_factory=dict)
    about_options: Mapping[str, str] = field(default_factory=dict)
    scan_of: ScanOf | None = None
    visit_of: VisitOf | None = None
    fmri: SeriesRule | None = None
    snps: GenotypeRule | None = None

    def with_defaults(self, given: Mapping[str, str]) -> dict[str, str]:
        """All options, the given ones over the defaults.

        Raises:
            ConfigError: An option is unknown.
        """
        for name in given:
            if name not in self.options:
                close = nearest(name, self.options, 1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                known = ", ".join(self.options) or "none"
                raise ConfigError(
                    f"cohort source {self.name!r} has no option {name!r} (it has: {known}).{hint} "
                    f"See `neurodx cohort show {self.name}`"
                )
        return {**self.options, **given}
