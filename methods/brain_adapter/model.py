"""Brain-Adapter: a trainable adapter in front of frozen encoders of volumes and reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.api import (
    Batch,
    BatchSource,
    MethodError,
    RunContext,
    Samples,
    Task,
    TorchMethod,
    Trainer,
    parameter_groups,
)
from benchmark.encoders import FeatureStore, ReportFeatures
from benchmark.encoders.released import RELEASED
from methods.brain_adapter.contrast import clip_loss
from methods.brain_adapter.evidence import adapter_maps, attention, stored_maps
from methods.brain_adapter.image_features import ImageFeatures
from methods.brain_adapter.info import BrainAdapterConfig
from methods.brain_adapter.network import IMAGE, SCALE, TEXT, Network
from methods.brain_adapter.reports import report_features

__all__ = ["CONTRASTIVE", "BrainAdapter"]

CONTRASTIVE = "contrastive"
_EPOCHS_FILE = "epochs.pt"
_MOST_TOKENS = 512  # attention of more is too large to keep for every person
_MOST_VOXELS = 32_768  # nor do maps of more belong beside a run; explain() gives them
_PEOPLE_AT_ONCE = 16
_TINY = torch.finfo(torch.float32).tiny


class BrainAdapter(TorchMethod):
    """Brain-Adapter as a method; what it sees follows the track."""

    config_type = BrainAdapterConfig

    def __init__(self, config: BrainAdapterConfig | None = None) -> None:
        super().__init__(config)
        self._store = FeatureStore()
        self._image: ImageFeatures | None = None
        self._measured: Samples | None = None
        self._weights: Path | None = None
        self._kept: dict[int, dict[str, Tensor]] = {}

    # The network and what it sees ----------------------------------------------------------------

    def prepare(self, train: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        """Notes where features are kept, from whom they are measured, and what is loaded.

        Raises:
            MethodError: A setting is not used, or a frozen encoder of a released architecture has
                no weights.
        """
        if CONTRASTIVE in self.trainer.balance.weights:
            raise MethodError(
                "brain_adapter: trainer.balance.weights.contrastive is not used; set "
                "contrastive_weight, which weighs the contrastive loss"
            )
        config = self.config
        frozen = "t1w" in train.arrays and config.adapter.kind != "finetune"
        if frozen and config.encoder in RELEASED and run.pretrained is None:
            raise MethodError(
                f"brain_adapter: encoder={config.encoder} is frozen (adapter.kind="
                f"{config.adapter.kind}) and has no weights; set config.pretrained to the folder "
                "of its released weights"
            )
        self._store, self._measured = FeatureStore(run.features), train
        self._weights = run.pretrained

    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        """Makes the network for the modalities that the track opens and the cohort has."""
        shape = train.arrays["t1w"].shape if "t1w" in train.arrays else None
        text = self._reports.width if "report" in train.texts else 0
        if shape is None and not text:
            raise MethodError(
                "Brain-Adapter needs T1w volumes or reports, and these samples hold neither; "
                "choose the track t1w+report, t1w or report, and a cohort that has them"
            )
        return Network(self.config, tasks, train.spacing_mm, shape, text, self._weights)

    @property
    def _reports(self) -> ReportFeatures:
        return report_features(self.config.text, self._store)

    def initialise(self, model: nn.Module, run: RunContext) -> None:
        """Measures features of the training people."""
        assert isinstance(model, Network)
        train, self._measured = self._measured, None
        self._image = self._weights = None  # what is built from now on is built without weights
        if not self.config.standardise:
            return
        model.eval()
        parts: dict[str, list[Tensor]] = {IMAGE: [], TEXT: []}
        with torch.no_grad():
            for batch in self._batches(train):
                seen = batch.inputs
                if model.has_image:
                    parts[IMAGE].append(model.image_features(seen)[seen["t1w_available"]])
                if model.has_text:
                    parts[TEXT].append(seen["report"][seen["report_available"]])
        for name, features in parts.items():
            if any(len(f) for f in features):
                model.get_submodule(name).measure(torch.cat(features))

    def inputs(self, samples: Samples) -> Mapping[str, Any]:
        """Volumes or what the frozen encoder makes of them, and reports as features."""
        return self._columns(samples, cached=self.config.cache_image)

    def explained_inputs(self, samples: Samples) -> Mapping[str, Any]:
        """As :meth:`inputs`, with the volumes themselves where features are computed once."""
        return self._columns(samples, cached=False)

    def _columns(self, samples: Samples, *, cached: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if "t1w" in samples.arrays:
            found["t1w"] = samples.arrays["t1w"]
            if cached:
                found = {
                    "image": self._image_features(samples),
                    "t1w_available": samples.arrays["t1w"].available,
                }
        if "report" in samples.texts:
            found["report"] = self._reports(samples.reports())
            found["report_available"] = samples.has("report")
        if not found:
            raise MethodError(
                "Brain-Adapter needs T1w volumes or reports, which these samples do not hold"
            )
        return found

    def _image_features(self, samples: Samples) -> np.ndarray:
        model = self._fitted()
        assert isinstance(model, Network)
        if self._image is None:
            self._image = ImageFeatures(model, self.trainer.augment, self._store)
        return self._image(samples.arrays["t1w"])

    def usable(self, samples: Samples) -> np.ndarray:
        """Who has a label and a volume or a report, (N,) bool."""
        labelled = np.zeros(samples.n, dtype=bool)
        for task in self._tasks:
            labelled |= samples.labels(task)[1]
        return labelled & (samples.has("t1w") | samples.has("report"))

    # Training ------------------------------------------------------------------------------------

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy, and where both modalities are seen the contrastive loss."""
        losses = self.task_losses(outputs, batch)
        if SCALE in outputs:
            paired = batch.inputs["t1w_available"] & batch.inputs["report_available"]
            v, t, scale = (outputs[name].float() for name in (IMAGE, TEXT, SCALE))
            contrast = clip_loss(v, t, scale, paired)
            losses[CONTRASTIVE] = self.config.contrastive_weight * contrast
        return losses

    def loss_names(self, tasks: Sequence[Task]) -> list[str]:
        """Those of the tasks, and the contrastive one where both modalities are seen."""
        both = "t1w" in self._schema.arrays and "report" in self._schema.texts
        return [task.name for task in tasks] + ([CONTRASTIVE] if both else [])

    def present(self, batch: Batch) -> dict[str, bool]:
        """By loss, whether anybody in the batch can be learned from."""
        present = super().present(batch)
        if {"t1w_available", "report_available"} <= batch.inputs.keys():
            paired = batch.inputs["t1w_available"] & batch.inputs["report_available"]
            present[CONTRASTIVE] = int(paired.sum()) > 1
        return present

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Adapter and classifier, projections, and what is tuned of the encoder, at own rates."""
        assert isinstance(model, Network)
        rates = {
            IMAGE: self.config.projection_lr,
            TEXT: self.config.projection_lr,
            "vit": self.config.adapter.encoder_lr,
        }
        beside = self.config.report_rate if model.has_image and model.has_text else 1.0

        def rate(name: str) -> float:
            parts = name.split(".")
            return rates.get(parts[0], self.trainer.lr) * (beside if TEXT in parts else 1.0)

        return parameter_groups(
            model,
            rate,
            rate=lambda rate: rate,
            decays=lambda name: "position" not in name,
        )

    def train(self, train: Samples, val: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        """One training; the learned weights of ``embedding_epochs`` are kept."""
        sources = [self.source(part, tasks) for part in (train, val)]
        trainer = Trainer(self._fitted(), self, sources[0], sources[1], self.trainer, run)
        trainer.fit(keep_epochs=self.config.embedding_epochs)
        self._kept = {
            epoch: {name: weight.cpu() for name, weight in weights.items()}
            for epoch, weights in trainer.kept.items()
        }

    def save(self, folder: Path) -> None:
        """As the shared loop, and the kept weights."""
        super().save(folder)
        torch.save(self._kept, folder / _EPOCHS_FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what :meth:`save` wrote."""
        method = super().load(folder)
        method._kept = torch.load(folder / _EPOCHS_FILE, map_location="cpu", weights_only=True)
        return method

    # What it shows -------------------------------------------------------------------------------

    @torch.no_grad()
    def expose(self, samples: Samples) -> dict[str, np.ndarray]:
        """Attention (N, T), similarity of volume and report (N,), embeddings by epoch (N, d), maps.

        ``similarity`` is the cosine, 0 where either is missing; attention is 0 without a volume.

        ``gradcam_<task>``, (N, D', H', W') float16, is what :meth:`explain` gives, on the grid of
        what the adapter gives to the encoder: prepared volumes averaged over ``adapter.stride``.
        It is evidence for the last class against the others; where NeuroBridge and DenseFormer-MoE
        expose this name, for all other classes against the first.
        Each person's map is divided by its greatest value, ``gradcam_scale_<task>``, (N,), since
        float16 does not reach gradients as small as these. Zeros without a volume. Grids of more
        than 32,768 voxels have none.
        """
        model = self._fitted().eval()
        assert isinstance(model, Network)
        shown: dict[str, np.ndarray] = {}
        if model.has_image and model.has_text:
            vectors = [model.embeddings(batch.inputs) for batch in self._batches(samples)]
            pairs = [model.compared(vector) for vector in vectors]
            cosine = [(pair[IMAGE] * pair[TEXT]).sum(dim=1) for pair in pairs]
            shown["similarity"] = torch.cat(cosine).float().cpu().numpy()
        for epoch in sorted(self._kept):
            with self._as_of(epoch):
                shown[f"embedding_epoch_{epoch}"] = self.embed(samples)
        if model.has_image and model.n_tokens <= _MOST_TOKENS and _keeps_attention(model):
            shown |= self._attention(samples, model)
        if model.has_image and self.config.adapter.kind == "adapter":
            for task in self._tasks if model.n_voxels <= _MOST_VOXELS else ():
                shown |= self._gradcam(samples, model, task)
        return shown

    def _gradcam(self, samples: Samples, model: Network, task: str) -> dict[str, np.ndarray]:
        source = BatchSource(self.inputs(samples))
        maps, scales = [], []
        for row in range(samples.n):  # by itself: float16 makes more of what batches round
            batch = source.read(np.array([row])).to(self._device)
            found = adapter_maps(model, batch.inputs, task)[0, 0].cpu()  # i j k
            scale = found.max()
            maps.append((found / scale.clamp_min(_TINY)).half().numpy())
            scales.append(scale.item())
        return {
            f"gradcam_{task}": np.stack(maps),
            f"gradcam_scale_{task}": np.array(scales, dtype=np.float32),
        }

    def _attention(self, samples: Samples, model: Network) -> dict[str, np.ndarray]:
        source = BatchSource({"t1w": samples.arrays["t1w"]})
        parts: dict[str, list[np.ndarray]] = {"attention": [], "rollout": []}
        for start in range(0, samples.n, _PEOPLE_AT_ONCE):
            rows = np.arange(start, min(start + _PEOPLE_AT_ONCE, samples.n))
            batch = source.read(rows).to(self._device)
            for name, values in attention(model, batch.inputs["t1w"]).items():
                shown = values * batch.inputs["t1w_available"][:, None]
                parts[name].append(shown.float().cpu().numpy())
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}

    @contextmanager
    def _as_of(self, epoch: int) -> Iterator[None]:
        """The network with the learned weights that it had after an epoch."""
        learned = dict(self._fitted().named_parameters())
        now = {name: learned[name].detach().clone() for name in self._kept[epoch]}
        try:
            for name, weight in self._kept[epoch].items():
                learned[name].copy_(weight)
            yield
        finally:
            for name, weight in now.items():
                learned[name].copy_(weight)

    def explain(self, samples: Samples, task: Task) -> np.ndarray:
        """GradCAM through the adapter of the task's last class, or of its value, (N, D, H, W)."""
        model = self._fitted().eval()
        assert isinstance(model, Network)
        if not model.has_image or self.config.adapter.kind != "adapter":
            raise NotImplementedError("GradCAM looks at an adapter's maps; this row has none")
        maps = []
        for batch in self._batches(samples):
            found = adapter_maps(model, batch.inputs, task.name)
            maps.append(stored_maps(model, found, batch.inputs["t1w"]))
        return torch.cat(maps).cpu().numpy()


def _keeps_attention(model: Network) -> bool:
    return hasattr(model.encoder, "save_attention")
