r"""Tables for LaTeX: ``\usepackage{booktabs,graphicx}`` and ``\input{ranking.tex}``.

A table that is wider than the line is made smaller until it fits.
"""

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
    said = (f"{sheet.title}.", warning, sheet.note, sheet.intervals)
    caption = escape_latex(" ".join(filter(None, said)))
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{sheet.name.replace('_', '-')}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(map(escape_latex, sheet.columns)) + r" \\",
        r"\midrule",
        *(" & ".join(map(escape_latex, row)) + r" \\" for row in sheet.rows),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _is_numeric(cells: list[str]) -> bool:
    """Whether a column is numbers, so that it is set flush right."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(cell[0] in "0123456789+-." for cell in filled)
