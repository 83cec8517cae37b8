"""What joint adaptation by anchored Q-formers says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from benchmark.api import MethodInfo, Shown, TrainerConfig, cnn_trainer, register


@dataclass
class TextConfig:
    """The encoder of clinical record and written report.

    Attributes:
        folder: A local Hugging Face folder; "" takes the installed sentence encoder.
        layers: Layers that are kept, from the first; 0 keeps all.
        max_tokens: Longest text in tokens.
        keep: What stays of a longer one: its ``start``, its ``end``, or half of either (``ends``).
        order: Order of a report's statements: ``written``, or ``salient`` for those with a number,
            then affirmed ones, then denied ones, so that a cut takes denials.
        dtype: Of the weights, e.g. ``bfloat16``.
        tune_embeddings: Whether the first stage also trains embeddings of words.
    """

    folder: str = ""
    layers: int = 2
    max_tokens: int = 48
    keep: str = "start"
    order: str = "salient"
    dtype: str = "float32"
    tune_embeddings: bool = False


@dataclass
class VolumeConfig:
    """The encoder of T1w volumes; ``pretrained`` names its weights.

    Attributes:
        encoder: ``volume_vit``, ``dense_vit``, or a released one: ``m3d-clip``, ``brainiac``.
        settings: The encoder's own settings, all but its grid; those of the pretraining. Of a
            released one what differs from the released sizes.
        grid: Sides in voxels of the volumes that it sees; empty: as stored.
        fit: How volumes come to that grid: ``pad`` or ``resample``.
    """

    encoder: str = "volume_vit"
    settings: dict[str, Any] = field(
        default_factory=lambda: {
            "patch": [8, 8, 8],
            "width": 96,
            "depth": 2,
            "heads": 4,
            "mlp_ratio": 2.0,
            "pooled": "mean",
        }
    )
    grid: list[int] = field(default_factory=list)
    fit: str = "pad"


@dataclass
class SeriesConfig:
    """The encoder of fMRI time series: one token a region.

    Attributes:
        encoder: ``own``, or the released ``brain-jepa``, which takes 160 frames of 450 regions and
            none of the sizes below.
        folder: Weights of a released one, with the regions' gradients beside them.
        settings: What differs from its released sizes.
        width: Features of a token.
        depth: Transformer blocks.
        heads: Attention heads.
        patch: Frames of a piece of a series, where tokens carry a summary of it.
        series: Whether they do, besides the region's row of correlations.
        dropout: On what each half of a block adds.
    """

    encoder: str = "own"
    folder: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    width: int = 32
    depth: int = 1
    heads: int = 4
    patch: int = 2
    series: bool = False
    dropout: float = 0.1


@dataclass
class GeneticsConfig:
    """The encoder of genotypes: one token a SNP, one for APOE e4, one for a polygenic score.

    Attributes:
        encoder: ``own``, or the released ``nucleotide-transformer``, which reads the DNA around
            each SNP and takes none of the sizes below.
        folder: A released one, with the DNA around each SNP beside its weights.
        log_odds: Published log odds ratio per counted allele by SNP, as the cohort names it
            (``rs6733839_T``): the weights of the polygenic score. Empty: they are learned.
        width: Features of a token.
        depth: Transformer blocks.
        heads: Attention heads.
        dropout: On what each half of a block adds.
    """

    encoder: str = "own"
    folder: str = ""
    log_odds: dict[str, float] = field(default_factory=dict)
    width: int = 32
    depth: int = 1
    heads: int = 4
    dropout: float = 0.1


@dataclass
class StageConfig:
    """The first stage of one modality: its encoder and a linear head.

    Attributes:
        encoder_rate: Learning rate of the encoder, as a multiple of the head's; 0 freezes it, its
            dropout and its statistics with it.
        dropout: Share of pooled features dropped before the head.
        trainer: The training loop.
    """

    encoder_rate: float = 1.0
    dropout: float = 0.0
    trainer: TrainerConfig = field(default_factory=TrainerConfig)


@dataclass
class FusionConfig:
    """The second stage.

    Attributes:
        kind: ``anchored``: every modality in turn is the anchor, and the others write into its
            input. ``concat``: pooled features side by side through an MLP.
        n_queries: Queries of each cross-attention, N_q; 0 leaves each modality alone, and the mean
            of their answers is late fusion.
        dim: Width inside the Q-formers; 0 takes the anchor's own.
        heads: Attention heads inside the Q-formers.
        query_sd: Standard deviation of the queries at first.
        norm_place: Of the norm of a cross-attention: ``post``, on queries and what they read, or
            ``pre``, on the queries alone before they read.
        pool: What the anchor's answer is read from: the mean over ``all`` of its tokens, or over
            its ``own``, not those that the others wrote.
        vote: What is averaged over the anchors that a person has: ``probabilities`` or ``logits``.
        loss: What is learned from: the mean of the ``anchors``' own losses, or that of the
            ``answer``.
        lora_rank: Rank of the anchor's low-rank updates.
        lora_alpha: They are scaled by alpha / rank.
        lora_dropout: On their input, while training.
        auxiliary_dropout: Probability that a modality which is there is hidden from another's
            round, while training.
        hidden: Width of the MLP of ``concat``.
        head_rate: Learning rate of the heads, as a multiple of ``trainer.lr``.
        standardise: Whether features are standardised over people before the heads, in both stages.
        heads_zero_start: Whether the heads of both stages start at 0, even odds for everybody.
    """

    kind: str = "anchored"
    n_queries: int = 4
    dim: int = 64
    heads: int = 4
    query_sd: float = 0.02
    norm_place: str = "post"
    pool: str = "all"
    vote: str = "probabilities"
    loss: str = "anchors"
    lora_rank: int = 8
    lora_alpha: float = 16.0
    lora_dropout: float = 0.0
    auxiliary_dropout: float = 0.2
    hidden: int = 64
    head_rate: float = 1.0
    standardise: bool = True
    heads_zero_start: bool = True


def _text_stage() -> StageConfig:
    return StageConfig(encoder_rate=0.5, trainer=TrainerConfig(epochs=4, lr=3e-4, keep="last"))


def _smri_stage() -> StageConfig:
    return StageConfig(trainer=replace(cnn_trainer(epochs=14), lr=1e-3, flip_average=False))


def _small_stage(epochs: int, lr: float) -> StageConfig:
    return StageConfig(trainer=TrainerConfig(epochs=epochs, lr=lr, keep="best"))


def _fusion() -> TrainerConfig:
    return TrainerConfig(epochs=6, lr=1e-3, keep="best", warmup=0.1)


@dataclass
class AnchoredConfig:
    """Settings, by default those of the small scale.

    Attributes:
        text: Encoder of clinical record and report.
        smri: Encoder of T1w volumes.
        fmri: Encoder of time series.
        genetics: Encoder of genotypes.
        text_stage: First stage of the text.
        smri_stage: First stage of the volumes.
        fmri_stage: First stage of the time series.
        genetics_stage: First stage of the genotypes.
        fusion: The second stage.
        pretrained: Pretraining whose weights the volume encoder starts from, or a folder; "":
            scratch.
        complete_only: Learn only from people who have all that is read of them, of what anybody
            has, for comparison.
        task_weights: By task, the weight of its loss in both stages, 1 where it is not named; a
            task that a fit does not have may be named.
        trainer: The training loop of the second stage.
    """

    text: TextConfig = field(default_factory=TextConfig)
    smri: VolumeConfig = field(default_factory=VolumeConfig)
    fmri: SeriesConfig = field(default_factory=SeriesConfig)
    genetics: GeneticsConfig = field(default_factory=GeneticsConfig)
    text_stage: StageConfig = field(default_factory=_text_stage)
    smri_stage: StageConfig = field(default_factory=_smri_stage)
    fmri_stage: StageConfig = field(default_factory=lambda: _small_stage(10, 5e-4))
    genetics_stage: StageConfig = field(default_factory=lambda: _small_stage(8, 3e-4))
    fusion: FusionConfig = field(default_factory=FusionConfig)
    pretrained: str = "t1w_vit"
    complete_only: bool = False
    task_weights: dict[str, float] = field(default_factory=lambda: {"conversion": 0.2})
    trainer: TrainerConfig = field(default_factory=_fusion)


def paper_config(text_folder: str = "") -> AnchoredConfig:
    """The scale of the paper, as far as it is known: docs/methods/anchored_qformer.md.

    Args:
        text_folder: A local Hugging Face folder of a language model.
    """

    def stage(epochs: int) -> StageConfig:
        trainer = TrainerConfig(epochs=epochs, batch_size=8, lr=1e-4, weight_decay=0.05)
        return StageConfig(trainer=trainer)

    return AnchoredConfig(
        text=TextConfig(text_folder, layers=0, max_tokens=512, order="written", dtype="bfloat16"),
        smri=VolumeConfig(
            encoder="volume_vit",
            settings={
                "patch": [16, 16, 16],
                "width": 768,
                "depth": 12,
                "heads": 12,
                "mlp_ratio": 4.0,
            },
            grid=[96, 96, 96],
        ),
        fmri=SeriesConfig(width=768, depth=12, heads=12, patch=16, series=True),
        genetics=GeneticsConfig(width=1024, depth=24, heads=16),
        text_stage=replace(stage(20), encoder_rate=0.0),
        smri_stage=stage(50),
        fmri_stage=stage(50),
        genetics_stage=stage(50),
        fusion=FusionConfig(n_queries=16, dim=1024, heads=8, auxiliary_dropout=0.0),
        pretrained="",
        task_weights={},
        trainer=TrainerConfig(epochs=50, batch_size=8, lr=1e-4, weight_decay=0.05),
    )


INFO = register(
    MethodInfo(
        name="anchored_qformer",
        title="Anchored Q-formers, four modalities",
        summary="T1w, fMRI, clinical text and genetics: each modality's encoder in turn reads what "
        "Q-formers write into its input from the others; the answers are averaged.",
        model="model:AnchoredQFormer",
        tasks=("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc", "impaired"),
        tracks=("all", "t1w+clinical+report", "clinical+report", "t1w", "fmri", "genetic"),
        copes_with_missing=True,
        multitask=True,
        config=AnchoredConfig,
        scales={"paper": paper_config},
        variants={
            "qformer_late": {
                "title": "Late fusion of four modalities",
                "fusion.n_queries": 0,
            },
            "early_concat": {
                "title": "Concatenated features of four modalities",
                "fusion.kind": "concat",
            },
            "qformer_text_smri": {
                "title": "Anchored Q-formers, text and T1w",
                "track": "t1w+clinical+report",
            },
            "qformer_single": {
                "title": "Anchored Q-formers, task by task",
                "multitask": False,
                "task_weights.conversion": 1.0,
            },
            "qformer_text": {
                "title": "Clinical text alone",
                "track": "clinical+report",
                "pretrained": "",
            },
            "qformer_smri": {"title": "T1w alone", "track": "t1w"},
            "qformer_fmri": {"title": "fMRI alone", "track": "fmri", "pretrained": ""},
            "qformer_genetics": {
                "title": "Genetics alone",
                "track": "genetic",
                "pretrained": "",
            },
        },
        paper="Joint adaptation of uni-modal foundation models for multi-modal Alzheimer's disease "
        "diagnosis, ICLR 2026 (submission 11971)",
        pretraining=("phantom-population:pretrain",),
        exposes=(
            Shown(
                "cross_mass",
                kind="by_class",
                title="Attention by modality",
                names=("text", "T1w", "fMRI", "genetics"),
                names_by_track={"t1w+clinical+report": ("text", "T1w")},
                about="What each modality got from the cross path, mean over a person's anchors; "
                "0 where it is missing.",
            ),
        ),
    )
)
