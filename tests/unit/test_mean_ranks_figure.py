"""The critical-difference diagram as a picture: places, bars and words."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from benchmark.report.mean_ranks import mean_ranks_figure
from benchmark.stats import critical_difference

NAMES = [f"method_{k}|t1w|dx3" for k in range(7)]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def diagram():
    """Seven methods on twelve data sets: three close at the top, three close below, one last."""
    rng = np.random.default_rng(0)
    skill = np.array([0.90, 0.895, 0.893, 0.85, 0.845, 0.84, 0.6])
    return critical_difference(
        skill + 0.012 * rng.normal(size=(12, 7)), NAMES, higher_is_better=True
    )


@pytest.fixture(scope="module")
def root(diagram):
    return ET.fromstring(mean_ranks_figure(diagram, "AD against CN, AUROC").standalone())


def _lines(root, kind):
    found = [x for x in root.iter(f"{SVG}line") if x.attrib["class"] == kind]
    return [tuple(float(x.attrib[k]) for k in ("x1", "y1", "x2", "y2")) for x in found]


def test_names_and_ranks_stand_where_the_axis_says(diagram, root):
    axis, *ticks = _lines(root, "ink")
    assert len(ticks) == 7
    low, high = axis[0], axis[2]
    downs = [x for x in _lines(root, "mark") if x[0] == x[2]]
    assert [x[1] for x in downs] == [axis[1]] * 7  # each begins on the axis
    ranks = [1 + 6 * (x[0] - low) / (high - low) for x in downs]
    np.testing.assert_allclose(ranks, diagram.mean_ranks, atol=0.002)
    texts = {x.text: x for x in root.iter(f"{SVG}text")}
    for k, (name, rank) in enumerate(zip(diagram.names, diagram.mean_ranks, strict=True)):
        label = texts[f"{name} {rank:.2f}"]
        assert label.attrib["text-anchor"] == ("end" if k < 4 else "start")


def test_a_bar_spans_each_group_and_bars_do_not_touch(diagram, root):
    assert len(diagram.groups) >= 2
    axis = _lines(root, "ink")[0]
    bars = _lines(root, "other")
    assert len(bars) == len(diagram.groups)
    for (x1, y1, x2, y2), group in zip(bars, diagram.groups, strict=True):
        ends = [diagram.mean_ranks[diagram.names.index(name)] for name in (group[0], group[-1])]
        places = [axis[0] + (axis[2] - axis[0]) * (rank - 1) / 6 for rank in ends]
        assert (x1 + 3, x2 - 3) == pytest.approx(places, abs=0.11)
        assert y1 == y2
    for a in range(len(bars)):
        for b in range(a):
            same_line = bars[a][1] == bars[b][1]
            assert not same_line or bars[a][0] > bars[b][2] or bars[b][0] > bars[a][2]


def test_names_do_not_overlap_and_all_is_inside(root):
    width, height = (float(root.attrib[k]) for k in ("width", "height"))
    for anchor in ("start", "end"):
        ys = sorted(
            float(x.attrib["y"])
            for x in root.iter(f"{SVG}text")
            if x.attrib["text-anchor"] == anchor and "method_" in (x.text or "")
        )
        assert min(np.diff(ys)) >= 16
    for x1, y1, x2, y2 in (*_lines(root, "mark"), *_lines(root, "other"), *_lines(root, "ink")):
        assert 0 < min(x1, x2) < max(x1, x2) + 1 < width
        assert 0 < min(y1, y2) <= max(y1, y2) < height


def test_the_words_say_what_the_picture_shows(diagram, root):
    said = root.find(f"{SVG}desc").text
    assert said.startswith("12 data sets; Friedman's p below 0.001.")
    assert "not told apart (Wilcoxon and Holm)" in said
    for group in diagram.groups:
        assert ", ".join(group) in said


def test_two_equal_methods_are_joined_and_two_unequal_ones_are_not():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(12, 2))
    apart = critical_difference(scores + np.array([5.0, 0.0]), ["a", "b"], higher_is_better=True)
    root = ET.fromstring(mean_ranks_figure(apart, "x").standalone())
    assert _lines(root, "other") == []
    assert "No two are joined" in root.find(f"{SVG}desc").text
    close = critical_difference(scores, ["a", "b"], higher_is_better=True, test="nemenyi")
    root = ET.fromstring(mean_ranks_figure(close, "x").standalone())
    assert len(_lines(root, "other")) == 1
    assert "(Nemenyi)" in root.find(f"{SVG}desc").text
