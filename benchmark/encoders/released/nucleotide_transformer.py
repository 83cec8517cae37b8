"""Nucleotide Transformer: language models of DNA (Dalla-Torre et al. 2025, Nature Methods).

Source: 10.1038/s41592-024-02523-z; github instadeepai/nucleotide-transformer, weights huggingface
InstaDeepAI (both CC BY-NC-SA 4.0). Names and shapes: transformers' ``EsmModel`` for the first
version; for the second, the release's own ``modeling_esm.py`` (as copied in github
terry-r123/Cross-MolecularBenchmark, folder ``model/ProtDNA/nt/nt_v2_100m_multi``), where the inner
layer is gated (SiLU, twice as wide, no bias), positions are rotary, and an embedding of positions
is stored but not used. Sizes: ``config.json`` of 500m-human-ref (github wang-devlab/CDA-HMFCDA),
v2-500m (open-genome/dna) and v2-100m (as above). Tokens: 6-mers from the left, single letters where
fewer than six are left or an N lies among them (``docs/nucleotide_transformer.md``); their numbers
are read from the release's ``vocab.txt``.

Not confirmed: the files of weights themselves could not be looked at, nor the order of
``vocab.txt``, one token a line as transformers' ``EsmTokenizer`` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from benchmark.encoders.released.files import ReleasedEncoder
from benchmark.encoders.tokens import TokenEncoder
from benchmark.errors import MethodError

__all__ = ["NucleotideTransformer", "six_mers"]

_K: Final = 6
_HUMAN_500M: Final[Mapping[str, Any]] = {
    "vocab_size": 4105,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 24,
    "num_attention_heads": 20,
    "max_position_embeddings": 1002,
    "position_embedding_type": "absolute",
    "token_dropout": True,
    "pad_token_id": 1,
    "mask_token_id": 2,
    "layer_norm_eps": 1e-12,
    "emb_layer_norm_before": False,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
_ROTARY: Final = "rotary_embeddings.inv_freq"


def six_mers(sequence: str) -> list[str]:
    """Cuts DNA into words of six letters from the left; what does not fit stays single letters.

    Args:
        sequence: Letters A, C, G, T and N.

    Returns:
        The words, which joined give the sequence.
    """
    words: list[str] = []
    for piece in sequence.upper().replace("N", " N ").split():
        whole = len(piece) // _K * _K
        words += [piece[i : i + _K] for i in range(0, whole, _K)]
        words += piece[whole:]
    return words


class NucleotideTransformer(ReleasedEncoder, TokenEncoder):
    """DNA to tokens (B, T, d), the class token first, and their masked mean.

    An empty sequence is a missing one.

    Args:
        vocabulary: The release's tokens in their order (``vocab.txt``).
        settings: The release's ``config.json``; by default that of 500m-human-ref. The second
            version is told by its ``add_bias_fnn``.
    """

    released_files: ClassVar = ("model.safetensors", "pytorch_model.bin")
    left_out: ClassVar = ("lm_head.", "esm.contact_head.", "esm.embeddings.position_ids")
    lora_targets = ("query", "value")

    def __init__(
        self, vocabulary: Sequence[str], settings: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        from transformers import EsmConfig, EsmModel

        known = dict(_HUMAN_500M) if settings is None else dict(settings)
        gated = "add_bias_fnn" in known
        config = EsmConfig(**{name: known[name] for name in _HUMAN_500M if name in known})
        self.network: Any = EsmModel(config, add_pooling_layer=False)
        del self.network.contact_head
        if gated:
            for layer in self.network.encoder.layer:
                layer.intermediate = _Gated(config, bias=known["add_bias_fnn"])
                layer.output.dense = nn.Linear(
                    config.intermediate_size, config.hidden_size, bias=known["add_bias_fnn"]
                )
        self.rotary = config.position_embedding_type == "rotary"
        self.width = int(config.hidden_size)
        self.most_tokens = int(config.max_position_embeddings) - int(config.pad_token_id) - 1
        self.numbers = {token: number for number, token in enumerate(vocabulary)}
        needed = {"<cls>", "<pad>", *"ACGTN"}
        if not needed.issubset(self.numbers) or len(vocabulary) > config.vocab_size:
            raise MethodError(
                f"vocabulary of {len(vocabulary)} tokens: expected at most {config.vocab_size}, "
                f"among them {', '.join(sorted(needed))}"
            )

    @classmethod
    def from_folder(cls, folder: Path) -> NucleotideTransformer:
        """Builds what a released folder describes and loads its weights.

        Raises:
            MethodError: ``config.json``, ``vocab.txt`` or the weights are missing or do not fit.
        """
        for name in ("config.json", "vocab.txt"):
            if not (folder / name).is_file():
                raise MethodError(f"{folder}: expected {name} of the release, which is not there")
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tokens = (folder / "vocab.txt").read_text(encoding="utf-8").split()
        encoder = cls(tokens, settings)
        encoder.load_pretrained(folder)
        return encoder

    def tokenise(self, sequences: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Turns DNA into ids (B, T), int64, and which of them are real, (B, T), bool.

        Raises:
            MethodError: A sequence holds another letter, or is too long.
        """
        if isinstance(sequences, str):
            raise MethodError("the encoder takes a list of sequences, e.g. [sequence]")
        rows = [self._row(sequence) for sequence in sequences]
        longest = max([1, *(len(row) for row in rows)])
        ids = torch.full((len(rows), longest), self.numbers["<pad>"], dtype=torch.int64)
        mask = torch.zeros(ids.shape, dtype=torch.bool)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
            mask[i, : len(row)] = True
        device = next(self.parameters()).device
        return ids.to(device), mask.to(device)

    def _row(self, sequence: str) -> list[int]:
        words = six_mers(sequence)
        unknown = {letter for word in words for letter in word} - set("ACGTN")
        if unknown:
            raise MethodError(f"DNA is written with A, C, G, T and N, not {sorted(unknown)}")
        if len(words) + 1 > self.most_tokens:
            raise MethodError(
                f"a sequence of {len(words) + 1} tokens, the class token included, is beyond the "
                f"encoder's {self.most_tokens}"
            )
        return [self.numbers["<cls>"], *(self.numbers[w] for w in words)] if words else []

    def embed(self, x: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Embeddings (B, T, d) and mask (B, T) of B sequences."""
        ids, mask = self.tokenise(x)
        counted = mask | ~mask.any(dim=1, keepdim=True)  # it divides by the number of tokens
        made: Tensor = self.network.embeddings(input_ids=ids, attention_mask=counted.long())
        return made, mask

    def _transform(self, tokens: Tensor, mask: Tensor) -> Tensor:
        places = (mask.long().cumsum(dim=1) - 1).clamp(min=0)
        out: Tensor = self.network(
            inputs_embeds=tokens, attention_mask=mask.long(), position_ids=places
        ).last_hidden_state
        return out

    def select(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One of the equal copies of the rotary frequencies, and no positions beside them."""
        first = f"esm.encoder.layer.0.attention.self.{_ROTARY}"
        kept = {n: t for n, t in state.items() if not n.endswith(f"self.{_ROTARY}") or n == first}
        if self.rotary:
            kept.pop("esm.embeddings.position_embeddings.weight", None)
        return kept

    def released_name(self, own: str) -> str | None:
        """As the released files call our tensors."""
        name = own.removeprefix("network.")
        if name == _ROTARY:
            return f"esm.encoder.layer.0.attention.self.{_ROTARY}"
        return f"esm.{name}"


class _Gated(nn.Module):
    """The inner layer of the second version: one half gates the other."""

    def __init__(self, config: Any, *, bias: bool) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.dense(x).chunk(2, dim=-1)
        out: Tensor = silu(gate) * value
        return out
