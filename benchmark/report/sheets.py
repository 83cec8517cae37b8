"""The tables of a report as plain cells; HTML and LaTeX are two ways to write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmark.report.content import Content, Row, is_oracle, number, row_name
from benchmark.results.people import SUBGROUPS

__all__ = ["Sheet", "all_sheets"]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table.

    Attributes:
        name: Stem of its file.
        title: Caption.
        columns: Headings.
        rows: Cells as text, one tuple per row.
        note: How to read it; or why it is empty.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def all_sheets(content: Content) -> list[Sheet]:
    """Every table of the report, in order."""
    return [
        _ranking(content),
        _calibration(content),
        _subgroups(content),
        _gaps(content),
        _age(content),
        _site(content),
        _elsewhere(content),
        _few_label(content),
        _seeds(content),
        _honesty(content),
        _duplicates(content),
    ]


def _span(row: Row, low: str, high: str, *, sign: bool = False) -> str:
    if row[low] is None:
        return ""
    return f"{number(row[low], sign=sign)} to {number(row[high], sign=sign)}"


def _ranking(content: Content) -> Sheet:
    title = content.metric.title
    columns = (
        "method",
        "track",
        "rank",
        "tie group",
        title,
        "95 % interval",
        "n",
        "gain over floor",
    )
    return Sheet(
        "ranking",
        f"Ranks within tracks by {title}",
        columns,
        tuple(_ranked_cells(row) for row in content.rows),
        "Rows of one tie group cannot be told apart. A rank interval holds for all rows of the "
        "track together. * gain whose interval is clear of zero.",
    )


def _ranked_cells(row: Row) -> tuple[str, ...]:
    name = row["method"] + (f" (from {row['derived_from']})" if row["derived_from"] else "")
    if row["score"] is None:
        return (name, row["track"], "", "", row["status"], "", "", "")
    low, high = row["rank_low"], row["rank_high"]
    rank = "" if low is None else f"{low}" if low == high else f"{low} to {high}"
    rank = "not ranked" if is_oracle(row) else rank
    gain = number(row["floor_gain"], sign=True)
    if row["floor_gain_low"] is not None:
        gain += "*" if row["floor_gain_low"] > 0 or row["floor_gain_high"] < 0 else ""
    group = "" if row["tie_group"] is None else str(row["tie_group"])
    span = _span(row, "ci_low", "ci_high")
    return (name, row["track"], rank, group, number(row["score"]), span, str(row["n"]), gain)


_CALIBRATION: Final = {
    "classification": (
        ("brier_score", "Brier"),
        ("calibration_slope", "slope"),
        ("calibration_intercept", "intercept"),
        ("ece", "ECE (descriptive)"),
    ),
    "regression": (("mae", "MAE"), ("r2", "R2"), ("age_bias_slope", "age-bias slope")),
}
_CALIBRATION_NOTES: Final = {
    "classification": "Slope is best at 1 (below: overconfident), intercept at 0, Brier score and "
    "ECE at 0; ECE is biased upwards in small samples and carries no interval.",
    "regression": "The slope of the error on the true age is best at 0; -1 is a constant answer.",
}


def _calibration(content: Content) -> Sheet:
    wanted = _CALIBRATION[content.task.kind]
    cells = {(row_name(r), r["metric"]): _with_interval(r) for r in content.metrics}
    rows = [
        (row_name(row), *(cells.get((row_name(row), name), "") for name, _ in wanted))
        for row in content.scored
    ]
    columns = ("row", *(title for _, title in wanted))
    note = _CALIBRATION_NOTES[content.task.kind]
    return Sheet("calibration", "Calibration", columns, tuple(rows), note)


def _with_interval(row: Row) -> str:
    span = _span(row, "ci_low", "ci_high")
    return f"{number(row['score'])} ({span})" if span else number(row["score"])


def _subgroups(content: Content) -> Sheet:
    first = {row_name(r) for r in content.ranked if r["position"] == 1}
    lines = [r for r in content.of_ranked("subgroups") if row_name(r) in first]
    rows = [
        (
            row_name(r),
            SUBGROUPS[r["variable"]],
            r["group"],
            str(r["n"]),
            number(r["score"]) if r["status"] == "done" else r["status"],
            _span(r, "ci_low", "ci_high"),
            "worst" if r["worst"] else "",
        )
        for r in lines
    ]
    columns = ("row", "variable", "group", "n", content.metric.title, "95 % interval", "")
    note = "The first row of each track. Suppressed: fewer than 10 people in a class."
    return _sheet(content, "subgroups", "Subgroups", columns, rows, note)


def _gaps(content: Content) -> Sheet:
    rows = [
        (
            row_name(r),
            SUBGROUPS[r["variable"]],
            r["best_group"],
            r["worst_group"],
            number(r["gap"]),
            _span(r, "gap_low", "gap_high"),
            "yes" if r["separated"] else "no",
        )
        for r in content.of_ranked("subgroup_gaps")
    ]
    columns = ("row", "variable", "best group", "worst group", "gap", "95 % interval", "separated")
    note = "Best minus worst group; the interval allows for the choice of these two."
    return _sheet(content, "subgroup_gaps", "Gaps between groups", columns, rows, note)


def _age(content: Content) -> Sheet:
    rows = [
        (
            row_name(r),
            f"{number(r['age_gap_years'], 1)} ({r['oldest_class']} over {r['youngest_class']})",
            str(r["n_matched"]),
            number(r["matched_score"]) or r["status"],
            _span(r, "matched_low", "matched_high"),
            number(r["drop"], sign=True),
            _span(r, "drop_low", "drop_high", sign=True),
        )
        for r in content.of_ranked("age_matched")
    ]
    columns = (
        *("row", "age gap (years)", "n matched", "matched score", "95 % interval"),
        *("drop", "its interval"),
    )
    note = "People matched one to one within 3 years of age. Drop: score on all minus matched."
    return _sheet(content, "age_matched", "Age-matched scores", columns, rows, note)


def _site(content: Content) -> Sheet:
    rows = [
        (
            row_name(r),
            str(r["sites"]),
            str(r["n"]),
            number(r["balanced_accuracy"]) or r["status"],
            _span(r, "null_low", "null_high"),
            number(r["p_value"]),
        )
        for r in content.of_ranked("site_trace")
    ]
    columns = ("row", "sites", "n", "balanced accuracy", "permuted sites, 95 %", "p")
    note = "How well the site can be told from the outputs; sites are permuted within classes."
    return _sheet(content, "site_trace", "Trace of the site", columns, rows, note)


def _elsewhere(content: Content) -> Sheet:
    rows = [
        (
            row_name(r),
            r["external_cohort"],
            number(r["in_domain"]),
            number(r["external"]),
            number(r["drop"], sign=True),
            _span(r, "drop_low", "drop_high", sign=True),
        )
        for r in content.of_ranked("external_drop")
    ]
    rows += [
        (
            row_name(r),
            "sites left out",
            number(r["in_domain"]),
            number(r["left_out"]),
            number(r["drop"], sign=True),
            _span(r, "drop_low", "drop_high", sign=True),
        )
        for r in content.of_ranked("leave_site_out")
    ]
    columns = ("row", "where", "in-domain", "there", "drop", "95 % interval")
    note = f"Positive: worse there. Leave-site-out: {content.says['leave_site_out']}."
    return _sheet(content, "external_drop", "Elsewhere", columns, rows, note)


def _few_label(content: Content) -> Sheet:
    rows = [
        (
            row_name(r),
            f"{r['percent']} %",
            number(r["score"]) or r["status"],
            _span(r, "ci_low", "ci_high"),
            r["note"],
        )
        for r in content.tables["few_label"]
    ]
    columns = ("row", "labels", content.metric.title, "95 % interval", "")
    return _sheet(content, "few_label", "Few labels", columns, rows, "Share of training labels.")


def _seeds(content: Content) -> Sheet:
    rows = [
        (
            row_name(r),
            str(r["seeds"]),
            number(r["seed_sd"], 4),
            number(r["sample_sd"], 4),
            "" if r["seed_share"] is None else f"{100 * r['seed_share']:.0f} %",
            r["note"],
        )
        for r in content.of_ranked("seed_variance")
    ]
    columns = ("row", "seeds", "sd between seeds", "sd between samples", "share of seeds", "")
    note = "Training randomness beside that of whom the cohort happens to hold."
    return _sheet(content, "seed_variance", "Seeds against samples", columns, rows, note)


def _honesty(content: Content) -> Sheet:
    rows = [
        (
            row_name(r),
            f"{r['test_evaluations']} of {r['runs']} runs",
            str(r["superseded_evaluations"]),
            number(r["validation_score"]),
            number(r["test_score"]),
            number(r["optimism"], sign=True),
            _span(r, "optimism_low", "optimism_high", sign=True) or r["note"],
        )
        for r in content.of_ranked("honesty")
    ]
    columns = (
        *("row", "test evaluations", "by earlier versions", "validation", "test"),
        *("optimism", "95 % interval"),
    )
    note = "Optimism: validation minus test, positive where validation flatters."
    return _sheet(content, "honesty", "Honesty counters", columns, rows, note)


def _duplicates(content: Content) -> Sheet:
    rows = [
        (
            f"{r['method_a']} [{r['track_a']}]",
            f"{r['method_b']} [{r['track_b']}]",
            r["kind"],
            number(r["correlation"], 4),
            str(r["n_common"]),
        )
        for r in content.tables["duplicates"]
    ]
    columns = ("row", "and", "are", "correlation", "people")
    return _sheet(content, "duplicates", "Duplicates", columns, rows, "Rows that say the same.")


def _sheet(
    content: Content,
    name: str,
    title: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    note: str,
) -> Sheet:
    """A sheet whose note says why it is empty where it is."""
    if not rows:
        says = content.says[name]
        empty = says if says.startswith("empty") else "empty for this cohort and task"
        return Sheet(name, title, columns, (), empty)
    return Sheet(name, title, columns, tuple(rows), note)
