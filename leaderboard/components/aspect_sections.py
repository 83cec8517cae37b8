"""The sections of Explore / Robustness: a sentence, a chart and a table for each question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import streamlit as st

from benchmark.results.people import SUBGROUPS
from leaderboard import formats, state
from leaderboard.aspects import (
    GAP_COLUMNS,
    as_differences,
    curves_in_order,
    group_rows,
    interval_cell,
    score_or_status,
)
from leaderboard.charts.few_label import MOST_CURVES, few_label, few_label_alt_text
from leaderboard.charts.groups import groups, groups_alt_text
from leaderboard.charts.palette import palette_for
from leaderboard.charts.spread import (
    site_guess,
    site_guess_alt_text,
    two_spreads,
    two_spreads_alt_text,
)
from leaderboard.components.chart import show_chart
from leaderboard.components.choice import choose
from leaderboard.components.facts_table import facts_table
from leaderboard.components.markup import chip
from leaderboard.components.missing_section import missing_modalities
from leaderboard.components.shown import Shown
from leaderboard.rows import ORACLE, records

__all__ = ["ASPECTS"]


def _subgroups(shown: Shown) -> None:
    lines = shown.lines("subgroups")
    if lines.empty:
        shown.nothing("subgroups")
        return
    st.caption(
        "Groups with fewer than 10 people in a class are suppressed. Dashed: everybody. The worst "
        "group of each kind is marked; whether it is really worse, the gaps below say."
    )
    names = dict(zip(lines["key"], lines["label"], strict=True))
    keys = sorted(names, key=lambda name: name.startswith(f"{ORACLE}|"))  # methods first
    key = choose("Row", state.ROW, keys, lambda name: names[name])
    own = lines.loc[lines["key"] == key]
    scored = group_rows(own)
    if not scored.empty:
        whole = float(shown.rows.loc[shown.rows["key"] == key, "score"].iloc[0])
        palette = palette_for(st.context.theme.type)
        chart = groups(scored, shown.title, palette, whole=whole, digits=shown.digits)
        show_chart(chart, groups_alt_text(scored, shown.title, shown.digits))
    cells = [
        (
            f"{SUBGROUPS[r.variable]}: {r.group}",
            score_or_status(r.score, r.status, r.note, shown.digits),
            formats.interval(r.ci_low, r.ci_high, shown.digits) or formats.DASH,
            f"{r.n}",
            f"{r.n_smallest_class}",
            chip("worst", "warn") if r.worst else "",
        )
        for r in records(own)
    ]
    heads = ("Group", shown.title, "95 % interval", "n", "Smallest class", "")
    st.html(facts_table(f"{names[key]} in groups of people.", heads, cells))
    _gaps(shown)


def _gaps(shown: Shown) -> None:
    lines = shown.lines("subgroup_gaps")
    st.subheader("Gap between the best and the worst group")
    if lines.empty:
        shown.nothing("subgroup_gaps")
        return
    st.caption(
        "Best minus worst group. These two were chosen on the same data, and the interval allows "
        "for that choice."
    )
    kinds = [name for name in SUBGROUPS if name in set(lines["variable"])]
    kind = choose("Groups by", state.VARIABLE, kinds, lambda name: SUBGROUPS[name])
    here = lines.loc[lines["variable"] == kind]
    rows = as_differences(here, GAP_COLUMNS, "separated")
    shown.difference_chart(rows, "Gap")
    cells = [
        (
            r.label,
            interval_cell(r.gap, r.gap_low, r.gap_high, shown.digits),
            r.worst_group or "all alike",
            r.best_group or formats.DASH,
            "yes" if r.separated else "no",
        )
        for r in records(here)
    ]
    heads = ("Row", "Gap, 95 % interval", "Worst group", "Best group", "Real at 5 %")
    st.html(facts_table(f"Gaps by {SUBGROUPS[kind]}.", heads, cells))


def _age(shown: Shown) -> None:
    lines = shown.lines("age_matched")
    if lines.empty:
        shown.nothing("age_matched")
        return
    st.caption(
        "People of the classes matched one to one within 3 years of age. Drop: score on everybody "
        "minus score on the matched; positive where age helped."
    )
    shown.difference_chart(as_differences(lines), "Drop")
    cells = [
        (
            r.label,
            f"{formats.score(r.age_gap_years, 1)} years ({r.oldest_class} over {r.youngest_class})",
            f"{formats.score(r.n, 0)} to {formats.score(r.n_matched, 0)}",
            score_or_status(r.matched_score, r.status, r.note, shown.digits),
            interval_cell(r.drop, r.drop_low, r.drop_high, shown.digits),
        )
        for r in records(lines)
    ]
    heads = ("Row", "Age gap", "n, matched", "Matched score", "Drop, 95 % interval")
    st.html(facts_table("Scores at equal age.", heads, cells))


def _elsewhere(shown: Shown) -> None:
    st.subheader("On another cohort")
    lines = shown.lines("external_drop")
    if lines.empty:
        shown.nothing("external_drop")
    for cohort, part in lines.groupby("external_cohort"):
        st.markdown(f"To **{cohort}**, by the same fitted models:")
        shown.difference_chart(as_differences(part), "Drop")
        abroad = [(r.label, *_drop_cells(r, r.external, shown)) for r in records(part)]
        columns = ("Row", "In-domain", "There", "Drop, 95 % interval")
        st.html(facts_table(f"In-domain against {cohort}.", columns, abroad))
    st.subheader("On sites left out of training")
    lines = shown.lines("leave_site_out")
    if lines.empty:
        shown.nothing("leave_site_out")
        return
    shown.difference_chart(as_differences(lines), "Drop")
    cells = [(r.label, "all", f"{r.n}", *_drop_cells(r, r.left_out, shown)) for r in records(lines)]
    cells += [
        (r.label, r.site, f"{r.n}", *_drop_cells(r, r.left_out, shown, r.status, r.note))
        for r in records(shown.lines("left_out_sites"))
    ]
    heads = ("Row", "Site", "n", "Site in training", "Site left out", "Drop, 95 % interval")
    st.html(facts_table("The same people by models that saw their site or did not.", heads, cells))


def _drop_cells(
    r: Any, there: float, shown: Shown, status: str = "done", note: str = ""
) -> tuple[str, str, str]:
    return (
        formats.score(r.in_domain, shown.digits),
        score_or_status(there, status, note, shown.digits),
        interval_cell(r.drop, r.drop_low, r.drop_high, shown.digits),
    )


def _few_label(shown: Shown) -> None:
    lines = curves_in_order(shown.lines("few_label", any_protocol=True))
    if lines.empty:
        shown.nothing("few_label")
        return
    names = list(dict.fromkeys(lines["label"]))
    drawn = names[:MOST_CURVES]
    rest = f" The chart shows the first {MOST_CURVES} rows." if len(names) > MOST_CURVES else ""
    st.caption(
        "Fitted on a share of the training people, tested on everybody. A cross: the point was "
        f"left out, since a class would have had fewer than 2 training people.{rest}"
    )
    part = lines.loc[lines["label"].isin(drawn)]
    chart = few_label(part, shown.title, palette_for(st.context.theme.type), digits=shown.digits)
    show_chart(chart, few_label_alt_text(part, shown.title, shown.digits))
    cells = [
        (
            r.label,
            f"{r.percent} %",
            score_or_status(r.score, r.status, r.note, shown.digits),
            formats.interval(r.ci_low, r.ci_high, shown.digits) or formats.DASH,
            formats.score(r.n, 0),
        )
        for r in records(lines)
    ]
    heads = ("Row", "Training labels", shown.title, "95 % interval", "n tested")
    st.html(facts_table("Score by share of training labels.", heads, cells))


def _seeds(shown: Shown) -> None:
    lines = shown.lines("seed_variance")
    if lines.empty:
        shown.nothing("seed_variance")
        return
    st.caption(
        "How much the score would move with other people, and with another training of the same "
        "settings. The latter is known from three seeds on."
    )
    palette = palette_for(st.context.theme.type)
    chart = two_spreads(lines, shown.short, palette)
    show_chart(chart, two_spreads_alt_text(lines, shown.short))
    cells = [
        (
            r.label,
            f"{r.seeds}",
            formats.score(r.sample_sd, 4),
            score_or_status(r.seed_sd, r.status, r.note, 4),
            f"{r.seed_share:.0%}".replace("%", " %")
            if formats.is_known(r.seed_share)
            else formats.DASH,
        )
        for r in records(lines)
    ]
    heads = ("Row", "Seeds", "sd between samples", "sd between seeds", "Share of seeds")
    st.html(facts_table("Training randomness beside that of the sample.", heads, cells))


def _sites(shown: Shown) -> None:
    lines = shown.lines("site_trace")
    if lines.empty:
        shown.nothing("site_trace")
        return
    st.caption(
        "How well the site can be guessed from the outputs alone, and from the embedding where the "
        "method has one. Grey: 95 % range when sites are permuted within classes. p is not "
        "corrected for the number of rows."
    )
    lines = lines.assign(label=[_told(r) for r in records(lines)])
    lines = lines.sort_values(
        "told_from", ascending=False, kind="stable"
    )  # outputs, then embedding
    scored = lines.loc[lines["status"] == "done"]
    if not scored.empty:
        chart = site_guess(scored, palette_for(st.context.theme.type))
        show_chart(chart, site_guess_alt_text(scored))
    cells = [
        (
            r.label,
            f"{r.sites} sites, {r.n} people",
            score_or_status(r.balanced_accuracy, r.status, r.note, 3),
            formats.interval(r.null_low, r.null_high) or formats.DASH,
            formats.score(r.chance, 3),
            formats.score(r.p_value),
        )
        for r in records(lines)
    ]
    heads = ("Row", "Of", "Balanced accuracy", "Permuted sites, 95 %", "Chance", "p")
    st.html(facts_table("Trace of the site in outputs and embeddings.", heads, cells))


def _told(r: Any) -> str:
    return str(r.label) if r.told_from == "outputs" else f"{r.label}, {r.told_from}"


ASPECTS: Final[Mapping[str, tuple[str, Callable[[Shown], None]]]] = MappingProxyType(
    {
        "subgroups": ("Groups of people", _subgroups),
        "elsewhere": ("Another cohort, sites left out", _elsewhere),
        "missing": ("Modalities missing", missing_modalities),
        "few-label": ("Few training labels", _few_label),
        "seeds": ("Seeds against samples", _seeds),
        "sites": ("Trace of the site", _sites),
        "age": ("Equal age", _age),
    }
)
