"""The page: one HTML file with everything in it, for a wide screen, a telephone, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from benchmark.report.conclusions import UNCORRECTED, Conclusions
from benchmark.report.content import Content, what_intervals_hold_for
from benchmark.report.readings import Reading
from benchmark.report.sheet import Sheet
from benchmark.report.svg import COLOURS, Figure

__all__ = ["page"]

_STYLE: Final = Path(__file__).with_name("style.css")
_SHAPES: Final = (
    "Disc: first tie group of its track. Square: a later one. Diamond: the oracle, never ranked."
)
_OPEN: Final = (
    "ranking",
    "subgroup_gaps",
    "decision",
    "brain_age",
    "cross_check",
)  # the others are folded


def page(
    content: Content,
    conclusions: Conclusions,
    sheets: Sequence[Sheet],
    forests: tuple[Figure, Figure],
    readings: Sequence[Reading],
) -> str:
    """The whole document; it asks nothing of any network.

    Args:
        content: The cell.
        conclusions: Its sentences.
        sheets: Its tables.
        forests: The forest plot for a wide screen and for a telephone; one of them is shown.
        readings: The sections beside the score.
    """
    title = f"{content.cohort}: {content.task.title}"
    by_name = {sheet.name: sheet for sheet in sheets}
    rest = [s for s in sheets if s.name not in ("ranking", "calibration", "brain_age")]
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{COLOURS}{_STYLE.read_text()}{Figure.style()}</style>",
        "</head>",
        "<body>",
        "<main>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="faint">{escape(_subtitle(content))}</p>',
        *(f'<p class="warning">{escape(text)}</p>' for text in conclusions.warnings),
        "<h2>What may be concluded</h2>",
        _list(conclusions.may),
        f'<p class="faint">{escape(UNCORRECTED)}</p>',
        "<h2>What may not be concluded</h2>",
        _list(conclusions.may_not),
        f"<h2>{escape(forests[0].title)}</h2>",
        *(
            f'<figure class="{name}">{figure.inline()}</figure>'
            for name, figure in zip(("wide", "narrow"), forests, strict=True)
        ),
        f'<p class="faint">{_SHAPES} {escape(what_intervals_hold_for(content))}</p>',
        "<h2>Ranks</h2>",
        _table(by_name["ranking"]),
        *(_reading(content, reading) for reading in readings),
        "<h2>Robustness and honesty</h2>",
        *(_folded(sheet) for sheet in rest),
        "<h2>Provenance</h2>",
        _provenance(content),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _subtitle(content: Content) -> str:
    facts = content.facts
    made = f"profile {facts.get('profile', 'unknown')}, {facts.get('date', 'no date')}"
    commit = str(facts.get("commit", ""))[:12] or "unknown"
    metric = f"ranked by {content.metric.title}"
    better = "higher" if content.metric.higher_is_better else "lower"
    return f"Protocol {content.protocol}; {metric} ({better} is better); {made}, commit {commit}."


def _list(sentences: Sequence[str]) -> str:
    if not sentences:
        return "<p>Nothing: no row is scored.</p>"
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in sentences) + "</ul>"


def _table(sheet: Sheet) -> str:
    if not sheet.rows:
        return f"<p>{escape(_sentence(sheet.note))}</p>"
    heads = "".join(f'<th scope="col">{escape(c)}</th>' for c in sheet.columns)
    lines = []
    for row in sheet.rows:
        cells = "".join(
            f'<td data-label="{escape(head)}"><span>{escape(cell)}</span></td>'
            if cell
            else f'<td data-label="{escape(head)}"></td>'
            for head, cell in zip(sheet.columns, row, strict=True)
        )
        lines.append(f"<tr>{cells}</tr>")
    body = "\n".join(lines)
    said = " ".join(filter(None, (_sentence(sheet.note), sheet.intervals)))
    note = f'<p class="faint">{escape(said)}</p>'
    return f"{note}<table><thead><tr>{heads}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _sentence(note: str) -> str:
    return note[:1].upper() + note[1:] + ("" if note.endswith(".") else ".")


def _folded(sheet: Sheet) -> str:
    count = f"{len(sheet.rows)} lines" if sheet.rows else "none"
    unfolded = " open" if sheet.name in _OPEN and sheet.rows else ""
    return (
        f"<details{unfolded}><summary>{escape(sheet.title)} ({count})</summary>"
        f"{_table(sheet)}</details>"
    )


def _reading(content: Content, reading: Reading) -> str:
    absent = "" if content.best else "<p>No predictions are stored for this cell.</p>"
    panels = "".join(
        f"<figure>{figure.inline()}<figcaption>{escape(figure.title.partition(' of ')[2])}"
        "</figcaption></figure>"
        for figure in reading.figures
    )
    return (
        f'<h2>{escape(reading.title)}</h2><p class="faint">{escape(reading.says)}</p>{absent}'
        f'<div class="panels">{panels}</div>{"".join(map(_folded, reading.sheets))}'
    )


def _provenance(content: Content) -> str:
    facts = content.facts
    data = facts.get("data_hashes", {}).get(content.cohort, "not recorded")
    split = facts.get("split_hashes", {}).get(
        f"{content.cohort}/{content.protocol}", "not recorded"
    )
    lines = [
        f"Data of {content.cohort}: sha256 {data}",
        f"Folds {content.protocol}: sha256 {split}",
        f"Commit: {facts.get('commit', 'not recorded')}",
        "How it is computed: docs/statistics.md and docs/evaluation.md of the repository.",
    ]
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in lines) + "</ul>"
