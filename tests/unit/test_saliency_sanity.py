"""The randomisation check: it fails a map of edges and passes one that the weights make."""

import numpy as np
import pytest
import torch
from saliency_toys import OnVolumes, mapper, people
from scipy.ndimage import sobel
from torch import nn

from benchmark.saliency.sanity import (
    STAGES,
    executed_modules,
    judged,
    randomised,
    similarity,
    stage_modules,
    verdict,
)

SHAPE = (8, 8, 8)


def network(seed: int) -> OnVolumes:
    torch.manual_seed(seed)
    return OnVolumes(nn.Sequential(nn.Flatten(), nn.Linear(512, 16), nn.Tanh(), nn.Linear(16, 1)))


@pytest.fixture
def volumes() -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.normal(1, 0.1, (10, *SHAPE)).astype(np.float32)
    x[::2, 2:5, 2:5, 2:5] -= 0.5
    return x


@pytest.fixture
def trained(volumes) -> OnVolumes:
    """A network that has learned to see the dark cube."""
    net = network(0)
    x = torch.from_numpy(volumes)[:, None]
    y = torch.arange(10).remainder(2).float()[:, None]
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        ((net({"t1w": x})["brain_age"] - y) ** 2).mean().backward()
        optimiser.step()
    return net


def check(trained: OnVolumes, volumes: np.ndarray, make) -> dict:
    fresh = network(1)
    order = executed_modules(trained, lambda: trained({"t1w": torch.zeros(1, 1, *SHAPE)}))
    own = make(trained)
    mixed = {s: make(randomised(trained, fresh, stage_modules(order, s))) for s in STAGES}
    heads = np.ones((len(volumes), *SHAPE), dtype=bool)
    return verdict(judged(own, mixed, heads, [f"sub-{i}" for i in range(len(volumes))]))


def test_a_map_of_gradients_passes(trained, volumes) -> None:
    def gradients(net: nn.Module) -> np.ndarray:
        maker = mapper(net, np.ones(SHAPE), network=net)
        return maker.maps("integrated_gradients", people(volumes)) / (volumes - 1)

    found = check(trained, volumes, gradients)
    assert found["passed"]
    assert abs(found["spearman"]) < 0.3


def test_a_map_of_edges_fails(trained, volumes) -> None:
    def edges(_: nn.Module) -> np.ndarray:
        return np.stack([sum(sobel(x, axis) ** 2 for axis in range(3)) for x in volumes])

    found = check(trained, volumes, edges)
    assert not found["passed"]
    assert (found["spearman"], found["ssim"]) == pytest.approx((1.0, 1.0), abs=1e-3)


def test_an_empty_map_of_the_randomised_network_does_not_pass(trained, volumes) -> None:
    """As of GradCAM, whose negative parts are cut off."""

    def emptied(net: nn.Module) -> np.ndarray:
        return volumes if net is trained else np.zeros_like(volumes)

    found = check(trained, volumes, emptied)
    assert found["passed"] is None
    assert (found["constant"], found["people"]) == (10, 10)
    assert found["reason"].startswith("for 10 of 10 people the map, or that of the randomised")
    assert np.isnan(found["spearman"])


@pytest.mark.parametrize(("empty", "passed"), [(5, False), (6, None)])
def test_empty_maps_do_not_soften_those_that_stay(trained, volumes, empty, passed) -> None:
    """Half of the people have a map that ignores the weights, which fails by itself."""

    def some(net: nn.Module) -> np.ndarray:
        kept = volumes.copy()
        if net is not trained:
            kept[:empty] = 0.3
        return kept

    found = check(trained, volumes, some)
    assert found["passed"] is passed
    assert found["constant"] == empty
    assert (found["spearman"], found["ssim"]) == pytest.approx((1.0, 1.0), abs=1e-3)


def test_people_without_a_map_are_not_compared(trained, volumes) -> None:
    """Nor when the map that the trained network gives is the empty one."""
    rng = np.random.default_rng(2)

    def other(net: nn.Module) -> np.ndarray:
        kept = rng.random(volumes.shape).astype(np.float32)
        if net is trained:
            kept[:7] = 0.0
        return kept

    found = check(trained, volumes, other)
    assert (found["passed"], found["constant"]) == (None, 7)


def test_alike_maps_of_different_people_do_not_open_the_door(trained, volumes) -> None:
    """Nearly the same map for everybody, moved a little by the weights, still fails."""
    shared = np.random.default_rng(1).random(SHAPE)

    def nearly(net: nn.Module) -> np.ndarray:
        shift = next(net.parameters()).detach().numpy()[0].reshape(SHAPE)
        return np.stack([shared + 0.05 * shift] * len(volumes))

    found = check(trained, volumes, nearly)
    assert found["below_ssim"] == pytest.approx(1.0, abs=1e-3)
    assert found["ssim"] < found["below_ssim"]
    assert not found["passed"]


def test_a_stage_changes_the_modules_that_it_names_only(trained) -> None:
    fresh = network(1)
    order = executed_modules(trained, lambda: trained({"t1w": torch.zeros(1, 1, *SHAPE)}))
    assert order == ["body.1", "body.3"]
    before = {n: t.clone() for n, t in trained.state_dict().items()}
    top = randomised(trained, fresh, stage_modules(order, "top")).state_dict()
    assert torch.equal(top["body.1.weight"], before["body.1.weight"])
    assert torch.equal(top["body.3.weight"], fresh.state_dict()["body.3.weight"])
    every = randomised(trained, fresh, stage_modules(order, "all")).state_dict()
    assert all(torch.equal(every[n], t) for n, t in fresh.state_dict().items())
    assert all(torch.equal(trained.state_dict()[n], t) for n, t in before.items())


def test_similarity_of_equal_unrelated_and_empty_maps() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((2, *SHAPE))
    every = np.ones(SHAPE, dtype=bool)
    assert similarity(first, first, every) == pytest.approx((1.0, 1.0), abs=1e-5)
    assert similarity(first, -first, every) == pytest.approx((1.0, 1.0), abs=1e-5)
    assert abs(similarity(first, second, every)[0]) < 0.15
    for value in (0.0, 0.1):
        assert np.isnan(similarity(first, np.full(SHAPE, value), every)).all()
