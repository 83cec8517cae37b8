"""The network: adapter, frozen encoder, projections to one space, classifier."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from benchmark.api import MethodError, Task, one_of
from benchmark.encoders import (
    Encoded,
    PrepareVolumes,
    VolumeEncoder,
    VolumeTokens,
    add_lora,
    build_encoder,
)
from benchmark.encoders.released import READS, RELEASED, VOLUMES, build, names_that_read
from benchmark.encoders.tokens import TokenEncoder
from benchmark.encoders.volume_vit import ViTEncoder
from methods.brain_adapter.adapter import Adapter, AveragePool
from methods.brain_adapter.contrast import Temperature
from methods.brain_adapter.info import BrainAdapterConfig

__all__ = [
    "IMAGE",
    "KINDS",
    "READ_OUTS",
    "SCALE",
    "STARTS",
    "TEXT",
    "Classifier",
    "Network",
    "Projection",
]

KINDS = ("adapter", "lora", "finetune", "none")
READ_OUTS = ("tokens", "pooled")
STARTS = ("uniform", "orthogonal")
IMAGE, TEXT, SCALE = "image", "text", "scale"


class Frozen(nn.Module):
    """Keeps a network as it is: no gradient to its parameters, eval mode even under ``train()``.

    Gradients still pass through it to what lies in front.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body.requires_grad_(requires_grad=False)
        self.train(mode=False)

    def forward(self, x: Tensor) -> Encoded:
        """What the network makes of its input."""
        out: Encoded = self.body(x)
        return out

    def train(self, mode: bool = True) -> Frozen:
        """As in torch, but the network stays in eval mode."""
        super().train(mode)
        self.body.eval()
        return self


class Projection(nn.Module):
    """Frozen features to vectors of the shared space, of unit length where the classifier wants it.

    Features are first brought to mean 0 and deviation 1 over the training people, measured once
    before training: what differs between people is small against what all share, and a unit vector
    would show the latter alone. Where nothing is measured they stay as they are.

    Args:
        features: Of the frozen encoder, d.
        config: Settings of the method.

    Raises:
        MethodError: ``projection_start`` is not known.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, features: int, config: BrainAdapterConfig) -> None:
        super().__init__()
        one_of("projection_start", config.projection_start, STARTS)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.linear = nn.Linear(features, config.projection, bias=config.projection_bias)
        if config.projection_start == "orthogonal":
            nn.init.orthogonal_(self.linear.weight)
        self.dropout = nn.Dropout(config.dropout)
        self.unit = config.classify_unit_vectors

    def measure(self, features: Tensor) -> None:
        """Sets mean and deviation to those of people's features, (N, d)."""
        spread, mean = torch.std_mean(features.double(), dim=0, correction=0)
        self.mean.copy_(mean)
        self.spread.copy_(torch.where(spread > 1e-6, spread, 1.0))

    def forward(self, x: Tensor, available: Tensor) -> Tensor:
        """Features (B, d) to vectors (B, p); zero where not available (B,)."""
        x = self.dropout(self.linear((x - self.mean) / self.spread))
        if self.unit:
            x = normalize(x, dim=1)
        out: Tensor = x * available[:, None].to(x.dtype)
        return out


class Classifier(nn.Module):
    """One linear layer on all vectors side by side, kept in a part for each.

    So each part can learn at a rate of its own.

    Args:
        modalities: Names of the vectors; the first part holds the bias.
        width: Features of a vector, p.
        n_outputs: Outputs, K.
        zero_start: Whether all parts but the first start at zero.
    """

    def __init__(
        self, modalities: Sequence[str], width: int, n_outputs: int, *, zero_start: bool
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleDict()
        for modality in modalities:
            first = not self.parts
            self.parts[modality] = nn.Linear(width, n_outputs, bias=first)
            if zero_start and not first:
                nn.init.zeros_(self.parts[modality].weight)

    def forward(self, vectors: Mapping[str, Tensor]) -> Tensor:
        """Vectors by modality, (B, p) each, to (B, K)."""
        return torch.stack([part(vectors[name]) for name, part in self.parts.items()]).sum(dim=0)


class Network(nn.Module):
    """From a volume, a report's features, or both, to one output per task (B, K).

    Args:
        config: Settings.
        tasks: What it must answer.
        spacing_mm: Voxel size of stored volumes.
        shape: Sides of stored volumes; None: no volumes are seen.
        text_width: Features of a report; 0: no reports are seen.
        weights: Pretrained weights of the encoder of volumes; None: those that it is built with.
    """

    def __init__(
        self,
        config: BrainAdapterConfig,
        tasks: Sequence[Task],
        spacing_mm: float,
        shape: Sequence[int] | None,
        text_width: int,
        weights: Path | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.has_image, self.has_text = shape is not None, text_width > 0
        if shape is not None:
            self._see_volumes(config, spacing_mm, shape, weights)
        if self.has_text:
            self.text = Projection(text_width, config)
        if self.has_image and self.has_text:
            self.temperature = Temperature(config.contrast)
        seen = [modality for modality in (IMAGE, TEXT) if getattr(self, f"has_{modality}")]
        width, zero = config.projection, config.report_zero_start
        self.heads = nn.ModuleDict(
            {t.name: Classifier(seen, width, t.n_outputs, zero_start=zero) for t in tasks}
        )
        for projection in self.projections:
            projection.requires_grad_(config.train_projections)

    def _see_volumes(
        self,
        config: BrainAdapterConfig,
        spacing_mm: float,
        shape: Sequence[int],
        weights: Path | None,
    ) -> None:
        self.prepare = PrepareVolumes(spacing_mm, grid=config.grid, fit=config.fit)
        stride = config.adapter.stride
        seen = PrepareVolumes(spacing_mm, pool=stride).shape(self.prepare.shape(shape))
        self.encoder_grid = tuple(config.encoder_grid or seen)
        self.adapter = _adapter(config)
        encoder = _encoder(config, seen)
        grid = encoder.token_grid(seen)
        self.n_tokens, self.n_voxels = math.prod(grid), math.prod(seen)
        if weights is not None:  # before low-rank updates rename what they are put beside
            encoder.load_pretrained(weights)
        self.vit = _tuned(encoder, config)
        features = encoder.width * (self.n_tokens if config.read_out == "tokens" else 1)
        self.image = Projection(features, config)

    @property
    def encoder(self) -> VolumeEncoder:
        """The encoder of volumes, frozen or not."""
        return self.vit.body if isinstance(self.vit, Frozen) else self.vit

    @property
    def projections(self) -> list[Projection]:
        """Of volumes and of reports, those that there are."""
        return [m for m in self.children() if isinstance(m, Projection)]

    def encode(self, volumes: Tensor) -> Tensor:
        """What is read of the encoder for volumes as stored, (B, d), or of all tokens (B, T d)."""
        x = self.prepare(volumes)  # b 1 d h w
        encoded = self.vit(self.adapter(x))  # tokens b t d, pooled b d
        if self.config.read_out == "pooled":
            return encoded.pooled
        return encoded.tokens[:, -self.n_tokens :].flatten(1)  # without a cls token

    def image_features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """As :meth:`encode`; where features were computed beforehand, those."""
        return inputs["image"] if "image" in inputs else self.encode(inputs["t1w"])

    def embeddings(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Vectors of volume and report that are classified, (B, p) each; zero where missing."""
        out = {}
        if self.has_image:
            out[IMAGE] = self.image(self.image_features(inputs), inputs["t1w_available"])
        if self.has_text:
            out[TEXT] = self.text(inputs["report"], inputs["report_available"])
        return out

    def compared(self, vectors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Vectors as unit vectors, as the contrastive loss compares them."""
        if self.config.classify_unit_vectors:
            return dict(vectors)
        return {name: normalize(vector, dim=1) for name, vector in vectors.items()}

    def features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Both vectors side by side, (B, 2 p)."""
        return torch.cat(list(self.embeddings(inputs).values()), dim=1)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One output per task (B, K), and the vectors that the contrastive loss compares."""
        vectors = self.embeddings(inputs)
        outputs: dict[str, Tensor] = {task: head(vectors) for task, head in self.heads.items()}
        if self.has_image and self.has_text:
            outputs |= self.compared(vectors) | {SCALE: self.temperature()}
        return outputs


def _adapter(config: BrainAdapterConfig) -> nn.Module:
    own = config.adapter
    one_of("read_out", config.read_out, READ_OUTS)
    if one_of("adapter.kind", own.kind, KINDS) != "adapter":
        return AveragePool(own.stride)
    return Adapter(
        own.channels,
        own.bottleneck,
        own.kernel,
        own.stride,
        own.groups,
        activation=own.activation,
        zero_start=own.zero_start,
    )


def _encoder(config: BrainAdapterConfig, seen: Sequence[int]) -> VolumeEncoder:
    if config.encoder not in RELEASED:
        return build_encoder(config.encoder, config.settings, config.encoder_grid or seen)
    if READS[config.encoder] != VOLUMES:
        raise MethodError(
            f"encoder {config.encoder!r} reads {READS[config.encoder]}; released encoders of "
            f"volumes: {', '.join(names_that_read(VOLUMES))}"
        )
    encoder = build(config.encoder, **config.settings)
    assert isinstance(encoder, VolumeEncoder)
    return encoder


def _tuned(encoder: VolumeEncoder, config: BrainAdapterConfig) -> nn.Module:
    if config.adapter.kind == "finetune":
        return encoder
    if config.adapter.kind == "lora":
        joined = encoder if isinstance(encoder, TokenEncoder) else _tokens_of(encoder)
        add_lora(joined, config.adapter.rank, config.adapter.alpha)
        return encoder
    return Frozen(encoder)


def _tokens_of(encoder: VolumeEncoder) -> VolumeTokens:
    if not isinstance(encoder, ViTEncoder):
        raise MethodError("adapter.kind=lora needs an encoder with a transformer")
    return VolumeTokens(encoder, PrepareVolumes(0.0))
