"""Noisy top-k gating: who is chosen, how likely that was, and how even it is."""

from __future__ import annotations

import pytest
import torch

from benchmark.encoders.gating import chance_of_choice, noisy_top_k, squared_variation, top_weights


@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 5)])
@pytest.mark.parametrize("chosen", [1, 2, 5])
def test_k_are_chosen_and_weighed_by_a_softmax_over_them(
    shape: tuple[int, ...], chosen: int
) -> None:
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    weights = top_weights(logits, chosen)
    kept = weights > 0
    assert (kept.sum(dim=-1) == chosen).all()
    expected = logits.masked_fill(~kept, -torch.inf).softmax(dim=-1)
    torch.testing.assert_close(weights, expected)
    lowest = logits.masked_fill(~kept, torch.inf).amin(dim=-1, keepdim=True)
    assert (logits.masked_fill(kept, -torch.inf) < lowest).all()


def test_without_noise_the_choice_is_that_of_the_logits() -> None:
    torch.manual_seed(0)
    clean = torch.randn(4, 7, 5)
    state = torch.get_rng_state()
    choice = noisy_top_k(clean, None, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(choice.logits, clean)
    assert torch.equal(choice.weights, top_weights(clean, 2))
    assert torch.equal(choice.load, (choice.weights > 0).float())


def test_the_noise_has_the_standard_deviation_asked_for_and_a_floor() -> None:
    torch.manual_seed(0)
    noise = torch.tensor([[-50.0, 0.0, 3.0]])
    drawn = noisy_top_k(torch.zeros(50_000, 3), noise, 1).logits.std(dim=0)
    expected = torch.log1p(noise[0].exp()) + 0.01
    torch.testing.assert_close(drawn, expected, rtol=0.02, atol=0)


def test_the_chance_of_choice_is_how_often_fresh_noise_would_choose() -> None:
    torch.manual_seed(0)
    clean, sd = torch.randn(3, 5), torch.rand(3, 5) + 0.5
    noisy = clean + torch.randn(3, 5) * sd
    found = chance_of_choice(clean, noisy, sd, 2)
    for expert in range(5):
        draws = noisy.expand(40_000, 3, 5).clone()
        draws[:, :, expert] = clean[:, expert] + torch.randn(40_000, 3) * sd[:, expert]
        chosen = (draws.argsort(dim=2, descending=True)[:, :, :2] == expert).any(dim=2)
        torch.testing.assert_close(found[:, expert], chosen.float().mean(0), atol=0.01, rtol=0)
    assert torch.equal(chance_of_choice(clean, noisy, sd, 5), torch.ones(3, 5))


def test_squared_variation_of_uniform_and_of_one_hot() -> None:
    assert squared_variation(torch.full((8,), 3.0)) == 0
    assert squared_variation(torch.eye(8)[2]) == pytest.approx(8.0)
    assert squared_variation(torch.tensor([4.0, 0, 0, 0])) == pytest.approx(4)
    assert squared_variation(torch.zeros(8)) == 0
    assert squared_variation(torch.tensor([5.0])) == 0
