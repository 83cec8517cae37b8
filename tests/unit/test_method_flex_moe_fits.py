"""Whole fits of Flex-MoE: who is learned first, what nobody has, what is shown, interruptions."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from flex_people import TASKS, people, quick

from benchmark.api import MethodError, RunContext, Samples, Trainer
from benchmark.config import load_profile
from benchmark.runs.rows import resolve_row
from benchmark.samples import LazyRows
from benchmark.samples.hide import hide
from benchmark.tasks import get_task
from benchmark.training.config import BalanceConfig
from methods.flex_moe.info import INFO, FlexConfig
from methods.flex_moe.modalities import held
from methods.flex_moe.model import FlexMoE


@pytest.fixture(scope="module")
def method(tmp_path_factory: pytest.TempPathFactory) -> FlexMoE:
    made = FlexMoE(quick())
    folder = tmp_path_factory.mktemp("flex")
    made.fit(people(42, 0), people(12, 1), TASKS, RunContext(seed=0, folder=folder))
    return made


def test_everybody_is_predicted_with_every_subset_of_modalities(method: FlexMoE) -> None:
    some = people(12, 2).without_labels()
    answers = []
    for gone in itertools.product([True, False], repeat=3):
        names = ("clinical", "fmri", "genetic")
        hidden = {m: np.full(12, g) for m, g in zip(names, gone, strict=True)}
        p = method.predict(hide(some, hidden), TASKS)["dx3"].probabilities
        np.testing.assert_allclose(p.sum(axis=1), 1)
        answers.append(p)
    np.testing.assert_array_equal(answers[0], np.full((12, 3), 1 / 3))
    assert not any(np.array_equal(answers[7], other) for other in answers[:7])


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("label_smoothing", 0.1), ("class_weights", False), ("even_labels", True)),
        *(("flip_average", True), ("balance", BalanceConfig("uncertainty"))),
    ],
)
def test_settings_of_the_first_stage_that_are_not_read_are_refused(
    tmp_path: Path, setting: str, value: object
) -> None:
    config, run = quick(), RunContext(seed=0, folder=tmp_path)
    config.complete = replace(config.complete, **{setting: value})
    with pytest.raises(MethodError, match=rf"complete\.{setting} is not used, trainer\.{setting}"):
        FlexMoE(config).fit(people(42, 0), people(12, 1), TASKS, run)
    config.trainer = replace(config.trainer, **{setting: value})
    FlexMoE(config).prepare(people(42, 0), TASKS, run)


def test_what_is_exposed_has_one_row_a_person(method: FlexMoE) -> None:
    shown = method.expose(people(9, 2).without_labels())
    assert shown["routing"].shape == (9, 16)
    np.testing.assert_allclose(shown["routing"].sum(axis=1), 1, rtol=1e-5)
    assert shown["combination"].tolist() == [7, 7, 7, 5, 3, 7, 6, 5, 7]
    assert method.embed(people(9, 2).without_labels()).shape == (9, 3 * 8)


def test_statistics_are_those_of_training_people_who_have_the_modality(method: FlexMoE) -> None:
    train = people(42, 0)
    faq = train.tables["clinical"]["faq_total"].dropna()
    reader = method.model.tokens["record"].reader
    assert reader.mean[-1] == pytest.approx(faq.mean(), rel=1e-5)
    assert reader.sd[-1] == pytest.approx(faq.std(ddof=0), rel=1e-5)
    dosages = train.array("snps")[train.has("genetic")]
    np.testing.assert_allclose(
        method.model.tokens["genetics"].reader.encoder.mean_dosage, dosages.mean(axis=0), rtol=1e-5
    )


@pytest.mark.parametrize(("least", "stages"), [(8, {"complete", "fit"}), (99, {"fit"})])
def test_people_with_everything_come_first_if_there_are_enough(
    least: int, stages: set[str], tmp_path: Path
) -> None:
    config = quick()
    config.least_complete = least
    made = FlexMoE(config)
    made.fit(people(42, 0), people(12, 1), TASKS, RunContext(seed=0, folder=tmp_path))
    found = {path.name.split(".")[0] for path in tmp_path.glob("*.checkpoint.pt")}
    assert found == stages


def test_without_experts_there_is_one_mlp_and_no_routing(tmp_path: Path) -> None:
    made = FlexMoE(quick(number=0))
    made.fit(people(42, 0), people(12, 1), TASKS[:1], RunContext(seed=0, folder=tmp_path))
    assert not any("experts" in name for name, _ in made.model.named_parameters())
    assert set(made.expose(people(9, 2).without_labels())) == {"combination"}


@pytest.mark.parametrize("epochs", [1, 3])  # of the first stage's two, of all four
def test_a_fit_that_is_killed_in_either_stage_goes_on_to_the_same_bits(
    epochs: int, method: FlexMoE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit() -> FlexMoE:
        made, context = FlexMoE(quick()), RunContext(seed=0, folder=tmp_path, checkpoint_seconds=0)
        made.fit(people(42, 0), people(12, 1), TASKS, context)
        return made

    saved, save = [], Trainer._save

    def killed(self: Trainer, state: object) -> None:
        save(self, state)
        saved.append(state)
        if len(saved) == epochs:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save", killed)
        with pytest.raises(KeyboardInterrupt):
            fit()
    went_on, whole = fit().model.state_dict(), method.model.state_dict()
    assert all(torch.equal(went_on[name], tensor) for name, tensor in whole.items())


# What nobody has ---------------------------------------------------------------------------------


def fitted(folder: Path, train: Samples, val: Samples, config: FlexConfig | None = None) -> FlexMoE:
    made = FlexMoE(config or quick())
    tasks = [get_task(name) for name in train._labels]
    made.fit(train, val, tasks, RunContext(seed=0, folder=folder))
    return made


def with_nobodys(samples: Samples) -> Samples:
    """The same people; their cohort has a place for T1w and for reports, which nobody has."""
    n = samples.n
    volumes = LazyRows([np.ones((1, 8, 8, 8), np.float32)], np.zeros(n, int), np.full(n, -1))
    nobody = np.zeros(n, dtype=bool)
    return replace(
        samples,
        arrays={**samples.arrays, "t1w": volumes},
        texts={"report": [" "] * n},
        available={**samples.available, "t1w": nobody, "report": nobody},
        spacing_mm=5.0,
    )


def test_what_nobody_in_training_has_changes_no_bit(method: FlexMoE, tmp_path: Path) -> None:
    made = fitted(tmp_path / "fit", with_nobodys(people(42, 0)), with_nobodys(people(12, 1)))
    made.save(tmp_path / "saved")
    some, seen = people(9, 2).without_labels(), with_nobodys(people(9, 2)).without_labels()
    volumes = LazyRows([np.ones((9, 8, 8, 8), np.float32)], np.zeros(9, int), np.arange(9))
    has_volumes = replace(
        seen,
        arrays={**seen.arrays, "t1w": volumes},
        available={**seen.available, "t1w": np.ones(9, dtype=bool)},
    )
    expected = method.predict(some, TASKS)["dx3"].probabilities
    for one in (made, FlexMoE.load(tmp_path / "saved")):
        for them in (some, seen, has_volumes):
            answer = one.predict(them, TASKS)["dx3"].probabilities
            np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize("gone", ["clinical", "fmri", "genetic"])
def test_a_source_that_all_lack_is_not_held(gone: str) -> None:
    left = held(hide(people(12, 0), {gone: np.ones(12, dtype=bool)}))
    kept = {"clinical", "fmri", "genetic", "snps"} - {gone, "snps" if gone == "genetic" else gone}
    assert {*left.tables, *left.arrays} == kept
    assert left.n == 12


def csf(n: int, seed: int) -> Samples:
    """People like those of ad-csf: APOE, age and sex; no clinical columns, no scan, no panel."""
    made, g = people(n, seed), np.random.default_rng(seed + 9)
    nobody, y = np.zeros(n, dtype=bool), np.arange(n) % 2 * 1.0
    demographics = pd.DataFrame({"age_transformed": g.normal(size=n), "sex": ["F", "M"] * (n // 2)})
    return replace(
        made,
        tables={"demographics": demographics, "genetic": pd.DataFrame({"apoe_e4": 2 * y})},
        arrays={},
        available={"genetic": ~nobody, "clinical": nobody, "t1w": nobody, "fmri": nobody},
        names={},
        _labels={"impaired": (y, ~nobody)},
    )


@pytest.mark.parametrize("clinical", [False, True])
def test_impairment_is_learned_without_any_scan(clinical: bool, tmp_path: Path) -> None:
    def cohort(n: int, seed: int) -> Samples:
        made = csf(n, seed)
        if not clinical:
            return made
        faq = pd.DataFrame({"faq_total": np.arange(n) % 5 * 1.0})
        has = {**made.available, "clinical": np.arange(n) % 3 > 0}
        return replace(made, tables={**made.tables, "clinical": faq}, available=has)

    config = quick()
    config.trainer.epochs, config.rate = 8, 10.0
    made = fitted(tmp_path, cohort(60, 0), cohort(12, 1), config)
    assert made.model.modalities == (("record",) if clinical else ()) + ("genetics",)
    some, task = cohort(20, 2), get_task("impaired")
    answer = made.predict(some.without_labels(), [task])["impaired"].probabilities
    values, _ = some.labels("impaired")
    assert answer[values == 1, 1].min() > answer[values == 0, 1].max()


# Record and report -------------------------------------------------------------------------------


def with_reports(n: int, seed: int) -> Samples:
    """Every second person has a report."""
    made, told = people(n, seed), np.arange(n) % 2 == 0
    severity = np.array(["no", "mild", "marked"])[np.arange(n) % 3]
    texts = [f"There is {s} atrophy." if t else "" for s, t in zip(severity, told, strict=True)]
    return replace(made, texts={"report": texts}, available={**made.available, "report": told})


@pytest.mark.parametrize("kind", ["joined", "separate"])
def test_record_and_report_are_one_modality_or_two(kind: str, tmp_path: Path) -> None:
    config = quick()
    config.record.report = kind
    made = fitted(tmp_path, with_reports(42, 0), with_reports(12, 1), config)
    some = with_reports(14, 2).without_labels()
    record, report = some.has("clinical"), some.has("report")
    bits = made.expose(some)["combination"]
    if kind == "joined":
        assert made.model.modalities == ("record", "fmri", "genetics")
        np.testing.assert_array_equal(bits % 2 > 0, record | report)
        return
    assert made.model.modalities == ("record", "fmri", "genetics", "report")
    np.testing.assert_array_equal(bits % 2 > 0, record)
    np.testing.assert_array_equal(bits >= 8, report)
    before = made.predict(some, TASKS)["dx3"].probabilities
    silent = hide(some, {"report": np.ones(14, dtype=bool)})
    after = made.predict(silent, TASKS)["dx3"].probabilities
    np.testing.assert_array_equal((before != after).any(axis=1), report)
    table = made.model.tokens["record"].reader
    assert table.mean.shape == (1,)  # of the one column; no features of text


def test_another_way_to_read_reports_is_refused(tmp_path: Path) -> None:
    config = quick()
    config.record.report = "both"
    with pytest.raises(MethodError, match=r"record\.report: expected one of joined, separate"):
        fitted(tmp_path, people(42, 0), people(12, 1), config)


# Rows --------------------------------------------------------------------------------------------


def test_the_single_task_row_differs_in_that_alone() -> None:
    profile = load_profile("mini")
    whole, single = (resolve_row(name, profile) for name in (INFO.name, "flex_single"))
    assert (whole.multitask, single.multitask) == (True, False)
    assert single.tasks == whole.tasks
    assert single.config.pop("task_weights") == {"conversion": 1.0}
    assert whole.config.pop("task_weights") == {"conversion": 0.2}
    assert single.config == whole.config
