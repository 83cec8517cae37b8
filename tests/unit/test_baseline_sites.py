"""Site offsets in regional measurements: against other estimators, and what they may not know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from baselines.regional_linear.model import RegionalLinear
from baselines.regional_linear.sites import SiteOffsets
from benchmark.errors import MethodError
from benchmark.method import RunContext
from benchmark.registry import get_method
from benchmark.samples.samples import Samples
from benchmark.tasks import get_task

SITES = ("north", "south", "west")
REGIONS = [f"region_{k}_mm" for k in range(8)]


def made_up(n: int = 300, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Log thickness that falls with age, with an offset by site; sites differ in age."""
    rng = np.random.default_rng(seed)
    site = rng.choice(3, n, p=(0.5, 0.4, 0.1))
    age = rng.normal(50, 10, n) + 12 * site
    offsets = rng.normal(0.03, 0.04, (3, len(REGIONS)))
    values = 1.0 - 0.004 * age[:, None] + offsets[site] + rng.normal(0, 0.05, (n, len(REGIONS)))
    frame = pd.DataFrame(values, columns=REGIONS)
    return frame.assign(site_id=np.take(SITES, site)), age, offsets


def test_offsets_are_the_posterior_means_of_ordinary_least_squares() -> None:
    frame, age, _ = made_up()
    ours = SiteOffsets().fit(frame, age).offsets_
    dummies = pd.get_dummies(frame["site_id"], dtype=float)
    n = dummies.sum()
    raw, sd = {}, {}
    for region in REGIONS:  # feature by feature, by another package
        fit = sm.OLS(frame[region], dummies.assign(age=age)).fit()
        means = fit.params[list(SITES)]
        sd[region] = np.sqrt(np.mean(fit.resid**2))
        raw[region] = (means - (n * means).sum() / n.sum()) / sd[region]
    table = pd.DataFrame(raw)
    grid = np.linspace(-6, 6, 24001)
    for site in SITES:  # the posterior by summation over a grid
        prior = stats.norm(table.loc[site].mean(), table.loc[site].std())
        for region in REGIONS:
            seen = stats.norm(grid, 1 / np.sqrt(n[site])).logpdf(table.loc[site, region])
            weight = np.exp(seen + prior.logpdf(grid) - (seen + prior.logpdf(grid)).max())
            expected = (grid * weight).sum() / weight.sum() * sd[region]
            assert ours.loc[site, region] == pytest.approx(expected, abs=1e-6)


def test_what_is_predicted_stays_and_the_scanner_goes() -> None:
    frame, age, offsets = made_up(20_000)
    clean = SiteOffsets().fit(frame, age).transform(frame)
    assert list(clean) == REGIONS
    assert np.ptp(offsets, axis=0).max() > 0.05
    for region in REGIONS:
        fit = sm.OLS(clean[region], pd.get_dummies(frame["site_id"], dtype=float).assign(age=age))
        found = fit.fit().params
        assert found["age"] == pytest.approx(-0.004, abs=2e-4)
        assert np.ptp(found[list(SITES)]) < 0.004


def test_classes_stay_too() -> None:
    frame, age, _ = made_up(5_000)
    ill = (age > 60).astype(np.int64)  # much more often in the west
    effect = frame[REGIONS].sub(0.2 * ill, axis=0).assign(site_id=frame["site_id"])
    clean = SiteOffsets(classes=True).fit(effect, ill).transform(effect)
    dummies = pd.get_dummies(frame["site_id"], dtype=float)
    before = sm.OLS(effect[REGIONS[0]], dummies.assign(ill=ill)).fit().params["ill"]
    after = sm.OLS(clean[REGIONS[0]], sm.add_constant(ill.astype(float))).fit().params.iloc[1]
    assert after == pytest.approx(before, abs=0.005)


def test_a_site_of_no_training_person_stays_as_it_is() -> None:
    frame, age, _ = made_up()
    fitted = SiteOffsets().fit(frame, age)
    new = frame.assign(site_id="elsewhere")
    pd.testing.assert_frame_equal(fitted.transform(new), frame[REGIONS])
    moved = fitted.transform(frame).to_numpy() - frame[REGIONS].to_numpy()
    assert (np.abs(moved).max(axis=1) > 1e-3).all()


def test_an_answer_does_not_depend_on_who_else_is_there() -> None:
    frame, age, _ = made_up()
    fitted = SiteOffsets().fit(frame, age)
    alone = pd.concat([fitted.transform(frame.iloc[[k]]) for k in range(20)])
    pd.testing.assert_frame_equal(alone, fitted.transform(frame).head(20))


def test_missing_measurements_stay_missing() -> None:
    frame, age, _ = made_up()
    frame.loc[::7, REGIONS[2]] = np.nan
    frame[REGIONS[3]] = np.nan
    clean = SiteOffsets().fit(frame, age).transform(frame)
    pd.testing.assert_frame_equal(clean.isna(), frame[REGIONS].isna())


def test_sites_of_one_class_each_are_refused() -> None:
    frame, _, _ = made_up()
    ill = (frame["site_id"] == "north").to_numpy().astype(np.int64)
    with pytest.raises(MethodError, match="north, south, west and what is predicted cannot be"):
        SiteOffsets(classes=True).fit(frame, ill)


def samples(frame: pd.DataFrame, age: np.ndarray | None, cohort: int = 0) -> Samples:
    n = len(frame)
    labels = None if age is None else {"brain_age": (age, np.ones(n, dtype=bool))}
    return Samples(
        n=n,
        tables={"t1w": np.exp(frame[REGIONS]), "site": frame[["site_id"]]},
        arrays={},
        texts={},
        available={"t1w": np.ones(n, dtype=bool)},
        cohort=np.full(n, cohort),
        names={},
        spacing_mm=0.0,
        _labels=labels,
    )


def test_the_same_name_in_another_cohort_is_another_site(tmp_path: Path) -> None:
    task = get_task("brain_age")
    frame, age, _ = made_up()
    method = RegionalLinear(get_method("regional_linear").config())
    method.fit(samples(frame, age), samples(frame, age), [task], RunContext(0, tmp_path))

    def answer(people: Samples) -> np.ndarray:
        return method.predict(people, [task])["brain_age"].mean

    home, external = answer(samples(frame, None)), answer(samples(frame, None, cohort=-1))
    renamed = answer(samples(frame.assign(site_id="elsewhere"), None))
    np.testing.assert_allclose(external, renamed)
    assert np.abs(home - external).min() > 0.1


def test_without_sites_nothing_changes(tmp_path: Path) -> None:
    task = get_task("brain_age")
    frame, age, _ = made_up()
    shown = samples(frame, age)
    plain = replace(shown, tables={"t1w": shown.tables["t1w"]})
    method = RegionalLinear(get_method("regional_linear").config())
    method.fit(plain, plain, [task], RunContext(0, tmp_path))
    expected = [c.fit(np.log(plain.frame("t1w")), age) for c in _plain_candidates(method)]
    best = min(expected, key=lambda e: np.abs(e.predict(np.log(plain.frame("t1w"))) - age).mean())
    np.testing.assert_allclose(
        method.predict(plain.without_labels(), [task])["brain_age"].mean,
        best.predict(np.log(plain.frame("t1w"))),
    )


def _plain_candidates(method: RegionalLinear) -> list:
    return list(super(RegionalLinear, method).candidates(get_task("brain_age")))
