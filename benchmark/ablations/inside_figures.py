"""Draws what methods expose as SVG: means by class, routing matrices, maps by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import pandas as pd

from benchmark.ablations.inside_tables import NEIGHBOURS
from benchmark.method_info import BY_CLASS, ROUTING
from benchmark.report.svg import Figure, circle, diamond, line, rect, text
from benchmark.tasks import get_task

__all__ = ["arm_name", "inside_figures", "one_fit", "own_rows"]

WIDTH: Final = 460
_EDGE: Final = 12
_LABEL: Final = 164
_HEAD: Final = 40
_ROW: Final = 17
_CELL: Final = 34
_KINDS: Final = ("mark", "other", "hollow")


def own_rows(table: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """The lines of each set of runs and task, once even where several claims share them."""
    for key, rows in table.groupby(["fits", "task"], sort=False):
        name = (str(key[0]), str(key[1]))
        first = rows.iloc[0]
        yield name, rows[(rows["claim"] == first["claim"]) & (rows["arm"] == first["arm"])]


def arm_name(row: pd.Series | dict[Any, Any]) -> str:
    """How an arm is named where claims are not: by its row, what it is called and the cohort."""
    return f"{row['row']} ({row['arm']}), {row['cohort']}"


def one_fit(rows: pd.DataFrame) -> pd.DataFrame:
    """Those of the first seed and fold: experts of different fits cannot be averaged."""
    first = rows.sort_values(["seed", "fold"], kind="stable").iloc[0]
    own: pd.DataFrame = rows[(rows["seed"] == first["seed"]) & (rows["fold"] == first["fold"])]
    return own


def inside_figures(insides: pd.DataFrame, embeddings: pd.DataFrame) -> dict[str, Figure]:
    """The figure of each array, by its name; none where there is nothing to draw.

    Args:
        insides: All lines.
        embeddings: All points of maps.
    """
    drawn = {
        str(array): _figure(own, embeddings[embeddings["array"] == array])
        for array, own in insides.groupby("array", sort=False)
    }
    return {array: figure for array, figure in drawn.items() if figure is not None}


def _figure(insides: pd.DataFrame, embeddings: pd.DataFrame) -> Figure | None:
    array, title = insides["array"].iloc[0], insides["title"].iloc[0]
    if len(embeddings):
        marks, y, said = _maps(embeddings)
    elif (insides["kind"] == ROUTING).any() and insides["value"].notna().any():
        marks, y, said = _matrices(insides[(insides["kind"] == ROUTING) & (insides["note"] == "")])
    elif insides["kind"].isin([BY_CLASS, NEIGHBOURS]).any() and insides["value"].notna().any():
        marks, y, said = _means(insides[insides["kind"].isin([BY_CLASS, NEIGHBOURS])])
    else:
        return None
    name = f"ablations_{str(array).strip('_')}"
    return Figure(name, str(title), said, WIDTH, math.ceil(y + 8), marks)


def _head(row: pd.Series, y: float, more: str) -> list[str]:
    where = ", ".join(part for part in (row["cohort"], more) if part)
    name = text(_EDGE, y + 14, f"{row['row']} ({row['arm']})", "bold")
    return [rect(0, y, WIDTH, _HEAD - 6), name, text(_EDGE, y + 29, where, "faint")]


def _shape(x: float, y: float, number: int, radius: float) -> str:
    """A class by shape as well as colour."""
    kind = _KINDS[number % 3]
    if number % 3 == 0:
        return circle(round(x), round(y), radius, kind)
    if number % 3 == 1:
        return rect(x - radius, y - radius, 2 * radius, 2 * radius, kind)
    return diamond(x, y, radius * 1.25, kind)


def _means(lines: pd.DataFrame) -> tuple[list[str], float, str]:
    lines = lines[lines["value"].notna()]
    low, high = float(lines["low"].min()), float(lines["high"].max())
    low, high = min(low, float(lines["value"].min())), max(high, float(lines["value"].max()))
    room = WIDTH - _LABEL - 2 * _EDGE

    def at(value: float) -> float:
        return _LABEL + _EDGE + room * (value - low) / ((high - low) or 1.0)

    marks: list[str] = []
    y, said = 4.0, []
    for _, rows in own_rows(lines):
        marks += _head(rows.iloc[0], y, rows["task"].iloc[0])
        y += _HEAD
        classes = list(dict.fromkeys(rows["group"]))
        for item in dict.fromkeys(rows["item"]):
            marks.append(text(_EDGE, y + 12, str(item), "faint"))
            for r in rows[rows["item"] == item].to_dict("records"):
                if math.isfinite(r["low"]):
                    marks.append(line(at(r["low"]), y + 8, at(r["high"]), y + 8, "ink"))
                marks.append(_shape(at(r["value"]), y + 8, classes.index(r["group"]), 4))
                marks.append(text(_LABEL, y + 12, str(r["group"]), "faint", "end"))
                y += _ROW
            y += 3
        said.append(str(rows["row"].iloc[0]))
        y += 4
    for value, anchor in ((low, "start"), (high, "end")):
        marks.append(text(at(value), y + 10, f"{value:.3f}", "faint", anchor))
    return (
        marks,
        y + 14,
        f"Means with 95 % intervals of {', '.join(dict.fromkeys(said))}; the table has them.",
    )


def _matrices(lines: pd.DataFrame) -> tuple[list[str], float, str]:
    marks: list[str] = []
    y, said = 4.0, []
    for _, rows in own_rows(lines):
        own = one_fit(rows)
        fit = f"seed {own['seed'].iloc[0]}, fold {own['fold'].iloc[0]}; experts:"
        marks += _head(own.iloc[0], y, fit)
        y += _HEAD
        experts = list(dict.fromkeys(own["item"]))
        width = min(80.0, (WIDTH - _LABEL - _EDGE) / len(experts))
        for k, expert in enumerate(experts):
            middle = _LABEL + (k + 0.5) * width
            marks.append(text(middle, y + 10, expert.removeprefix("expert "), "faint", "middle"))
        y += 16
        for task in dict.fromkeys(own["group"]):
            marks.append(text(_EDGE, y + 21, str(task)))
            for k, value in enumerate(own.loc[own["group"] == task, "value"]):
                x = _LABEL + k * width
                marks.append(_filled(x, y, width - 2, _CELL - 2, min(max(value, 0.0), 1.0)))
                marks.append(text(x + width / 2 - 1, y + 21, f"{value:.2f}", "", "middle"))
            y += _CELL
        said.append(str(own["row"].iloc[0]))
        y += 6
    return (
        marks,
        y,
        f"Weight of each expert for each task in one fit of {', '.join(dict.fromkeys(said))}.",
    )


def _filled(x: float, y: float, width: float, height: float, share: float) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} class="mark" fill-opacity="{share * 0.75:.2f}" stroke-opacity="0.4"/>'


def _maps(points: pd.DataFrame) -> tuple[list[str], float, str]:
    marks: list[str] = []
    y, said = 4.0, []
    first_tasks = points.groupby("row")["task"].transform("first")  # the app has the others
    for _, rows in own_rows(points[points["task"] == first_tasks]):
        first = rows.iloc[0]
        fit = f"{first['task']}, seed {first['seed']}, fold {first['fold']}"
        marks += _head(first, y, fit)
        y += _HEAD
        classes = list(get_task(first["task"]).classes)
        x = float(_EDGE)
        for number, name in enumerate(classes):
            marks += [_shape(x + 4, y + 8, number, 4), text(x + 14, y + 12, name)]
            x += 30 + 8 * len(name)
        y += 20
        epochs = sorted(set(rows["epoch"]))
        side = (WIDTH - _EDGE * (len(epochs) + 1)) / len(epochs)
        side = min(side, 200.0)
        for k, epoch in enumerate(epochs):
            left = _EDGE + k * (side + _EDGE)
            marks += [text(left, y + 10, f"epoch {epoch}"), rect(left, y + 16, side, side)]
            for r in rows[rows["epoch"] == epoch].to_dict("records"):
                px = left + side / 2 * (1 + 0.94 * r["x"])
                py = y + 16 + side / 2 * (1 - 0.94 * r["y"])
                marks.append(_shape(px, py, classes.index(r["group"]), 2))
        said.append(f"{first['row']} on {first['task']}")
        y += side + 26
    kinds = "Maps (t-SNE) of the same people after each epoch, classes by colour and shape, of "
    return marks, y, f"{kinds}{', '.join(dict.fromkeys(said))}."
