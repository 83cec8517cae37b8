"""Collects every violated rule of released files, so that all are told at once."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from benchmark.errors import CohortError

__all__ = ["Problem", "Problems"]

_MOST_CELLS = 10  # shown for each rule; the report holds all
_MOST_RULES = 50


@dataclass(frozen=True, slots=True)
class Problem:
    """One cell, row, column or file that breaks a rule.

    Attributes:
        file: Name of the file, relative to the cohort's root.
        column: Name of the column as released; "" where the rule is about rows or the file.
        rule: What was expected.
        line: Line in the file, the header being line 1; 0 where the rule is about no single row.
        value: What was found.
    """

    file: str
    column: str
    rule: str
    line: int = 0
    value: str = ""


class Problems:
    """All problems of a cohort, in the order in which they were found."""

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self._known: set[Problem] = set()

    def add(
        self, file: str, rule: str, *, column: str = "", line: int = 0, value: str = ""
    ) -> None:
        """Records one problem, once."""
        problem = Problem(file, column, rule, line, value)
        if problem not in self._known:
            self._known.add(problem)
            self.found.append(problem)

    def knows(self, file: str, column: str, line: int = 0) -> bool:
        """Whether a cell has a problem already; line 0: the column as a whole."""
        return (file, column, line) in {(p.file, p.column, p.line) for p in self.found}

    def table(self) -> pd.DataFrame:
        """One row per problem: ``file column rule line value``."""
        rows = [(p.file, p.column, p.rule, p.line, p.value) for p in self.found]
        return pd.DataFrame(rows, columns=["file", "column", "rule", "line", "value"])

    def refuse(self, cohort: str) -> None:
        """Stops where anything was found.

        Raises:
            CohortError: At least one rule is broken; every rule is listed with its rows.
        """
        if not self.found:
            return
        groups: dict[tuple[str, str, str], list[Problem]] = {}
        for problem in self.found:
            groups.setdefault((problem.file, problem.column, problem.rule), []).append(problem)
        lines = [_line(*key, cells) for key, cells in list(groups.items())[:_MOST_RULES]]
        if len(groups) > _MOST_RULES:
            lines.append(f"  ... and {len(groups) - _MOST_RULES} more rules")
        raise CohortError(
            f"cohort {cohort!r}: the released files break {len(groups)} rule(s) in "
            f"{len(self.found)} place(s):\n" + "\n".join(lines) + "\nCompare the files with what "
            "the study releases (`neurodx cohort show NAME`), then run the same command again; "
            "`neurodx cohort check ... --report FILE.csv` lists every place"
        )


def _line(file: str, column: str, rule: str, cells: list[Problem]) -> str:
    where = f"{file}, column {column!r}" if column else file
    rows = [f"line {c.line}: {c.value!r}" if c.value else f"line {c.line}" for c in cells if c.line]
    shown = "; ".join(rows[:_MOST_CELLS])
    more = f"; and {len(rows) - _MOST_CELLS} more" if len(rows) > _MOST_CELLS else ""
    return f"  - {where}: {rule}" + (f" ({shown}{more})" if rows else "")
