"""One cohort and task of the board as a page, figures and LaTeX tables: reads ``board/`` only."""

from __future__ import annotations

from benchmark.report.content import Content, read_content
from benchmark.report.files import write_report

__all__ = ["Content", "read_content", "write_report"]
