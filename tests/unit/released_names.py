"""Names and shapes of released weights, written down from the public repositories that the
loaders cite, not taken from the code under test.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchmark.encoders.released import (
    M3DCLIP,
    BrainIAC,
    BrainIACResNet,
    BrainJEPA,
    BrainMVP,
    BrainSegFounder,
    NucleotideTransformer,
)
from benchmark.encoders.released.files import ReleasedEncoder

Shapes = dict[str, tuple[int, ...]]


def linear(name: str, outputs: int, inputs: int, *, bias: bool = True) -> Shapes:
    shapes: Shapes = {f"{name}.weight": (outputs, inputs)}
    return shapes | ({f"{name}.bias": (outputs,)} if bias else {})


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def batch_norm(name: str, width: int) -> Shapes:
    running = {f"{name}.running_mean": (width,), f"{name}.running_var": (width,)}
    return norm(name, width) | running | {f"{name}.num_batches_tracked": ()}


def joined(*parts: Shapes) -> Shapes:
    return {name: shape for part in parts for name, shape in part.items()}


def prefixed(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


def filled(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)

    def one(name: str, shape: tuple[int, ...]) -> Tensor:
        if name.endswith("num_batches_tracked"):
            return torch.tensor(7)
        values = 0.2 * torch.randn(shape, generator=g)
        return values.abs() + 0.5 if name.endswith("running_var") else values

    return {name: one(name, shape) for name, shape in shapes.items()}


def monai_blocks(depth: int, d: int, hidden: int) -> Shapes:
    return joined(
        *(
            joined(
                linear(f"blocks.{i}.mlp.linear1", hidden, d),
                linear(f"blocks.{i}.mlp.linear2", d, hidden),
                norm(f"blocks.{i}.norm1", d),
                linear(f"blocks.{i}.attn.out_proj", d, d),
                linear(f"blocks.{i}.attn.qkv", 3 * d, d, bias=False),
                norm(f"blocks.{i}.norm2", d),
            )
            for i in range(depth)
        ),
        norm("norm", d),
    )


def m3d_tower(depth: int, d: int, hidden: int, tokens: int, voxels: int) -> Shapes:
    return joined(
        {"cls_token": (1, 1, d), "patch_embedding.position_embeddings": (1, tokens, d)},
        linear("patch_embedding.patch_embeddings.1", d, voxels),
        monai_blocks(depth, d, hidden),
    )


def m3d(depth: int, d: int, hidden: int, tokens: int, voxels: int) -> Shapes:
    return joined(
        prefixed("vision_encoder.", m3d_tower(depth, d, hidden, tokens, voxels)),
        linear("mm_vision_proj", d, d),
        linear("mm_language_proj", d, d),
        {"logit_scale": (), "language_encoder.embeddings.word_embeddings.weight": (9, d)},
    )


def brainiac(depth: int, d: int, hidden: int, tokens: int, patch: int) -> Shapes:
    tower = joined(
        {
            "patch_embedding.position_embeddings": (1, tokens, d),
            "patch_embedding.patch_embeddings.weight": (d, 1, patch, patch, patch),
            "patch_embedding.patch_embeddings.bias": (d,),
        },
        monai_blocks(depth, d, hidden),
    )
    return prefixed("backbone.", tower) | linear("projection.0", d, d)


def resnet(blocks: tuple[int, ...], widths: tuple[int, ...]) -> Shapes:
    parts: list[Shapes] = [
        {"conv1.weight": (widths[0], 1, 7, 7, 7)},
        batch_norm("bn1", widths[0]),
    ]
    before = widths[0]
    for stage, (count, width) in enumerate(zip(blocks, widths, strict=True), start=1):
        for i in range(count):
            name = f"layer{stage}.{i}"
            parts += [
                {f"{name}.conv1.weight": (width, before, 1, 1, 1)},
                batch_norm(f"{name}.bn1", width),
                {f"{name}.conv2.weight": (width, width, 3, 3, 3)},
                batch_norm(f"{name}.bn2", width),
                {f"{name}.conv3.weight": (4 * width, width, 1, 1, 1)},
                batch_norm(f"{name}.bn3", 4 * width),
            ]
            if i == 0:
                parts += [
                    {f"{name}.downsample.0.weight": (4 * width, before, 1, 1, 1)},
                    {f"{name}.downsample.0.bias": (4 * width,)},
                    batch_norm(f"{name}.downsample.1", 4 * width),
                ]
            before = 4 * width
    return prefixed("backbone.", joined(*parts))


def swin(channels: int, size: int, depths: tuple[int, ...], heads: tuple[int, ...]) -> Shapes:
    parts: list[Shapes] = [
        {"patch_embed.proj.weight": (size, channels, 2, 2, 2), "patch_embed.proj.bias": (size,)}
    ]
    for stage, (depth, count) in enumerate(zip(depths, heads, strict=True)):
        d = size * 2**stage
        for i in range(depth):
            name = f"layers{stage + 1}.0.blocks.{i}"
            parts += [
                norm(f"{name}.norm1", d),
                {f"{name}.attn.relative_position_bias_table": (13**3, count)},
                {f"{name}.attn.relative_position_index": (343, 343)},
                linear(f"{name}.attn.qkv", 3 * d, d),
                linear(f"{name}.attn.proj", d, d),
                norm(f"{name}.norm2", d),
                linear(f"{name}.mlp.linear1", 4 * d, d),
                linear(f"{name}.mlp.linear2", d, 4 * d),
            ]
        parts += [
            linear(f"layers{stage + 1}.0.downsample.reduction", 2 * d, 8 * d, bias=False),
            norm(f"layers{stage + 1}.0.downsample.norm", 8 * d),
        ]
    last = 16 * size
    heads_of_training = joined(
        linear("rotation_head", 4, last), linear("contrastive_head", 512, last), norm("conv.0", 3)
    )
    return prefixed("module.", prefixed("swinViT.", joined(*parts)) | heads_of_training)


def conv(name: str, outputs: int, inputs: int, side: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, side, side, side), f"{name}.bias": (outputs,)}


def uniformer(widths: tuple[int, ...], depths: tuple[int, ...]) -> Shapes:
    parts: list[Shapes] = []
    before = 1
    for stage, (d, depth) in enumerate(zip(widths, depths, strict=True), start=1):
        parts += [
            conv(f"patch_embed{stage}.proj", d, before, 2),
            norm(f"patch_embed{stage}.norm", d),
        ]
        before = d
        for i in range(depth):
            name = f"blocks{stage}.{i}"
            parts.append(conv(f"{name}.pos_embed", d, 1, 3))
            if stage <= 2:
                parts += [
                    batch_norm(f"{name}.norm1", d),
                    conv(f"{name}.conv1", d, d, 1),
                    conv(f"{name}.conv2", d, d, 1),
                    conv(f"{name}.attn", d, 1, 5),
                    batch_norm(f"{name}.norm2", d),
                    conv(f"{name}.mlp.fc1", 4 * d, d, 1),
                    conv(f"{name}.mlp.fc2", d, 4 * d, 1),
                ]
            else:
                parts += [
                    norm(f"{name}.norm1", d),
                    linear(f"{name}.attn.qkv", 3 * d, d),
                    linear(f"{name}.attn.proj", d, d),
                    norm(f"{name}.norm2", d),
                    linear(f"{name}.mlp.fc1", 4 * d, d),
                    linear(f"{name}.mlp.fc2", d, 4 * d),
                ]
    tower = joined(*parts, batch_norm("norm", before))
    beside: Shapes = {"rep_template": (8, 2, 2, 2), "decoder.out_1.conv.conv.bias": (1,)}
    return prefixed("module.", prefixed("encoder.uniformer.", tower) | beside)


def jepa(regions: int, pieces: int, piece: int, gradients: int, d: int, depth: int) -> Shapes:
    parts = [
        {"patch_embed.proj.weight": (d, 1, 1, piece), "patch_embed.proj.bias": (d,)},
        {"pos_embed_proj.emb_h": (regions * pieces, d // 2)},
        linear("pos_embed_proj.predictor_pos_embed_proj", d // 2, gradients),
        norm("norm", d),
    ]
    for i in range(depth):
        parts += [
            norm(f"blocks.{i}.norm1", d),
            linear(f"blocks.{i}.attn.qkv", 3 * d, d),
            linear(f"blocks.{i}.attn.proj", d, d),
            norm(f"blocks.{i}.norm2", d),
            linear(f"blocks.{i}.mlp.fc1", 4 * d, d),
            linear(f"blocks.{i}.mlp.fc2", d, 4 * d),
        ]
    return prefixed("module.", joined(*parts))


V2 = {
    "add_bias_fnn": False,
    "vocab_size": 14,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 20,
    "position_embedding_type": "rotary",
    "token_dropout": False,
    "pad_token_id": 1,
    "mask_token_id": 2,
    "layer_norm_eps": 1e-12,
    "emb_layer_norm_before": False,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
V1 = {k: v for k, v in V2.items() if k != "add_bias_fnn"} | {
    "position_embedding_type": "absolute",
    "token_dropout": True,
}
VOCABULARY = ["<unk>", "<pad>", "<mask>", "<cls>", "<eos>", "<bos>"]
VOCABULARY += ["ACGTAC", "TTTTTT", "GGGGGG", *"ATCGN"]


def nucleotide_v2() -> Shapes:
    d, hidden, head = 16, 24, 8
    parts: list[Shapes] = [
        {"esm.embeddings.word_embeddings.weight": (14, d)},
        {"esm.embeddings.position_embeddings.weight": (20, d)},
        norm("esm.encoder.emb_layer_norm_after", d),
        linear("esm.contact_head.regression", 1, 4),
        linear("lm_head.dense", d, d),
    ]
    for i in range(2):
        name = f"esm.encoder.layer.{i}"
        parts += [
            *(linear(f"{name}.attention.self.{p}", d, d) for p in ("query", "key", "value")),
            {f"{name}.attention.self.rotary_embeddings.inv_freq": (head // 2,)},
            linear(f"{name}.attention.output.dense", d, d),
            norm(f"{name}.attention.LayerNorm", d),
            linear(f"{name}.intermediate.dense", 2 * hidden, d, bias=False),
            linear(f"{name}.output.dense", d, hidden, bias=False),
            norm(f"{name}.LayerNorm", d),
        ]
    return joined(*parts)


SMALL_JEPA = {"regions": 3, "frames": 8, "piece": 4, "gradients": 5}
SMALL_VIT = {"width": 16, "depth": 2, "heads": 2, "hidden": 24}
CASES: dict[str, tuple[type[ReleasedEncoder], dict, Shapes, tuple[str, ...]]] = {
    "m3d": (
        M3DCLIP,
        {"shape": (8, 8, 8), "patch": (2, 4, 4), **SMALL_VIT},
        m3d(2, 16, 24, 16, 32),
        (),
    ),
    "m3d tower": (
        M3DCLIP,
        {"shape": (8, 8, 8), "patch": (2, 4, 4), "projection": False, **SMALL_VIT},
        m3d_tower(2, 16, 24, 16, 32),
        (),
    ),
    "m3d without projection": (
        M3DCLIP,
        {"shape": (8, 8, 8), "patch": (2, 4, 4), "projection": False, **SMALL_VIT},
        m3d(2, 16, 24, 16, 32),
        (),
    ),
    "brainiac": (
        BrainIAC,
        {"shape": (8, 8, 8), "patch": (4, 4, 4), **SMALL_VIT},
        brainiac(2, 16, 24, 8, 4),
        ("state_dict",),
    ),
    "resnet": (
        BrainIACResNet,
        {"blocks": (1, 1, 2, 1), "widths": (4, 6, 8, 10)},
        resnet((1, 1, 2, 1), (4, 6, 8, 10)),
        ("state_dict",),
    ),
    "brainsegfounder": (
        BrainSegFounder,
        {"channels": 2, "feature_size": 12, "depths": (1, 2, 1, 1)},
        swin(2, 12, (1, 2, 1, 1), (3, 6, 12, 24)),
        ("state_dict",),
    ),
    "brainmvp": (
        BrainMVP,
        {"widths": (4, 8, 8, 12), "depths": (1, 2, 2, 1), "head": 4},
        uniformer((4, 8, 8, 12), (1, 2, 2, 1)),
        ("state_dict",),
    ),
    "jepa": (
        BrainJEPA,
        {**SMALL_JEPA, "width": 16, "depth": 2, "heads": 2},
        jepa(3, 2, 4, 5, 16, 2),
        ("target_encoder",),
    ),
    "nucleotide v2": (
        NucleotideTransformer,
        {"vocabulary": VOCABULARY, "settings": V2},
        nucleotide_v2(),
        (),
    ),
}


def write(folder: Path, state: Mapping[str, Tensor], wrappers: tuple[str, ...]) -> Path:
    content: object = dict(state)
    for wrapper in wrappers:
        content = {wrapper: content, "epoch": 3, "optimizer": {"lr": 0.1}}
    file = folder / "weights.bin"
    torch.save(content, file)
    return file
