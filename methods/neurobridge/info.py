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
        norm: Norm of decoders and branches: ``group`` or ``batch``; with ``group``, branches
            normalise the channels of each position by themselves.
        width: Features of a stream, d.
        gate: Weights of the streams: one in each ``channel``, or one for a whole ``stream``.
        gate_zero_start: Whether the gate starts at 0, so that all streams count alike.
        atlas: Whether segmentation starts from how often each voxel is hippocampus in training
            masks.
        atlas_mirrored: Whether the atlas is averaged with its mirror image.
        atlas_smoothing: Voxels that it is averaged over along each axis, an odd number; 1: none.
        atlas_least_share: Share of people that it has everywhere at least, so that the hippocampus
            is ruled out nowhere.
        ce_weight: Weight of the segmentation's cross-entropy beside Dice; a mean over all voxels,
            of which one in a thousand is hippocampus.
        masks_count_as_all: Whether the segmentation's loss counts as if everybody had a mask; if
            not, people without one add 0 to the mean.
        segmentation_pooling: How h becomes the segmentation's stream: its mean weighted by the
            ``probability`` of hippocampus, or its plain ``mean``.
        volume_in_stream: Whether the segmentation's stream also holds the volume that it found.
        volume_reference: Whose masks tell the mean and deviation that this volume is measured by:
            those of ``everyone`` in training, or of the ``healthy`` there.
        volume_zero_start: Whether the stream's weights on the volume start at 0.
        tasks_move_segmentation: Whether gradients of the tasks reach the segmentation through the
            stream that it weighs; if not, it stays a segmentation.
        mask_ratio: Share of the patches that are hidden from the encoder for reconstruction.
        reconstruct_share: Share of each batch that is also seen masked and reconstructed; 0: none.
        reconstruction_loss: Error of a hidden voxel: ``l1`` or ``mse``.
        atrophy_threshold: Below how many standard deviations of the healthy a hippocampus counts
            as atrophied.
        atrophy_adjusted_for: What the volume is adjusted for where it is known of everybody with a
            mask in training: ``head_size_mm3``, ``age_years``, both or nothing.
        atrophy_reference: Whose volumes are the standard: those of the ``healthy`` in training, or
            of ``everyone`` there.
        atrophy_least_reference: How many people the standard needs at least; with fewer, nobody is
            said to have atrophy.
        atrophy_balanced: Whether both classes of atrophy weigh the same in its loss.
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
    gate: str = "channel"
    gate_zero_start: bool = True
    atlas: bool = True
    atlas_mirrored: bool = True
    atlas_smoothing: int = 3
    atlas_least_share: float = 1e-3
    ce_weight: float = 100.0
    masks_count_as_all: bool = True
    segmentation_pooling: str = "probability"
    volume_in_stream: bool = True
    volume_reference: str = "everyone"
    volume_zero_start: bool = True
    tasks_move_segmentation: bool = False
    mask_ratio: float = 0.5
    reconstruct_share: float = 0.25
    reconstruction_loss: str = "l1"
    atrophy_threshold: float = -1.5
    atrophy_adjusted_for: list[str] = field(default_factory=lambda: ["head_size_mm3", "age_years"])
    atrophy_reference: str = "healthy"
    atrophy_least_reference: int = 10
    atrophy_balanced: bool = False
    guides_in_fusion: float = 0.2
    body_rate: float = 1.0
    dropout: float = 0.0
    guided: TrainerConfig = field(default_factory=_guided)
    trainer: TrainerConfig = field(default_factory=_fused)


def paper_config() -> NeuroBridgeConfig:
    """The scale of the paper: SwinUNETR-48 on 96 x 96 x 96 voxels."""
    fused = TrainerConfig(
        epochs=50,
        batch_size=4,
        lr=1e-4,
        weight_decay=0.05,
        schedule="cosine",
        warmup=0.1,
        keep="best",
        predict_batch_size=4,
    )
    fused.balance.weights = {"segmentation": 1.0, "atrophy": 1.0, "reconstruction": 0.2}
    return NeuroBridgeConfig(
        pretrained="t1w_swin",
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
            epochs=50,
            batch_size=4,
            lr=5e-4,
            weight_decay=0.05,
            schedule="cosine",
            warmup=0.1,
            keep="best",
            predict_batch_size=4,
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
        scales={"paper": paper_config},
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
