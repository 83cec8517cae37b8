"""The page of quality control: one HTML file with its pictures inside, worst scans first."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.store.atomic import write_text

__all__ = ["QC_PAGE", "write_page"]

QC_PAGE: Final = "qc.html"  # in a prepared folder
_MOST_PICTURES: Final = 150
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2024; --faint: #5b6670; --line: #d5dbe1; --bad: #b3261e;
  --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --faint: #9aa5af; --line: #3a4249;
  --bad: #ff8a80; --paper: #15181b; } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
.faint { color: var(--faint); } .bad { color: var(--bad); font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td.number, th.number { text-align: right; }
figure { margin: 1.5rem 0; } figcaption { margin-bottom: .4rem; }
figure img { width: 100%; min-width: 700px; background: #000; display: block; }
.mask { color: #d9731a; } .template { color: #1593c9; }
"""
_COLUMNS: Final = (
    ("brain_ml", "brain, ml", "{:.0f}"),
    ("correlation", "correlation", "{:.3f}"),
    ("correlation_unsmoothed", "unsmoothed", "{:.3f}"),
    ("outside_share", "outside grid", "{:.2%}"),
    ("distance", "distance", "{:.3f}"),
    ("distance_z", "z", "{:.1f}"),
    ("cpu_seconds", "CPU s", "{:.0f}"),
)


def write_page(folder: Path) -> None:
    """Writes ``qc.html`` from the tables of a prepared folder; it asks nothing of any network."""
    card = json.loads((folder / "preparation.json").read_text(encoding="utf-8"))
    table = pd.read_parquet(folder / "qc.parquet")
    failures = pd.read_parquet(folder / "failures.parquet")
    table = table.assign(flagged=table["flags"] != "").sort_values(
        ["flagged", "correlation"], ascending=[False, True], kind="stable"
    )
    flagged = table[table["flagged"]]
    shown = table[table["picture"] != ""].head(_MOST_PICTURES)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Prepared volumes: quality control</title><style>{_STYLE}</style></head>",
        "<body><main><h1>Prepared volumes: quality control</h1>",
        f"<p>{_summary(card, len(flagged), len(failures))}</p>",
        "<h2>Without a volume</h2>",
        _failed(failures),
        "<h2>To look at</h2>",
        _findings(flagged),
        "<h2>Pictures</h2>",
        _legend(len(table), len(shown)),
        *(_figure(folder, row) for row in shown.to_dict("records")),
        "<h2>All volumes</h2>",
        _numbers(table),
        "<h2>Steps</h2>",
        _steps(card),
        "</main></body></html>",
    ]
    write_text(folder / QC_PAGE, "\n".join(parts) + "\n")


def _summary(card: dict[str, Any], flagged: int, failed: int) -> str:
    shape = " x ".join(map(str, card["shape"]))
    look = f"{flagged} to look at" if flagged else "none stands out"
    lost = f"{failed} scan(s) without" if failed else "no scan without"
    return (
        f"{card['volumes']} volumes of {shape} voxels at {card['spacing_mm']:g} mm, {look}; {lost}."
    )


def _name(row: Mapping[Any, Any]) -> str:
    return escape(f"{row[v.PARTICIPANT_ID]} {row[v.SESSION_ID]}")


def _failed(failures: pd.DataFrame) -> str:
    if failures.empty:
        return "<p>None.</p>"
    rows = [
        [_name(r), escape(Path(r["file"]).name), escape(r["step"]), escape(r["reason"])]
        for r in failures.to_dict("records")
    ]
    return _table(("scan", "file", "step", "why"), rows)


def _findings(flagged: pd.DataFrame) -> str:
    if flagged.empty:
        return "<p>None.</p>"
    return _table(
        ("scan", "finding"),
        [
            [_name(r), f'<span class="bad">{escape(r["flags"])}</span>']
            for r in flagged.to_dict("records")
        ],
    )


def _legend(total: int, shown: int) -> str:
    rest = f" The first {shown} of {total}; the others lie in scans/." if shown < total else ""
    return (
        '<p class="faint">Brains only, never a face. The '
        '<span class="mask">outline of the brain mask</span>, and below it on the same slices the '
        '<span class="template">outlines of the MNI template</span> (brain, and white matter). '
        "Axial at z -34, -14, 6, 26, 50, coronal at y -60, -18, 20, 44, sagittal at x -26, 2, 42 "
        f"mm; the person's left is on the left.{rest}</p>"
    )


def _figure(folder: Path, row: Mapping[Any, Any]) -> str:
    data = base64.b64encode((folder / row["picture"]).read_bytes()).decode()
    found = f' <span class="bad">{escape(row["flags"])}</span>' if row["flags"] else ""
    facts = f"brain {row['brain_ml']:.0f} ml, correlation {row['correlation']:.3f}"
    return (
        f"<figure><figcaption><b>{_name(row)}</b> {facts}{found}</figcaption>"
        f'<div class="scroll"><img alt="Slices of the brain of {_name(row)}" '
        f'src="data:image/png;base64,{data}"></div></figure>'
    )


def _numbers(table: pd.DataFrame) -> str:
    heads = ("scan", *(title for _, title, _ in _COLUMNS), "skipped")
    rows = []
    for row in table.to_dict("records"):
        cells = ["" if pd.isna(row[c]) else form.format(row[c]) for c, _, form in _COLUMNS]
        rows.append([_name(row), *cells, escape(row["skipped"])])
    return _table(heads, rows, numbers=range(1, 1 + len(_COLUMNS)))


def _steps(card: dict[str, Any]) -> str:
    rows = [
        [escape(name), escape(step.get("tool", "")), escape(step.get("fitted_on", "")),
         str(step["done"]), str(step["skipped"])]
        for name, step in card["steps"].items()
    ]  # fmt: skip
    people = len(card["outliers"]["fitted_on"])
    note = (
        f'<p class="faint">The median image behind the distances is of these {people} scans and '
        "enters no volume. How each step works: docs/preparation.md of the repository.</p>"
    )
    return _table(("step", "by", "fitted on", "done", "skipped"), rows) + note


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table of cells that are HTML already."""
    side = [' class="number"' if i in numbers else "" for i in range(len(heads))]
    top = "".join(f'<th scope="col"{c}>{escape(h)}</th>' for h, c in zip(heads, side, strict=True))
    lines = (
        "<tr>" + "".join(f"<td{c}>{x}</td>" for x, c in zip(row, side, strict=True)) + "</tr>"
        for row in rows
    )
    body = "\n".join(lines)
    return (
        f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody></table>'
        "</div>"
    )
