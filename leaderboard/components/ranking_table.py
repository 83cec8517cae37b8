"""The ranked table: one row for each method, a card on a narrow screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from leaderboard import formats
from leaderboard.components.markup import Markup, chip, element, join
from leaderboard.rows import ORACLE, UNSCORED, is_scored, records
from leaderboard.wording import why_unscored

__all__ = ["TableOptions", "ranking_table"]

Row = Any  # one tuple of DataFrame.itertuples


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How the table is written.

    Attributes:
        caption: Read out before the table.
        metric_title: Heading of the score column.
        digits: Digits after the point.
        by_inputs: Show the ranks among methods of the same, and of the same or fewer, inputs.
        oracle: Show the difference from the oracle.
        floor: What the gain is counted from.
    """

    caption: str
    metric_title: str
    digits: int = 3
    by_inputs: bool = True
    oracle: bool = True
    floor: str = "age and sex"


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    cell: Callable[[Row, TableOptions], str]
    class_: str = ""


def ranking_table(rows: pd.DataFrame, options: TableOptions) -> Markup:
    """Writes the table.

    Args:
        rows: The columns of ``board/leaderboard.parquet`` with ``label`` and the ``shown_*``
            columns of ``leaderboard.ranking``, in display order.
        options: Caption, headings and the optional columns.

    Returns:
        An HTML table; failed and missing rows say why instead of showing numbers.
    """
    columns = _columns(options)
    head = element("tr", *(element("th", c.heading, scope="col", class_=c.class_) for c in columns))
    span = _span(rows)
    body = [_row(row, columns, options, span) for row in records(rows)]
    return element(
        "table",
        element("caption", options.caption),
        element("thead", head),
        element("tbody", *body),
        class_="nx-table",
    )


def _columns(options: TableOptions) -> list[_Column]:
    columns = [
        _Column("Rank", _rank_cell, "rank"),
        _Column("Method", _method_cell, "method"),
        _Column(f"{options.metric_title}, 95 % interval", _score_cell, "score"),
        _Column("n", _n_cell, "number"),
        _Column(f"Gain over {options.floor}", _gain_cell, "number"),
    ]
    if options.oracle:
        columns.append(_Column("Against the oracle (+ is better)", _oracle_cell, "number"))
    if options.by_inputs:
        columns.append(_Column("Rank, same inputs", _track_rank_cell, "number"))
        columns.append(_Column("Rank, same or fewer", _subset_rank_cell, "number"))
    columns.append(_Column("Cost", _cost_cell, "number"))
    return columns


def _row(
    row: Row, columns: list[_Column], options: TableOptions, span: tuple[float, float]
) -> Markup:
    if row.status in UNSCORED:
        return _unscored(row, columns)
    cells = []
    for column in columns:
        tag, extra = ("th", {"scope": "row"}) if column.class_ == "method" else ("td", {})
        content = [column.cell(row, options)]
        if column.class_ == "score":
            content.append(_bar(row, span))
        label = column.heading
        cells.append(element(tag, *content, class_=column.class_, data_label=label, **extra))
    kind = "reference" if row.method == ORACLE else f"group-{_colour(row.shown_group)}"
    return element("tr", *cells, class_=kind)


def _unscored(row: Row, columns: list[_Column]) -> Markup:
    what = f"{row.status}: {why_unscored(row)}"
    return element(
        "tr",
        element("td", chip(row.status, "bad"), class_="rank", data_label="Rank"),
        element("th", _method_name(row), class_="method", scope="row", data_label="Method"),
        element("td", what, class_="reason", colspan=str(len(columns) - 2)),
        class_="unscored",
    )


def _rank_cell(row: Row, _: TableOptions) -> str:
    if row.method == ORACLE:
        return element("span", "reference", class_="quiet")
    if not formats.is_known(row.shown_low):
        return element("span", "not ranked", class_="quiet")
    ranks = element("span", formats.rank_interval(row.shown_low, row.shown_high), class_="ranks")
    letter = formats.group_name(row.shown_group)
    badge = element("span", letter, class_="group", title=f"tie group {letter}")
    share = f"first in {row.shown_first_share:.0%}".replace("%", " %")
    return join(ranks, Markup(" "), badge, element("span", share, class_="quiet line"))


def _method_name(row: Row) -> Markup:
    if row.method == ORACLE:
        return element("strong", row.label)
    link = f"cards?method={row.method}"
    return element("a", row.label, href=link, target="_self")


def _method_cell(row: Row, _: TableOptions) -> str:
    chips = [chip(row.track, "track", "what the method may see")]
    if row.method != ORACLE:
        chips.append(chip(row.provenance, "provenance"))
    if row.synthetic:
        chips.append(chip("synthetic", "synthetic"))
    if row.small_sample:
        chips.append(chip("small sample", "warn", "fewer than 30 people in a class"))
    if isinstance(row.derived_from, str) and row.derived_from:
        chips.append(chip(f"from {row.derived_from}", "", "read from a model fitted for that task"))
    if row.method != ORACLE and not row.tuned:
        chips.append(chip("untuned", "", "hyper-parameters as published or by default"))
    return join(_method_name(row), element("span", *chips, class_="chips"))


def _score_cell(row: Row, options: TableOptions) -> str:
    digits = options.digits
    value = element("strong", formats.score(row.score, digits))
    spread = formats.interval(row.ci_low, row.ci_high, digits)
    return join(value, element("span", spread, class_="quiet line", title=row.ci_method or ""))


def _bar(row: Row, span: tuple[float, float]) -> Markup:
    low, high = span
    if not formats.is_known(row.ci_low) or not formats.is_known(row.ci_high) or not high > low:
        return Markup("")
    left, right, middle = (
        100 * (min(max(v, low), high) - low) / (high - low)
        for v in (row.ci_low, row.ci_high, row.score)
    )
    style = f"--left:{left:.1f}%;--width:{right - left:.1f}%;--middle:{middle:.1f}%"
    return element("span", class_="bar", style=style, aria_hidden="true")


def _n_cell(row: Row, _: TableOptions) -> str:
    runs = f"{_plural(row.folds, 'fold')}, {_plural(row.seeds, 'seed')}"
    classes = formats.count_by_class(row.n_by_class)
    count = f"{row.n:.0f}" if formats.is_known(row.n) else formats.DASH
    return join(count, *(element("span", t, class_="quiet line") for t in (classes, runs) if t))


def _gain_cell(row: Row, options: TableOptions) -> str:
    if not formats.is_known(row.floor_gain):
        return formats.DASH
    spread = formats.interval(row.floor_gain_low, row.floor_gain_high, options.digits, sign=True)
    value = formats.signed(row.floor_gain, options.digits)
    return join(value, element("span", spread, class_="quiet line"))


def _oracle_cell(row: Row, options: TableOptions) -> str:
    return (
        formats.DASH if row.method == ORACLE else formats.signed(row.shown_oracle, options.digits)
    )


def _track_rank_cell(row: Row, _: TableOptions) -> str:
    return _small_rank(row.rank_low, row.rank_high, row.tie_group)


def _subset_rank_cell(row: Row, _: TableOptions) -> str:
    return _small_rank(row.rank_all_low, row.rank_all_high, row.tie_group_all)


def _small_rank(low: Any, high: Any, group: Any) -> str:
    return f"{formats.rank_interval(low, high)} {formats.group_name(group)}".strip()


def _cost_cell(row: Row, _: TableOptions) -> str:
    if row.method == ORACLE:
        return formats.DASH
    size = formats.parameters(row.params)
    lines = [] if size == formats.DASH else [f"{size} parameters"]
    if formats.is_known(row.peak_memory_mib):
        lines.append(f"{row.peak_memory_mib:.0f} MiB")
    time = formats.duration(row.cpu_seconds)
    text = f"{time} CPU" if time != formats.DASH else f"{formats.duration(row.fit_seconds)} fit"
    return join(text, *(element("span", line, class_="quiet line") for line in lines))


def _plural(count: Any, noun: str) -> str:
    if not formats.is_known(count):
        return f"{noun}s unknown"
    return f"{count:.0f} {noun}" + ("" if count == 1 else "s")


def _span(rows: pd.DataFrame) -> tuple[float, float]:
    scored = rows.loc[is_scored(rows)]
    low, high = scored["ci_low"].min(), scored["ci_high"].max()
    return (float(low), float(high)) if low < high else (0.0, 0.0)


def _colour(group: Any) -> int:
    return min(int(group), 6) if formats.is_known(group) else 0
