"""What DenseFormer-MoE says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from benchmark.api import MethodInfo, Shown, TrainerConfig, cnn_trainer, register


@dataclass
class BackboneConfig:
    """Sizes of the backbone, ``benchmark.encoders.DenseViT``.

    Attributes:
        stem: Channels of the first convolution, which halves each side.
        stem_pool: Whether a max-pooling halves each side once more.
        blocks: Layers of each dense block; each block ends by halving each side.
        growth: Channels that each layer adds.
        bottleneck: Channels of a layer's first convolution, as a multiple of ``growth``.
        norm: Norm of the stem: ``batch``, ``group`` or ``instance``.
        width: Features of a token, d.
        depth: Transformer blocks.
        heads: Attention heads of each.
        mlp_ratio: Hidden width of a block's MLP, as a multiple of ``width``.
        dropout: Share of activations dropped in training.
        pooled: What stands for the scan: the ``mean`` of its tokens, or the ``cls`` token.
    """

    stem: int = 16
    stem_pool: bool = True
    blocks: list[int] = field(default_factory=lambda: [4])
    growth: int = 8
    bottleneck: int = 2
    norm: str = "batch"
    width: int = 96
    depth: int = 2
    heads: int = 4
    mlp_ratio: float = 2.0
    dropout: float = 0.0
    pooled: str = "mean"


@dataclass
class ExpertsConfig:
    """The mixture of experts between backbone and heads.

    Attributes:
        kind: ``mixture``, or ``shared`` for one expert as wide as ``number`` of them, which makes
            the network a plain shared bottom at every scale.
        number: Experts, E.
        chosen: Experts that a task takes for a person, k; of a ``shared`` one, that one.
        hidden: Width of an expert's hidden layer.
        dropout: Share of an expert's hidden activations dropped in training.
        zero_start: Whether an expert's last layer starts at 0: at first a task reads f alone.
        residual: Whether a task's head reads f plus what the experts say; if not, that alone.
        gate: ``noisy-topk``, or ``soft`` for a weight on every expert.
        gate_zero_start: Whether the gates' matrices start at 0, so that experts start evenly used.
        noise: Of ``noisy-topk`` in training: ``learned`` standard deviations, or ``none``.
        balance: What keeps experts in use: ``cv2`` (squared coefficient of variation of importance
            and load) or ``switch``.
        balance_over: Whether experts shall be in even use over all tasks ``together``, or by
            ``each`` task.
        balance_weight: Weight of that term; 0 for none.
    """

    kind: str = "mixture"
    number: int = 4
    chosen: int = 2
    hidden: int = 96
    dropout: float = 0.0
    zero_start: bool = True
    residual: bool = True
    gate: str = "noisy-topk"
    gate_zero_start: bool = True
    noise: str = "learned"
    balance: str = "cv2"
    balance_over: str = "together"
    balance_weight: float = 1e-2


@dataclass
class DenseFormerConfig:
    """Settings of DenseFormer-MoE.

    Attributes:
        backbone: Sizes of stem and transformer; a pretraining's must be the same.
        experts: The mixture of experts.
        grid: Sides in voxels of the volumes that the backbone sees; empty: as stored.
        fit: How volumes come to that grid: ``pad`` or ``resample``.
        feature_norm: Norm of f, with nothing learned: ``batch``, ``layer`` or ``none``.
        stem_rate: Learning rate of the stem's convolutions, as a multiple of ``trainer.lr``.
        head_rate: That of experts, gates and heads.
        pretrained: Pretraining whose weights the backbone starts from, or a folder; "": scratch.
        trainer: The training loop.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    experts: ExpertsConfig = field(default_factory=ExpertsConfig)
    grid: list[int] = field(default_factory=list)
    fit: str = "pad"
    feature_norm: str = "batch"
    stem_rate: float = 5.0
    head_rate: float = 1.0
    pretrained: str = "t1w_dense_vit"
    trainer: TrainerConfig = field(
        default_factory=lambda: replace(cnn_trainer(epochs=22), lr=1e-3, even_labels=True)
    )


# The published sizes where they are known, else inferred ones: docs/methods/denseformer_moe.md.
PAPER: dict[str, object] = {
    "grid": [96, 96, 96],
    "backbone.stem": 64,
    "backbone.blocks": [6, 12],
    "backbone.growth": 32,
    "backbone.bottleneck": 4,
    "backbone.width": 768,
    "backbone.depth": 12,
    "backbone.heads": 12,
    "backbone.mlp_ratio": 4.0,
    "backbone.pooled": "cls",
    "experts.number": 8,
    "experts.hidden": 3072,
    "stem_rate": 1.0,
    "pretrained": "t1w_dense_vit_paper",
    "trainer.lr": 1e-4,
    "trainer.weight_decay": 0.05,
    "trainer.schedule": "cosine",
    "trainer.epochs": 100,
    "trainer.predict_batch_size": 4,
}


def paper_config() -> DenseFormerConfig:
    """Settings at the paper's scale: 96^3 voxels, ViT-B, top 2 of 8 experts."""
    config = DenseFormerConfig()
    for key, value in PAPER.items():
        part, _, name = key.rpartition(".")
        setattr(getattr(config, part) if part else config, name, value)
    return config


INFO = register(
    MethodInfo(
        name="denseformer_moe",
        title="DenseFormer-MoE",
        summary="A densely connected stem and a vision transformer, pretrained by masked "
        "autoencoding; every task of four chooses its experts; one fit over three cohorts.",
        model="model:DenseFormerMoE",
        tasks=("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc", "brain_age", "impaired"),
        tracks=("t1w",),
        requires=("t1w",),
        multitask=True,
        suite="disorders",
        config=DenseFormerConfig,
        scales={"paper": paper_config},
        variants={
            "denseformer_shared": {
                "title": "DenseFormer, one expert for all tasks",
                "experts.kind": "shared",
            },
            "denseformer_single": {
                "title": "DenseFormer-MoE, task by task",
                "suite": "",
                "multitask": False,
            },
            "denseformer_scratch": {
                "title": "DenseFormer-MoE, not pretrained",
                "pretrained": "",
            },
            "denseformer_soft": {
                "title": "DenseFormer-MoE, every expert weighed",
                "experts.gate": "soft",
            },
            "denseformer_switch": {
                "title": "DenseFormer-MoE, Switch balance",
                "experts.balance": "switch",
            },
        },
        paper="Ding, Lu and Liu 2025, DenseFormer-MoE: A dense transformer foundation model with "
        "mixture of experts for multi-task brain image analysis",
        doi="10.1109/TMI.2025.3551514",
        bibtex="@article{ding2025denseformer, author={Ding, Rizhi and Lu, Hui and Liu, Manhua}, "
        "title={DenseFormer-MoE: A Dense Transformer Foundation Model with Mixture of Experts for "
        "Multi-Task Brain Image Analysis}, journal={IEEE Transactions on Medical Imaging}, "
        "year={2025}, doi={10.1109/TMI.2025.3551514}}",
        pretraining=("phantom-population:pretrain",),
        exposes=(
            Shown(
                "routing",
                kind="routing",
                title="Routing of tasks to experts",
                about="What each expert counts for each task.",
            ),
        ),
    )
)
