"""Brain-Adapter's maps and attention, against those written out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from attention_by_hand import attention_by_hand
from brain_adapter_people import SHAPE, TASK, TRAINER, batch, config, fitted, network, people
from torch import Tensor, nn

from benchmark.encoders import Encoded
from benchmark.tasks import get_task
from methods.brain_adapter.evidence import adapter_maps
from methods.brain_adapter.network import Network, Projection

AGE = get_task("brain_age")


def unit(x: Tensor, projection: Projection) -> Tensor:
    x = (x - projection.mean) / projection.spread
    x = x @ projection.linear.weight.T + projection.linear.bias
    return x / x.square().sum(dim=1, keepdim=True).sqrt()


def scaled(maps: Tensor) -> Tensor:
    """By the greatest value, since gradients are as small as 1e-6."""
    assert maps.max() > 0
    return maps / maps.max()


@pytest.mark.parametrize("task", [TASK, AGE], ids=lambda task: task.name)
def test_gradcam_equals_one_written_out(task) -> None:
    """Of the last class against the others, or of the value, at the maps before the last layer."""
    torch.manual_seed(0)
    model, seen = Network(config(), [TASK, AGE], 5.0, SHAPE, 8).eval(), batch(3)
    adapter, parts = model.adapter, model.heads[task.name].parts
    nn.init.normal_(adapter.out.weight)
    nn.init.normal_(parts["text"].weight)
    x = model.prepare(seen["t1w"])
    maps = adapter.maps(x).detach().requires_grad_()  # b c i j k
    pooled = (x[:, :, 0::2] + x[:, :, 1::2]) / 2  # the stride is 2, 1, 1
    added = torch.einsum("bcijk,c->bijk", maps, adapter.out.weight.flatten())
    tokens = model.encoder(pooled + added[:, None] + adapter.out.bias).tokens
    v, t = unit(tokens.flatten(1), model.image), unit(seen["report"], model.text)
    logits = v @ parts["image"].weight.T + parts["image"].bias + t @ parts["text"].weight.T
    last = logits.softmax(dim=1)[:, -1]
    evidence = logits[:, 0] if task is AGE else (last / (1 - last)).log()
    (slope,) = torch.autograd.grad(evidence.sum(), maps)
    expected = torch.einsum("bc,bcijk->bijk", slope.mean(dim=(2, 3, 4)), maps.detach())
    found = adapter_maps(model, seen, task.name)
    assert found.shape == (3, 1, 4, 16, 16)
    torch.testing.assert_close(scaled(found[:, 0]), scaled(expected.relu()), rtol=1e-3, atol=1e-4)
    assert (expected < 0).any(), "the other sign would give another map"
    assert all(p.grad is None for p in model.parameters())


class Brightness(nn.Module):
    """An encoder each of whose features is the mean of what it sees."""

    def forward(self, x: Tensor) -> Encoded:
        tokens = x.mean(dim=(1, 2, 3, 4))[:, None, None].expand(-1, 4, 12)
        return Encoded(tokens, tokens[:, 0])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_gradcam_is_bright_where_the_adapter_speaks_for_the_last_class(sign: float) -> None:
    """What brightens speaks for the last class, or against it; two of four maps move anything."""
    model = network(text=0, classify_unit_vectors=False).eval()
    model.vit = Brightness()
    head = model.heads["dx3"].parts["image"].weight
    for layer in (model.adapter.narrow, model.adapter.widen):  # else one map is above the other
        nn.init.normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    with torch.no_grad():
        model.image.linear.weight.fill_(1.0)
        head.zero_()
        head[-1] = sign
        model.adapter.out.weight.copy_(torch.tensor([1.0, -1.0, 0.0, 0.0]).view(1, 4, 1, 1, 1))
    seen = batch(3)
    maps = model.adapter.maps(model.prepare(seen["t1w"])).detach()
    expected = (sign * (maps[:, 0] - maps[:, 1])).relu()
    found = adapter_maps(model, seen, "dx3")[:, 0]
    for one, other in zip(found, expected, strict=True):  # a person's odds scale the whole map
        torch.testing.assert_close(scaled(one), scaled(other), rtol=1e-3, atol=1e-4)
        assert (other == 0).any()


@pytest.mark.parametrize(
    ("pooled", "read_out"), [("mean", "tokens"), ("cls", "tokens"), ("cls", "pooled")]
)
def test_shown_attention_is_that_of_the_projections(
    pooled: str, read_out: str, tmp_path: Path
) -> None:
    """Of the cls token where that is read, else of all patches; through two blocks in rollout."""
    sizes = {"patch": [4, 8, 8], "width": 12, "depth": 2, "heads": 2, "pooled": pooled}
    settings = config(settings=sizes, read_out=read_out, trainer=replace(TRAINER, epochs=1))
    model = (method := fitted(tmp_path, settings, reports=False)).model
    draws = torch.Generator().manual_seed(0)
    for block in model.encoder.transformer.blocks:  # else patches look almost evenly
        nn.init.normal_(block.attn.qkv.weight, generator=draws)
    test = people(4, 2, reports=False).without_labels()
    with torch.no_grad():
        x = model.adapter(model.prepare(torch.from_numpy(test.volumes())[:, None]))
        tokens = model.encoder.embed(x)
        maps = attention_by_hand(model.encoder.transformer, tokens, model.encoder.cls)
    first, last = (sum(one.unbind(1)) / 2 for one in maps)  # b t t
    own = torch.eye(first.shape[1], dtype=first.dtype)
    expected = {"attention": last, "rollout": (last + own) / 2 @ ((first + own) / 2)}
    shown = method.expose(test)
    for name, seen in expected.items():
        rows = seen[:, :1] if read_out == "pooled" else seen[:, -4:]
        wanted = rows[:, :, -4:].mean(dim=1)
        np.testing.assert_allclose(shown[name], wanted, rtol=1e-3, atol=1e-5)
        assert wanted.std(dim=1).max() > 0.01
