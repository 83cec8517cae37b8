"""What SFCN's softened labels say near the ends of the training ages."""

from __future__ import annotations

import math

import pytest
import torch

from baselines.sfcn.info import SfcnConfig
from baselines.sfcn.model import Network

YOUNGEST, OLDEST, MEAN, SD = 50.0, 90.0, 70.0, 10.0


def truncated_mean(age: float, least: float, sigma: float) -> float:
    """Of a Gaussian about ``age``, cut off below ``least``: age + sigma phi / (1 - Phi)."""
    z = (least - age) / sigma
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return age + sigma * density / (0.5 * math.erfc(z / math.sqrt(2)))


@pytest.mark.parametrize(("inside", "bias"), [(0.0, 2.3), (3.0, 1.1), (7.0, 0.3), (20.0, 0.0)])
def test_the_mean_of_a_label_is_drawn_inwards_near_the_ends(inside: float, bias: float) -> None:
    """The figures in the card: bins end 3 years beyond the ages, a label is 5 years wide."""
    config = SfcnConfig(channels=[2, 4])
    margin, sigma = config.margin_years, config.sigma_years
    years = torch.linspace(YOUNGEST - margin, OLDEST + margin, config.bins + 1)
    network = Network(config, (years - MEAN) / SD, sigma / SD, spacing_mm=5.0)
    ages = torch.tensor([YOUNGEST + inside, OLDEST - inside])
    centres = (years[1:] + years[:-1]) / 2
    young, old = (network.soften((ages - MEAN) / SD) @ centres).tolist()
    assert young == pytest.approx(YOUNGEST + inside + bias, abs=0.06)
    assert old == pytest.approx(OLDEST - inside - bias, abs=0.06)
    exact = truncated_mean(YOUNGEST + inside, YOUNGEST - margin, sigma)
    assert young == pytest.approx(exact, abs=0.03)
