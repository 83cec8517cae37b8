"""A volume transformer taken apart: the same numbers, masks that hold, adapters that fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmark.encoders import PrepareVolumes, VolumeTokens, add_lora, build_encoder

GRID = (16, 24, 16)


def made(name: str, pooled: str = "cls", seed: int = 0) -> VolumeTokens:
    torch.manual_seed(seed)
    settings: dict[str, object] = {"width": 24, "pooled": pooled}
    if name == "dense_vit":
        settings |= {"stem": 4, "blocks": [1, 1], "growth": 4, "bottleneck": 2}
    encoder = build_encoder(name, settings, GRID)
    return VolumeTokens(encoder, PrepareVolumes(10.0)).eval()


def volumes(n: int) -> torch.Tensor:
    x = torch.rand(n, 1, *GRID, generator=torch.Generator().manual_seed(1))
    x[1] = 0  # a missing volume
    return x


@pytest.mark.parametrize("name", ["volume_vit", "dense_vit"])
@pytest.mark.parametrize("pooled", ["cls", "mean"])
def test_in_two_steps_it_is_the_encoder(name: str, pooled: str) -> None:
    whole, x = made(name, pooled), volumes(3)
    with torch.no_grad():
        tokens, pooled_vector, mask = whole.encode(x)
        expected = whole.encoder(whole.prepare(x))
    first = 1 if pooled == "cls" else 0
    assert mask is not None
    assert mask.any(dim=1).tolist() == [True, False, True]
    seen = tokens[[0, 2], first:]
    torch.testing.assert_close(seen, expected.tokens[[0, 2]], rtol=1e-4, atol=1e-5)
    assert not tokens[1].any()
    assert not pooled_vector[1].any()


def test_masked_tokens_are_never_seen() -> None:
    whole, x = made("volume_vit"), volumes(3)
    extra = torch.randn(3, 4, whole.width)
    mask = torch.tensor([[True, False, True, False]] * 3)
    other = torch.where(mask[:, :, None], extra, torch.nan)
    with torch.no_grad():
        one, two = whole.join(x, extra, mask), whole.join(x, other, mask)
        alone = whole.encode(x)
        hidden = whole.join(x, extra, torch.zeros_like(mask))
        turned = whole.join(x, extra.flip(1), mask.flip(1))
    assert torch.equal(one.tokens, two.tokens)
    torch.testing.assert_close(hidden.pooled, alone.pooled)
    torch.testing.assert_close(turned.pooled, one.pooled)
    assert float((one.pooled - alone.pooled)[0].abs().max()) > 1e-4


def test_kept_attention_obeys_the_mask() -> None:
    whole = made("volume_vit")
    tokens, mask = (
        torch.randn(2, 5, 24),
        torch.tensor([[True] * 5, [True, True, False, True, True]]),
    )
    with torch.no_grad():
        plain = whole.run_blocks(tokens, mask)
        whole.encoder.save_attention = True
        kept = whole.run_blocks(tokens, mask)
    torch.testing.assert_close(plain, kept, rtol=1e-4, atol=1e-5)
    weights = whole.encoder.attention_maps[0]
    assert not weights[1, :, :, 2].any()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))


def test_adapters_are_the_identity_at_first() -> None:
    whole, x = made("volume_vit"), volumes(2)
    with torch.no_grad():
        before = whole.encode(x).pooled
    assert len(add_lora(whole)) == 4  # two blocks, two factors
    with torch.no_grad():
        assert torch.equal(before, whole.encode(x).pooled)


def test_weights_of_a_pretraining_load(tmp_path: Path) -> None:
    source, target, x = made("dense_vit"), made("dense_vit", seed=1), volumes(2)
    torch.save(source.encoder.state_dict(), tmp_path / "weights.pt")
    target.load_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(source.encode(x).pooled, target.encode(x).pooled)
