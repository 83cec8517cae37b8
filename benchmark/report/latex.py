r"""Tables for LaTeX, with booktabs: ``\usepackage{booktabs}`` and ``\input{ranking.tex}``."""

from __future__ import annotations

from benchmark.report.sheet import Sheet
from benchmark.results.latex import escape_latex

__all__ = ["latex_table"]


def latex_table(sheet: Sheet, warning: str) -> str:
    """A floating table.

    Args:
        sheet: What it holds.
        warning: First sentence of the caption, such as that the cohort is synthetic.
    """
    numeric = [_is_numeric([row[k] for row in sheet.rows]) for k in range(len(sheet.columns))]
    columns = "".join("r" if is_number else "l" for is_number in numeric)
    caption = escape_latex(f"{sheet.title}. {warning} {sheet.note}".strip())
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{sheet.name.replace('_', '-')}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(map(escape_latex, sheet.columns)) + r" \\",
        r"\midrule",
        *(" & ".join(map(escape_latex, row)) + r" \\" for row in sheet.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _is_numeric(cells: list[str]) -> bool:
    """Whether a column is numbers, so that it is set flush right."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(cell[0] in "0123456789+-." for cell in filled)
