"""Sections of a report beside the score, against the board's own numbers and plain formulas."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parents[1] / "app"))
from board_fixture import EXTERNAL, MEMORY, write_board

from benchmark.report import read_content
from benchmark.report.content import number, row_name
from benchmark.report.panels import selective_errors
from benchmark.report.readings import readings
from benchmark.report.sheets import all_sheets


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    return write_board(tmp_path_factory.mktemp("readings"))


@pytest.fixture(scope="module")
def content(board):
    return read_content(board, MEMORY, "ad_cn")


def _sections(content):
    sheets = {sheet.name: sheet for sheet in all_sheets(content)}
    return {section.title: section for section in readings(content, sheets)}


def _sheet(content, name: str):
    sheets = [sheet for section in _sections(content).values() for sheet in section.sheets]
    return next(sheet for sheet in sheets if sheet.name == name)


def _stored(content, row, metric: str) -> float:
    name = row_name(row)
    return next(
        m["score"] for m in content.metrics if row_name(m) == name and m["metric"] == metric
    )


def test_bins_count_everybody_once_and_their_mean_distance_is_said(content):
    row = content.best[0]
    own = content.said_by(row)
    lines = [line for line in _sheet(content, "reliability").rows if line[0] == row_name(row)]
    assert sum(int(line[2]) for line in lines) == len(own) == 180
    ordered = own.sort_values("prob_1")
    size = int(lines[0][2])
    lowest = ordered.iloc[:size]
    assert lines[0][3:5] == (number(lowest["prob_1"].mean()), number(lowest["y_true"].mean()))
    figure = _sections(content)["Calibration"].figures[0]
    assert f"{len(lines)} bins of {', '.join(line[2] for line in lines)} people" in (
        figure.description
    )


def test_bins_of_several_fold_models_are_of_the_first_alone(board):
    content = read_content(board, EXTERNAL, "ad_cn")
    lines = _sheet(content, "reliability").rows
    first = [line for line in lines if line[0] == row_name(content.best[0])]
    assert sum(int(line[2]) for line in first) == 90  # people, not people times models
    assert "of the first of several models" in _sections(content)["Calibration"].says


def test_brier_terms_add_up_to_the_score_of_the_board(content):
    for row, line in zip(content.best, _sheet(content, "brier_terms").rows, strict=True):
        total, off, resolved, uncertain, inside = map(float, line[1:])
        assert line[1] == number(_stored(content, row, "brier_score"))
        assert off - resolved + uncertain + inside == pytest.approx(total, abs=0.003)  # rounded


@pytest.mark.parametrize("cohort", [MEMORY, EXTERNAL])
def test_decision_curves_have_the_boards_net_benefit_and_both_references(board, cohort):
    content = read_content(board, cohort, "ad_cn")
    sheet = _sheet(content, "decision")
    assert sheet.columns[1:] == ("at 0.1", "at 0.2", "at 0.3", "at 0.5")
    share = content.said_by(content.best[0])["y_true"].mean()
    everybody = [share - (1 - share) * t / (1 - t) for t in (0.1, 0.2, 0.3, 0.5)]
    assert sheet.rows[-2][1:] == tuple(number(x) for x in everybody)
    assert set(sheet.rows[-1][1:]) == {"0.000"}
    figures = _sections(content)["Decision curves"].figures
    for row, line, figure in zip(content.best, sheet.rows, figures, strict=False):
        value = _stored(content, row, "net_benefit_30")
        assert line[3].startswith(number(value))
        gain = value - max(everybody[2], 0.0)  # the drawn curve is the board's number
        assert f"{number(gain, sign=True)} at 0.3" in figure.description


def test_selective_prediction_takes_the_surest_of_each_fold(content):
    for row, line in zip(content.best, _sheet(content, "selective").rows, strict=True):
        own = content.said_by(row)
        wrong = (own["prob_1"] > 0.5) != (own["y_true"] == 1)
        assert line[3] == number(wrong.mean())
        if row["method"] != "chance":  # which is equally sure of everybody
            sure = own.assign(wrong=wrong, sure=own[["prob_0", "prob_1"]].max(axis=1))
            half = [x.nlargest(len(x) // 2, "sure") for _, x in sure.groupby("fold")]
            assert [len(x) for x in half] == [30, 30, 30]
            assert line[1] == number(pd.concat(half)["wrong"].mean())


@pytest.mark.parametrize("cohort", [MEMORY, EXTERNAL])
def test_the_mean_of_the_errors_by_share_is_the_aurc_beside_them(board, cohort):
    content = read_content(board, cohort, "ad_cn")
    shares = (np.arange(20_000) + 0.5) / 20_000
    for row, line in zip(content.best, _sheet(content, "selective").rows, strict=True):
        errors = selective_errors(content, content.said_by(row), shares)
        assert errors.mean() == pytest.approx(float(line[4]), abs=7e-4)  # rounded


def test_a_fold_that_is_sure_on_another_scale_changes_no_error(content):
    answers = ["prob_0", "prob_1"]
    other = content.predictions.astype(dict.fromkeys(answers, float))
    other.loc[other["fold"] == 0, answers] = 0.5 + 0.2 * (other[answers] - 0.5)
    sections = [_sections(x) for x in (content, replace(content, predictions=other))]
    first, second = (section["Selective prediction"] for section in sections)
    assert [sheet.rows for sheet in first.sheets] == [sheet.rows for sheet in second.sheets]
    assert [figure.marks for figure in first.figures] == [figure.marks for figure in second.figures]


def test_tasks_have_the_sections_that_fit_them(board, content):
    both = ["Calibration", "Decision curves", "Selective prediction"]
    assert list(_sections(content)) == both
    outside = read_content(board, EXTERNAL, "ad_cn")
    assert list(_sections(outside)) == [*both, "Cross-check of the top pairs"]
    ages = read_content(board, MEMORY, "brain_age")
    assert list(_sections(ages)) == ["Calibration"]
    age = _sheet(ages, "brain_age")
    assert {line[2] for line in age.rows} == {"no validation predictions: not stored"}


def test_without_stored_predictions_there_is_nothing_to_draw(content):
    empty = replace(content, predictions=pd.DataFrame())
    for section in _sections(empty).values():
        assert not section.figures
        assert {sheet.name for sheet in section.sheets} <= {"calibration", "decision"}
    lines = _sheet(empty, "decision").rows
    assert [line[0] for line in lines] == [row_name(row) for row in content.scored]


def _placements(positive, negative):
    """Share of the other class beaten by each person, ties one half: DeLong's components."""
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    return wins.mean(axis=1), wins.mean(axis=0)


def test_delong_of_external_pairs_by_plain_placements(board):
    content = read_content(board, EXTERNAL, "ad_cn")
    sheet = _sheet(content, "cross_check")
    assert "decides ranks" in sheet.note
    rows = {row_name(row): row for row in content.best}
    assert len(sheet.rows) == 1  # no track of the board shows what the third row sees as well
    for pair, difference, _, crossed, p in sheet.rows:
        parts = []
        for name in pair.split(" and "):
            models = []
            for _, own in content.said_by(rows[name]).groupby("replica"):
                ordered = own.sort_values("index")
                patient = ordered["y_true"].to_numpy() == 1
                score = ordered["prob_1"].to_numpy()
                models.append(_placements(score[patient], score[~patient]))
            parts.append([np.mean(side, axis=0) for side in zip(*models, strict=True)])
        (a1, a0), (b1, b0) = parts
        gain = a1.mean() - b1.mean()
        variance = (a1 - b1).var(ddof=1) / len(a1) + (a0 - b0).var(ddof=1) / len(a0)
        expected = 2 * NormalDist().cdf(-abs(gain) / np.sqrt(variance))
        assert difference == crossed == number(gain, sign=True)  # the board's, and DeLong's
        assert p == ("< 0.001" if expected < 0.001 else number(expected))


def test_nadeau_bengio_of_repeated_folds_by_the_formula(content):
    rng = np.random.default_rng(0)
    n, tables = 150, []
    label = (np.arange(n) % 2).astype(float)
    methods = [row for row in content.best if row["method"] in ("resnet3d", "brain_adapter")]
    for row, seed in itertools.product(methods, (0, 1)):
        for repeat in range(5):
            p = 1 / (1 + np.exp(-(label - 0.5) * row["score"] - rng.normal(size=n)))
            own = {"y_true": label, "prob_0": 1 - p, "prob_1": p, "index": np.arange(n)}
            fold = 5 * repeat + rng.permutation(n) % 5
            key = {k: row[k] for k in ("method", "track", "derived_from")}
            replica = {"fold": fold, "seed": seed, "replica": 5 * seed + repeat}
            tables.append(pd.DataFrame(own | replica | key))
    predictions = pd.concat(tables, ignore_index=True)
    repeated = replace(content, protocol="5x5fold", predictions=predictions)
    ((pair, _, _, difference, p),) = _sheet(repeated, "cross_check").rows
    fold_scores = {}
    for name in pair.split(" and "):
        row = next(row for row in methods if row_name(row) == name)
        own = predictions[predictions["method"] == row["method"]]
        fold_scores[name] = np.array(
            [
                np.mean([roc_auc_score(x["y_true"], x["prob_1"]) for _, x in one.groupby("seed")])
                for _, one in own.groupby("fold")
            ]
        )
    first, second = fold_scores.values()
    d = first - second
    assert len(d) == 25
    t = d.mean() / np.sqrt((1 / 25 + 1 / 4) * d.var(ddof=1))
    assert difference == number(d.mean(), sign=True)
    expected = 2 * student.sf(abs(t), 24)
    assert p == ("< 0.001" if expected < 0.001 else number(expected))
