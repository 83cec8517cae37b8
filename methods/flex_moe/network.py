"""The network: encoders, the bank, blocks of attention and experts, one head a task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from benchmark.api import MethodError, Task, one_of
from benchmark.encoders import Reader
from benchmark.encoders.gating import Choice

from .combinations import Bank, assigned_experts, combination
from .experts import Experts, check, mlp
from .info import ExpertsConfig, FlexConfig, FusionConfig

__all__ = ["COMBINATION", "MISSING", "NORMS", "ROUTING", "TOKENS_FROM", "Network", "Tokens"]

MISSING: Final = ("bank", "zeros")
NORMS: Final = ("batch", "layer", "none")
TOKENS_FROM: Final = ("layer", "pieces")
ROUTING, COMBINATION = "routing", "combination"  # beside the tasks among the outputs


class Standardise(nn.BatchNorm1d):
    """Batch norm without weights; a batch of one person is brought to the running statistics."""

    def __init__(self, width: int) -> None:
        super().__init__(width, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, d), B at least 1."""
        if self.training and len(x) < 2:
            return (x - self.running_mean) / (self.running_var + self.eps).sqrt()
        return super().forward(x)


class Tokens(nn.Module):
    """One modality of people who have it to tokens (B, P, d).

    Args:
        reader: Its encoder.
        config: Number and width of tokens.
    """

    def __init__(self, reader: Reader, config: FusionConfig) -> None:
        super().__init__()
        self.reader = reader
        self.norm = _norm(config.norm, reader.width)
        self.dropout = nn.Dropout(config.dropout)
        self.pieces = config.tokens_from == "pieces"
        self.piece = math.ceil(reader.width / config.tokens)
        self.shape = (config.tokens, config.width)
        features = (
            (self.piece, config.width) if self.pieces else (reader.width, math.prod(self.shape))
        )
        self.project = nn.Linear(*features)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """From what the reader takes."""
        x = self.dropout(self.norm(self.reader.encode(inputs).float()))  # b w
        if self.pieces:  # the last ends with zeros
            x = pad(x, (0, self.shape[0] * self.piece - x.shape[1]))
            return self.project(x.unflatten(1, (self.shape[0], self.piece)))
        return self.project(x).unflatten(1, self.shape)


class Block(nn.Module):
    """Attention over the tokens of all modalities, then experts or one shared MLP.

    Args:
        config: Sizes.
        experts: The mixture of experts; its ``number`` is 0 for a shared MLP.
    """

    def __init__(self, config: FusionConfig, experts: ExpertsConfig) -> None:
        super().__init__()
        width = config.width
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.experts: Experts | None = None
        if experts.number:
            self.experts = Experts(width, experts, config.dropout)
        else:
            hidden = experts.shared_hidden or experts.hidden * experts.chosen
            self.mlp = mlp(width, hidden, config.dropout)

    def forward(self, x: Tensor, complete: Tensor) -> tuple[Tensor, Choice | None]:
        """Tokens (B, T, d) to as many, and the routing; complete: (B,) bool."""
        h = self.before(x)
        x = x + self.dropout(self.attention(h, h, h, need_weights=False)[0])
        h, routing = self.between(x), None
        if self.experts is None:
            h = self.mlp(h)
        else:
            h, routing = self.experts(h, complete)
        return x + self.dropout(h), routing


class Network(nn.Module):
    """From what B people have to one output per task (B, K).

    Args:
        readers: By modality, its encoder.
        tasks: What it must answer.
        config: Settings.

    Raises:
        MethodError: A setting cannot work, or there is no modality.
    """

    target: Tensor

    def __init__(
        self, readers: Mapping[str, Reader], tasks: Sequence[Task], config: FlexConfig
    ) -> None:
        super().__init__()
        fusion, n = config.fusion, len(readers)
        _check(fusion, n)
        check(config.experts)
        self.modalities = tuple(readers)
        self.tokens = nn.ModuleDict({m: Tokens(r, fusion) for m, r in readers.items()})
        self.shape = (fusion.tokens, fusion.width)
        self.bank = Bank(n, *self.shape, fusion.bank_sd) if fusion.missing == "bank" else None
        self.place = nn.Parameter(torch.zeros(n, *self.shape))
        dense = replace(config.experts, number=0)
        self.blocks = nn.ModuleList(
            Block(fusion, dense if layer % 2 else config.experts) for layer in range(fusion.depth)
        )
        self.heads = nn.ModuleDict(
            {t.name: nn.Linear(n * fusion.width, t.n_outputs) for t in tasks}
        )
        self.register_buffer("target", assigned_experts(n, max(config.experts.number, 2)))

    def there(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Who has which modality, (B, M) bool."""
        return torch.stack([inputs[f"{m}_is_there"] for m in self.modalities], dim=1)

    def embedded(self, inputs: Mapping[str, Tensor], there: Tensor) -> Tensor:
        """Tokens of each modality or what stands for it, (B, M, P, d)."""
        code, parts = combination(there), []
        for number, part in enumerate(self.tokens.values()):
            if self.bank is None:
                x = self.place.new_zeros(len(there), *self.shape)
            else:
                x = self.bank(code, number)
            rows = there[:, number].nonzero()[:, 0]
            if len(rows):
                own = part({name: inputs[name][rows] for name in part.reader.reads})
                x = x.index_put((rows,), own.to(x.dtype))
            parts.append(x)
        return torch.stack(parts, dim=1)

    def placed(self, inputs: Mapping[str, Tensor], there: Tensor) -> Tensor:
        """What the first block reads, (B, M P, d): tokens with their places.

        Without a bank what is missing stays zeros, so that it has no place either.
        """
        place = self.place if self.bank is not None else self.place * there[:, :, None, None]
        return (self.embedded(inputs, there) + place).flatten(1, 2)

    def fused(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, list[Choice]]:
        """Mean token of each modality side by side (B, M d), combinations (B,), and routings."""
        there = self.there(inputs)
        code, complete = combination(there), there.all(dim=1)
        x = self.placed(inputs, there)  # b t d
        routings = []
        for block in self.blocks:
            x, routing = block(x, complete)
            routings += [] if routing is None else [routing]
        means = x.unflatten(1, (len(self.modalities), -1)).mean(dim=2)  # b m d
        return means.flatten(1), code, routings

    def features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """What the heads read, (B, M d)."""
        return self.fused(inputs)[0]

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One output per task (B, K), ``combination`` (B,), ``routing`` (B, blocks, 3, T, E).

        Whoever has nothing gets even odds. The three are those of :class:`Choice`; without experts
        there is no routing.
        """
        x, code, routings = self.fused(inputs)
        nothing = (code == 0)[:, None]
        outputs = {task: head(x).masked_fill(nothing, 0.0) for task, head in self.heads.items()}
        outputs[COMBINATION] = code
        if routings:
            outputs[ROUTING] = torch.stack([torch.stack(r, dim=1) for r in routings], dim=1)
        return outputs


def _norm(kind: str, width: int) -> nn.Module:
    if kind == "batch":
        return Standardise(width)
    return nn.LayerNorm(width, elementwise_affine=False) if kind == "layer" else nn.Identity()


def _check(config: FusionConfig, modalities: int) -> None:
    for key, known in (("missing", MISSING), ("norm", NORMS), ("tokens_from", TOKENS_FROM)):
        one_of(f"fusion.{key}", getattr(config, key), known)
    for key in ("tokens", "width", "depth", "heads"):
        if getattr(config, key) < 1:
            raise MethodError(f"fusion.{key} must be at least 1, got {getattr(config, key)}")
    if config.width % config.heads:
        raise MethodError(f"fusion.heads ({config.heads}) must divide fusion.width")
    if not modalities:
        raise MethodError(
            "these samples hold neither clinical records, reports, T1w, fMRI nor genotypes; choose "
            "a track that opens one of them (`neurodx list tracks`)"
        )
