"""What a page about one cell shows, for Explore / Robustness and Explore / Honesty."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from benchmark.metrics import get_metric
from leaderboard.aspects import lines_of, why_empty
from leaderboard.board_data import Board, Robustness, load_cell, load_robustness
from leaderboard.charts.differences import differences, differences_alt_text
from leaderboard.charts.palette import palette_for
from leaderboard.components.chart import show_chart
from leaderboard.ranking import ranked
from leaderboard.rows import in_display_order, labelled
from leaderboard.state import Selection
from leaderboard.titles import higher_is_better, metric_digits, metric_title

__all__ = ["Shown"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows.

    Attributes:
        tables: The board's robustness tables.
        rows: Rows of the cell, in display order, with ``key`` and ``label``.
        where: The cell.
        metric: The metric that ranks.
    """

    tables: Robustness
    rows: pd.DataFrame
    where: Selection
    metric: str

    @classmethod
    def of(cls, board: Board, own: pd.DataFrame, where: Selection) -> Shown:
        """Ranks, labels and orders some rows of a cell, at least one, and reads the tables."""
        metric = str(own["metric"].iloc[0])
        cell = load_cell(board, where.cohort, where.task, where.protocol)
        rows = in_display_order(
            labelled(ranked(own, cell)), where.sort, higher_is_better=higher_is_better(metric)
        )
        return cls(load_robustness(board), rows, where, metric)

    @property
    def title(self) -> str:
        """The metric's title."""
        return metric_title(self.metric)

    @property
    def digits(self) -> int:
        """Digits after the point."""
        return metric_digits(self.metric)

    @property
    def short(self) -> str:
        """The metric's title without its direction: an axis of a phone holds some 25 letters."""
        return get_metric(self.metric).title

    def lines(self, name: str, *, any_protocol: bool = False) -> pd.DataFrame:
        """Lines of a table about the rows shown."""
        table = self.tables.tables[name]
        return lines_of(table, self.rows, self.where, any_protocol=any_protocol)

    def nothing(self, *names: str) -> None:
        """Says why there is nothing to show."""
        st.info(why_empty(self.tables.says, names))

    def difference_chart(self, rows: pd.DataFrame, what: str) -> None:
        """Shows differences with intervals."""
        title = f"{what} in {self.short}"
        if not rows.empty:
            chart = differences(rows, title, palette_for(st.context.theme.type), digits=self.digits)
            show_chart(chart, differences_alt_text(rows, title, self.digits))
