"""What the second stage shows: where queries look, what the cross path hears, how anchors vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from .modalities import TEXT
from .network import Network, Parts
from .qformer import Joined

__all__ = ["shown"]


def shown(model: Network, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Arrays of one row a person, the same ones whoever is in a batch.

    See ``AnchoredQFormer.expose``.

    Args:
        model: The network in eval mode; one that concatenates has nothing to show.
        inputs: A batch of B people.
    """
    if model.concat is not None:
        return {}
    parts = model.parts(inputs)
    outputs, _, joined = model.run(parts)
    there = model.present(parts)  # by modality (B,)
    out = {f"votes_{task}": _votes(outputs, task, there) for task in model.tasks}
    if model.joins:
        out |= {f"attention_{m}": _attention(model, m, parts[m], joined, there) for m in parts}
        out["cross_mass"] = _masses(model, joined, there)
    return out


def _votes(outputs: Mapping[str, Tensor], task: str, there: Mapping[str, Tensor]) -> Tensor:
    """Each anchor's probabilities, (B, M, K)."""
    votes = [outputs[f"{m}/{task}"].softmax(dim=1) * t[:, None] for m, t in there.items()]
    return torch.stack(votes, dim=1)


def _attention(
    model: Network,
    modality: str,
    part: Parts,
    joined: Mapping[str, Joined],
    there: Mapping[str, Tensor],
) -> Tensor:
    """What a modality's tokens got from the queries of the anchors that read it, (B, T)."""
    readers = [anchor for anchor in joined if anchor != modality]
    looks = [_placed(joined[a].attention[modality], there[a]) for a in readers]
    nothing = torch.zeros(part.mask.shape, device=part.mask.device)
    attention = _mean(nothing, looks, [there[a] for a in readers])
    if modality == TEXT:
        longest = model.unimodal[TEXT].reader.encoder.max_tokens
        attention = pad(attention, (0, longest - attention.shape[1]))
    return attention


def _masses(model: Network, joined: Mapping[str, Joined], there: Mapping[str, Tensor]) -> Tensor:
    """What each modality got from the cross path, (B, M)."""
    masses = []
    for anchor, written in joined.items():
        none = torch.zeros_like(next(iter(written.mass.values())))
        columns = [_placed(written.mass.get(m, none), there[anchor]) for m in model.names]
        masses.append(torch.stack(columns, dim=1))
    people = next(iter(there.values()))
    nothing = torch.zeros(len(people), len(model.names), device=people.device)
    return _mean(nothing, masses, [there[a] for a in joined])


def _placed(values: Tensor, there: Tensor) -> Tensor:
    """Rows of those who have the anchor among all B, zeros elsewhere."""
    placed = values.new_zeros(len(there), *values.shape[1:])
    placed[there] = values
    return placed


def _mean(nothing: Tensor, values: Sequence[Tensor], there: Sequence[Tensor]) -> Tensor:
    """Mean over the anchors that a person has, (B, ...).

    Args:
        nothing: Zeros, which whoever has none of them gets.
        values: Of each anchor, with zeros where it is missing.
        there: Who has each.
    """
    if not values:
        return nothing
    count = torch.stack(list(there)).sum(dim=0).clamp_min(1)
    total = torch.stack(list(values)).sum(dim=0)
    return total / count.view(-1, *[1] * (total.ndim - 1))
