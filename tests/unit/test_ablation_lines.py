"""Differences between the arms of a claim, and what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from benchmark.errors import ResultError
from benchmark.results.ablation import (
    ablation_table,
    confidence_line,
    order_lines,
    transfer_line,
    verdict,
)
from benchmark.results.ledger import Ledger, RowKey
from benchmark.tasks import TASKS

TASK = TASKS["ad_cn"]
N = 120
LABEL = np.arange(N) % 2
FOLD = np.arange(N) // 2 % 3
SEEDS = (0, 1, 2)


def ledger(
    arm: str, signal: float, *, cohort: str = "memory", protocol: str = "3fold", seeds=SEEDS
) -> Ledger:
    frames = []
    for seed in seeds:
        noise = np.random.default_rng(seed + len(arm)).normal(size=N)
        positive = 1 / (1 + np.exp(-(signal * (2 * LABEL - 1) + noise)))
        frames.append(
            pd.DataFrame(
                {
                    "participant_id": [f"{cohort}-{i:03d}" for i in range(N)],
                    "y_true": LABEL.astype(float),
                    "prob_0": 1 - positive,
                    "prob_1": positive,
                    "seed": seed,
                    "fold": FOLD,
                }
            )
        )
    return Ledger(RowKey(cohort, "ad_cn", "arm", protocol, arm), pd.concat(frames))


def auroc(one: Ledger) -> float:
    """Mean over seeds of the pair-weighted AUROC within folds; the folds here are equal."""
    values = [
        roc_auc_score(rows["y_true"], rows["prob_1"])
        for _, rows in one.frame.groupby(["seed", "fold"])
    ]
    return float(np.mean(values))


def test_successive_arms_and_the_ends_are_compared_in_the_claimed_direction() -> None:
    arms = {name: ledger(name, s) for name, s in (("none", 0.0), ("some", 1.0), ("much", 2.5))}
    lines = order_lines(arms, TASK, n_resamples=300)
    assert [(x["lower"], x["higher"]) for x in lines] == [
        ("none", "some"),
        ("some", "much"),
        ("none", "much"),
    ]
    for line in lines:
        expected = auroc(arms[line["higher"]]) - auroc(arms[line["lower"]])
        assert line["difference"] == pytest.approx(expected, abs=1e-9)
        assert line["low"] < line["difference"] < line["high"]
        assert line["n"] == N
    assert ablation_table(lines)["verdict"].tolist() == ["shown", "shown", "shown"]


def test_a_claim_that_goes_the_other_way_is_reversed_and_noise_is_not_shown() -> None:
    (line,) = order_lines(
        {"better": ledger("better", 2.0), "worse": ledger("worse", 0.0)}, TASK, n_resamples=300
    )
    assert verdict(line["low"], line["high"]) == "reversed"
    (line,) = order_lines(
        {"one": ledger("one", 1.0), "twin": ledger("twin", 1.0)}, TASK, n_resamples=300
    )
    assert verdict(line["low"], line["high"]) == "not shown"


def test_an_interval_that_cannot_be_had_shows_nothing() -> None:
    assert verdict(float("nan"), float("nan")) == "not shown"


def test_the_spread_of_seeds_widens_the_interval() -> None:
    def line(seeds) -> dict:
        arms = {"a": ledger("a", 0.5, seeds=seeds), "bb": ledger("bb", 1.0, seeds=seeds)}
        return order_lines(arms, TASK, n_resamples=500)[0]

    same = ledger("a", 0.5, seeds=(0,)).frame
    constant = Ledger(
        RowKey("memory", "ad_cn", "arm", "3fold", "a"),
        pd.concat([same.assign(seed=s) for s in SEEDS]),
    )
    other = Ledger(
        RowKey("memory", "ad_cn", "arm", "3fold", "bb"),
        pd.concat([ledger("bb", 1.0, seeds=(0,)).frame.assign(seed=s) for s in SEEDS]),
    )
    still = order_lines({"a": constant, "bb": other}, TASK, n_resamples=500)[0]
    once = line((0,))
    assert still["high"] - still["low"] == pytest.approx(once["high"] - once["low"], abs=1e-9)


def test_transfer_takes_two_independent_bootstraps() -> None:
    home = ledger("net", 2.0)
    frame = ledger("net", 0.5, cohort="external").frame.assign(fold=0)
    away = Ledger(RowKey("external", "ad_cn", "arm", "external", "net"), frame)
    line = transfer_line(home, away, TASK, n_resamples=400)
    expected = auroc(home) - np.mean(
        [roc_auc_score(rows["y_true"], rows["prob_1"]) for _, rows in frame.groupby("seed")]
    )
    assert line["difference"] == pytest.approx(expected, abs=1e-9)
    assert (line["lower"], line["higher"], line["n"]) == ("external", "memory", 2 * N)
    assert verdict(line["low"], line["high"]) == "shown"


def test_accuracy_by_confidence_is_counted_by_hand() -> None:
    people = 8
    frame = pd.DataFrame(
        {
            "participant_id": [f"s{i}" for i in range(people)],
            "y_true": [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0],
            #   sure and right: 4 of 4; unsure: 1 of 4 right
            "prob_1": [0.95, 0.04, 0.91, 0.08, 0.45, 0.44, 0.40, 0.58],
            "seed": 0,
            "fold": 0,
        }
    )
    frame["prob_0"] = 1 - frame["prob_1"]
    one = Ledger(RowKey("memory", "ad_cn", "arm", "1fold", "net"), frame)
    line = confidence_line(one, TASK, n_resamples=200)
    assert line["score_higher"] == 1.0
    assert line["score_lower"] == 0.25
    assert line["difference"] == 0.75


def test_confidence_needs_classes() -> None:
    with pytest.raises(ResultError, match="needs classes"):
        confidence_line(ledger("a", 1.0), TASKS["brain_age"])
