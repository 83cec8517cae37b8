"""Loaders of released weights compute what the release does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from released_names import (
    CASES,
    SMALL_VIT,
    V1,
    VOCABULARY,
    filled,
    resnet,
    write,
)
from torch import Tensor, nn

from benchmark.encoders.released import (
    M3DCLIP,
    BrainIAC,
    BrainIACResNet,
    BrainJEPA,
    BrainMVP,
    BrainSegFounder,
    NucleotideTransformer,
)
from benchmark.encoders.released.nucleotide_transformer import six_mers
from benchmark.encoders.released.vit import PackedBlock
from benchmark.encoders.tokens import TokenEncoder
from benchmark.errors import MethodError

INPUTS = {
    "m3d": (8, 8, 8),
    "m3d tower": (8, 8, 8),
    "brainiac": (8, 8, 8),
    "resnet": (33, 40, 32),
    "brainsegfounder": (32, 40, 32),
    "brainmvp": (32, 40, 16),
}


@pytest.mark.parametrize("name", INPUTS)
def test_volumes_to_tokens(name: str, tmp_path: Path) -> None:
    kind, settings, shapes, wrappers = CASES[name]
    encoder = kind(**settings).eval()
    encoder.load_pretrained(write(tmp_path, filled(shapes), wrappers))
    x = torch.rand(2, 1, *INPUTS[name], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        tokens, pooled, _ = encoder(x)
        alone = encoder(x[1:]).pooled
    assert tokens.shape[0] == 2
    assert tokens.shape[2] == encoder.width == pooled.shape[1]
    assert torch.allclose(pooled[1:], alone, atol=1e-5)
    assert float((pooled[0] - pooled[1]).abs().max()) > 0


@pytest.mark.parametrize("name", ["m3d", "brainiac"])
def test_a_block_is_torchs_own(name: str) -> None:
    torch.manual_seed(2)
    block = PackedBlock(16, 4, 24, name == "m3d", 1e-5).double().eval()
    reference = nn.TransformerEncoderLayer(
        16, 4, 24, 0.0, "gelu", batch_first=True, norm_first=True, dtype=torch.float64
    ).eval()
    bias = block.qkv.bias if block.qkv.bias is not None else torch.zeros(48).double()
    reference.load_state_dict(
        {
            "self_attn.in_proj_weight": block.qkv.weight,
            "self_attn.in_proj_bias": bias,
            "self_attn.out_proj.weight": block.proj.weight,
            "self_attn.out_proj.bias": block.proj.bias,
            "linear1.weight": block.fc1.weight,
            "linear1.bias": block.fc1.bias,
            "linear2.weight": block.fc2.weight,
            "linear2.bias": block.fc2.bias,
            "norm1.weight": block.norm1.weight,
            "norm1.bias": block.norm1.bias,
            "norm2.weight": block.norm2.weight,
            "norm2.bias": block.norm2.bias,
        }
    )
    x = torch.randn(2, 5, 16, dtype=torch.float64)
    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[0, 3:] = False
    ours, theirs = block(x, mask), reference(x, src_key_padding_mask=~mask)
    assert torch.allclose(ours, theirs, atol=1e-12)
    block.save = True
    assert torch.allclose(block(x, mask), theirs, atol=1e-12)
    assert block.attention is not None
    assert torch.allclose(block.attention.sum(dim=-1), torch.ones(2, 4, 5).double())


def test_m3d_patches_positions_and_pooling(tmp_path: Path) -> None:
    kind, settings, shapes, _ = CASES["m3d"]
    encoder = kind(**settings).eval()
    state = filled(shapes)
    encoder.load_pretrained(write(tmp_path, state, ()))
    assert isinstance(encoder, M3DCLIP)
    x = torch.rand(1, 1, 8, 8, 8)
    with torch.no_grad():
        tokens, _ = encoder.embed(x)
        out = encoder(x)
    weight = state["vision_encoder.patch_embedding.patch_embeddings.1.weight"]
    bias = state["vision_encoder.patch_embedding.patch_embeddings.1.bias"]
    position = state["vision_encoder.patch_embedding.position_embeddings"]
    i, j, k = 2, 1, 0  # of a grid of 4 x 2 x 2
    piece = x[0, 0, 2 * i : 2 * i + 2, 4 * j : 4 * j + 4, 4 * k : 4 * k + 4].reshape(-1)
    number = (i * 2 + j) * 2 + k
    expected = weight @ piece + bias + position[0, number]
    assert torch.allclose(tokens[0, 1 + number], expected, atol=1e-5)
    assert torch.equal(tokens[0, 0], state["vision_encoder.cls_token"][0, 0])
    projected = out.tokens[0, 0] @ state["mm_vision_proj.weight"].T + state["mm_vision_proj.bias"]
    assert torch.allclose(out.pooled[0], projected, atol=1e-5)
    encoder.save_attention = True
    with torch.no_grad():
        deep = encoder(torch.rand(1, 1, 16, 8, 8))
    assert deep.tokens.shape == (1, 1 + 32, 16)
    assert [tuple(a.shape) for a in encoder.attention_maps] == [(1, 2, 33, 33)] * 2


def test_token_encoders_join_and_miss(tmp_path: Path) -> None:
    kind, settings, shapes, _ = CASES["m3d"]
    encoder = kind(**settings).eval()
    encoder.load_pretrained(write(tmp_path, filled(shapes), ()))
    assert isinstance(encoder, TokenEncoder)
    x = torch.rand(3, 1, 8, 8, 8)
    x[1] = 0.0
    extra = torch.randn(3, 4, 16)
    with torch.no_grad():
        alone = encoder.encode(x)
        hidden = encoder.join(x, extra, torch.zeros(3, 4, dtype=torch.bool))
        seen = encoder.join(x, extra)
    assert not alone.pooled[1].any()
    assert torch.allclose(hidden.pooled, alone.pooled, atol=1e-5)
    assert float((seen.pooled - alone.pooled)[[0, 2]].abs().max()) > 1e-4
    with pytest.raises(MethodError, match="sides that are multiples"):
        encoder.encode(torch.rand(1, 1, 9, 8, 8))


def test_brainiac_takes_the_first_token_or_the_mean() -> None:
    settings = {"shape": (8, 8, 8), "patch": (4, 4, 4), **SMALL_VIT}
    x = torch.rand(2, 1, 8, 8, 8)
    with torch.no_grad():
        first = BrainIAC(**settings).eval()
        assert torch.equal(first(x).pooled, first(x).tokens[:, 0])
        mean = BrainIAC(**settings, pooled="mean").eval()
        assert torch.allclose(mean(x).pooled, mean(x).tokens.mean(dim=1), atol=1e-6)


def test_the_resnet_is_monais_with_another_stem(tmp_path: Path) -> None:
    from monai.networks.nets.resnet import resnet50

    torch.manual_seed(0)
    reference = resnet50(pretrained=False)
    reference.conv1 = nn.Conv3d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    reference.fc = nn.Identity()
    reference.eval()
    state = {f"backbone.{n}": t for n, t in reference.state_dict().items()}
    assert {n: tuple(t.shape) for n, t in state.items()} == resnet(
        (3, 4, 6, 3), (64, 128, 256, 512)
    )
    encoder = BrainIACResNet().eval()
    encoder.load_pretrained(write(tmp_path, state, ("state_dict",)))
    x = torch.rand(1, 1, 40, 33, 32)
    with torch.no_grad():
        assert torch.allclose(encoder(x).pooled, reference(x), atol=1e-5)


def test_the_swin_transformer_is_monais(monkeypatch: pytest.MonkeyPatch) -> None:
    from monai.networks.nets import swin_unetr

    def rearrange(x: Tensor, pattern: str) -> Tensor:
        before, _, after = pattern.partition(" -> ")
        return x.permute([before.split().index(axis) for axis in after.split()])

    monkeypatch.setattr(swin_unetr, "rearrange", rearrange)
    torch.manual_seed(0)
    encoder = BrainSegFounder(2, 12, (2, 2, 2, 2)).eval()
    x = torch.rand(1, 2, 32, 32, 64)
    with torch.no_grad():
        reference = encoder.swin(x)[4]
        tokens, pooled, _ = encoder(x)
        assert torch.allclose(tokens, reference.flatten(2).transpose(1, 2), atol=1e-5)
        assert torch.allclose(pooled, reference.mean(dim=(2, 3, 4)), atol=1e-5)
        t1 = encoder(x[:, :1]).pooled
        x[:, 1] = 0.0
        assert torch.equal(t1, encoder(x).pooled)
    with pytest.raises(MethodError, match="has 2 channels, not 3"):
        encoder(torch.rand(1, 3, 32, 32, 32))


def test_brainmvp_gives_tokens_in_the_volumes_own_order() -> None:
    torch.manual_seed(0)
    encoder = BrainMVP((4, 8, 8, 12), (1, 1, 1, 1), 4).eval()
    x = torch.rand(1, 1, 32, 48, 64)
    with torch.no_grad():
        before = encoder(x).tokens[0].reshape(2, 3, 4, 12)
        x[0, 0, 16:, 32:, :16] += 5.0  # position (1, 2, 0)
        moved = (encoder(x).tokens[0].reshape(2, 3, 4, 12) - before).abs().amax(dim=-1)
    assert int(moved.argmax()) == (1 * 3 + 2) * 4


def test_brain_jepa_positions(tmp_path: Path) -> None:
    kind, settings, shapes, wrappers = CASES["jepa"]
    encoder = kind(**settings).eval()
    assert isinstance(encoder, BrainJEPA)
    omega = 1.0 / 1e4 ** (np.arange(4) / 4.0)
    expected = np.concatenate([np.sin(1.0 * omega), np.cos(1.0 * omega)])
    assert np.allclose(encoder.time[3].detach(), expected)  # region 1, piece 1
    state = filled(shapes)
    encoder.load_pretrained(write(tmp_path, state, wrappers))
    x = torch.rand(2, 8, 3)
    x[1] = 0.0
    with pytest.raises(MethodError, match="needs the regions' gradients"):
        encoder.encode(x)
    gradients = np.random.default_rng(0).normal(size=(3, 5))
    np.savetxt(tmp_path / "gradients.csv", gradients, delimiter=",")
    encoder.read_gradients(tmp_path / "gradients.csv")
    with torch.no_grad():
        tokens, mask = encoder.embed(x)
        out = encoder.encode(x)
    assert mask.any(dim=1).tolist() == [True, False]
    assert not out.pooled[1].any()
    region, piece = 2, 1
    w = state["module.patch_embed.proj.weight"][:, 0, 0]
    token = w @ x[0, 4:8, region] + state["module.patch_embed.proj.bias"]
    name = "module.pos_embed_proj.predictor_pos_embed_proj"
    place = torch.tensor(gradients).float() @ state[f"{name}.weight"].T + state[f"{name}.bias"]
    place = (place - place.min()) / (place.max() - place.min()) * 2 - 1
    number = region * 2 + piece
    time = state["module.pos_embed_proj.emb_h"][number]
    assert torch.allclose(tokens[0, number], token + torch.cat([time, place[region]]), atol=1e-5)
    with pytest.raises(MethodError, match=r"takes series \(B, 8, 3\), not \(1, 9, 3\)"):
        encoder.encode(torch.rand(1, 9, 3))
    np.savetxt(tmp_path / "gradients.csv", gradients[:2], delimiter=",")
    with pytest.raises(MethodError, match=r"gradients are \(2, 5\), expected \(3, 5\)"):
        encoder.read_gradients(tmp_path / "gradients.csv")


def test_six_mers_as_documented() -> None:
    first = "ACGTGTACGTGCACGGACGACTAGTCAGCA"
    assert six_mers(first) == ["ACGTGT", "ACGTGC", "ACGGAC", "GACTAG", "TCAGCA"]
    second = "ACGTGTACNTGCACGGANCGACTAGTCTGA"
    words = ["ACGTGT", "A", "C", "N", "TGCACG", "G", "A", "N", "CGACTA", "GTCTGA"]
    assert six_mers(second) == words
    assert six_mers("") == []


def test_the_first_nucleotide_transformer_is_transformers_esm(tmp_path: Path) -> None:
    import json

    from transformers import EsmConfig, EsmForMaskedLM

    torch.manual_seed(0)
    reference = EsmForMaskedLM(EsmConfig(**V1, tie_word_embeddings=False)).eval()
    torch.save(reference.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(V1))
    with pytest.raises(MethodError, match=r"expected vocab\.txt"):
        NucleotideTransformer.from_folder(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY))
    encoder = NucleotideTransformer.from_folder(tmp_path).eval()
    texts = ["ACGTACTTTTTTG", "", "GGGGGGN"]
    ids, mask = encoder.tokenise(texts)
    assert ids.tolist() == [[3, 6, 7, 12], [1, 1, 1, 1], [3, 8, 13, 1]]
    with torch.no_grad():
        out = encoder.encode(texts)
        states = reference.esm(ids[:1], attention_mask=mask[:1].long()).last_hidden_state
    assert torch.allclose(out.tokens[0], states[0], atol=1e-5)
    assert torch.allclose(out.pooled[0], states[0].mean(dim=0), atol=1e-5)
    assert not out.pooled[1].any()
    with pytest.raises(MethodError, match="not \\['X'\\]"):
        encoder.encode(["ACGX"])
    with pytest.raises(MethodError, match="is beyond the encoder's 18"):
        encoder.encode(["N" * 18])
    with pytest.raises(MethodError, match="expected at most 14, among them"):
        NucleotideTransformer(["A"], V1)


def test_the_second_nucleotide_transformer_is_gated(tmp_path: Path) -> None:
    kind, settings, shapes, _ = CASES["nucleotide v2"]
    encoder = kind(**settings).eval()
    state = filled(shapes)
    encoder.load_pretrained(write(tmp_path, state, ()))
    layer = encoder.network.encoder.layer[1]
    x = torch.randn(4, 16)
    inner = x @ state["esm.encoder.layer.1.intermediate.dense.weight"].T
    gate, value = inner[:, :24], inner[:, 24:]
    expected = (gate * torch.sigmoid(gate) * value) @ state[
        "esm.encoder.layer.1.output.dense.weight"
    ].T
    with torch.no_grad():
        out = layer.output(layer.intermediate(x), torch.zeros(4, 16))
        pooled = encoder.encode(["ACGTAC", "ACGTACTTTTTTGGGGGG"]).pooled
        alone = encoder.encode(["ACGTAC"]).pooled
    assert torch.allclose(out, expected, atol=1e-5)
    assert torch.allclose(pooled[:1], alone, atol=1e-5)
