"""What the 3D ResNet says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmark.api import MethodInfo, TrainerConfig, cnn_trainer, register


@dataclass
class ResNet3DConfig:
    """Settings of the 3D ResNet.

    Attributes:
        depth: 10, 18, 34 or 50 layers.
        width: Channels of the first stage; each later stage doubles them.
        stem_kernel: Side of the first convolution's kernel, in voxels.
        stem_stride: Stride of the first convolution.
        max_pool: Whether the stem ends in a max-pooling of stride 2.
        dropout: Share of pooled features dropped in training.
        trainer: The training loop.
    """

    depth: int = 10
    width: int = 16
    stem_kernel: int = 3
    stem_stride: int = 2
    max_pool: bool = True
    dropout: float = 0.0
    trainer: TrainerConfig = field(default_factory=lambda: cnn_trainer(epochs=24))


INFO = register(
    MethodInfo(
        name="resnet3d",
        title="3D ResNet-10",
        summary="A residual network of 3D convolutions, trained from scratch on T1w volumes.",
        model="model:ResNet3D",
        tasks=(
            "dx3",
            "ad_cn",
            "mci_cn",
            "ad_mci",
            "conversion",
            "pd_hc",
            "brain_age",
            "impaired",
        ),
        tracks=("t1w",),
        requires=("t1w",),
        config=ResNet3DConfig,
        variants={
            "resnet3d_18": {"title": "3D ResNet-18", "depth": 18},
            "resnet3d_50": {"title": "3D ResNet-50", "depth": 50},
        },
        paper="He et al. 2016, Deep residual learning for image recognition; 3D as in Chen et al. "
        "2019, Med3D (arXiv:1904.00625)",
        doi="10.1109/CVPR.2016.90",
        bibtex="@inproceedings{he2016resnet, author={He, Kaiming and Zhang, Xiangyu and Ren, "
        "Shaoqing and Sun, Jian}, title={Deep Residual Learning for Image Recognition}, "
        "booktitle={CVPR}, year={2016}, doi={10.1109/CVPR.2016.90}}",
    )
)
