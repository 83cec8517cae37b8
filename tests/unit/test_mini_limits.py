"""What the small scale may cost: no map at full resolution holds more than four channels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from training_toy import toy_people

from benchmark.config import load_profile, typed
from benchmark.encoders import build_encoder
from benchmark.runs.rows import resolve_row
from benchmark.tasks import get_task
from methods.anchored_qformer.modalities import make_readers
from methods.brain_adapter.network import Network as Adapted
from methods.denseformer_moe.model import Network as Routed
from methods.neurobridge.network import Network as Guided

SHAPE, SPACING = (32, 40, 32), 5.0  # of volumes in the default job
TASKS = [get_task("dx3"), get_task("conversion")]


def neurobridge(config: object) -> nn.Module:
    return Guided(config, {task.name: task.n_outputs for task in TASKS}, SHAPE, SPACING)


def denseformer(config: object) -> nn.Module:
    return Routed(config, TASKS, SPACING, SHAPE)


def adapter(config: object) -> nn.Module:
    return Adapted(config, TASKS, SPACING, SHAPE, 0)


class Anchor(nn.Module):
    """The volumes of the anchored Q-formers, in at one end and out at the other."""

    def __init__(self, config: object) -> None:
        super().__init__()
        self.reader = make_readers(config, toy_people(3, 0, SHAPE))["smri"]

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        tokens, mask = self.reader.embed(inputs)
        return self.reader.encoder.run_blocks(tokens, mask)


NETWORKS: dict[str, Callable[[object], nn.Module]] = {
    "neurobridge": neurobridge,
    "denseformer_moe": denseformer,
    "brain_adapter": adapter,
    "anchored_qformer": Anchor,
}


def channels_at_full_resolution(network: nn.Module, *inputs: object) -> list[int]:
    """Channels of all maps that a module gives in training with the sides of a stored volume."""
    found: list[int] = []

    def look(_part: nn.Module, _inputs: object, out: object) -> None:
        if isinstance(out, Tensor) and out.dim() == 5 and tuple(out.shape[2:]) == SHAPE:
            found.append(out.shape[1])

    handles = [part.register_forward_hook(look) for part in network.modules()]
    network.train()(*inputs)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("method", NETWORKS)
def test_no_map_at_full_resolution_is_wider_than_four_channels(method: str) -> None:
    row = resolve_row(method, load_profile("mini"))
    torch.manual_seed(0)
    network = NETWORKS[method](typed(row.info.config, row.config, method))
    people = torch.rand(2, 1, *SHAPE) + 0.5
    inputs = {"t1w": people, "t1w_available": torch.ones(2, dtype=torch.bool)}
    found = channels_at_full_resolution(network, inputs)
    assert found
    assert max(found) <= 4


def test_a_wider_map_would_be_seen() -> None:
    settings = {"widths": [5, 8], "blocks": [0, 1], "stride": 1, "norm": "batch"}
    network = build_encoder("conv", settings, SHAPE)
    assert max(channels_at_full_resolution(network, torch.rand(2, 1, *SHAPE))) == 5
