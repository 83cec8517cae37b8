"""Charts: the specification says what the table says, in its order, by shape as well as colour."""

from __future__ import annotations

import pandas as pd
import pytest

from leaderboard.charts.forest import forest, forest_alt_text
from leaderboard.charts.palette import REFERENCE_GROUP, SHAPES, palette_for
from leaderboard.charts.transfer import transfer, transfer_alt_text


@pytest.fixture
def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "label": ["Oracle", "Second", "First by name"],
            "score": [0.95, 0.9, 0.7],
            "ci_low": [0.9, 0.85, 0.6],
            "ci_high": [0.98, 0.93, 0.8],
            "group": [REFERENCE_GROUP, "A", "B"],
            "rank_low": [float("nan"), 1.0, 2.0],
            "rank_high": [float("nan"), 1.0, 2.0],
        }
    )


def layer(spec: dict, kind: str) -> dict:
    return next(one for one in spec["layer"] if one["mark"]["type"] == kind)


def test_the_forest_keeps_the_table_order_and_draws_score_and_interval(rows):
    spec = forest(rows, "AUROC", palette_for("light")).to_dict()
    points, bars = layer(spec, "point")["encoding"], layer(spec, "rule")["encoding"]
    assert points["y"]["sort"] == ["Oracle", "Second", "First by name"]
    assert (points["x"]["field"], bars["x"]["field"], bars["x2"]["field"]) == (
        "score",
        "ci_low",
        "ci_high",
    )
    assert points["x"]["title"] == "AUROC"
    assert points["x"]["scale"]["zero"] is False


def test_tie_groups_differ_by_colour_and_by_shape(rows):
    points = layer(forest(rows, "AUROC", palette_for("light")).to_dict(), "point")["encoding"]
    for channel in ("color", "shape"):
        scale = points[channel]["scale"]
        assert scale["domain"] == ["A", "B", REFERENCE_GROUP]
        assert len(set(scale["range"])) == 3


def test_more_groups_than_colours_still_draw(rows):
    many = pd.concat([rows.iloc[[1]]] * 9, ignore_index=True)
    many["group"] = list("ABCDEFGHI")
    many["label"] = list("abcdefghi")
    points = layer(forest(many, "AUROC", palette_for("dark")).to_dict(), "point")["encoding"]
    assert len(points["shape"]["scale"]["range"]) == 9
    assert set(points["shape"]["scale"]["range"]) == set(SHAPES)


def test_the_floor_is_a_line_only_where_there_is_one(rows):
    palette = palette_for("light")
    with_floor = forest(rows, "AUROC", palette, floor=0.65).to_dict()
    assert len(with_floor["layer"]) == 3
    assert {"score": 0.65, "what": "Confound floor"} in [
        point for data in with_floor["datasets"].values() for point in data
    ]
    assert len(forest(rows, "AUROC", palette).to_dict()["layer"]) == 2


def test_themes_differ_in_ink_and_lie_on_the_page_ground(rows):
    light, dark = (
        forest(rows, "AUROC", palette_for(theme)).to_dict()["config"] for theme in (None, "dark")
    )
    assert light["background"] == dark["background"] == "transparent"
    assert light["axis"]["labelColor"] != dark["axis"]["labelColor"]


def _contrast(first: str, second: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(first), light(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("theme", "ground"), [("light", "#ffffff"), ("dark", "#14171a")])
def test_every_colour_of_a_theme_contrasts_with_its_ground(theme, ground):
    palette = palette_for(theme)
    for colour in (*palette.groups, palette.ink, palette.muted):
        assert _contrast(colour, ground) >= 4.5, colour


def test_alt_text_says_the_numbers(rows):
    assert forest_alt_text(rows.iloc[[1]], "AUROC") == (
        "Forest plot of AUROC with 95 % intervals: Second 0.900 (0.850 to 0.930)."
    )
    assert forest_alt_text(rows.iloc[:0], "AUROC") == "Forest plot without rows."


def test_transfer_tells_in_domain_from_external_by_shape_too(rows):
    pair = pd.concat([rows.iloc[[1]].assign(where=w) for w in ("in-domain", "external")])
    spec = transfer(pair, "AUROC", palette_for("light")).to_dict()
    points = layer(spec, "point")["encoding"]
    assert points["shape"]["scale"]["range"] == ["circle", "square"]
    assert points["yOffset"]["sort"] == ["in-domain", "external"]
    assert transfer_alt_text(pair, "AUROC") == (
        "In-domain and external AUROC: Second in-domain 0.900; Second external 0.900."
    )
