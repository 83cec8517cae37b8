"""Explore / Ablations: published claims as tested here, and the insides of the methods."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import streamlit as st

from benchmark.metrics import get_metric
from benchmark.results.ablation import VERDICTS
from leaderboard import exports, state
from leaderboard.board_data import Ablations, Board, load_ablations
from leaderboard.charts.claims import MARKS, claim_forest, claim_forest_alt_text
from leaderboard.charts.palette import palette_for
from leaderboard.components.chart import show_chart
from leaderboard.components.choice import choose
from leaderboard.components.export_buttons import export_buttons
from leaderboard.components.facts_table import facts_table
from leaderboard.components.insides_section import insides_section
from leaderboard.components.markup import Markup, chip
from leaderboard.formats import interval, signed
from leaderboard.rows import SYNTHETIC, UNKNOWN, cohort_origins, records
from leaderboard.titles import metric_digits

HOW: Final = (
    "Each line is the difference of two arms on the same people, "
    "positive where the claim holds. **Shown**: its 95 % interval lies above zero. **Reversed**: "
    "below. **Not shown**: it holds zero, which is no evidence that the arms are equal."
)
HEADS: Final = ("Task", "Verdict", "Higher arm", "Lower arm", "Difference, 95 % interval", "n")
EMPTY: Final = (
    "No published claim has been tested on this board's cohorts. Run `neurodx ablate` (it is no "
    "part of `make repro` and takes up to two hours), or one claim with `neurodx ablate --only "
    "NAME`; `neurodx ablate --list` names them. Then reload this page."
)
NO_INSIDES: Final = (
    "The methods of this claim expose nothing that is shown here, or the claim was tested before "
    "such tables were written: run `neurodx ablate` again; what is fitted is kept."
)


def show(board: Board) -> None:
    """Shows the page."""
    st.title("Ablations")
    found = load_ablations(board)
    if found.claims.empty:
        st.info(EMPTY)
        return
    claims = found.claims.assign(name=found.claims["claim"].str.replace("_", " "))
    st.markdown(f"{_counted(claims)} {HOW}")
    origins = cohort_origins(board.rows)
    made = [c for c in dict.fromkeys(claims["cohort"]) if origins.get(c) == SYNTHETIC]
    if made:
        verdicts = f"**SYNTHETIC**: {', '.join(made)}. A verdict is about these data, not patients."
        st.markdown(verdicts)
    for metric, own in claims.groupby("metric", sort=False):
        title = f"Difference in {get_metric(str(metric)).title}"
        digits = metric_digits(str(metric))
        chart = claim_forest(own, title, palette_for(st.context.theme.type), digits=digits)
        show_chart(chart, claim_forest_alt_text(own, title, digits))
    with st.expander("All claims in numbers, with their sources"):
        cells = [(r.title, *_cells(r), f"{r.seeds:.0f}", r.source) for r in records(claims)]
        st.html(facts_table("Every claim.", ("Claim", *HEADS, "Seeds", "Source"), cells))
    _one_claim(claims, found, origins)
    files = {
        "csv": (exports.as_csv(found.claims), "text/csv"),
        "json": (exports.as_json(found.claims, board.facts), "application/json"),
    }
    for ending, table in (("insides.csv", found.insides), ("maps.csv", found.maps)):
        if not table.empty:
            files[ending] = (exports.as_csv(table), "text/csv")
    export_buttons(files, "ablations")


def _counted(claims: pd.DataFrame) -> str:
    counts = claims["verdict"].value_counts()
    said = ", ".join(f"{counts.get(name, 0)} {name}" for name in VERDICTS)
    n, lines = claims["claim"].nunique(), len(claims)
    return f"{n} claim{'s' if n > 1 else ''}, {lines} difference{'s' if lines > 1 else ''}: {said}."


def _one_claim(claims: pd.DataFrame, found: Ablations, origins: dict[str, str]) -> None:
    titles = dict(zip(claims["claim"], claims["title"], strict=True))
    claim = choose("Claim", state.CLAIM, list(titles), lambda name: str(titles[name]))
    own = claims.loc[claims["claim"] == claim]
    first = records(own)[0]
    st.header(first.title)
    origin = origins.get(first.cohort, UNKNOWN)
    st.markdown(f"Source: {first.source}")
    st.markdown(f"Tested on {first.cohort} ({origin}), {first.seeds:.0f} seeds.")
    cells = [_cells(r) for r in records(own)]
    st.html(facts_table("Differences that this claim is about.", HEADS, cells))
    insides, maps = found.insides, found.maps
    if insides.empty or not (insides["claim"] == claim).any():
        st.info(NO_INSIDES)
        return
    points = maps if maps.empty else maps.loc[maps["claim"] == claim]
    insides_section(insides.loc[insides["claim"] == claim], points)


def _cells(r: Any) -> tuple[str, ...]:
    digits, title = metric_digits(r.metric), get_metric(r.metric).title
    spread = interval(r.low, r.high, digits, sign=True)
    return (
        r.task,
        _verdict(r.verdict),
        f"{r.higher} ({title} {r.score_higher:.{digits}f})",
        f"{r.lower} ({r.score_lower:.{digits}f})",
        f"{signed(r.difference, digits)} ({spread or 'no interval'})",
        f"{r.n:.0f}",
    )


def _verdict(name: str) -> Markup:
    kind = name if name in {"shown", "reversed"} else ""
    return chip(f"{MARKS[name][0]} {name}", kind)
