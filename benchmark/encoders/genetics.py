"""Genotypes: a small transformer whose tokens are SNPs, APOE e4 and a polygenic score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from benchmark.encoders.blocks import LORA_TARGETS, Transformer
from benchmark.encoders.tokens import TokenEncoder
from benchmark.errors import MethodError

__all__ = ["GeneticsEncoder"]

_DOSAGES: Final = 3  # 0, 1, 2 copies of the counted allele; a fourth row stands for missing


class GeneticsEncoder(TokenEncoder):
    """Dosages (B, S + 1) to S + 2 tokens and their mean.

    A SNP's token is its identity plus the embedding of its dosage (0, 1, 2 or missing; an imputed
    dosage between two of them is interpolated). APOE e4 counts as one more such column, the last.
    The last token is the polygenic score, ``sum_s weight_s * (dosage_s - mean_s)`` over the called
    SNPs, in units of its spread; APOE is not part of it. A variant of such a panel changes the odds
    by a tenth or so (Kunkle et al. 2019, 10.1038/s41588-019-0358-2), which a few hundred people
    cannot teach, hence published weights: on a synthetic memory cohort (AD against CN, 200 people
    to train) the AUC was 0.64 with them, 0.63 with learned ones, 0.62 for ridge regression on the
    dosages and 0.67 for the generator's own sum.

    A person without any call has no token; a single missing call is a token like any other.

    Args:
        snps: Number of SNPs, S, APOE not counted.
        width: Features of a token, d.
        depth: Blocks of the transformer.
        heads: Heads of attention; they divide the width.
        log_odds: Published log odds ratio per counted allele, (S,); None learns the weights, from
            zero, with the rest of the encoder.
        dropout: On what each half of a block adds.

    Raises:
        MethodError: There is not one weight a SNP, or the heads do not divide the width.
    """

    mean_dosage: Tensor
    score_spread: Tensor

    def __init__(
        self,
        snps: int,
        *,
        width: int = 32,
        depth: int = 1,
        heads: int = 4,
        log_odds: Sequence[float] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if log_odds is not None and len(log_odds) != snps:
            raise MethodError(f"{len(log_odds)} log odds ratios for {snps} SNPs")
        self.width = width
        self.snps = snps
        self.lora_targets = LORA_TARGETS
        self.identity = nn.Parameter(torch.randn(snps + 1, width))
        self.dosage = nn.Parameter(torch.randn(_DOSAGES + 1, width))
        self.allele = nn.Parameter(torch.randn(_DOSAGES + 1, width))  # of APOE e4
        self.score = nn.Linear(1, width)
        self.published = log_odds is not None
        self.weights: Tensor
        if log_odds is None:
            self.weights = nn.Parameter(torch.zeros(snps))
        else:
            self.register_buffer("weights", torch.tensor([float(w) for w in log_odds]))
        self.register_buffer("mean_dosage", torch.ones(snps))
        self.register_buffer("score_spread", torch.ones(()))
        self.transformer = Transformer(width, depth, heads, dropout)

    def fit_statistics(self, x: Tensor) -> None:
        """Takes the mean dosages, and the spread of a published score, from training people.

        Args:
            x: Dosages (B, S + 1), NaN where missing. A SNP that nobody has keeps its mean.
        """
        self._check(x)
        snps = x[:, : self.snps].to(self.mean_dosage.dtype)
        mean = snps.nanmean(dim=0)
        self.mean_dosage.copy_(torch.where(mean.isnan(), self.mean_dosage, mean))
        if self.published and len(x) > 1:
            self.score_spread.copy_(self._raw_score(snps).std().clamp(min=1e-6))

    def _check(self, x: Tensor) -> None:
        if x.ndim != 2 or x.shape[1] != self.snps + 1:
            raise MethodError(
                f"genotypes must be (B, {self.snps + 1}), the last APOE e4, not {tuple(x.shape)}"
            )

    def _raw_score(self, snps: Tensor) -> Tensor:
        called = (snps - self.mean_dosage).nan_to_num(0.0)
        return called @ self.weights

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, S + 2, d) and mask (B, S + 2) of dosages (B, S + 1), NaN where missing.

        Raises:
            MethodError: The genotypes are of another shape, or a dosage is outside 0 to 2.
        """
        self._check(x)
        x = x.to(self.identity.dtype)
        missing = x.isnan()
        if bool(((x < 0) | (x > _DOSAGES - 1)).any()):
            raise MethodError("dosages must be 0 to 2, and NaN where missing")
        levels = torch.arange(_DOSAGES, device=x.device)
        near = (1.0 - (x[..., None] - levels).abs()).clamp(min=0.0)  # hat functions
        shares = torch.cat([near.nan_to_num(0.0), missing[..., None].to(x.dtype)], dim=-1)
        calls = torch.cat(
            [shares[:, : self.snps] @ self.dosage, shares[:, self.snps :] @ self.allele], dim=1
        )
        score = self._raw_score(x[:, : self.snps]) / self.score_spread
        tokens = torch.cat([calls + self.identity, self.score(score[:, None])[:, None]], dim=1)
        anyone = ~missing.all(dim=1, keepdim=True)
        return tokens, anyone.expand(tokens.shape[:2])

    def _transform(self, tokens: Tensor, mask: Tensor) -> Tensor:
        out: Tensor = self.transformer(tokens, mask)
        return out
