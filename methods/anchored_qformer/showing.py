"""What the second stage shows: where queries look, what the cross path hears, how anchors vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from .modalities import TEXT
from .network import Network
from .qformer import Joined

__all__ = ["shown"]


def shown(model: Network, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Arrays of one row a person; see ``AnchoredQFormer.expose``.

    Args:
        model: The network in eval mode; one that concatenates has nothing to show.
        inputs: A batch of B people.
    """
    if model.concat is not None:
        return {}
    outputs, _, joined = model.run(inputs)
    there = model.present(model.parts(inputs))  # by modality (B,)
    out = {f"votes_{task}": _votes(outputs, task, there) for task in model.tasks}
    if joined:
        out |= _looks(model, joined, there)
    return out


def _votes(outputs: Mapping[str, Tensor], task: str, there: Mapping[str, Tensor]) -> Tensor:
    """Each anchor's probabilities, (B, M, K)."""
    votes = [outputs[f"{m}/{task}"].softmax(dim=1) * t[:, None] for m, t in there.items()]
    return torch.stack(votes, dim=1)


def _looks(
    model: Network, joined: Mapping[str, Joined], there: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for modality in model.names:
        looks = [
            _placed(joined[anchor].attention[modality], there[anchor])
            for anchor in joined
            if anchor != modality
        ]
        anchors = [there[anchor] for anchor in joined if anchor != modality]
        attention = _mean(looks, anchors)  # b t
        if modality == TEXT:
            longest = model.unimodal[TEXT].reader.encoder.max_tokens
            attention = pad(attention, (0, longest - attention.shape[1]))
        out[f"attention_{modality}"] = attention
    masses = [
        torch.stack(
            [_placed(joined[a].mass.get(m, 0 * _any(joined[a])), there[a]) for m in model.names],
            dim=1,
        )
        for a in joined
    ]
    out["cross_mass"] = _mean(masses, [there[a] for a in joined])  # b m
    return out


def _any(joined: Joined) -> Tensor:
    return next(iter(joined.mass.values()))


def _placed(values: Tensor, there: Tensor) -> Tensor:
    """Rows of those who have the anchor among all B, zeros elsewhere."""
    placed = values.new_zeros(len(there), *values.shape[1:])
    placed[there] = values
    return placed


def _mean(values: Sequence[Tensor], there: Sequence[Tensor]) -> Tensor:
    """Mean over the anchors that a person has, each (B, ...) with zeros where it is missing."""
    count = torch.stack(list(there)).sum(dim=0).clamp_min(1)
    total = torch.stack(list(values)).sum(dim=0)
    return total / count.view(-1, *[1] * (total.ndim - 1))
