"""Differences between the arms of a claim, and what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from benchmark.errors import ResultError
from benchmark.results.ablation import (
    ablation_table,
    confidence_lines,
    contrast_line,
    order_lines,
    transfer_line,
    unjudged_line,
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
    assert verdict(float("nan"), float("nan")) == "not judged"
    (row,) = ablation_table([{"low": np.nan, "high": np.nan}]).to_dict("records")
    assert row["note"] == "undefined in more than 5 % of resamples"
    (row,) = ablation_table([unjudged_line("a run failed")]).to_dict("records")
    assert (row["verdict"], row["note"], row["n"]) == ("not judged", "a run failed", 0)


def test_arms_without_an_order_are_set_against_the_first() -> None:
    arms = {name: ledger(name, s) for name, s in (("none", 0.0), ("some", 1.0), ("much", 2.5))}
    lines = order_lines(arms, TASK, to_first=True, n_resamples=300)
    assert [(x["lower"], x["higher"]) for x in lines] == [("none", "some"), ("none", "much")]
    assert all(x["n"] == x["n_lower"] == x["n_higher"] == N for x in lines)


def repeated(arm: str, signal: float) -> Ledger:
    """The same answers under three seeds."""
    same = ledger(arm, signal, seeds=(0,))
    return Ledger(same.key, pd.concat([same.frame.assign(seed=s) for s in SEEDS]))


def test_the_spread_of_seeds_widens_the_interval() -> None:
    def width(arms: dict[str, Ledger]) -> float:
        (line,) = order_lines(arms, TASK, n_resamples=500)
        return line["high"] - line["low"]

    once = {"a": ledger("a", 0.5, seeds=(0,)), "bb": ledger("bb", 1.0, seeds=(0,))}
    still = {"a": repeated("a", 0.5), "bb": repeated("bb", 1.0)}
    assert width(still) == pytest.approx(width(once), abs=1e-9)
    frames = [ledger("bb", s, seeds=(k,)).frame for k, s in enumerate((-1.0, 1.0, 3.0))]
    restless = {"a": repeated("a", 0.5), "bb": Ledger(still["bb"].key, pd.concat(frames))}
    assert width(restless) > 2 * width(still)


def test_the_gain_on_one_task_is_set_against_that_on_another() -> None:
    others = TASKS["mci_cn"]
    more = {name: ledger(name, s) for name, s in (("single", 0.0), ("guided", 2.0))}
    less = {name: ledger(name, s) for name, s in (("single", 1.0), ("guided", 1.2))}
    line = contrast_line({"mci_cn": more, "ad_cn": less}, (others, TASK), n_resamples=500)
    gains = [auroc(of["guided"]) - auroc(of["single"]) for of in (more, less)]
    assert line["score_higher"] == pytest.approx(gains[0], abs=1e-9)
    assert line["score_lower"] == pytest.approx(gains[1], abs=1e-9)
    assert line["difference"] == pytest.approx(gains[0] - gains[1], abs=1e-9)
    assert (line["lower"], line["higher"]) == ("gain on ad_cn", "gain on mci_cn")
    assert verdict(line["low"], line["high"]) == "shown"
    assert line["n"] == N, "people of both tasks, each once"
    parts = [
        order_lines(arms, task, n_resamples=500)[0] for arms, task in ((more, others), (less, TASK))
    ]
    of_parts = [part["high"] - part["low"] for part in parts]
    both = float(np.hypot(*of_parts))
    assert line["high"] - line["low"] == pytest.approx(both, rel=0.15), "independent bootstraps"
    with pytest.raises(ResultError, match="different metrics"):
        contrast_line({}, (TASK, TASKS["brain_age"]))


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
    assert (line["n_lower"], line["n_higher"]) == (N, N)
    assert verdict(line["low"], line["high"]) == "shown"


def test_the_spread_of_seeds_counts_at_home_and_away() -> None:
    def width(signals: tuple[float, ...]) -> float:
        frames = [ledger("net", s, seeds=(k,)).frame for k, s in enumerate(signals)]
        home = Ledger(RowKey("memory", "ad_cn", "arm", "3fold", "net"), pd.concat(frames))
        away = pd.concat(frames).assign(fold=0)
        there = Ledger(RowKey("external", "ad_cn", "arm", "external", "net"), away)
        line = transfer_line(home, there, TASK, n_resamples=500)
        return line["high"] - line["low"]

    assert width((-1.0, 1.0, 3.0)) > 2 * width((1.0, 1.0, 1.0))


def sure_and_right() -> pd.DataFrame:
    """Nine people: of the least confident one is right, of the middle two, of the most all."""
    frame = pd.DataFrame(
        {
            "participant_id": [f"s{i}" for i in range(9)],
            "y_true": [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0],
            "prob_1": [0.95, 0.04, 0.91, 0.20, 0.78, 0.75, 0.45, 0.44, 0.40],
            "seed": 0,
            "fold": 0,
        }
    )
    return frame.assign(prob_0=1 - frame["prob_1"])


CONFIDENT = RowKey("memory", "ad_cn", "arm", "1fold", "net")


def test_accuracy_by_thirds_of_confidence_is_counted_by_hand() -> None:
    lines = confidence_lines(Ledger(CONFIDENT, sure_and_right()), TASK, n_resamples=200)
    names = ("least confident third", "middle third", "most confident third")
    found = [(x["lower"], x["higher"], x["score_lower"], x["score_higher"]) for x in lines]
    share = dict(zip(names, (1 / 3, 2 / 3, 1.0), strict=True))
    ends = [(names[0], names[1]), (names[1], names[2]), (names[0], names[2])]
    assert found == [(low, high, share[low], share[high]) for low, high in ends]
    assert [x["difference"] for x in lines] == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    assert [(x["n"], x["n_lower"], x["n_higher"]) for x in lines] == [(9, 3, 3)] * 3


def test_the_spread_of_seeds_is_part_of_accuracy_by_confidence() -> None:
    def width(one: Ledger) -> float:
        line = confidence_lines(one, TASK, n_resamples=500)[-1]
        return line["high"] - line["low"]

    once, still = ledger("a", 1.0, seeds=(0,)), repeated("a", 1.0)
    assert width(still) == pytest.approx(width(once), abs=1e-9)
    frame = still.frame
    turned = frame.assign(prob_1=frame["prob_0"], prob_0=frame["prob_1"])
    restless = pd.concat([frame[frame["seed"] < 2], turned[turned["seed"] == 2]])
    assert width(Ledger(still.key, restless)) > 2 * width(still)


def test_confidence_needs_classes() -> None:
    with pytest.raises(ResultError, match="needs classes"):
        confidence_lines(ledger("a", 1.0), TASKS["brain_age"])
