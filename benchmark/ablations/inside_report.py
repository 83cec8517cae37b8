"""The section "Inside the methods" of the page of claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from benchmark.ablations.inside_figures import arm_name, one_fit, own_rows
from benchmark.ablations.inside_tables import NEIGHBOURS, OVERLAP
from benchmark.method_info import BY_CLASS, ROUTING
from benchmark.report.svg import Figure

__all__ = ["insides_markdown"]

_OPENING: Final = """\
## Inside the methods

What the arms' fits expose for the people they are tested on (`expose()`, `MethodInfo.exposes`).
Means count each person once, by the mean over seeds; 95 % intervals resample people within class
and include the spread between seeds. Nothing here is scored, and a weight is no proof of use.
"""
_READING: Final = {
    BY_CLASS: "",
    ROUTING: "Mean weight of each expert, and the share of people who get it, in one fit: experts "
    "of different fits have nothing to do with one another.",
    OVERLAP: "Overlap of two tasks' experts (1: the same experts with the same weights, 0: none in "
    "common), mean over all fits, and the least and the most.",
    NEIGHBOURS: "Share of a person's 10 nearest people of the same fold who are of the same class, "
    "in the embedding itself, beside that by chance. The interval holds given the others.",
}
_MAPS: Final = (
    "Maps by t-SNE (from principal components, always the same seed; perplexity a fifth of the "
    "people, between 2 and 30) of the same people after each epoch, of one seed and fold: "
    "embeddings of different fits cannot be compared. Distances between groups say nothing."
)


def insides_markdown(insides: pd.DataFrame, figures: Mapping[str, Figure], folder: str) -> str:
    """Writes the section: by array its figure, its tables, and what is missing.

    Args:
        insides: All lines.
        figures: By array, where there is something to draw.
        folder: Where the figures are, as the page names it.
    """
    lines = [_OPENING]
    if not len(insides):
        lines += ["No arm that was judged exposes anything that its method declares.", ""]
    for array, own in insides.groupby("array", sort=False):
        lines += [f"### {own['title'].iloc[0]}", ""]
        about = str(own["about"].iloc[0])
        lines += [about, ""] if about else []
        if str(array) in figures:
            figure = figures[str(array)]
            lines += [f"![{figure.description}]({folder}/{figure.name}.svg)", ""]
            lines += [_MAPS, ""] if (own["kind"] == NEIGHBOURS).any() else []
        found = own[own["note"] == ""]
        for kind, rows in found.groupby("kind", sort=False):
            lines += [_READING[str(kind)], ""] if _READING[str(kind)] else []
            lines += [*_table(str(kind), rows), ""]
        lines += _missing(own[own["note"] != ""])
    return "\n".join(lines).rstrip() + "\n"


def _missing(rows: pd.DataFrame) -> list[str]:
    """Reasons, each with the arms and tasks that it holds for."""
    arms = [
        {"why": own["note"].iloc[0], "arm": arm_name(own.iloc[0]), "task": task}
        for (_, task), own in own_rows(rows)
    ]
    said = []
    for why, named in pd.DataFrame(arms, columns=["why", "arm", "task"]).groupby("why", sort=False):
        tasks = named.groupby("arm", sort=False)["task"].agg(", ".join)
        who = "; ".join(f"{arm}, {of}" for arm, of in tasks.items())
        said.append(f"- {why}: {who}")
    return ["Missing:", "", *said, ""] if said else []


def _table(kind: str, rows: pd.DataFrame) -> list[str]:
    if kind == OVERLAP:
        return _overlap_table(rows)
    items = list(dict.fromkeys(rows["item"]))
    lead = ("arm", "fit", "task") if kind == ROUTING else ("arm", "task", "class", "n")
    more = ("by chance",) if kind == NEIGHBOURS else ()
    lines = [_line((*lead, *items, *more)), "|" + "---|" * (len(lead) + len(items) + len(more))]
    for (_, task), own in own_rows(rows):
        shown = one_fit(own) if kind == ROUTING else own
        for group in dict.fromkeys(shown["group"]):
            of_group = shown[shown["group"] == group]
            by_item = {r["item"]: r for r in of_group.to_dict("records")}
            cells = [_cell(kind, by_item.get(item)) for item in items]
            first = of_group.iloc[0]
            fit = f"seed {first['seed']}, fold {first['fold']}"
            start = (fit, group) if kind == ROUTING else (task, group, str(first["n"]))
            end = (f"{first['chance']:.3f}",) if more else ()
            lines.append(_line((arm_name(first), *map(str, start), *cells, *end)))
    return lines


def _overlap_table(rows: pd.DataFrame) -> list[str]:
    lines = [_line(("arm", "tasks", "overlap", "least to most")), "|" + "---|" * 4]
    for _, own in own_rows(rows):
        for r in own.to_dict("records"):
            spread = f"{r['low']:.2f} to {r['high']:.2f}"
            tasks = f"{r['group']}, {r['item']}"
            lines.append(_line((arm_name(r), tasks, f"{r['value']:.2f}", spread)))
    return lines


def _cell(kind: str, r: Mapping[Any, Any] | None) -> str:
    if r is None:
        return ""
    if kind == ROUTING:
        return f"{r['value']:.2f} ({r['chosen']:.0%})".replace("%", " %")
    return f"{r['value']:.3f} ({r['low']:.3f} to {r['high']:.3f})"


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
