"""The oracle is calibrated, uses all that it sees, and agrees with brute force."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit, ndtr
from scipy.stats import multivariate_normal
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from benchmark.cohorts.phantom import PhantomConfig, effects, genetics, oracle
from benchmark.cohorts.phantom.people import EDUCATION, sample_people
from benchmark.cohorts.phantom.sites import make_sites
from benchmark.errors import CohortError, UnknownNameError
from benchmark.imaging.regions import REGION_NAMES

DEMOGRAPHICS = frozenset({"demographics"})
ALL = frozenset({"demographics", "clinical", "t1w", "fmri", "genetic", "report"})
COLUMNS = [f"r_{name}" for name in REGION_NAMES]


@lru_cache(maxsize=4)
def _people(role: str, count: int = 20_000) -> tuple[PhantomConfig, pd.DataFrame]:
    config = PhantomConfig("x", role, count, 21)
    return config, sample_people(config, range(1, count + 1))


def _labelled(task: str, people: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    grade = people["grade"].to_numpy()
    if task == "conversion":
        seen, when = people["last_months"], people["conversion_months"]
        positive = ((when <= 36) & (when <= seen)).to_numpy()
        negative = ((when > 36) & (seen >= 36)).to_numpy()
        mask = (grade == 1) & (positive | negative)
        return people[mask], positive[mask].astype(int)
    classes = {"dx3": (0, 1, 2), "ad_cn": (0, 2), "mci_cn": (0, 1), "pd_hc": (0, 1)}[task]
    mask = np.isin(grade, classes)
    return people[mask], np.searchsorted(classes, grade[mask])


def _slope(y: np.ndarray, probability: np.ndarray) -> float:
    score = logit(np.clip(probability, 1e-9, 1 - 1e-9))[:, None]
    return float(LogisticRegression(C=np.inf).fit(score, y).coef_[0, 0])


CASES = [
    ("memory", "ad_cn", ALL),
    ("memory", "ad_cn", frozenset({"demographics", "t1w"})),
    ("memory", "mci_cn", frozenset({"demographics", "report"})),
    ("memory", "conversion", ALL),
    ("external", "ad_cn", ALL),
    ("movement", "pd_hc", frozenset({"demographics", "t1w"})),
    ("movement", "pd_hc", ALL | {"mmse"}),
]


@pytest.mark.parametrize(("role", "task", "sources"), CASES)
def test_calibration_slope_is_one(role: str, task: str, sources: frozenset[str]) -> None:
    config, people = _people(role)
    people, y = _labelled(task, people)
    probability = oracle.predict_latents(config, people, task, sources)[:, 1]
    assert _slope(y, probability) == pytest.approx(1.0, abs=0.1)
    assert probability.mean() == pytest.approx(y.mean(), abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("sources", [{"t1w"}, {"fmri"}, {"genetic"}, {"report"}, {"site"}])
def test_calibration_without_age(sources: set[str]) -> None:
    config, people = _people("memory")
    people, y = _labelled("ad_cn", people)
    probability = oracle.predict_latents(config, people, "ad_cn", frozenset(sources))[:, 1]
    assert _slope(y, probability) == pytest.approx(1.0, abs=0.1)


def test_image_alone_is_calibrated_on_a_smaller_draw() -> None:
    config, people = _people("memory")
    people, y = _labelled("ad_cn", people.iloc[:1500])
    probability = oracle.predict_latents(config, people, "ad_cn", frozenset({"t1w"}))[:, 1]
    assert _slope(y, probability) == pytest.approx(1.0, abs=0.25)
    assert 0.90 <= roc_auc_score(y, probability) <= 0.98


def test_adding_a_modality_never_lowers_the_expected_score() -> None:
    config, people = _people("memory")
    people, y = _labelled("ad_cn", people)
    sources, losses, areas = DEMOGRAPHICS, [], []
    for extra in ("", "genetic", "fmri", "clinical", "report", "t1w", "mmse"):
        sources = sources | {extra} if extra else sources
        probability = oracle.predict_latents(config, people, "ad_cn", sources)
        losses.append(log_loss(y, probability))
        areas.append(roc_auc_score(y, probability[:, 1]))
    assert (np.diff(losses) < 0.001).all()
    assert (np.diff(areas) > -0.001).all()


def test_three_classes_sum_to_one_and_contain_the_binary_task() -> None:
    config, people = _people("memory")
    people = people.iloc[:300]
    three = oracle.predict_latents(config, people, "dx3", ALL)
    two = oracle.predict_latents(config, people, "ad_cn", ALL)
    np.testing.assert_allclose(three.sum(axis=1), 1.0, atol=1e-9)
    pair = three[:, [0, 2]]
    np.testing.assert_allclose(pair / pair.sum(axis=1, keepdims=True), two, atol=1e-9)


def test_regression_on_true_regional_values_does_not_beat_it() -> None:
    config, people = _people("memory")
    people, y = _labelled("ad_cn", people[people["has_t1w"]])
    features = people[[*COLUMNS, "age", "male", "education"]].to_numpy()
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    half = len(y) // 2
    fitted = LogisticRegression(C=1.0, max_iter=500).fit(features[:half], y[:half])
    rival = roc_auc_score(y[half:], fitted.predict_proba(features[half:])[:, 1])
    sources = frozenset({"demographics", "t1w"})
    bound = oracle.predict_latents(config, people.iloc[half:], "ad_cn", sources)[:, 1]
    own = roc_auc_score(y[half:], bound)
    assert own > rival - 0.002
    assert rival > own - 0.03  # and the bound is nearly reached, so it is not loose


def test_ridge_on_true_regional_values_does_not_beat_it_for_age() -> None:
    config, people = _people("population", 4000)
    people = people[people["has_t1w"]]
    half = len(people) // 2
    x, age = people[COLUMNS].to_numpy(), people["age"].to_numpy()
    rival = LinearRegression().fit(x[:half], age[:half]).predict(x[half:])
    test = people.iloc[half:]
    own = oracle.predict_latents(config, test, "brain_age", frozenset({"t1w"}))
    error, rival_error = np.abs(own[:, 0] - age[half:]), np.abs(rival - age[half:])
    assert error.mean() < rival_error.mean()
    assert 4.0 < error.mean() < 6.0
    inside = np.abs(own[:, 0] - age[half:]) < own[:, 1]
    assert inside.mean() == pytest.approx(0.68, abs=0.05)  # the sd is honest


def _brute_force(config: PhantomConfig, person: pd.Series, count: int) -> tuple[float, float]:
    """P(AD | image, head, site; AD or CN) by importance draws, and the effective sample size."""
    rng = np.random.default_rng(0)
    role, axis = config.parameters, effects.AXES["ad"]
    age = rng.normal(role.age_mean_years, role.age_sd_years, 2 * count)
    age = age[(age > role.age_min_years) & (age < role.age_max_years)][:count]
    count = len(age)
    male = rng.random(count) < 0.5
    mean, sd, least, most = EDUCATION
    education = np.clip(np.round(rng.normal(mean, sd, count)), least, most)
    score = 1.1631508 * (rng.binomial(2, 0.2, count) - 0.4)  # log(3.2)
    for locus in genetics.PANEL:
        if locus.axis == "ad":
            allele = rng.binomial(2, locus.frequency, count) - 2 * locus.frequency
            score += np.log(locus.odds_ratio) * allele
    shift = make_sites(config).severity_shift[int(person["site"])]
    v = role.severity_mean + axis.per_year * (age - 70) + shift
    v += axis.per_education_year * (education - mean) + genetics.SEVERITY_PER_LOG_OR * score
    v += axis.severity_sd * rng.standard_normal(count)
    model = effects.IMAGE["ad"]
    expected = (
        np.outer(effects.expression(axis, v), model.disease)
        + np.outer(effects.ageing(age), model.age)
        + np.outer(male, model.male)
    )
    observed = person[COLUMNS].to_numpy(dtype=np.float64)
    density = multivariate_normal(np.zeros(len(COLUMNS)), model.covariance())
    log_weight = density.logpdf(observed - expected)
    head_mean = np.where(male, -0.040, -0.075)
    log_weight += -0.5 * ((person["head_log"] - head_mean) / 0.025) ** 2
    weight = np.exp(log_weight - log_weight.max())
    ad = 1 - ndtr((axis.cuts[1] - v) / axis.reading_sd)
    cn = ndtr((axis.cuts[0] - v) / axis.reading_sd)
    effective = weight.sum() ** 2 / (weight**2).sum()
    return float((weight * ad).sum() / (weight * (ad + cn)).sum()), float(effective)


@pytest.mark.parametrize("grade", [0, 1, 2])
def test_a_posterior_equals_brute_force(grade: int) -> None:
    config, people = _people("memory")
    people = people[people["has_t1w"] & (people["grade"] == grade)]
    person = people.iloc[(people["v"] - people["v"].median()).abs().argmin()]
    by_force, effective = _brute_force(config, person, 150_000)
    assert effective > 1000
    exact = oracle.predict_latents(
        config, person.to_frame().T.infer_objects(), "ad_cn", frozenset({"t1w"})
    )[0, 1]
    assert exact == pytest.approx(by_force, abs=4 * 0.5 / np.sqrt(effective))


def test_discrete_evidence_equals_counting() -> None:
    """P(AD) among everybody with the same family history and functional score."""
    config, people = _people("memory")
    people, y = _labelled("ad_cn", people[people["has_family"] & people["has_functional"]])
    cell = people["family"].astype(int) * 100 + people["functional"].astype(int)
    checked = 0
    for _, rows in people.groupby(cell):
        if len(rows) < 200:
            continue
        share = y[people.index.isin(rows.index)].mean()
        p = oracle.predict_latents(config, rows.iloc[:1], "ad_cn", frozenset({"clinical"}))[0, 1]
        assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / len(rows)) + 0.01
        checked += 1
    assert checked >= 10


def test_what_is_missing_is_left_out() -> None:
    config, people = _people("memory")
    gone = people[~people["has_t1w"]].iloc[:20]
    with_site = DEMOGRAPHICS | {"t1w"}
    np.testing.assert_allclose(
        oracle.predict_latents(config, gone, "dx3", with_site),
        oracle.predict_latents(config, gone, "dx3", DEMOGRAPHICS),
        atol=1e-6,
    )


def test_age_is_no_source_for_brain_age() -> None:
    config, people = _people("population", 4000)
    rows = people.iloc[:5].assign(has_education=True)
    other = rows.assign(age=rows["age"] + 7)
    both = [
        oracle.predict_latents(config, r, "brain_age", DEMOGRAPHICS | {"t1w"})
        for r in (rows, other)
    ]
    np.testing.assert_array_equal(*both)


def test_refusals(tmp_path: Path) -> None:
    config, people = _people("memory")
    with pytest.raises(UnknownNameError, match="t1"):
        oracle.predict_latents(config, people.iloc[:2], "dx3", frozenset({"t1"}))
    with pytest.raises(CohortError, match="no task 'pd_hc'"):
        oracle.predict_latents(config, people.iloc[:2], "pd_hc", DEMOGRAPHICS)
    with pytest.raises(CohortError, match=r"no truth\.json"):
        oracle.predict(tmp_path / "phantom-memory", "dx3", DEMOGRAPHICS, ["sub-0001"])
