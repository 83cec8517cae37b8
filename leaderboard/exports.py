"""The rows of a page as files: CSV, JSON, LaTeX and BibTeX."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from benchmark.results.board import without_formulas
from benchmark.results.latex import escape_latex
from leaderboard import formats
from leaderboard.rows import UNSCORED, records

__all__ = ["as_bibtex", "as_csv", "as_json", "as_latex"]

_INTERNAL: Final = ("key", "label")


def as_csv(rows: pd.DataFrame) -> str:
    """Every column of the rows shown, unrounded; no cell is a formula to a spreadsheet."""
    table = rows.drop(columns=list(_INTERNAL), errors="ignore")
    return without_formulas(table).to_csv(index=False)


def as_json(rows: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    """The rows with the facts of the board (commit, hashes, date), missing values as null."""
    table = rows.drop(columns=list(_INTERNAL), errors="ignore")
    records = json.loads(table.to_json(orient="records"))
    return json.dumps({"board": dict(facts), "rows": records}, indent=1, default=str)


def as_latex(rows: pd.DataFrame, caption: str, metric_title: str, digits: int = 3) -> str:
    """A booktabs table of rank, method, inputs, score with interval and n."""
    lines = [
        r"\begin{table}",
        rf"\caption{{{_tex(caption)}}}",
        r"\begin{tabular}{llllr}",
        r"\toprule",
        rf"Rank & Method & Inputs & {_tex(metric_title)} (95 \% interval) & $n$ \\",
        r"\midrule",
        *(_latex_row(row, digits) for row in records(rows)),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def as_bibtex(cards: pd.DataFrame, methods: list[str], facts: Mapping[str, Any]) -> str:
    """One entry for this board and those of the methods shown, each once."""
    commit, date = str(facts.get("commit", "unknown")), str(facts.get("date", ""))
    year = match.group() if (match := re.match(r"\d{4}", date)) else "n.d."
    own = (
        "@misc{neurodx_bench,\n"
        "  title = {NeuroDx-Bench},\n"
        "  author = {{The NeuroDx-Bench developers}},\n"
        f"  year = {{{year}}},\n"
        f"  note = {{board of {date or 'unknown date'}, commit {commit}}}\n}}"
    )
    known = cards.loc[cards["method"].isin(methods), "bibtex"].dropna()
    return "\n\n".join([own, *dict.fromkeys(t.strip() for t in known if t.strip())]) + "\n"


def _latex_row(row: Any, digits: int) -> str:
    if row.status in UNSCORED:
        return rf"-- & {_tex(row.label)} & {_tex(row.track)} & {_tex(row.status)} & -- \\"
    spread = formats.interval(row.ci_low, row.ci_high, digits)
    value = formats.score(row.score, digits) + (f" ({spread})" if spread else "")
    ranks = formats.rank_interval(row.shown_low, row.shown_high)
    group = formats.group_name(row.shown_group)
    cells = [f"{ranks} {group}".strip(), row.label, row.track, value, f"{row.n:.0f}"]
    return " & ".join(_tex(cell) for cell in cells) + r" \\"


def _tex(text: str) -> str:
    return escape_latex(text).replace("–", "--").replace("−", "$-$")
