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


def offsets_of(frame: pd.DataFrame, classes: list[str] | np.ndarray) -> pd.DataFrame:
    return SiteOffsets(classes=True).fit(frame, np.asarray(classes)).offsets_


def test_what_only_one_class_has_is_no_offset() -> None:
    frame, _, _ = made_up()
    ill = np.where(frame["site_id"] == "north", "AD", "CN")  # all that tells north is the class
    found = offsets_of(frame, ill)
    assert np.abs(found.loc["north"]).max() < 1e-12
    rest = frame.loc[frame["site_id"] != "north"]  # both of one class, and told apart
    alone = offsets_of(rest, ["CN"] * len(rest))
    assert np.sign(found.loc[["south", "west"]]).equals(np.sign(alone))


def test_offsets_are_the_smallest_of_all_least_squares_solutions() -> None:
    rng = np.random.default_rng(1)
    site = np.repeat(["a", "b", "c"], (40, 30, 60))
    classes = np.where(
        site == "a", "CN", np.where(site == "b", "MCI", rng.choice(["AD", "CN"], 130))
    )
    frame = pd.DataFrame(rng.normal(size=(130, 1)), columns=["x_mm"])  # one feature is not shrunk
    frame["x_mm"] += 2.0 * (site == "a") + 1.0 * (classes == "AD")
    found = offsets_of(frame.assign(site_id=site), classes)["x_mm"]
    # b is MCI alone: no offset can be told, so 0 is the smallest; a and c share the class CN.
    cn = frame["x_mm"][classes == "CN"].groupby(site[classes == "CN"]).mean()
    assert found["b"] == pytest.approx(0, abs=1e-12)
    assert found["a"] - found["c"] == pytest.approx(cn["a"] - cn["c"])
    assert 40 * found["a"] + 60 * found["c"] == pytest.approx(0, abs=1e-10)


def test_few_people_of_many_sites_are_no_failure() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        frame = pd.DataFrame(rng.normal(size=(30, 5)), columns=REGIONS[:5])
        frame = frame.assign(site_id=[f"s{k}" for k in rng.integers(0, 60, 30)])
        fitted = SiteOffsets(classes=True).fit(frame, rng.integers(0, 3, 30))
        assert np.isfinite(fitted.transform(frame).to_numpy()).all()
    each = frame.assign(site_id=[f"s{k}" for k in range(30)])  # a site a person: nothing is left
    assert not offsets_of(each, rng.integers(0, 3, 30)).to_numpy().any()


def test_constant_measurements_do_not_touch_the_others() -> None:
    frame, age, _ = made_up()
    six = frame[[*REGIONS[:6], "site_id"]]
    constant = {"a_mm": 0.0, "b_mm": 0.1, "c_mm": np.log(1234.5)}
    expected = SiteOffsets().fit(six, age).offsets_
    found = SiteOffsets().fit(six.assign(**constant), age).offsets_
    pd.testing.assert_frame_equal(found[REGIONS[:6]], expected)
    assert not found[list(constant)].to_numpy().any()
    alone = SiteOffsets().fit(six[["site_id"]].assign(**constant), age)
    assert not alone.offsets_.to_numpy().any()


def test_people_of_unknown_site_have_no_offset_and_no_part_in_the_fit() -> None:
    frame, age, _ = made_up()
    known = (frame["site_id"] != "west").to_numpy()
    some = frame.assign(site_id=frame["site_id"].where(known))
    fitted = SiteOffsets().fit(some, age)
    expected = SiteOffsets().fit(frame.loc[known], age[known])
    pd.testing.assert_frame_equal(fitted.offsets_, expected.offsets_)
    pd.testing.assert_frame_equal(fitted.transform(some)[~known], frame.loc[~known, REGIONS])
    nobody = frame.assign(site_id=None)
    pd.testing.assert_frame_equal(SiteOffsets().fit(nobody, age).transform(nobody), frame[REGIONS])


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


def test_the_unknown_site_is_no_scanner() -> None:
    frame, age, _ = made_up(50)
    frame = frame.assign(site_id=["unknown" if s == "west" else s for s in frame["site_id"]])
    shown = RegionalLinear(get_method("regional_linear").config()).features(samples(frame, age))
    assert set(shown["site_id"].dropna()) == {"0 north", "0 south"}
    assert (shown["site_id"].isna() == (frame["site_id"] == "unknown")).all()


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
