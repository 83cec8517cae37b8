"""Errors a user can act on.

Every message says what was wrong, what was expected, what came, and the next command. Errors in
this family are shown without a traceback by the command line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BenchmarkError",
    "CohortError",
    "ConfigError",
    "DuplicateNameError",
    "LeakageError",
    "MethodError",
    "ResultError",
    "SampleError",
    "SplitError",
    "UnknownNameError",
    "nearest",
    "one_of",
]


class BenchmarkError(Exception):
    """Base of every error that this project raises on purpose."""


class ConfigError(BenchmarkError):
    """A configuration value is missing, misspelt or out of range."""


class CohortError(BenchmarkError):
    """A cohort store is missing, incomplete, damaged or breaks a rule."""


class SplitError(BenchmarkError):
    """A split cannot be made, or differs from its manifest."""


class LeakageError(BenchmarkError):
    """Information would pass from evaluation to training; the participants are named."""


class SampleError(BenchmarkError):
    """A method asked its samples for something it may not see or that is not there."""


class MethodError(BenchmarkError):
    """A method breaks its contract."""


class DuplicateNameError(MethodError):
    """Two methods bear one name."""


class ResultError(BenchmarkError):
    """A stored result is invalid, incomplete or cannot be scored."""


class RunFailed(BenchmarkError):  # noqa: N818 - an outcome, not a fault of the program
    """At least one run failed; what is whole has been kept."""


class UnknownNameError(BenchmarkError):
    """A name is not known; the nearest known names are suggested."""

    def __init__(self, kind: str, name: str, known: Iterable[str], command: str = "") -> None:
        known = sorted(known)
        close = nearest(name, known)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        listing = f" Known: {', '.join(known) or 'none'}." if not close else ""
        tail = f" List them with `{command}`." if command else ""
        super().__init__(f"unknown {kind} {name!r}.{hint}{listing}{tail}")


def nearest(name: str, known: Iterable[str], most: int = 2) -> list[str]:
    """Returns up to ``most`` known names that resemble ``name``, best first."""
    return difflib.get_close_matches(name, list(known), n=most, cutoff=0.5)


def one_of(key: str, value: str, known: Iterable[str]) -> str:
    """The value of a method's setting, if it is one of those known.

    Args:
        key: The setting as the command line names it.
        value: What it is.
        known: What it may be.

    Raises:
        MethodError: It is none of them; they are named.

    >>> one_of("fusion.pool", "own", ("all", "own"))
    'own'
    """
    names = list(known)
    if value not in names:
        raise MethodError(f"{key}: expected one of {', '.join(names)}, got {value!r}")
    return value
