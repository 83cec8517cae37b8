"""What SFCN says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmark.api import MethodInfo, TrainerConfig, cnn_trainer, register


@dataclass
class SfcnConfig:
    """Settings of SFCN.

    Attributes:
        channels: Channels of each block; all but the last halve the volume.
        bins: Number of age bins.
        margin_years: How far the bins reach beyond the training ages.
        sigma_years: Width of the Gaussian that softens a label.
        dropout: Share of features dropped before the last convolution.
        trainer: The training loop.
    """

    channels: list[int] = field(default_factory=lambda: [16, 32, 64, 64, 32])
    bins: int = 40
    margin_years: float = 3.0
    sigma_years: float = 5.0
    dropout: float = 0.2
    trainer: TrainerConfig = field(default_factory=lambda: cnn_trainer(epochs=32))


INFO = register(
    MethodInfo(
        name="sfcn",
        title="SFCN brain age",
        summary="A fully convolutional network that classifies age into soft bins and answers with "
        "their mean.",
        model="model:Sfcn",
        tasks=("brain_age",),
        tracks=("t1w",),
        requires=("t1w",),
        config=SfcnConfig,
        paper="Peng et al. 2021, Accurate brain age prediction with lightweight deep neural "
        "networks",
        doi="10.1016/j.media.2020.101871",
        bibtex="@article{peng2021sfcn, author={Peng, Han and Gong, Weikang and Beckmann, Christian "
        "F. and Vedaldi, Andrea and Smith, Stephen M.}, title={Accurate Brain Age Prediction with "
        "Lightweight Deep Neural Networks}, journal={Medical Image Analysis}, volume={68}, "
        "year={2021}, doi={10.1016/j.media.2020.101871}}",
    )
)
