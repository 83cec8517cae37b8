"""Writes a report: the page, and beside it figures and LaTeX tables."""

from __future__ import annotations

from pathlib import Path

from benchmark.report.conclusions import conclude
from benchmark.report.content import Content
from benchmark.report.figures import forest_figure
from benchmark.report.latex import latex_table
from benchmark.report.page import page
from benchmark.report.readings import readings
from benchmark.report.sheets import all_sheets
from benchmark.results.folders import replaced_folder
from benchmark.store.atomic import write_text

__all__ = ["write_report"]


def write_report(content: Content, out: Path) -> list[Path]:
    """Writes ``out`` and the folder ``<stem>_files`` beside it, replaced as a whole.

    Args:
        content: What to report.
        out: The page, ``*.html``.

    Returns:
        Everything that was written, the page first.
    """
    conclusions, sheets = conclude(content), all_sheets(content)
    wide, narrow = forest_figure(content), forest_figure(content, narrow=True)
    sections = readings(content, {sheet.name: sheet for sheet in sheets})
    figures = [wide, *(figure for section in sections for figure in section.figures)]
    tables = {x.name: x for x in (*sheets, *(y for s in sections for y in s.sheets))}
    warning = conclusions.warnings[0].partition(".")[0] + "."
    folder = out.with_name(f"{out.stem}_files")
    with replaced_folder(folder) as fresh:
        for figure in figures:
            (fresh / f"{figure.name}.svg").write_text(figure.standalone(), encoding="utf-8")
        for sheet in tables.values():
            if sheet.rows:
                text = latex_table(sheet, warning)
                (fresh / f"{sheet.name}.tex").write_text(text, encoding="utf-8")
    write_text(out, page(content, conclusions, sheets, (wide, narrow), sections))
    return [out, *sorted(folder.iterdir())]
