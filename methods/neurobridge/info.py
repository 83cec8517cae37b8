"""What NeuroBridge says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmark.api import MethodInfo, Shown, TrainerConfig, cnn_trainer, register


def _guided() -> TrainerConfig:
    return cnn_trainer(epochs=6)


def _fused() -> TrainerConfig:
    trainer = cnn_trainer(epochs=16)
    trainer.balance.weights = {"segmentation": 1.0, "atrophy": 1.0, "reconstruction": 0.2}
    return trainer


@dataclass
class NeuroBridgeConfig:
    """Settings of NeuroBridge, by default those of the small scale.

    Attributes:
        pretrained: Weights of the encoder: a pretraining of ``configs/pretraining`` or a folder;
            "" starts from scratch.
        encoder: ``conv`` or ``swin``.
        settings: The encoder's own settings, all but its grid; those of the pretraining.
        grid: Sides of the volumes that the network sees; empty: as stored.
        fit: How volumes come to that grid: ``pad`` or ``resample``.
        decoder_blocks: Residual blocks of both decoders at each scale but the coarsest, the finest
            first; empty: one each.
        norm: Norm of decoders and branches: ``group`` or ``batch``.
        width: Features of a stream, d.
        atlas: Whether segmentation starts from how often each voxel is hippocampus in training
            masks.
        ce_weight: Weight of the segmentation's cross-entropy beside Dice; a mean over all voxels,
            of which one in a thousand is hippocampus.
        volume_in_stream: Whether the segmentation's stream also holds the volume that it found.
        tasks_move_segmentation: Whether gradients of the tasks reach the segmentation through the
            stream that it weighs; if not, it stays a segmentation.
        mask_ratio: Share of the patches that are hidden from the encoder for reconstruction.
        reconstruct_share: Share of each batch that is also seen masked and reconstructed; 0: none.
        atrophy_threshold: Below how many standard deviations of the healthy a hippocampus counts
            as atrophied.
        guides_in_fusion: What the three guiding losses count in the fused phase, as a multiple of
            their weights.
        body_rate: Learning rate of what the guided phase has trained in the phase after it, as a
            multiple of ``trainer.lr``.
        dropout: Share of fused features dropped in training.
        guided: The training loop of the guided phase, segmentation, atrophy and reconstruction.
        trainer: The training loop of the fused phase; ``trainer.balance`` weighs both.
    """

    pretrained: str = "t1w_conv"
    encoder: str = "conv"
    settings: dict[str, Any] = field(
        default_factory=lambda: {
            "widths": [16, 32, 64],
            "blocks": [0, 1, 1],
            "stride": 2,
            "norm": "batch",
        }
    )
    grid: list[int] = field(default_factory=list)
    fit: str = "resample"
    decoder_blocks: list[int] = field(default_factory=lambda: [0, 0])
    norm: str = "batch"
    width: int = 64
    atlas: bool = True
    ce_weight: float = 100.0
    volume_in_stream: bool = True
    tasks_move_segmentation: bool = False
    mask_ratio: float = 0.5
    reconstruct_share: float = 0.25
    atrophy_threshold: float = -1.5
    guides_in_fusion: float = 0.2
    body_rate: float = 1.0
    dropout: float = 0.0
    guided: TrainerConfig = field(default_factory=_guided)
    trainer: TrainerConfig = field(default_factory=_fused)


def paper_config() -> NeuroBridgeConfig:
    """The scale of the paper: SwinUNETR-48 on 96 x 96 x 96 voxels."""
    fused = TrainerConfig(
        epochs=50, batch_size=4, lr=1e-4, weight_decay=0.05, warmup=0.1, keep="best"
    )
    fused.balance.weights = {"segmentation": 1.0, "atrophy": 1.0, "reconstruction": 0.2}
    return NeuroBridgeConfig(
        pretrained="",
        encoder="swin",
        settings={"feature_size": 48},
        grid=[96, 96, 96],
        decoder_blocks=[],
        norm="group",
        width=768,
        atlas=False,
        ce_weight=1.0,
        reconstruct_share=1.0,
        body_rate=1.0,
        guided=TrainerConfig(
            epochs=50, batch_size=4, lr=5e-4, weight_decay=0.05, warmup=0.1, keep="best"
        ),
        trainer=fused,
    )


# Nothing of masks: the first stream's weights over space are learned from the task alone.
_UNGUIDED: dict[str, object] = {
    "trainer.balance.weights.segmentation": 0.0,
    "trainer.balance.weights.atrophy": 0.0,
    "trainer.balance.weights.reconstruction": 0.0,
    "reconstruct_share": 0.0,
    "atlas": False,
    "volume_in_stream": False,
    "tasks_move_segmentation": True,
}

INFO = register(
    MethodInfo(
        name="neurobridge",
        title="NeuroBridge",
        summary="A convolutional encoder, pretrained by masked autoencoding, guided by hippocampal "
        "segmentation, atrophy and reconstruction, whose three streams are fused by gates.",
        model="model:NeuroBridge",
        tasks=("dx3", "conversion"),
        tracks=("t1w",),
        requires=("t1w",),
        multitask=True,
        config=NeuroBridgeConfig,
        variants={
            "neurobridge_elsewhere": {
                "title": "NeuroBridge, tasks beyond the paper's",
                "tasks": ("pd_hc", "brain_age"),
            },
            "neurobridge_scratch": {"title": "NeuroBridge, not pretrained", "pretrained": ""},
            "neurobridge_single": {
                "title": "NeuroBridge, single task",
                "multitask": False,
                **_UNGUIDED,
            },
            "neurobridge_uncertainty": {
                "title": "NeuroBridge, uncertainty weights",
                "trainer.balance.weighting": "uncertainty",
            },
        },
        paper="Li, Shen, Farris, Zhang, NeuroBridge (arXiv:2607.01401)",
        bibtex="@article{li2026neurobridge, author={Li and Shen and Farris and Zhang}, "
        "title={NeuroBridge}, journal={arXiv preprint arXiv:2607.01401}, year={2026}}",
        pretraining=("phantom-population:pretrain",),
        exposes=(
            Shown(
                "gate",
                kind="by_class",
                title="Gate weights",
                names=("segmentation", "atrophy", "reconstruction"),
                about="What each of three streams counts in the fusion, mean over channels.",
            ),
        ),
    )
)
