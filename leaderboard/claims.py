"""Lines of tested claims as a page shows them; no I/O and no statistics."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from benchmark.metrics import get_metric
from benchmark.results.ablation import CONTRAST, NOT_JUDGED
from leaderboard.charts.claims import MARKS, mark
from leaderboard.components.markup import Markup, chip, element, join
from leaderboard.formats import DASH, interval, is_known, score, signed
from leaderboard.titles import metric_digits

__all__ = ["HEADS", "claim_cells", "commits_of", "completed", "counted"]

ORDER: Final = "order"  # a value that the board's tables hold
HEADS: Final = ("Task", "Verdict", "Higher arm", "Lower arm", "Difference, 95 % interval", "n")

_TEXTS: Final = {"kind": ORDER, "reading": "", "note": "", "commit": ""}
_GAIN: Final = "gain on "


def completed(claims: pd.DataFrame) -> pd.DataFrame:
    """Fills what older boards lack and adds what the page shows.

    Args:
        claims: ``ablations.parquet``.

    Returns:
        The lines with ``kind reading note commit`` (text), ``name`` (of the claim, with spaces),
        ``judged`` (whether there are numbers to show) and ``people`` (n in words).
    """
    texts = {name: _filled(claims, name, without) for name, without in _TEXTS.items()}
    gains = claims["lower"].str.startswith(_GAIN) & claims["higher"].str.startswith(_GAIN)
    texts["kind"] = texts["kind"].mask(gains, CONTRAST)  # older boards call them of kind order
    sides = zip(*(_filled(claims, c, float("nan")) for c in ("n_lower", "n_higher")), strict=True)
    return claims.assign(
        **texts,
        name=claims["claim"].str.replace("_", " "),
        judged=(claims["verdict"] != NOT_JUDGED) & claims["difference"].notna(),
        people=[_people(n, *side) for n, side in zip(claims["n"], sides, strict=True)],
    )


def counted(claims: pd.DataFrame) -> str:
    """Counts claims, differences and verdicts; of verdicts without a number, those that occur."""
    counts = claims["verdict"].value_counts()
    names = [*MARKS, *sorted(set(counts.index) - set(MARKS))]
    said = ", ".join(f"{counts.get(name, 0)} {name}" for name in names)
    n, lines = claims["claim"].nunique(), len(claims)
    return f"{n} claim{'s' if n > 1 else ''}, {lines} difference{'s' if lines > 1 else ''}: {said}."


def commits_of(claims: pd.DataFrame) -> str:
    """Says which code fitted some lines; empty where the board does not know."""
    names = [name for name in dict.fromkeys(claims["commit"]) if name]
    if not names:
        return ""
    return f"fitted by the code of commit{'s' if len(names) > 1 else ''} {', '.join(names)}"


def claim_cells(r: Any) -> tuple[str, ...]:
    """One completed line below ``HEADS``; one that is not judged says why, without numbers."""
    task = r.task if r.kind == ORDER else join(r.task, element("span", r.kind, class_="quiet line"))
    if not r.judged:
        why = r.note or "no reason recorded"
        return (task, _verdict(r.verdict), r.higher, r.lower, why, r.people)
    digits, title = metric_digits(r.metric), get_metric(r.metric).title
    if r.kind == CONTRAST:
        higher, lower = (
            f"gain in {title} {signed(r.score_higher, digits)}",
            signed(r.score_lower, digits),
        )
    else:
        higher, lower = f"{title} {score(r.score_higher, digits)}", score(r.score_lower, digits)
    spread = interval(r.low, r.high, digits, sign=True) or "no interval"
    return (
        task,
        _verdict(r.verdict),
        f"{r.higher} ({higher})",
        f"{r.lower} ({lower})",
        f"{signed(r.difference, digits)} ({spread})",
        r.people,
    )


def _filled(claims: pd.DataFrame, name: str, without: Any) -> pd.Series[Any]:
    if name not in claims:
        return pd.Series(without, index=claims.index)
    return claims[name].fillna(without)


def _people(n: Any, lower: Any, higher: Any) -> str:
    """People on both sides, or those of each where they are not the same."""
    if not (is_known(lower) and is_known(higher)) or lower == higher == n:
        return f"{n:.0f}" if is_known(n) else DASH
    return f"{lower:.0f} + {higher:.0f}"


def _verdict(name: str) -> Markup:
    kind = name if name in {"shown", "reversed"} else ""
    return chip(f"{mark(name)[0]} {name}", kind)
