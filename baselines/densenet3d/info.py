"""What the 3D DenseNet says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmark.api import MethodInfo, TrainerConfig, cnn_trainer, register


@dataclass
class DenseNet3DConfig:
    """Settings of the 3D DenseNet.

    Attributes:
        blocks: Layers of each dense block.
        growth: Channels that each layer adds.
        width: Channels of the stem.
        dropout: Share of channels dropped after each layer in training.
        trainer: The training loop.
    """

    blocks: list[int] = field(default_factory=lambda: [3, 6, 6])
    growth: int = 8
    width: int = 16
    dropout: float = 0.0
    trainer: TrainerConfig = field(default_factory=lambda: cnn_trainer(epochs=17))


INFO = register(
    MethodInfo(
        name="densenet3d",
        title="3D DenseNet",
        summary="A small densely connected network of 3D convolutions, trained from scratch on T1w "
        "volumes.",
        model="model:DenseNet3D",
        tasks=("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc", "brain_age", "impaired"),
        tracks=("t1w",),
        requires=("t1w",),
        config=DenseNet3DConfig,
        variants={
            "densenet3d_121": {
                "title": "3D DenseNet-121",
                "blocks": [6, 12, 24, 16],
                "growth": 32,
                "width": 64,
            }
        },
        paper="Huang et al. 2017, Densely connected convolutional networks",
        doi="10.1109/CVPR.2017.243",
        bibtex="@inproceedings{huang2017densenet, author={Huang, Gao and Liu, Zhuang and van der "
        "Maaten, Laurens and Weinberger, Kilian Q.}, title={Densely Connected Convolutional "
        "Networks}, booktitle={CVPR}, year={2017}, doi={10.1109/CVPR.2017.243}}",
    )
)
