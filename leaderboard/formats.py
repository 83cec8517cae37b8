"""How numbers are written for readers: one function for each kind of cell."""

from __future__ import annotations

import json
import math
from numbers import Real
from typing import Any, Final

__all__ = [
    "DASH",
    "count_by_class",
    "decimals",
    "duration",
    "group_name",
    "interval",
    "is_known",
    "parameters",
    "rank_interval",
    "score",
    "signed",
]

DASH: Final = "–"
MINUS: Final = "−"
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def is_known(value: Any) -> bool:
    """Whether a cell holds a finite number."""
    return isinstance(value, Real) and math.isfinite(value)


def decimals(metric_kind: str) -> int:
    """Digits after the point: 3 for scores between 0 and 1, 2 for errors in years."""
    return 2 if metric_kind == "regression" else 3


def score(value: Any, digits: int = 3) -> str:
    """A score, or a dash where there is none.

    >>> score(0.8614), score(float("nan"))
    ('0.861', '–')
    """
    return f"{value:.{digits}f}".replace("-", MINUS) if is_known(value) else DASH


def signed(value: Any, digits: int = 3) -> str:
    """A difference with its sign.

    >>> signed(0.05), signed(-0.05, 2)
    ('+0.050', '−0.05')
    """
    return f"{value:+.{digits}f}".replace("-", MINUS) if is_known(value) else DASH


def interval(low: Any, high: Any, digits: int = 3, *, sign: bool = False) -> str:
    """An interval in words that survive a minus sign.

    >>> interval(0.82, 0.9), interval(float("nan"), 0.9)
    ('0.820 to 0.900', '')
    """
    if not (is_known(low) and is_known(high)):
        return ""
    write = signed if sign else score
    return f"{write(low, digits)} to {write(high, digits)}"


def rank_interval(low: Any, high: Any) -> str:
    """A rank interval, as one number where both ends agree.

    >>> rank_interval(1, 3), rank_interval(2.0, 2.0), rank_interval(None, None)
    ('1–3', '2', '–')
    """
    if not (is_known(low) and is_known(high)):
        return DASH
    return f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"


def group_name(group: Any) -> str:
    """A tie group as a letter: A for the first, AA after Z.

    >>> group_name(1), group_name(27), group_name(float("nan"))
    ('A', 'AA', '')
    """
    if not is_known(group):
        return ""
    name, rest = "", int(group)
    while rest > 0:
        rest, letter = divmod(rest - 1, 26)
        name = _LETTERS[letter] + name
    return name


def duration(seconds: Any) -> str:
    """A time in the largest unit that keeps it above 1.

    >>> duration(0.4), duration(75), duration(5400)
    ('0.4 s', '1.2 min', '1.5 h')
    """
    if not is_known(seconds):
        return DASH
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def parameters(count: Any) -> str:
    """A number of trained parameters.

    >>> parameters(311_000), parameters(154e6), parameters(12)
    ('311 k', '154 M', '12')
    """
    if not is_known(count):
        return DASH
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f}"


def count_by_class(text: Any) -> str:
    """Class counts from their JSON: "CN 90, AD 60"; empty for a regression.

    >>> count_by_class('{"CN": 90, "AD": 60}'), count_by_class("")
    ('CN 90, AD 60', '')
    """
    try:
        counts = json.loads(text) if isinstance(text, str) and text else {}
    except json.JSONDecodeError:
        return ""
    return ", ".join(f"{name} {n}" for name, n in counts.items()) if counts else ""
