"""Explore / Ablations: published claims as tested here, and the insides of the methods."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from benchmark.metrics import get_metric
from leaderboard import exports, state
from leaderboard.board_data import Ablations, Board, load_ablations
from leaderboard.charts.claims import claim_forest, claim_forest_alt_text
from leaderboard.charts.palette import palette_for
from leaderboard.claims import HEADS, claim_cells, commits_of, completed, counted
from leaderboard.components.chart import show_chart
from leaderboard.components.choice import choose
from leaderboard.components.export_buttons import export_buttons
from leaderboard.components.facts_table import facts_table
from leaderboard.components.insides_section import insides_section
from leaderboard.formats import score
from leaderboard.rows import SYNTHETIC, UNKNOWN, cohort_origins, records
from leaderboard.titles import metric_digits

HOW: Final = (
    "Each line is a difference, positive where the claim holds. Lines of kind *order*, which say "
    "no kind, compare two arms on the same people; *confidence* compares thirds of one arm's "
    "people; *transfer* compares two cohorts; *contrast* is a difference of two gains. Two numbers "
    "of people are those behind each side; in a contrast some may stand on both.\n\n"
    "**Shown**: its 95 % interval lies above zero. **Reversed**: "
    "below. **Not shown**: it holds zero, which is no evidence that the arms are equal."
)
UNJUDGED: Final = "**Not judged**: there is no number; the reason stands in its place."
UNCORRECTED: Final = (
    "The differences are many, and no interval is corrected for their number: of many arms that do "
    "not differ, a few have intervals clear of zero by chance."
)
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
    claims = completed(found.claims)
    unjudged = "" if claims["judged"].all() else f" {UNJUDGED}"
    st.markdown(f"{counted(claims)} {HOW}{unjudged}\n\n{UNCORRECTED}")
    origins = cohort_origins(board.rows)
    made = [c for c in dict.fromkeys(claims["cohort"]) if origins.get(c) == SYNTHETIC]
    if made:
        verdicts = f"**SYNTHETIC**: {', '.join(made)}. A verdict is about these data, not patients."
        st.markdown(verdicts)
    for metric, own in claims.loc[claims["judged"]].groupby("metric", sort=False):
        title = f"Difference in {get_metric(str(metric)).title}"
        digits = metric_digits(str(metric))
        chart = claim_forest(own, title, palette_for(st.context.theme.type), digits=digits)
        show_chart(chart, claim_forest_alt_text(own, title, digits))
    with st.expander("All claims in numbers, with their sources"):
        cells = [(r.title, *claim_cells(r), score(r.seeds, 0), r.source) for r in records(claims)]
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


def _one_claim(claims: pd.DataFrame, found: Ablations, origins: dict[str, str]) -> None:
    titles = dict(zip(claims["claim"], claims["title"], strict=True))
    claim = choose("Claim", state.CLAIM, list(titles), lambda name: str(titles[name]))
    own = claims.loc[claims["claim"] == claim]
    first = records(own)[0]
    st.header(first.title)
    origin = origins.get(first.cohort, UNKNOWN)
    st.markdown(f"Source: {first.source}")
    if first.reading:
        st.markdown(first.reading)
    tested = [f"Tested on {first.cohort} ({origin})", f"{score(first.seeds, 0)} seeds"]
    st.markdown(", ".join(filter(None, [*tested, commits_of(own)])) + ".")
    cells = [claim_cells(r) for r in records(own)]
    st.html(facts_table("Differences that this claim is about.", HEADS, cells))
    insides, maps = found.insides, found.maps
    if insides.empty or not (insides["claim"] == claim).any():
        st.info(NO_INSIDES)
        return
    points = maps if maps.empty else maps.loc[maps["claim"] == claim]
    insides_section(insides.loc[insides["claim"] == claim], points)
