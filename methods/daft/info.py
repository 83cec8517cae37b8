"""What DAFT says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmark.api import MethodInfo, TrainerConfig, cnn_trainer, register


@dataclass
class DaftConfig:
    """Settings of DAFT and of the networks that it is compared with.

    Attributes:
        conditioning: How the table enters: ``daft`` (scale and shift from image and table),
            ``film`` (from the table alone), ``concat`` (beside the pooled features), or ``none``.
        location: Which feature maps of the last residual block are scaled and shifted: ``block``
            (its input), ``shortcut`` (its input on the way to the shortcut), ``conv1`` (its input
            on the way to the first convolution), ``relu1`` (before the first ReLU) or ``conv2``
            (before the second convolution).
        squeeze: How many times narrower the bottleneck is than the channels of the block's input
            and the table together.
        activation: Of the scale: ``linear``, ``sigmoid`` or ``tanh``.
        columns: Columns of the table that are read; empty: all that the track opens. Where no
            table is read it must be empty.
        missing: What stands for a missing value: the ``mean`` or the ``median`` of the training
            people.
        indicators: Whether each column has an indicator of a missing value beside it.
        identity_start: Whether the scale is 1 plus what the bottleneck gives and its last layer
            starts at 0, so that the maps pass unchanged at first; else the scale is what it gives.
        width: Channels of the first stage; each later stage doubles them.
        stem_stride: Stride of the first convolution.
        trainer: The training loop.
    """

    conditioning: str = "daft"
    location: str = "conv1"
    squeeze: float = 7.0
    activation: str = "linear"
    columns: list[str] = field(default_factory=list)
    missing: str = "mean"
    indicators: bool = True
    identity_start: bool = False
    width: int = 16
    stem_stride: int = 2
    trainer: TrainerConfig = field(default_factory=lambda: cnn_trainer(epochs=24))


INFO = register(
    MethodInfo(
        name="daft",
        title="DAFT",
        summary="A 3D ResNet on T1w whose last feature maps are scaled and shifted by a bottleneck "
        "that reads both the image and the clinical table.",
        model="model:Daft",
        tasks=("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc"),
        tracks=("t1w+clinical", "t1w"),
        requires=("t1w",),
        copes_with_missing=True,
        config=DaftConfig,
        variants={
            "film": {
                "title": "3D ResNet, FiLM",
                "conditioning": "film",
                "identity_start": True,
            },
            "resnet_concat": {
                "title": "3D ResNet, table concatenated",
                "conditioning": "concat",
            },
        },
        paper="Wolf, Poelsterl and Wachinger 2022, DAFT: A universal module to interweave tabular "
        "data and 3D images in CNNs; first in Poelsterl, Wolf and Wachinger, MICCAI 2021 "
        "(arXiv 2107.05990)",
        doi="10.1016/j.neuroimage.2022.119505",
        bibtex='@article{wolf2022daft, author={Wolf, Tom Nuno and P{\\"o}lsterl, Sebastian and '
        "Wachinger, Christian}, title={DAFT: A Universal Module to Interweave Tabular Data and 3D "
        "Images in CNNs}, journal={NeuroImage}, volume={260}, pages={119505}, year={2022}, "
        "doi={10.1016/j.neuroimage.2022.119505}}",
    )
)
