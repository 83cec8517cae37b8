"""What the shared loop promises for torch methods, shown on the three CNN baselines."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.errors import MethodError
from benchmark.registry import get_method, load_method_class
from benchmark.tasks import get_task

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
from training_toy import context, toy_people

CNNS = ("resnet3d", "densenet3d", "sfcn")
SMALL = {
    "resnet3d": {"width": 2},
    "densenet3d": {"blocks": [1, 1], "growth": 2, "width": 2},
    "sfcn": {"channels": [2, 4, 4]},
}
SHAPE = (16, 16, 16)


@pytest.fixture(scope="module", params=CNNS)
def method(request, tmp_path_factory):
    info = get_method(request.param)
    config = info.config(**SMALL[request.param])
    config.trainer = replace(config.trainer, epochs=2, batch_size=8)
    made = load_method_class(info)(config)
    made.tasks = [get_task(t) for t in ("dx3", "brain_age") if t in info.tasks]
    folder = tmp_path_factory.mktemp(request.param)
    made.fit(toy_people(20, 0, SHAPE), toy_people(8, 1, SHAPE), made.tasks, context(folder))
    return made


def _flat(predictions) -> np.ndarray:
    parts = [p.probabilities if p.mean is None else p.mean[:, None] for p in predictions.values()]
    return np.concatenate(parts, axis=1)


def test_answers_are_valid_and_keep_the_order(method) -> None:
    people = toy_people(9, 2, SHAPE).without_labels()
    answers = method.predict(people, method.tasks)
    for task in method.tasks:
        answers[task.name].check(task, 9, "test")
    order = np.random.default_rng(0).permutation(9)
    mixed = method.predict(people.subset(order), method.tasks)
    np.testing.assert_allclose(_flat(mixed), _flat(answers)[order], rtol=1e-4, atol=1e-5)
    single = [_flat(method.predict(people.subset([i]), method.tasks)) for i in range(9)]
    np.testing.assert_allclose(np.concatenate(single), _flat(answers), rtol=1e-4, atol=1e-5)


def test_a_loaded_method_is_the_saved_one(method, tmp_path: Path) -> None:
    people = toy_people(9, 2, SHAPE).without_labels()
    method.save(tmp_path)
    before = torch.random.get_rng_state()
    loaded = type(method).load(tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())
    assert loaded.config == method.config
    assert loaded.parameter_count() == method.parameter_count() > 0
    np.testing.assert_array_equal(
        _flat(loaded.predict(people, method.tasks)), _flat(method.predict(people, method.tasks))
    )
    for task in method.tasks:
        one, two = (m.predict(people, [task])[task.name].sd for m in (loaded, method))
        np.testing.assert_array_equal(one, two)


def test_features_are_one_finite_row_a_person(method) -> None:
    embedded = method.embed(toy_people(5, 2, SHAPE).without_labels())
    assert embedded.shape[0] == 5
    assert embedded.shape[1] > 1
    assert np.isfinite(embedded).all()


def test_an_unfitted_task_and_a_missing_modality_are_named(method) -> None:
    people = toy_people(3, 2, SHAPE).without_labels()
    with pytest.raises(MethodError, match="'pd_hc' was not fitted"):
        method.predict(people, [get_task("pd_hc")])
    with pytest.raises(MethodError, match="T1w"):
        method.predict(replace(people, arrays={}), method.tasks)
    with pytest.raises(MethodError, match="not fitted"):
        type(method)().parameter_count()


def test_gain_does_not_matter(method) -> None:
    people = toy_people(4, 2, SHAPE).without_labels()
    brighter = replace(people, arrays={"t1w": _scaled(people, 1.25)})
    one, two = (_flat(method.predict(p, method.tasks)) for p in (people, brighter))
    np.testing.assert_allclose(one, two, rtol=1e-2, atol=1e-2)


def _scaled(people, gain: float):
    from benchmark.samples import LazyRows

    x = people.volumes() * gain
    return LazyRows([x], np.zeros(len(x), dtype=int), np.arange(len(x)))


@pytest.mark.parametrize("name", CNNS)
def test_settings_are_plain_and_cards_are_complete(name: str) -> None:
    from omegaconf import OmegaConf

    info = get_method(name)
    typed = OmegaConf.structured(info.config)
    assert OmegaConf.to_object(typed) == info.config()
    for row in info.variants.values():
        OmegaConf.merge(typed, {k: v for k, v in row.items() if k not in ("title", "track")})
        assert row.get("title", info.title) != info.title
    for file in ("info.py", "model.py", "space.py", "README.md", "__init__.py"):
        assert (info.folder / file).is_file(), file


@pytest.mark.parametrize("name", CNNS)
def test_every_suggested_key_is_a_setting(name: str) -> None:
    import importlib

    from omegaconf import OmegaConf

    class Lowest:
        def suggest_float(self, name, low, high, **_):
            return low

        def suggest_categorical(self, name, choices):
            return choices[0]

    info = get_method(name)
    suggested = importlib.import_module(f"{info.package}.space").suggest(Lowest())
    config = OmegaConf.structured(info.config)
    for key, value in suggested.items():
        OmegaConf.update(config, key, value)  # refuses an unknown key


def test_info_loads_no_torch() -> None:
    code = (
        "import sys; from baselines.resnet3d import info; from baselines.densenet3d import info; "
        "from baselines.sfcn import info; sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_soft_bins_sum_to_one_and_their_mean_is_the_age() -> None:
    from baselines.sfcn.info import SfcnConfig
    from baselines.sfcn.model import Network

    edges = torch.linspace(-3, 3, 41)
    network = Network(SfcnConfig(channels=[2, 4]), edges, sigma=0.2, spacing_mm=5.0)
    ages = torch.tensor([-1.5, 0.0, 0.7])
    soft = network.soften(ages)
    centres = (edges[1:] + edges[:-1]) / 2
    assert torch.allclose(soft.sum(1), torch.ones(3))
    assert torch.allclose(soft @ centres, ages, atol=5e-3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 1), (3, 5, 4)])
def test_a_transition_halves_what_can_be_halved(shape: tuple[int, int, int]) -> None:
    from baselines.densenet3d.model import Halve

    x = torch.rand(2, 3, *shape)
    halved = Halve()(x)
    assert halved.shape[2:] == tuple(-(-side // 2) for side in shape)
    assert halved[0, 0, 0, 0, 0] == pytest.approx(float(x[0, 0, :2, :2, :2].mean()))
