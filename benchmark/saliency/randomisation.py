"""The randomisation check of one fitted fold."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmark.runs.people import tasks_of
from benchmark.saliency.controls import head_mask
from benchmark.saliency.fold import FittedFold
from benchmark.saliency.maps import Mapper
from benchmark.saliency.sanity import STAGES, executed_modules, judged, randomised, stage_modules
from benchmark.samples import Samples
from benchmark.training.devices import channels_last
from benchmark.training.keys import key

__all__ = ["is_network", "randomisation_check"]

_FRESH_SEED: Final = 1_000_003  # of the network that has learned nothing


def is_network(method: Any) -> bool:
    """Whether a method is a network whose weights can be replaced."""
    return isinstance(getattr(method, "model", None), nn.Module)


def randomisation_check(
    fold: FittedFold,
    mapper: Mapper,
    kind: str,
    samples: Samples,
    maps: np.ndarray,
    ids: Sequence[str],
) -> pd.DataFrame:
    """Compares maps with those of the network randomised from the top.

    Args:
        fold: The fitted fold.
        mapper: What made the maps.
        kind: Their kind.
        samples: The people that are looked at.
        maps: Their maps, first among others, (N, D, H, W).
        ids: Participant ids of all N.

    Returns:
        As :func:`~benchmark.saliency.sanity.judged`.
    """
    method: Any = fold.method
    few = samples.subset(np.arange(1))
    order = executed_modules(method.model, lambda: mapper.evidence(few))
    fresh = _fresh_network(fold)
    settings = mapper.settings
    if mapper.layer:  # the same layer, whatever the weights
        settings = replace(settings, layer=mapper.layer)
    mixed = {}
    for stage in STAGES:
        other: Any = copy.copy(method)
        other.model = randomised(method.model, fresh, stage_modules(order, stage))
        changed = Mapper(other, mapper.task, mapper.baseline, settings)
        mixed[stage] = changed.maps(kind, samples)
    own = maps[: samples.n].astype(np.float32)
    return judged(own, mixed, head_mask(samples.volumes()), list(ids[: samples.n]))


def _fresh_network(fold: FittedFold) -> nn.Module:
    """The network as it is before it has learned anything, from another seed.

    Matrices that start at zero, as heads and low-rank updates may, are drawn with the spread that
    they were trained to: a network that answers everybody alike has constant maps, and there would
    be nothing to compare.
    """
    method: Any = copy.copy(fold.method)
    train = fold.train.subset(method.usable(fold.train))
    device = next(method.model.parameters()).device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(_FRESH_SEED, "init"))
        network: nn.Module = channels_last(method.build(train, tasks_of(fold.job.parts))).to(device)
        trained = dict(method.model.named_parameters())
        with torch.no_grad():
            for name, weight in network.named_parameters():
                if weight.ndim > 1 and not weight.any():
                    weight.normal_(0.0, float(trained[name].std(correction=0)))
    return network.eval()
