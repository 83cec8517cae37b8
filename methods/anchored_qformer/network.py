"""The network of both stages: an encoder a modality, and a round for each as the anchor."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmark.api import MethodError, Task, one_of
from benchmark.encoders import TokenEncoder, add_lora
from benchmark.encoders.tokens import masked_mean

from .info import FusionConfig
from .modalities import TokenReader
from .qformer import Joined, QFormer

__all__ = ["Network", "Parts", "Round", "Unimodal"]

CHOICES = {
    "kind": ("anchored", "concat"),
    "norm_place": ("post", "pre"),
    "pool": ("all", "own"),
    "vote": ("probabilities", "logits"),
    "loss": ("anchors", "answer"),
}


class Parts(NamedTuple):
    """What one modality's frozen encoder makes of B people.

    Attributes:
        tokens: The transformer's input, (B, T, d).
        features: Its output, F_m, (B, T, d).
        mask: Which tokens are real, (B, T) bool; none where the modality is missing.
    """

    tokens: Tensor
    features: Tensor
    mask: Tensor


class Heads(nn.Module):
    """One linear head a task on a vector, whose features are standardised over people if wanted.

    The mean over a person's tokens differs little between people; without the scale a head learns
    slowly. While training the statistics are those of the batch, and of what came before where a
    batch holds one person alone.
    """

    def __init__(
        self, width: int, tasks: Sequence[Task], config: FusionConfig, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.scale = nn.BatchNorm1d(width, affine=False) if config.standardise else None
        self.dropout = nn.Dropout(dropout)
        self.tasks = nn.ModuleDict({t.name: nn.Linear(width, t.n_outputs) for t in tasks})
        for head in self.tasks.values() if config.heads_zero_start else ():
            # even odds, so that who has learned nothing says nothing
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """From vectors (B, d) to logits (B, K) by task."""
        x = self.dropout(self._standardised(x.float()))
        return {task: head(x) for task, head in self.tasks.items()}

    def _standardised(self, x: Tensor) -> Tensor:
        if self.scale is None:
            return x
        if self.training and len(x) == 1:
            mean, var = self.scale.running_mean, self.scale.running_var
            return (x - mean) * (var + self.scale.eps).rsqrt()
        out: Tensor = self.scale(x)
        return out


class Unimodal(nn.Module):
    """The first stage of one modality: its encoder, the mean over tokens, a linear head a task.

    Of the encoder nothing learns before :meth:`begin`.
    """

    def __init__(
        self, reader: TokenReader, tasks: Sequence[Task], config: FusionConfig, dropout: float
    ) -> None:
        super().__init__()
        self.reader = reader
        self.reader.requires_grad_(requires_grad=False)
        self.heads = Heads(reader.encoder.width, tasks, config, dropout)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Logits (B, K) by task."""
        tokens, mask = self.reader.embed(inputs)
        out = self.reader.encoder.run_blocks(tokens, mask)  # b t d
        answers: dict[str, Tensor] = self.heads(masked_mean(out, mask))
        return answers

    def begin(self, *, learns: bool) -> None:
        """Lets the encoder learn, as far as the reader wants it to, or freezes it for good."""
        if not learns:
            self.reader.encoder.freeze()
            return
        for parameter in self.reader.learned():
            parameter.requires_grad_(True)

    @torch.no_grad()
    def parts(self, inputs: Mapping[str, Tensor], *, features: bool) -> Parts:
        """What the second stage takes from the encoder; ``features`` only where they are read."""
        tokens, mask = self.reader.embed(inputs)
        made = self.reader.encoder.run_blocks(tokens, mask) if features else tokens
        return Parts(tokens, made, mask)


class Round(nn.Module):
    """One modality as the anchor: the others write into its input, low-rank updates tune it.

    Args:
        encoder: Its encoder; the round shares its weights and adds its own updates.
        others: By other modality, features of its tokens.
        tasks: The tasks.
        config: Settings.
    """

    def __init__(
        self,
        encoder: TokenEncoder,
        others: Mapping[str, int],
        tasks: Sequence[Task],
        config: FusionConfig,
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = shared_copy(encoder).freeze()
        add_lora(self.encoder, config.lora_rank, config.lora_alpha, config.lora_dropout)
        self.heads = Heads(encoder.width, tasks, config)
        self.qformer = None
        if others and config.n_queries:
            self.qformer = QFormer(
                others,
                encoder.width,
                config.n_queries,
                config.dim,
                config.heads,
                config.query_sd,
                config.norm_place,
            )

    def join(self, parts: Mapping[str, Parts]) -> Joined | None:
        """What the others write; a modality is hidden at random while training."""
        if self.qformer is None:
            return None
        rate = self.config.auxiliary_dropout if self.training else 0.0
        masks = {}
        for modality in self.qformer.project:
            mask = parts[modality].mask
            if rate:
                mask = mask & (torch.rand(len(mask), 1, device=mask.device) >= rate)
            masks[modality] = mask
        return self.qformer({m: parts[m].features for m in masks}, masks)

    def forward(self, own: Parts, joined: Joined | None) -> tuple[Tensor, dict[str, Tensor]]:
        """The anchor's vector (B, C) and logits (B, K) by task."""
        tokens, mask = own.tokens, own.mask
        counted = mask
        if joined is not None:
            tokens = torch.cat([joined.tokens.to(tokens.dtype), tokens], dim=1)  # b e+t c
            mask = torch.cat([joined.mask, mask], dim=1)
            read = joined.mask if self.config.pool == "all" else torch.zeros_like(joined.mask)
            counted = torch.cat([read, counted], dim=1)
        pooled = masked_mean(self.encoder.run_blocks(tokens, mask), counted).float()  # b c
        return pooled, self.heads(pooled)


class Concatenation(nn.Module):
    """Pooled features side by side through an MLP; a missing modality is zeros and says so."""

    def __init__(
        self, widths: Mapping[str, int], tasks: Sequence[Task], config: FusionConfig
    ) -> None:
        super().__init__()
        self.config = config
        self.norms = nn.ModuleDict({m: nn.LayerNorm(d) for m, d in widths.items()})
        self.body = nn.Sequential(
            nn.Linear(sum(widths.values()) + len(widths), config.hidden), nn.GELU()
        )
        self.heads = Heads(config.hidden, tasks, config)

    def forward(self, parts: Mapping[str, Parts]) -> tuple[Tensor, dict[str, Tensor]]:
        """The hidden vector (B, H) and logits (B, K) by task."""
        columns = []
        for modality, norm in self.norms.items():
            part = parts[modality]
            there = part.mask.any(dim=1, keepdim=True)
            if self.training and self.config.auxiliary_dropout:
                kept = torch.rand(len(there), 1, device=there.device)
                there = there & (kept >= self.config.auxiliary_dropout)
            pooled = norm(masked_mean(part.features, part.mask).float())
            columns += [pooled.masked_fill(~there, 0.0), there.to(pooled.dtype)]
        hidden = self.body(torch.cat(columns, dim=1))
        return hidden, self.heads(hidden)


class Network(nn.Module):
    """From a batch to one output a task; takes raw inputs, or what was made of them before.

    Args:
        readers: By modality.
        tasks: The tasks.
        dropouts: By modality, of its first stage.
        config: The second stage.

    Raises:
        MethodError: There is no modality, or a setting is not known.
    """

    learned: Tensor

    def __init__(
        self,
        readers: Mapping[str, TokenReader],
        tasks: Sequence[Task],
        dropouts: Mapping[str, float],
        config: FusionConfig,
    ) -> None:
        super().__init__()
        check(config, readers)
        self.vote = config.vote
        self.names = tuple(readers)
        self.tasks = {task.name: task.n_outputs for task in tasks}
        widths = {m: reader.encoder.width for m, reader in readers.items()}
        self.unimodal = nn.ModuleDict(
            {m: Unimodal(reader, tasks, config, dropouts[m]) for m, reader in readers.items()}
        )
        self.rounds = nn.ModuleDict()
        self.concat = None
        if config.kind == "concat":
            self.concat = Concatenation(widths, tasks, config)
        else:
            for m, reader in readers.items():
                others = {other: d for other, d in widths.items() if other != m}
                self.rounds[m] = Round(reader.encoder, others, tasks, config)
        self.joins = any(each.qformer is not None for each in self.rounds.values())
        self.reads_features = self.joins or self.concat is not None
        self.register_buffer("learned", torch.ones(len(readers), dtype=torch.bool))

    def begin_second_stage(self) -> None:
        """Freezes the encoders and gives each round what its modality's first stage ended with."""
        for m, unimodal in self.unimodal.items():
            unimodal.requires_grad_(requires_grad=False)
            unimodal.reader.encoder.freeze()
            if m not in self.rounds:
                continue
            own = dict(self.rounds[m].encoder.named_buffers())
            for name, buffer in unimodal.reader.encoder.named_buffers():
                own[name].copy_(buffer)
            self.rounds[m].heads.load_state_dict(unimodal.heads.state_dict())

    @torch.no_grad()
    def parts(self, inputs: Mapping[str, Tensor]) -> dict[str, Parts]:
        """What each encoder makes of a batch, or what was kept of it."""
        made = {}
        for number, m in enumerate(self.names):
            if f"{m}_tokens" in inputs:
                part = Parts(*(inputs[f"{m}_{field}"] for field in Parts._fields))
            else:
                part = self.unimodal[m].parts(inputs, features=self.reads_features)
            made[m] = part._replace(mask=part.mask & self.learned[number])
        return made

    def present(self, parts: Mapping[str, Parts]) -> dict[str, Tensor]:
        """By modality, who has it, (B,) bool."""
        return {m: part.mask.any(dim=1) for m, part in parts.items()}

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Log of the averaged probabilities (B, K) by task, and each anchor's logits.

        The latter are named ``<anchor>/<task>``, zeros where the anchor is missing.
        """
        return self.run(self.parts(inputs))[0]

    def features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The anchors' vectors side by side, zeros where one is missing; (B, sum of C)."""
        return self.run(self.parts(inputs))[1]

    def run(
        self, parts: Mapping[str, Parts]
    ) -> tuple[dict[str, Tensor], Tensor, dict[str, Joined]]:
        """As :meth:`forward` and :meth:`features`, and what was joined to each anchor.

        An anchor that nobody of these people has is not among the last.
        """
        if self.concat is not None:
            hidden, answers = self.concat(parts)
            return answers, hidden, {}
        outputs: dict[str, Tensor] = {}
        vectors, joined = [], {}
        for m in self.rounds:
            vector, answers, written = self.run_round(m, parts)
            vectors.append(vector)
            outputs |= {f"{m}/{task}": logits for task, logits in answers.items()}
            joined |= {} if written is None else {m: written}
        present = torch.stack(list(self.present(parts).values()), dim=1)  # b a
        for task in self.tasks:
            logits = torch.stack([outputs[f"{m}/{task}"] for m in self.rounds], dim=1)  # b a k
            outputs[task] = averaged(logits, present, self.vote)
        return outputs, torch.cat(vectors, dim=1), joined

    def run_round(
        self, anchor: str, parts: Mapping[str, Parts]
    ) -> tuple[Tensor, dict[str, Tensor], Joined | None]:
        """One anchor's round, run by those who have it only.

        Returns:
            Vectors (B, C) and logits (B, K) by task, zeros for the others; and what was joined, one
            row for each who has the anchor, None where nothing was.
        """
        each = self.rounds[anchor]
        there = parts[anchor].mask.any(dim=1)
        vector = torch.zeros(len(there), each.encoder.width, device=there.device)
        logits = {t: torch.zeros(len(there), k, device=there.device) for t, k in self.tasks.items()}
        if not there.any():
            return vector, logits, None
        some = {m: Parts(*(x[there] for x in part)) for m, part in parts.items()}
        written = each.join(some)
        theirs, answers = each(some[anchor], written)
        logits = {t: x.index_put((there,), answers[t].float()) for t, x in logits.items()}
        return vector.index_put((there,), theirs), logits, written


def averaged(logits: Tensor, present: Tensor, vote: str) -> Tensor:
    """Log probabilities of the answer of the anchors that are there, (B, K); even odds if none is.

    Args:
        logits: Shape (B, A, K).
        present: Shape (B, A), bool.
        vote: What is averaged: ``probabilities`` or ``logits``.
    """
    if vote == "logits":
        total = logits.masked_fill(~present[..., None], 0.0).sum(dim=1)
        return (total / present.sum(dim=1, keepdim=True).clamp_min(1)).log_softmax(dim=1)
    voting = present.any(dim=1)
    log_p = logits.log_softmax(dim=2).masked_fill(~voting[:, None, None], 0.0)
    silent = ~present & voting[:, None]
    total = log_p.masked_fill(silent[..., None], -torch.inf).logsumexp(dim=1)
    return total.log_softmax(dim=1)


def shared_copy(encoder: TokenEncoder) -> TokenEncoder:
    """Modules of its own around the very same weights: what is put in leaves the other as it is."""
    memo: dict[int, Any] = {id(p): p for p in encoder.parameters()}
    twin: TokenEncoder = copy.deepcopy(encoder, memo)
    return twin


def check(config: FusionConfig, readers: Mapping[str, TokenReader]) -> None:
    """Refuses settings that cannot work.

    Raises:
        MethodError: A name is not known, a number is out of range, or there is no modality.
    """
    for key, known in CHOICES.items():
        one_of(f"fusion.{key}", getattr(config, key), known)
    if config.query_sd <= 0:
        raise MethodError(f"fusion.query_sd must be above 0, got {config.query_sd}")
    if config.n_queries < 0:
        raise MethodError(f"fusion.n_queries must be at least 0, got {config.n_queries}")
    if not readers:
        raise MethodError(
            "these samples hold neither clinical records, reports, T1w, fMRI nor genotypes; choose "
            "a track that opens one of them (`neurodx list tracks`)"
        )
