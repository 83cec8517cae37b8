"""The simulation of coverage: its truths, its table, and (slow) what it claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.errors import ResultError
from benchmark.metrics import METRICS
from benchmark.stats.coverage import (
    BEGIN,
    CASES,
    END,
    Case,
    _data,
    main,
    simulate,
    table,
    write_table_into,
)

LARGE = 200_000


@pytest.mark.parametrize(
    ("sizes", "fitted"),
    [((LARGE, LARGE), False), ((2 * LARGE, LARGE // 2), False), ((LARGE, LARGE), True)],
)
def test_the_closed_forms_are_what_a_large_sample_shows(sizes, fitted):
    case = Case("large", sizes, fitted=fitted)
    y, folds, p, truth = _data(case, np.random.default_rng(1))
    for name in case.metrics:
        assert float(METRICS[name].compute(y, p, folds)) == pytest.approx(truth[name], abs=3e-3)


def test_the_true_mean_absolute_error_is_what_a_large_sample_shows():
    age, _, predicted, truth = _data(Case("large", (LARGE,), ("mae",)), np.random.default_rng(2))
    assert float(METRICS["mae"].compute(age, predicted)) == pytest.approx(truth["mae"], abs=0.03)


def test_a_small_simulation_is_repeatable_and_counts_both_sides():
    case = Case("small", (30, 20))
    found = simulate(case, 40)
    assert found == simulate(case, 40)
    assert [row.metric for row in found] == list(case.metrics)
    for row in found:
        assert row.share + row.below + row.above == pytest.approx(1.0)
        assert 0.7 < row.share <= 1.0
        assert row.width > 0
    text = table(found, 40)
    assert text.count("| small |") == 3
    assert "Monte-Carlo error of a share near 95 %: 3.4 points" in text


def test_the_table_goes_between_its_markers(tmp_path, monkeypatch):
    page = tmp_path / "docs" / "statistics.md"
    page.parent.mkdir()
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_table_into(page, "new")
    assert page.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmark.stats.coverage.CASES", (Case("tiny", (20,), ("mae",)),))
    said = []
    main(5, said.append)
    assert said[0].startswith("tiny: mae ")
    assert "| tiny | MAE |" in page.read_text()
    page.write_text("no marker")
    with pytest.raises(ResultError, match="around the table"):
        write_table_into(page, "new")


PAGE = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"


def promised(case: Case, metric: str) -> bool:
    """Whether the page promises 93.5 to 96.5 %: the model is given, 300 people or more."""
    return not case.fitted and sum(case.sizes) >= 300 and metric in PROMISED


PROMISED = ("roc_auc", "balanced_accuracy", "brier_score", "mae")


def lines_of_the_page() -> dict[tuple[str, str], tuple[float, ...]]:
    """Covered, below and above in percent by case and title of the metric."""
    text = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {(r[0], r[1]): tuple(float(x.removesuffix(" %")) for x in r[2:5]) for r in rows[1:]}


def test_the_table_of_the_page_keeps_what_the_page_promises():
    found = lines_of_the_page()
    cases = {(c.label, METRICS[m].title): (c, m) for c in CASES for m in c.metrics}
    assert list(found) == list(cases), "write it anew: python -m benchmark.stats.coverage"
    kept = {key: found[key][0] for key, asked in cases.items() if promised(*asked)}
    assert len(kept) == 4 * 3 + 2
    assert {key: share for key, share in kept.items() if not 93.5 <= share <= 96.5} == {}
    for covered, below, above in found.values():
        assert covered + below + above == pytest.approx(100.0, abs=0.16)  # three roundings


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
def test_intervals_cover_between_93_5_and_96_5_percent_where_promised(case):
    found = simulate(case, 800, seed=1)
    assert [row.metric for row in found] == list(case.metrics)
    for row in found:
        assert np.isfinite([row.share, row.width]).all()
        assert row.width > 0
        if promised(case, row.metric):
            slack = 2.5 * row.error  # Monte-Carlo error of this shorter run
            assert 0.935 - slack <= row.share <= 0.965 + slack
