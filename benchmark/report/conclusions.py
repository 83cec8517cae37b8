"""What may and what may not be concluded, in sentences made from the numbers of one cell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmark.report.content import Content, Row, is_oracle, number, row_name
from benchmark.results.people import SUBGROUPS
from benchmark.results.rank_cell import FLOORS
from benchmark.results.rescore import LEAST_PER_CLASS
from benchmark.results.score_cell import SMALL_CLASS
from benchmark.tracks import TRACKS

__all__ = ["UNCORRECTED", "Conclusions", "conclude"]

UNCORRECTED: Final = (
    "No interval in these sentences is corrected for the number of sentences: of many rows that do "
    "not differ, a few have intervals clear of zero by chance. Ranks, ties and the gaps between "
    "groups of one row allow for what they compare, each by itself."
)
_MOST_NAMES: Final = 6


@dataclass(frozen=True, slots=True)
class Conclusions:
    """Sentences.

    Attributes:
        warnings: What a reader must know before any number.
        may: What the numbers support.
        may_not: What they do not.
    """

    warnings: tuple[str, ...]
    may: tuple[str, ...]
    may_not: tuple[str, ...]


def conclude(content: Content) -> Conclusions:
    """Reads a cell's numbers."""
    return Conclusions(
        tuple(_warnings(content)),
        (
            *_leaders(content),
            *_wider(content),
            *_floor(content),
            *_elsewhere(content),
            *_checks(content),
        ),
        tuple(_limits(content)),
    )


def _names(rows: Sequence[Row]) -> str:
    names = [row_name(row) for row in rows]
    shown = names[:_MOST_NAMES]
    more = len(names) - len(shown)
    listed = ", ".join(shown[:-1]) + (" and " if len(shown) > 1 else "") + shown[-1]
    return f"{', '.join(shown)} and {more} more" if more else listed


def _interval(row: Row, low: str, high: str, *, sign: bool = False) -> str:
    return f"{number(row[low], sign=sign)} to {number(row[high], sign=sign)}"


def _sizes(content: Content) -> dict[str, int]:
    """People by class of the largest scored row."""
    rows = [r for r in content.scored if r["n_by_class"]]
    if not rows:
        return {}
    largest = max(rows, key=lambda r: r["n"])
    return {str(k): int(n) for k, n in json.loads(largest["n_by_class"]).items()}


def _warnings(content: Content) -> Iterator[str]:
    if content.synthetic:
        yield (
            f"SYNTHETIC: the people of {content.cohort} are made up by a generator. A rank here "
            "checks methods and machinery; it says nothing about patients."
        )
    else:
        yield "Real people. Research only: nothing here is a diagnostic device or a clinical claim."
    sizes = _sizes(content)
    if sizes and min(sizes.values()) < SMALL_CLASS:
        counts = ", ".join(f"{n} {name}" for name, n in sizes.items())
        yield (
            f"SMALL SAMPLE: {counts}. With fewer than {SMALL_CLASS} people in a class, intervals "
            "are wide and their coverage is less certain."
        )
    if content.gaps:
        said = "; ".join(f"{row_name(r)} {r['status']}: {r['error']}" for r in content.gaps)
        yield f"NOT SCORED: {said}."


def _leaders(content: Content) -> Iterator[str]:
    alone: list[str] = []
    for track in dict.fromkeys(row["track"] for row in content.ranked):
        rows = [row for row in content.ranked if row["track"] == track]
        if len(rows) > 1:
            yield from _leader(content, track, rows)
        else:
            alone.append(f"{row_name(rows[0])} {number(rows[0]['score'])}{_said(rows[0])}")
    if alone:
        yield (
            f"Alone in their tracks, so that their rank says nothing ({content.metric.title}): "
            f"{'; '.join(alone)}."
        )


def _leader(content: Content, track: str, rows: Sequence[Row]) -> Iterator[str]:
    best, others = rows[0], rows[1:]
    value = f"{content.metric.title} {number(best['score'])}{_said(best)}"
    tied = [row for row in others if row["tie_group"] == best["tie_group"]]
    apart = [row for row in others if row["tie_group"] != best["tie_group"]]
    if not tied:
        said = f"all {len(apart)} others" if len(apart) > 1 else row_name(apart[0])
        yield f"In track {track}, {row_name(best)} is first, separated from {said}: {value}."
        return
    more = best["n_more_to_separate"]
    needed = "" if not more else f" About {more:,.0f} more people would separate it from the next."
    yield (
        f"In track {track}, {row_name(best)} comes first with {value}, and cannot be told "
        f"apart from {_names(tied)}.{needed}"
    )
    if apart:
        verb = "is" if len(apart) == 1 else "are"
        yield f"In track {track}, {_names(apart)} {verb} separated from the first."


def _wider(content: Content) -> Iterator[str]:
    """The first row of each track among all that see no more than the track shows."""
    for track in dict.fromkeys(row["track"] for row in content.ranked):
        best = next(row for row in content.ranked if row["track"] == track)
        family = [row for row in content.ranked if _included(row["track"], track)]
        if best["rank_all_low"] is None or len({row["track"] for row in family}) < 2:
            continue
        low, high = best["rank_all_low"], best["rank_all_high"]
        rank = f"{low}" if low == high else f"{low} to {high}"
        yield (
            f"Among the {len(family)} rows that see no more than track {track} shows, "
            f"{row_name(best)} has rank {rank}."
        )


def _included(track: str, within: str) -> bool:
    known = track in TRACKS and within in TRACKS
    return track == within or (known and TRACKS[track] <= TRACKS[within])


def _said(row: Row) -> str:
    if row["ci_low"] is None:
        return ""
    return f" (95 % interval {_interval(row, 'ci_low', 'ci_high')})"


def _floor(content: Content) -> Iterator[str]:
    floor = FLOORS[content.task.kind]
    rows = [r for r in content.ranked if r["floor_gain_low"] is not None]
    better = [r for r in rows if r["floor_gain_low"] > 0]
    if better:
        yield f"Better than {floor} by an interval clear of zero: {_names(better)}."
    elif rows:
        yield f"No row is better than {floor} by an interval clear of zero."
    sign = 1.0 if content.metric.higher_is_better else -1.0
    best = max(content.ranked, key=lambda r: sign * r["score"], default=None)
    if best is not None and best["oracle_gap"] is not None:
        yield (
            f"{row_name(best)}, the best score of all tracks, differs by "
            f"{number(best['oracle_gap'], sign=True)} from the oracle of its track, which no "
            "method can be expected to pass but by chance."
        )


def _elsewhere(content: Content) -> Iterator[str]:
    rows = content.of_ranked("external_drop")
    worse = [r for r in rows if r["drop_low"] is not None and r["drop_low"] > 0]
    yield from _first_of(
        "drops on an external cohort that are clear of zero",
        [
            f"{row_name(row)} loses {number(row['drop'])} on {row['external_cohort']} "
            f"({_interval(row, 'drop_low', 'drop_high')})."
            for row in worse
        ],
    )
    if rows and not worse:
        yield f"No drop on an external cohort is clear of zero ({len(rows)} looked at)."
    left = [r for r in content.of_ranked("leave_site_out") if (r["drop_low"] or 0) > 0]
    yield from _first_of(
        "drops on sites left out of training that are clear of zero",
        [
            f"{row_name(row)} loses {number(row['drop'])} on sites left out of its training "
            f"({_interval(row, 'drop_low', 'drop_high')})."
            for row in left
        ],
    )
    gaps = [r for r in content.of_ranked("subgroup_gaps") if r["separated"]]
    yield from _first_of(
        "gaps between groups that are clear of zero",
        [
            f"{row_name(row)} is worse for {SUBGROUPS[row['variable']]} {row['worst_group']} than "
            f"for {row['best_group']}, by {number(row['gap'])} "
            f"({_interval(row, 'gap_low', 'gap_high')})."
            for row in gaps
        ],
    )
    drops = [r for r in content.of_ranked("age_matched") if (r["drop_low"] or 0) > 0]
    yield from _first_of(
        "drops among age-matched people that are clear of zero",
        [
            f"{row_name(row)} scores worse among {row['n_matched']} age-matched people than among "
            f"all: {number(row['matched_score'])} against {number(row['score'])}, a drop of "
            f"{number(row['drop'])} ({_interval(row, 'drop_low', 'drop_high')})."
            for row in drops
        ],
    )
    if drops:
        yield (
            "Matched people may differ from all in more than age: these drops do not say what a "
            "row owes to age."
        )


def _first_of(what: str, sentences: Sequence[str]) -> Iterator[str]:
    """The first sentences, in ranking order, and how many more there are."""
    yield from sentences[:_MOST_NAMES]
    more = len(sentences) - _MOST_NAMES
    if more > 0:
        yield f"And {more} more {what}; the tables below hold all {len(sentences)}."


def _checks(content: Content) -> Iterator[str]:
    for told_from in ("outputs", "embedding"):
        lines = [r for r in content.of_ranked("site_trace") if r["told_from"] == told_from]
        sites = [r for r in lines if r["p_value"] is not None]
        traced = [r for r in sites if r["balanced_accuracy"] > r["null_high"]]
        if traced:
            yield (
                f"The site can be told from the {told_from} better than the diagnosis explains: "
                f"{_names(traced)} ({len(traced)} of {len(sites)} looked at; about "
                f"{0.025 * len(sites):.1f} would be by chance)."
            )
    flattered = [r for r in content.of_ranked("honesty") if (r["optimism_low"] or 0) > 0]
    if flattered:
        yield f"Validation flatters by an interval clear of zero: {_names(flattered)}."
    for row in content.tables["duplicates"]:
        yield (
            f"{row['method_a']} [{row['track_a']}] and {row['method_b']} [{row['track_b']}] are "
            f"{row['kind']} on {row['n_common']} people: count them as one."
        )


def _limits(content: Content) -> Iterator[str]:
    if content.synthetic:
        yield "That any method would help, or harm, a patient: no patient was measured."
    else:
        yield "That any method is fit for a clinic: one cohort, nothing prospective."
    groups = [(row["track"], row["tie_group"]) for row in content.ranked]
    if len(set(groups)) < len(groups):
        yield "That methods of one tie group are equally good: they could not be told apart here."
    if len({row["track"] for row in content.ranked}) > 1:
        yield "That a method beats one of another track as a method: they saw different inputs."
    single = [row for row in content.ranked if row["seeds"] is not None and row["seeds"] < 3]
    if single:
        yield (
            f"That a second training would give the same order: {len(single)} of "
            f"{len(content.ranked)} rows have fewer than 3 seeds, and their intervals hold for "
            "these fitted models only."
        )
    lines = content.tables["subgroups"]
    hidden = [r for r in lines if r["status"] == "suppressed"]
    if hidden:
        yield (
            f"That groups are served alike: {len(hidden)} of {len(lines)} group scores are "
            f"suppressed (fewer than {LEAST_PER_CLASS} people in a class), and a gap that is not "
            "separated is not shown to be zero."
        )
    if not content.tables["external_drop"]:
        yield "That the scores hold in another cohort: none was predicted."
    for name in ("leave_site_out", "few_label"):
        if not content.tables[name]:
            yield f"Anything about {name.replace('_', ' ')}: no such runs for this cell."
    if any(is_oracle(row) for row in content.rows):
        yield "That the oracle is a method: it knows the generator and is never ranked."
