"""The scikit-learn adapter: fitted on training people, chosen on validation people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from tiny_cohort import EXTERNAL, TINY

from benchmark.errors import MethodError
from benchmark.method import RunContext
from benchmark.runs.job import Workspace
from benchmark.samples import Samples, build_samples
from benchmark.samples.align import align_samples
from benchmark.sklearn_method import SklearnMethod, tabular_preprocessor
from benchmark.store import Cohort
from benchmark.tasks import Task, get_task
from benchmark.tracks import get_track

TASKS = [get_task("dx3"), get_task("conversion")]


class Linear(SklearnMethod):
    def estimator(self, task: Task):
        final = LogisticRegression(max_iter=2000) if task.classes else Ridge()
        return make_pipeline(tabular_preprocessor(), final)


class Choosing(SklearnMethod):
    """The second candidate is useless: it is shrunk to nothing."""

    def estimator(self, task: Task):
        return LogisticRegression()

    def candidates(self, task: Task):
        return [
            make_pipeline(tabular_preprocessor(), LogisticRegression(C=c, max_iter=5000))
            for c in (1e-6, 1.0)
        ]


def samples(workspace: Workspace, people: slice, name: str = TINY, track: str = "all") -> Samples:
    cohort = Cohort(workspace.data / name)
    ids = list(cohort.index_visits["participant_id"][people])
    return build_samples(cohort, ids, get_track(track), TASKS, with_labels=True)


@pytest.fixture
def parts(tiny_workspace: Workspace) -> tuple[Samples, Samples, Samples]:
    cuts = (slice(0, 32), slice(32, 40), slice(40, 48))
    train, val, test = (samples(tiny_workspace, cut) for cut in cuts)
    return train, val, test.without_labels()


def fitted(method: SklearnMethod, parts, folder: Path, seed: int = 0, log=None):
    context = RunContext(seed, folder) if log is None else RunContext(seed, folder, log=log.append)
    method.fit(parts[0], parts[1], TASKS, context)
    return method


def test_probabilities_equal_those_of_the_estimator_fitted_by_hand(parts, tmp_path: Path) -> None:
    answers = fitted(Linear(), parts, tmp_path).predict(parts[2], TASKS)
    for task in TASKS:
        y, mask = parts[0].labels(task.name)
        reference = Linear().estimator(task)
        reference.fit(parts[0].frame().loc[mask], y[mask].astype(int))
        expected = reference.predict_proba(parts[2].frame())
        np.testing.assert_allclose(answers[task.name].probabilities, expected, rtol=1e-10)


def test_validation_people_choose_and_are_not_fitted_on(parts, tmp_path: Path) -> None:
    log: list[dict] = []
    fitted(Choosing(), parts, tmp_path, log=log)
    chosen = {record["task"]: record["candidate"] for record in log}
    assert chosen["dx3"] == 1
    first = fitted(Linear(), parts, tmp_path).predict(parts[2], TASKS)
    other = (parts[0], parts[1].subset(np.arange(4)), parts[2])
    again = fitted(Linear(), other, tmp_path).predict(parts[2], TASKS)
    np.testing.assert_array_equal(first["dx3"].probabilities, again["dx3"].probabilities)


def test_a_class_that_training_lacks_gets_probability_zero(parts, tmp_path: Path) -> None:
    train = parts[0].subset(parts[0].labels("dx3")[0] < 2)
    method = Linear()
    method.fit(train, parts[1], TASKS[:1], RunContext(0, tmp_path))
    answer = method.predict(parts[2], TASKS[:1])["dx3"].probabilities
    assert answer is not None
    assert answer.shape == (8, 3)
    assert not answer[:, 2].any()
    np.testing.assert_allclose(answer.sum(axis=1), 1)


def test_saved_and_loaded_is_the_same(parts, tmp_path: Path) -> None:
    method = fitted(Linear(), parts, tmp_path)
    method.save(tmp_path)
    for task in TASKS:
        np.testing.assert_array_equal(
            Linear.load(tmp_path).predict(parts[2], TASKS)[task.name].probabilities,
            method.predict(parts[2], TASKS)[task.name].probabilities,
        )
    assert method.parameter_count() > 0
    with pytest.raises(MethodError, match="'ad_cn' was not fitted"):
        method.predict(parts[2], [get_task("ad_cn")])


def test_regression_states_the_root_mean_square_of_validation_residuals(
    tiny_workspace: Workspace, tmp_path: Path
) -> None:
    age = get_task("brain_age")
    cohort = Cohort(tiny_workspace.data / TINY)
    ids = list(cohort.index_visits.query("diagnosis == 'CN'")["participant_id"])
    train, val = (
        build_samples(cohort, who, get_track("t1w"), [age], with_labels=True)
        for who in (ids[:8], ids[8:])
    )
    method = Linear()
    method.fit(train, val, [age], RunContext(0, tmp_path))
    answer = method.predict(val.without_labels(), [age])["brain_age"]
    assert answer.mean is not None
    residuals = answer.mean - val.labels("brain_age")[0]
    assert abs(residuals.mean()) > 0.1, "bias counts as well"
    rms = np.sqrt(np.square(residuals).mean())
    np.testing.assert_allclose(answer.sd, np.full(len(val), rms))


def test_preprocessing_is_learned_from_training_rows_only() -> None:
    train = pd.DataFrame({"x": [1.0, 3.0, np.nan], "site": ["a", "b", "a"]})
    new = pd.DataFrame({"x": [np.nan, 5.0], "site": ["z", None]})
    pipe = tabular_preprocessor().fit(train)
    sd = np.std([1, 3, 2])
    got = np.asarray(pipe.transform(new))
    np.testing.assert_allclose(got[:, 0], [0, 3 / sd])  # median and mean of training are 2
    np.testing.assert_array_equal(got[:, -2:], 0)  # neither level was seen in training
    np.testing.assert_array_equal(pipe.transform(train)[:, -2:], [[1, 0], [0, 1], [1, 0]])


def test_a_cohort_from_elsewhere_is_predicted(parts, tiny_workspace: Workspace, tmp_path) -> None:
    method = fitted(Linear(), parts, tmp_path)
    other = samples(tiny_workspace, slice(0, 16), EXTERNAL).without_labels()
    aligned = align_samples(other, like=parts[0])
    answer = method.predict(aligned, TASKS)["dx3"].check(TASKS[0], 16, "linear")
    assert answer.probabilities is not None
