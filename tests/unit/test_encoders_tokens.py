"""Encoders of time series and of genotypes: tokens, masks, and joining at the input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.encoders import (
    GeneticsEncoder,
    TimeSeriesEncoder,
    TokenEncoder,
    add_lora,
)
from benchmark.encoders.blocks import Attention
from benchmark.encoders.timeseries import fisher_z
from benchmark.encoders.tokens import masked_mean
from benchmark.errors import MethodError

KINDS = ("series", "series and summary", "genes", "genes with odds")
COUNT = {"series": 5, "series and summary": 5, "genes": 8, "genes with odds": 8}
_ODDS = [0.1 * k - 0.25 for k in range(6)]


def make(kind: str) -> tuple[TokenEncoder, Tensor]:
    torch.manual_seed(3)
    if kind.startswith("series"):
        series = TimeSeriesEncoder(5, width=16, series="summary" in kind)
        return series.eval(), torch.randn(4, 23, 5)
    genes = GeneticsEncoder(6, width=16, log_odds=_ODDS if "odds" in kind else None)
    return genes.eval(), torch.randint(0, 3, (4, 7)).float()


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_mean(kind: str) -> None:
    encoder, x = make(kind)
    with torch.no_grad():
        tokens, pooled, mask = encoder(x)
    assert tokens.shape == (4, COUNT[kind], 16)
    assert mask is not None
    assert mask.all()
    assert torch.allclose(pooled, tokens.mean(dim=1), atol=1e-6)
    assert torch.equal(encoder.run_blocks(*encoder.embed(x)), encoder.encode(x).tokens)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_depends_on_who_shares_the_batch(kind: str) -> None:
    encoder, x = make(kind)
    with torch.no_grad():
        together, alone = encoder.encode(x).pooled, encoder.encode(x[2:3]).pooled
    assert torch.allclose(together[2:3], alone, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_masked_content_changes_no_output(kind: str, seed: int) -> None:
    encoder, x = make(kind)
    generator = torch.Generator().manual_seed(seed)
    tokens, _ = encoder.embed(x)
    mask = torch.rand(tokens.shape[:2], generator=generator) < 0.5
    mask[0] = False  # a person without any token
    junk = torch.randn(tokens.shape, generator=generator) * 1e3
    junk[:, ::2] = torch.nan
    other = torch.where(mask[..., None], tokens, junk)
    with torch.no_grad():
        before, after = encoder.run_blocks(tokens, mask), encoder.run_blocks(other, mask)
    assert torch.equal(before, after)
    assert not before[~mask].any()
    assert before.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_joined_tokens_at_the_input(kind: str) -> None:
    encoder, x = make(kind)
    extra = torch.randn(4, 3, 16)
    with torch.no_grad():
        alone = encoder.encode(x)
        hidden = encoder.join(x, extra, torch.zeros(4, 3, dtype=torch.bool))
        seen = encoder.join(x, extra)
        turned = encoder.join(x, extra.flip(1))
        own = encoder.join(x, extra, pool="own")
    assert torch.allclose(hidden.pooled, alone.pooled, atol=1e-6)
    assert torch.allclose(hidden.tokens[:, 3:], alone.tokens, atol=1e-6)
    assert torch.allclose(turned.pooled, seen.pooled, atol=1e-6)
    assert float((seen.tokens[:, 3:] - alone.tokens).abs().max()) > 1e-3
    assert torch.allclose(own.pooled, seen.tokens[:, 3:].mean(dim=1), atol=1e-6)
    assert seen.mask is not None
    assert seen.mask.shape == (4, 3 + alone.tokens.shape[1])


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_are_the_identity_at_first(kind: str) -> None:
    encoder, x = make(kind)
    with torch.no_grad():
        before = encoder.encode(x).pooled
    trained = add_lora(encoder, rank=2)
    with torch.no_grad():
        assert torch.equal(before, encoder.encode(x).pooled)
    encoder.encode(x).pooled.square().sum().backward()
    assert all(p.grad is not None for p in trained)
    assert [p.requires_grad for p in encoder.parameters()].count(True) == len(trained)
    assert len(trained) == (2 if kind == "volume" else 4)


def test_dropout_of_adapters_acts_in_training_while_the_frozen_rest_stays_in_eval() -> None:
    torch.manual_seed(0)
    encoder = TimeSeriesEncoder(5, width=16, dropout=0.5).freeze()
    x = torch.randn(4, 23, 5)
    for parameter in add_lora(encoder, rank=2, dropout=0.5):
        torch.nn.init.normal_(parameter)
    with torch.no_grad():
        still, again = (encoder.eval().encode(x).pooled for _ in range(2))
        one, two = (encoder.train().encode(x).pooled for _ in range(2))
        assert torch.equal(still, again)
        assert not torch.allclose(one, two)
        assert torch.equal(encoder.eval().encode(x).pooled, still)
    encoder.train()
    active = {name for name, m in encoder.named_modules() if m.training}
    assert active
    assert all("lora_dropout" in name for name in active)


def test_adapters_without_dropout_train_as_they_predict() -> None:
    encoder = TimeSeriesEncoder(5, width=16, dropout=0.5).freeze()
    for parameter in add_lora(encoder, rank=2):
        torch.nn.init.normal_(parameter)
    x = torch.randn(4, 23, 5)
    with torch.no_grad():
        still, trained = encoder.eval().encode(x).pooled, encoder.train().encode(x).pooled
    assert torch.equal(still, trained)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_trains(kind: str) -> None:
    encoder, x = make(kind)
    if kind.startswith("genes"):
        x[0, 0] = x[1, -1] = torch.nan
    extra = torch.randn(4, 3, 16)
    weight = torch.randn(16)
    (encoder.join(x, extra).pooled @ weight).square().sum().backward()
    still = [n for n, p in encoder.named_parameters() if p.grad is None]
    assert not still


def test_joining_another_width_is_refused() -> None:
    encoder, x = make("genes")
    with pytest.raises(MethodError, match=r"tokens to join must be \(4, E, 16\), not \(4, 3, 8\)"):
        encoder.join(x, torch.zeros(4, 3, 8))


def test_the_mean_of_nothing_is_zero() -> None:
    tokens = torch.full((2, 3, 4), torch.nan)
    tokens[0, 1] = 2.0
    mask = torch.tensor([[False, True, False], [False, False, False]])
    assert masked_mean(tokens, mask).tolist() == [[2.0] * 4, [0.0] * 4]


def test_attention_is_softmax_over_the_unmasked_in_float64() -> None:
    torch.manual_seed(0)
    layer = Attention(8, 2).double()
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    mask = torch.tensor([[True, False, True, True, False]])
    q, k, v = (f(x)[0].view(5, 2, 4) for f in (layer.query, layer.key, layer.value))
    scores = torch.einsum("qhd,khd->hqk", q, k) / 2.0
    share = scores.masked_fill(~mask[:, None], -torch.inf).softmax(dim=-1)
    mixed = torch.einsum("hqk,khd->qhd", share, v).reshape(1, 5, 8)
    assert torch.allclose(layer(x, mask), layer.output(mixed), atol=1e-12)
    with pytest.raises(MethodError, match="not divisible by 3 heads"):
        Attention(8, 3)


# Time series ---------------------------------------------------------------------------------


def test_fisher_z_is_that_of_numpy() -> None:
    x = torch.randn(2, 40, 4, generator=torch.Generator().manual_seed(1))
    z = fisher_z(x)
    for person in range(2):
        r = np.corrcoef(x[person].numpy().T)
        np.fill_diagonal(r, 0.0)
        assert np.allclose(z[person].numpy(), np.arctanh(r), atol=1e-5)
    assert torch.allclose(fisher_z(3.0 * x + 5.0), z, atol=1e-5)
    assert fisher_z(torch.cat([x, x], dim=2)).isfinite().all()  # correlations of one


def test_regions_and_people_may_be_missing() -> None:
    encoder, x = make("series and summary")
    x[0] = 0.0
    x[1, :, 2] = 7.0
    x[2, 5, 0] = torch.nan
    with torch.no_grad():
        tokens, pooled, mask = encoder.encode(x)
        x[2, :, 0] = torch.nan
        again = encoder.encode(x).pooled
    assert mask is not None
    assert mask.tolist() == [
        [False] * 5,
        [True, True, False, True, True],
        [False, True, True, True, True],
        [True] * 5,
    ]
    assert not pooled[0].any()
    assert tokens.isfinite().all()
    assert torch.equal(again, pooled)


def test_couplings_are_seen_and_sign_is_not() -> None:
    encoder, x = make("series")
    with torch.no_grad():
        same = encoder.encode(-x).pooled
        coupled = x.clone()
        coupled[:, :, 1] = coupled[:, :, 0] + 0.1 * coupled[:, :, 1]
        other = encoder.encode(coupled).pooled
        before = encoder.encode(x).pooled
    assert torch.allclose(same, before, atol=1e-5)
    assert float((other - before).abs().max()) > 1e-2


def test_series_of_another_shape_are_refused() -> None:
    encoder, _ = make("series")
    for shape in ((2, 23, 6), (2, 3, 5), (23, 5)):
        with pytest.raises(MethodError, match=r"time series must be \(B, T, 5\)"):
            encoder.encode(torch.randn(shape))


# Genotypes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["genes", "genes with odds"])
def test_a_missing_call_changes_its_own_token_and_the_score(kind: str) -> None:
    encoder, x = make(kind)
    other = x.clone()
    other[:, 2] = torch.nan
    x[:, 2] = 2.0
    with torch.no_grad():
        before, mask = encoder.embed(x)
        after, mask_after = encoder.embed(other)
    changed = (before != after).any(dim=2).all(dim=0).tolist()
    score = "odds" in kind  # learned weights are zero at first
    assert changed == [False, False, True, False, False, False, False, score]
    assert torch.equal(mask, mask_after)
    assert torch.equal(after[0, 2], encoder.identity[2] + encoder.dosage[3])


def test_nobody_called_is_masked() -> None:
    encoder, x = make("genes with odds")
    x[1] = torch.nan
    x[2, :6] = torch.nan  # APOE alone
    with torch.no_grad():
        tokens, pooled, mask = encoder.encode(x)
    assert mask is not None
    assert mask.all(dim=1).tolist() == [True, False, True, True]
    assert not mask[1].any()
    assert not pooled[1].any()
    assert tokens.isfinite().all()


def test_imputed_dosages_lie_between() -> None:
    encoder, x = make("genes")
    rows = torch.stack([x[0]] * 3)
    rows[:, 4] = torch.tensor([1.0, 1.25, 2.0])
    with torch.no_grad():
        low, between, high = encoder.embed(rows)[0][:, 4]
    assert torch.allclose(between, 0.75 * low + 0.25 * high, atol=1e-6)


def test_the_score_is_the_sum_of_log_odds() -> None:
    torch.manual_seed(0)
    encoder = GeneticsEncoder(6, width=8, log_odds=_ODDS)
    x = torch.randint(0, 3, (50, 7)).float()
    x[3, 1] = torch.nan
    encoder.fit_statistics(x)
    snps = x[:, :6].double().numpy()
    mean = np.nanmean(snps, axis=0)
    score = np.nan_to_num(snps - mean) @ np.array(_ODDS)
    token = encoder.embed(x)[0][:, -1]
    expected = encoder.score(torch.tensor(score / score.std(ddof=1)).float()[:, None])
    assert torch.allclose(token, expected, atol=1e-5)
    assert not any("weights" in n for n, _ in encoder.named_parameters())
    assert "weights" in encoder.state_dict()


def test_learned_weights_start_at_zero_and_train() -> None:
    encoder, x = make("genes")
    assert isinstance(encoder, GeneticsEncoder)
    assert not encoder.weights.any()
    encoder.encode(x).pooled.square().sum().backward()
    assert encoder.weights.grad is not None
    assert encoder.weights.grad.any()


def test_wrong_genotypes_are_refused() -> None:
    encoder, x = make("genes")
    with pytest.raises(MethodError, match=r"\(B, 7\), the last APOE e4, not \(4, 6\)"):
        encoder.encode(x[:, :6])
    x[0, 0] = -1.0
    with pytest.raises(MethodError, match="dosages must be 0 to 2"):
        encoder.encode(x)
    with pytest.raises(MethodError, match="3 log odds ratios for 6 SNPs"):
        GeneticsEncoder(6, log_odds=[0.1, 0.2, 0.3])
