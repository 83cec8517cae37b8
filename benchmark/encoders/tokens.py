"""Encoders that are a transformer over tokens, so that each can serve as a fusion's anchor.

The work is in two steps that a method may take apart: ``embed`` makes the transformer's input and
``run_blocks`` runs the transformer. :meth:`TokenEncoder.join` puts further tokens of the same
width between the two, at the input.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor

from benchmark.encoders.base import Encoded, Encoder
from benchmark.errors import MethodError

__all__ = ["TokenEncoder", "masked_mean"]

_ADAPTER_DROPOUT = "lora_dropout"  # PEFT's name for what drops an adapter's input


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean of the tokens whose mask is true, zeros where there are none.

    Args:
        tokens: Shape (B, T, d).
        mask: Shape (B, T), bool.

    Returns:
        Shape (B, d).
    """
    kept = tokens.masked_fill(~mask[..., None], 0.0)
    count = mask.sum(dim=1, keepdim=True).clamp(min=1)
    return kept.sum(dim=1) / count.to(tokens.dtype)


class TokenEncoder(Encoder):
    """A transformer over tokens.

    What a masked token holds never matters, NaN included: it is zeroed at the input, no token
    attends to it, and its output is zero. A person without any token gets zeros.

    Attributes:
        width: Features of a token, d.
        lora_targets: Names of the linear query and value projections, as ``peft.LoraConfig``
            takes them in ``target_modules``.
    """

    lora_targets: tuple[str, ...]

    def __init__(self) -> None:
        super().__init__()
        self._frozen = False

    @abstractmethod
    def embed(self, x: Any) -> tuple[Tensor, Tensor]:
        """Makes the transformer's input.

        Args:
            x: B people, as the encoder takes them.

        Returns:
            Tokens (B, T, d) with everything added that tells them apart (identity, position), and
            which of them are real (B, T), bool.
        """

    @abstractmethod
    def _transform(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """The transformer: (B, T, d) to (B, T, d); every row of the mask holds a true."""

    def run_blocks(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Runs the transformer.

        Args:
            tokens: Its input, (B, T, d).
            mask: Which tokens are real, (B, T), bool.

        Returns:
            Shape (B, T, d), zeros where the mask is false.
        """
        hidden = ~mask[..., None]
        attended = mask | ~mask.any(dim=1, keepdim=True)  # no softmax over nothing
        out = self._transform(tokens.masked_fill(hidden, 0.0), attended)
        return out.masked_fill(hidden, 0.0)

    def _pool(self, tokens: Tensor, mask: Tensor, first: int) -> Tensor:
        """One vector a person, (B, d), of tokens (B, T, d); own tokens begin at ``first``."""
        del first
        return masked_mean(tokens, mask)

    def encode(self, x: Any) -> Encoded:
        """Encodes B people: tokens (B, T, d), their masked mean (B, d) and the mask (B, T)."""
        tokens, mask = self.embed(x)
        out = self.run_blocks(tokens, mask)
        return Encoded(out, self._pool(out, mask, 0), mask)

    def join(
        self,
        x: Any,
        extra: Tensor,
        extra_mask: Tensor | None = None,
        pool: Literal["all", "own"] = "all",
    ) -> Encoded:
        """Encodes B people with further tokens in front of their own, at the transformer's input.

        Where every further token is masked the answer is that of :meth:`encode` (to rounding), with
        zero tokens in front.

        Args:
            x: B people.
            extra: Shape (B, E, d).
            extra_mask: Which of those are real, (B, E), bool; all by default.
            pool: Whether ``pooled`` is the mean over all tokens or over the people's own.

        Returns:
            Tokens (B, E + T, d), pooled (B, d), mask (B, E + T).

        Raises:
            MethodError: The further tokens have another width or number of people.
        """
        tokens, mask = self.embed(x)
        if extra.ndim != 3 or extra.shape[0] != len(tokens) or extra.shape[2] != self.width:
            raise MethodError(
                f"{type(self).__name__}: tokens to join must be ({len(tokens)}, E, {self.width}), "
                f"not {tuple(extra.shape)}"
            )
        if extra_mask is None:
            extra_mask = torch.ones(extra.shape[:2], dtype=torch.bool, device=mask.device)
        together = torch.cat([extra_mask, mask], dim=1)
        out = self.run_blocks(torch.cat([extra.to(tokens.dtype), tokens], dim=1), together)
        counted = together
        if pool == "own":
            counted = torch.cat([torch.zeros_like(extra_mask), mask], dim=1)
        return Encoded(out, self._pool(out, counted, extra.shape[1]), together)

    def freeze(self) -> TokenEncoder:
        """Stops training for good: no gradient to its parameters, eval mode even under ``train()``.

        Adapters that are put in later may train, and their own dropout then acts under ``train()``.
        """
        self._frozen = True
        self.requires_grad_(requires_grad=False)
        self.train(mode=False)
        return self

    def train(self, mode: bool = True) -> TokenEncoder:
        """As in torch, but of a frozen encoder only the dropout of adapters follows the mode."""
        super().train(mode and not self._frozen)
        if self._frozen:
            for name, module in self.named_modules():
                if name.rpartition(".")[2] == _ADAPTER_DROPOUT:
                    module.train(mode)
        return self
