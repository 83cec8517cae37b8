"""The attention that DenseFormer-MoE shows, against one written out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from attention_by_hand import attention_by_hand
from training_toy import TASKS, context, toy_people

from methods.denseformer_moe.info import BackboneConfig, DenseFormerConfig
from methods.denseformer_moe.model import DenseFormerMoE

SHAPE = (16, 16, 24)


@pytest.mark.parametrize("pooled", ["mean", "cls"])
def test_shown_attention_is_that_of_the_projections(pooled: str, tmp_path: Path) -> None:
    """Of all tokens, or of the cls token where that stands for the scan, block by block."""
    backbone = BackboneConfig(
        stem=4, blocks=[2], growth=2, width=12, depth=2, heads=2, pooled=pooled
    )
    config = DenseFormerConfig(backbone=backbone, pretrained="")
    config.trainer = replace(config.trainer, epochs=1, batch_size=8)
    method = DenseFormerMoE(config)
    method.fit(toy_people(12, 0, SHAPE), toy_people(5, 1, SHAPE), TASKS, context(tmp_path))
    made = method.model.eval().backbone
    draws = torch.Generator().manual_seed(0)
    for block in made.transformer.blocks:  # else tokens look almost evenly
        torch.nn.init.normal_(block.attn.qkv.weight, generator=draws)
    people = toy_people(4, 2, SHAPE).without_labels()
    with torch.no_grad():
        x = method.model.prepare(torch.from_numpy(people.volumes())[:, None])
        tokens = made.project(made.stem(x)).flatten(2).transpose(1, 2)
        maps = attention_by_hand(made.transformer, tokens, made.cls)
    expected = torch.stack([sum(one.unbind(1)) / 2 for one in maps], dim=1)  # b l t t
    expected = expected[:, :, 0, 1:] if pooled == "cls" else expected.mean(dim=2)
    found = method.expose(people)["attention"]
    assert found.shape == (4, 2, 2, 2, 3)
    np.testing.assert_allclose(found.reshape(4, 2, 12), expected, rtol=1e-3, atol=1e-5)
    assert expected.std(dim=2).min() > 0.01
