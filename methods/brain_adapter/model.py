"""Brain-Adapter as a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.api import Batch, RunContext, Samples, Task, TorchMethod
from benchmark.encoders import FeatureStore
from methods.brain_adapter.contrast import clip_loss
from methods.brain_adapter.info import BrainAdapterConfig
from methods.brain_adapter.network import IMAGE, SCALE, TEXT, Network
from methods.brain_adapter.reports import ReportFeatures

CONTRASTIVE = "contrastive"


class BrainAdapter(TorchMethod):
    config_type = BrainAdapterConfig

    def __init__(self, config: BrainAdapterConfig | None = None) -> None:
        super().__init__(config)
        self._reports = ReportFeatures(self.config.text, FeatureStore())

    def prepare(self, train: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        self._reports = ReportFeatures(self.config.text, FeatureStore(run.features))
        self._train = train

    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        shape = train.arrays["t1w"].shape if "t1w" in train.arrays else None
        text = self._reports.width if "report" in train.texts else 0
        return Network(self.config, tasks, train.spacing_mm, shape, text)

    def inputs(self, samples: Samples) -> Mapping[str, Any]:
        out: dict[str, Any] = {}
        if "t1w" in samples.arrays:
            out["t1w"] = samples.arrays["t1w"]
        if "report" in samples.texts:
            out["report"] = self._reports(samples.reports())
            out["report_available"] = samples.has("report")
        return out

    def usable(self, samples: Samples) -> np.ndarray:
        labelled = np.zeros(samples.n, dtype=bool)
        for task in self._tasks:
            labelled |= samples.labels(task)[1]
        seen = [samples.has(m) for m in ("t1w", "report") if m in samples.available]
        return labelled & np.any(seen, axis=0)

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        losses = self.task_losses(outputs, batch)
        if IMAGE in outputs:
            both = batch.inputs["t1w_available"] & batch.inputs["report_available"]
            losses[CONTRASTIVE] = clip_loss(outputs[IMAGE], outputs[TEXT], outputs[SCALE], both)
        return losses

    @torch.no_grad()
    def initialise(self, model: nn.Module, run: RunContext) -> None:
        if run.pretrained is not None:
            model.encoder.load_pretrained(run.pretrained)
        model.eval()
        F = {"image": [], "text": []}
        for b in self._batches(self._train):
            if model.has_image: F["image"].append(model.image_features(b.inputs)[b.inputs["t1w_available"]])
            if model.has_text: F["text"].append(b.inputs["report"][b.inputs["report_available"]])
        if model.has_image: model.image.measure(torch.cat(F["image"]))
        if model.has_text: model.text.measure(torch.cat(F["text"]))

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        rates = {"projection": self.config.projection_lr, "encoder": self.config.adapter.encoder_lr, "other": self.trainer.lr}
        groups: dict[Any, list] = {}
        for name, p in model.named_parameters():
            if not p.requires_grad: continue
            part = "projection" if name.startswith(("image.", "text.")) else "encoder" if name.startswith("vit.") else "other"
            groups.setdefault((part, p.ndim > 1), []).append(p)
        return [{"params": ps, "lr": rates[part]} | ({} if decays else {"weight_decay": 0.0}) for (part, decays), ps in groups.items()]
