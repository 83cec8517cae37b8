"""What Flex-MoE says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from benchmark.api import MethodInfo, TrainerConfig, cnn_trainer, register


@dataclass
class RecordConfig:
    """The encoder of clinical record and report.

    Attributes:
        report: Whether record and report are one modality, ``joined``, or two, ``separate``.
        folder: A local Hugging Face folder; "" takes the installed sentence encoder.
        layers: Layers that are kept, from the first; 0 keeps all.
        max_tokens: Longest sentence in tokens.
        hidden: Features after the trained layer.
        dropout: Share of its input dropped in training.
    """

    report: str = "joined"
    folder: str = ""
    layers: int = 0
    max_tokens: int = 128
    hidden: int = 64
    dropout: float = 0.7


@dataclass
class VolumeConfig:
    """The encoder of T1w volumes.

    Attributes:
        encoder: ``conv`` or another of ``benchmark.encoders``.
        settings: The encoder's own settings, all but its grid.
        grid: Sides in voxels of the volumes that it sees; empty: as stored.
        fit: How volumes come to that grid: ``pad`` or ``resample``.
    """

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
    fit: str = "pad"


@dataclass
class TokensConfig:
    """The encoder of fMRI or of genotypes: a transformer over regions or SNPs.

    Attributes:
        width: Features of a token.
        depth: Transformer blocks.
        heads: Attention heads.
        dropout: On what each half of a block adds.
    """

    width: int = 32
    depth: int = 1
    heads: int = 4
    dropout: float = 0.1


@dataclass
class FusionConfig:
    """Tokens of modalities and the blocks over them.

    Attributes:
        missing: What stands for a modality that a person lacks: its vectors in the learned
            ``bank``, or ``zeros``, to which no place is added.
        bank_sd: Standard deviation of the bank before training.
        bank_decays: Whether weight decay acts on the bank and the places of tokens.
        norm: Of a modality's vector over the people of a batch (``batch``) or over its features
            (``layer``), without weights; ``none`` for none.
        tokens_from: What makes P tokens of that vector: one linear ``layer`` to all of them, or
            P ``pieces`` of it, each through the same linear layer.
        tokens: Tokens of a modality, P.
        width: Features of a token, d.
        depth: Blocks; experts are in the first, the third and so on.
        heads: Attention heads.
        dropout: On modalities' features, and on what each half of a block adds.
    """

    missing: str = "bank"
    bank_sd: float = 0.02
    bank_decays: bool = False
    norm: str = "batch"
    tokens_from: str = "layer"
    tokens: int = 4
    width: int = 64
    depth: int = 1
    heads: int = 4
    dropout: float = 0.5


@dataclass
class ExpertsConfig:
    """The sparse mixture of experts.

    Attributes:
        number: Experts, E; 0 puts one shared MLP in their place.
        chosen: Experts that a token takes, k.
        hidden: Width of an expert's hidden layer.
        shared_hidden: Width of the shared MLP's; 0 takes ``chosen`` times an expert's.
        shared_router: Whether G-router and S-router are one gate, told apart by their losses alone.
        balance_weight: Weight of the squared variation of importance and load; 0 for none.
        specialise_weight: Weight of the S-router's cross-entropy; 0 for none.
    """

    number: int = 16
    chosen: int = 4
    hidden: int = 128
    shared_hidden: int = 0
    shared_router: bool = True
    balance_weight: float = 1e-2
    specialise_weight: float = 1e-2


def _trainer(epochs: int) -> TrainerConfig:
    return replace(cnn_trainer(epochs), weight_decay=0.05)


@dataclass
class FlexConfig:
    """Settings of Flex-MoE.

    Attributes:
        record: Encoder of clinical record and report.
        smri: Encoder of T1w volumes.
        fmri: Encoder of time series.
        genetics: Encoder of genotypes.
        fusion: Tokens of modalities and the blocks over them.
        experts: The sparse mixture of experts.
        rate: Learning rate of all but the volume encoder, as a multiple of the stage's ``lr``.
        task_weights: By task, the weight of its loss, 1 where it is not named; a task that a fit
            does not have may be named.
        least_complete: Fewest training people with every modality for whom there is a first stage;
            a number above theirs leaves it out.
        complete: The training loop of the first stage, on people who have every modality. What the
            loss, the batches' labels and predictions are like is read of ``trainer`` for both.
        trainer: The training loop of the second stage, on everybody.
    """

    record: RecordConfig = field(default_factory=RecordConfig)
    smri: VolumeConfig = field(default_factory=VolumeConfig)
    fmri: TokensConfig = field(default_factory=TokensConfig)
    genetics: TokensConfig = field(default_factory=TokensConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    experts: ExpertsConfig = field(default_factory=ExpertsConfig)
    rate: float = 0.06
    task_weights: dict[str, float] = field(default_factory=lambda: {"conversion": 0.2})
    least_complete: int = 32
    complete: TrainerConfig = field(default_factory=lambda: _trainer(4))
    trainer: TrainerConfig = field(default_factory=lambda: _trainer(14))


INFO = register(
    MethodInfo(
        name="flex_moe",
        title="Flex-MoE, four modalities",
        summary="T1w, fMRI, clinical text and genetics through one block with sparse experts; a "
        "learned bank stands for what a person lacks, and each combination has its expert.",
        model="model:FlexMoE",
        tasks=("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc", "impaired"),
        tracks=("all",),
        copes_with_missing=True,
        multitask=True,
        config=FlexConfig,
        variants={
            "flex_zero": {"title": "Flex-MoE, zeros for the missing", "fusion.missing": "zeros"},
            "flex_dense": {"title": "Flex-MoE without experts", "experts.number": 0},
            "flex_single": {
                "title": "Flex-MoE, single task",
                "multitask": False,
                "task_weights.conversion": 1.0,
            },
        },
        paper="Yun et al. 2024, Flex-MoE: Modeling arbitrary modality combination via the flexible "
        "mixture-of-experts, NeurIPS 2024 (arXiv:2410.08245)",
        bibtex="@inproceedings{yun2024flexmoe, author={Yun, Sukwon and Choi, Inyoung and Peng, Jie "
        "and Wu, Yangfan and Bao, Jingxuan and Zhang, Qiyiwen and Xin, Jiayi and Long, Qi and "
        "Chen, Tianlong}, title={Flex-MoE: Modeling Arbitrary Modality Combination via the "
        "Flexible Mixture-of-Experts}, booktitle={NeurIPS}, year={2024}}",
    )
)
