"""The tables of a report, in order; those of robustness are laid out here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmark.report.content import Content, Row, number, row_name, what_intervals_hold_for
from benchmark.report.lines import as_stored, elsewhere, left, less, of_first, outputs_first
from benchmark.report.score_sheets import calibration_sheet, metrics_sheet, ranking_sheet, span
from benchmark.report.sheet import Sheet
from benchmark.results.people import SUBGROUPS

__all__ = ["all_sheets"]


def all_sheets(content: Content) -> list[Sheet]:
    """Every table of the report, in order."""
    return [
        ranking_sheet(content),
        calibration_sheet(content),
        metrics_sheet(content),
        *(_laid_out(content, layout) for layout in _LAYOUTS),
    ]


_Cell = Callable[[Row], str]


def _plain(name: str, digits: int = 3, *, sign: bool = False) -> _Cell:
    """A column as it is: a number where it holds decimals, else text."""

    def cell(row: Row) -> str:
        value = row[name]
        if value is None or isinstance(value, float):
            return number(value, digits, sign=sign)
        return str(value)

    return cell


def _complete_cases(row: Row) -> str:
    """How many complete cases there are, of how many people."""
    n = row["complete_n"]
    return "" if n is None else f"{n} of {row['complete_n_everybody']}"


def _or(cell: _Cell, name: str) -> _Cell:
    """A cell, or where it is empty the text of a column."""
    return lambda row: cell(row) or str(row[name])


def _between(low: str, high: str, *, sign: bool = False) -> _Cell:
    return lambda row: span(row, low, high, sign=sign)


def _side(side: str) -> _Cell:
    return lambda row: f"{row[f'method_{side}']} [{row[f'track_{side}']}]"


def _variable(row: Row) -> str:
    return SUBGROUPS[row["variable"]]


def _age_gap(row: Row) -> str:
    years = number(row["age_gap_years"], 1)
    return f"{years} ({row['oldest_class']} over {row['youngest_class']})"


def _share(row: Row) -> str:
    return "" if row["seed_share"] is None else f"{100 * row['seed_share']:.0f} %"


_METRIC: Final = "{metric}"  # stands for the title of the metric that ranks


@dataclass(frozen=True, slots=True)
class _Layout:
    """A table whose lines are those of a robustness table.

    Attributes:
        name: The robustness table, and stem of the sheet's file.
        title: Caption.
        note: How to read it; ``{says}`` stands for what is said of leave-site-out.
        columns: Heading and cell of each column; or the name of one that is shown as it is.
        lines: Which lines it shows.
    """

    name: str
    title: str
    note: str
    columns: tuple[str | tuple[str, _Cell], ...]
    lines: Callable[[Content, str], Sequence[Row]] = Content.of_ranked


_LAYOUTS: Final = (
    _Layout(
        "subgroups",
        "Subgroups",
        "The first row of each track. Suppressed: fewer than 10 people in a class.",
        (
            ("row", row_name),
            ("variable", _variable),
            "group",
            "n",
            (_METRIC, _or(_plain("score"), "status")),
            ("95 % interval", _between("ci_low", "ci_high")),
            ("", lambda r: "worst" if r["worst"] else ""),
        ),
        of_first,
    ),
    _Layout(
        "subgroup_gaps",
        "Gaps between groups",
        "Best minus worst group; the interval allows for the choice of these two.",
        (
            ("row", row_name),
            ("variable", _variable),
            "best_group",
            "worst_group",
            "gap",
            ("95 % interval", _between("gap_low", "gap_high")),
            ("separated", lambda r: "yes" if r["separated"] else "no"),
        ),
    ),
    _Layout(
        "age_matched",
        "Age-matched scores",
        "People matched one to one within 3 years of age. Drop: score on all minus matched.",
        (
            ("row", row_name),
            ("age gap (years)", _age_gap),
            "n_matched",
            ("matched score", _or(_plain("matched_score"), "status")),
            ("95 % interval", _between("matched_low", "matched_high")),
            ("drop", _plain("drop", sign=True)),
            ("its interval", _between("drop_low", "drop_high", sign=True)),
        ),
    ),
    _Layout(
        "site_trace",
        "Trace of the site",
        "How well the site can be told from outputs or embeddings; sites are permuted within "
        "classes. Chance: one over the number of sites.",
        (
            ("row", row_name),
            ("from", _plain("told_from")),
            "sites",
            "n",
            ("balanced accuracy", _or(_plain("balanced_accuracy"), "status")),
            ("permuted sites, 95 %", _between("null_low", "null_high")),
            ("chance", _plain("chance")),
            ("p", _plain("p_value")),
        ),
        outputs_first,
    ),
    _Layout(
        "external_drop",
        "Elsewhere",
        "Positive: worse there. Leave-site-out: {says}.",
        (
            ("row", row_name),
            "where",
            ("in-domain", _plain("in_domain")),
            "there",
            ("drop", _plain("drop", sign=True)),
            ("95 % interval", _between("drop_low", "drop_high", sign=True)),
        ),
        elsewhere,
    ),
    _Layout(
        "left_out_sites",
        "Sites left out of training",
        "The same people by models that saw their site and by models that did not.",
        (
            ("row", row_name),
            "site",
            "n",
            ("all sites in training", _plain("in_domain")),
            ("site left out", _or(_plain("left_out"), "status")),
            ("its 95 % interval", _between("left_out_low", "left_out_high")),
            ("drop", _plain("drop", sign=True)),
            ("95 % interval", _between("drop_low", "drop_high", sign=True)),
        ),
    ),
    _Layout(
        "few_label",
        "Few labels",
        "Share of training labels.",
        (
            ("row", row_name),
            ("labels", lambda r: f"{r['percent']} %"),
            (_METRIC, _or(_plain("score"), "status")),
            ("95 % interval", _between("ci_low", "ci_high")),
            "n",
            ("", _plain("note")),
        ),
        as_stored,
    ),
    _Layout(
        "missing_modalities",
        "Modalities missing",
        "The same fits, asked with modalities hidden. Drop: everything minus this, of everybody. "
        "Complete cases have every modality. Single ones, all but one, and drops at random.",
        (
            ("row", row_name),
            ("left", left),
            "n",
            (_METRIC, _or(_plain("score"), "status")),
            ("95 % interval", _between("ci_low", "ci_high")),
            ("drop", _plain("drop", sign=True)),
            ("its interval", _between("drop_low", "drop_high", sign=True)),
            ("complete cases", _complete_cases),
            ("their score", lambda r: number(r["complete_score"]) or r["complete_status"] or ""),
        ),
        less,
    ),
    _Layout(
        "seed_variance",
        "Seeds against samples",
        "Training randomness beside that of whom the cohort happens to hold.",
        (
            ("row", row_name),
            "seeds",
            ("sd between seeds", _plain("seed_sd", 4)),
            ("sd between samples", _plain("sample_sd", 4)),
            ("share of seeds", _share),
            ("", _plain("note")),
        ),
    ),
    _Layout(
        "honesty",
        "Honesty counters",
        "Optimism: validation minus test, positive where validation flatters.",
        (
            ("row", row_name),
            ("test evaluations", lambda r: f"{r['test_evaluations']} of {r['runs']} runs"),
            ("by earlier versions", _plain("superseded_evaluations")),
            ("validation", _plain("validation_score")),
            ("test", _plain("test_score")),
            ("optimism", _plain("optimism", sign=True)),
            ("95 % interval", _or(_between("optimism_low", "optimism_high", sign=True), "note")),
        ),
    ),
    _Layout(
        "brain_age",
        "Brain age corrected for age",
        "Lines fitted on the validation people of each fold; no test age enters. The uncorrected "
        "error ranks. A corrected one is usually larger.",
        (
            ("row", row_name),
            ("MAE (years)", _plain("mae")),
            ("corrected MAE", _or(_plain("mae_corrected"), "note")),
            ("age-bias slope", _plain("age_bias_slope", sign=True)),
            ("corrected slope", _plain("age_bias_slope_corrected", sign=True)),
            "n",
        ),
    ),
    _Layout(
        "duplicates",
        "Duplicates",
        "Rows that say the same.",
        (
            ("row", _side("a")),
            ("and", _side("b")),
            ("are", _plain("kind")),
            ("correlation", _plain("correlation", 4)),
            ("people", _plain("n_common")),
        ),
        as_stored,
    ),
)


def _laid_out(content: Content, layout: _Layout) -> Sheet:
    """A sheet whose note says why it is empty where it is."""
    columns = [_column(column, content.metric.title) for column in layout.columns]
    lines = layout.lines(content, layout.name)
    rows = tuple(tuple(cell(line) for _, cell in columns) for line in lines)
    note = layout.note.format(says=content.says["leave_site_out"])
    if not rows:
        says = content.says[layout.name]
        note = says if says.startswith("empty") else "empty for this cohort and task"
    heads = tuple(head for head, _ in columns)
    label = what_intervals_hold_for(content) if any("interval" in head for head in heads) else ""
    return Sheet(layout.name, layout.title, heads, rows, note, label)


def _column(column: str | tuple[str, _Cell], metric: str) -> tuple[str, _Cell]:
    if isinstance(column, str):
        return column.replace("_", " "), _plain(column)
    return column[0].format(metric=metric), column[1]
