"""NeuroBridge: pretrained, guided by the hippocampus, then fused by gates.

One fit has three phases. The encoder's weights come from masked autoencoding (``pretrained``). The
guided phase learns segmentation, atrophy and reconstruction. The fused phase goes on with these
and adds the tasks, which read three gated streams.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.api import (
    Batch,
    BatchSource,
    MethodError,
    RunContext,
    SampleError,
    Samples,
    Task,
    TorchMethod,
    Trainer,
    parameter_groups,
)
from benchmark.encoders import gradcam_maps

from .explain import evidence_maps
from .guidance import (
    MASK,
    AtrophyRule,
    atrophy_loss,
    class_weights,
    dice,
    healthy,
    mask_voxels,
    segmentation_loss,
)
from .info import NeuroBridgeConfig
from .network import ATROPHY, GATE, RECONSTRUCTION, SEGMENTATION, STREAMS, Network
from .settings import check

KNOWN = "hippocampus_known"
GUIDED = "guided"
_MOST_VOXELS = 65_536  # maps of more do not belong beside a run: 5 mm voxels do, 2 mm do not
_FRESH = ("heads", "fusion")


class NeuroBridge(TorchMethod):
    """NeuroBridge as a method."""

    config_type = NeuroBridgeConfig

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self._rule = AtrophyRule()
        self._atrophy_weights = [1.0, 1.0]  # without atrophy, with it
        self._fitted_tasks: tuple[Task, ...] = ()
        self._mask_rate = 1.0  # what a mask counts: training people per training mask
        self._in_guided_phase = False

    # The network and what it learns from ---------------------------------------------------------

    def prepare(self, train: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        """Learns from training people what atrophy is."""
        del run
        config = self.config
        check(config)
        self._fitted_tasks = tuple(tasks)
        self._rule = AtrophyRule.learn(
            train,
            tasks,
            config.atrophy_threshold,
            config.atrophy_adjusted_for,
            self._reference(config.atrophy_reference, train, tasks),
            config.atrophy_least_reference,
        )
        if config.atrophy_balanced:
            self._atrophy_weights = class_weights(self._rule.labels(train, tasks))
        if config.masks_count_as_all:
            self._mask_rate = train.n / max(int((mask_voxels(train) > 0).sum()), 1)

    @staticmethod
    def _reference(name: str, train: Samples, tasks: Sequence[Task]) -> np.ndarray:
        """Whose hippocampus is the standard, (N,) bool."""
        return healthy(train, tasks) if name == "healthy" else np.ones(train.n, dtype=bool)

    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        """Makes the network; what training masks tell is kept in its buffers."""
        outputs = {task.name: task.n_outputs for task in tasks}
        shape = self.inputs(train)["t1w"].shape[-3:]
        network = Network(self.config, outputs, shape, train.spacing_mm)
        if train.has_labels:
            masks = self._prepared_masks(network, train)
            if len(masks):
                network.learn_masks(masks, self._usual(train, tasks))
        return network

    def _usual(self, train: Samples, tasks: Sequence[Task]) -> Tensor:
        """Of all who have a mask, whose volume is the usual one, (M,) bool."""
        usual = self._reference(self.config.volume_reference, train, tasks)
        usual = usual[mask_voxels(train) > 0]
        if not usual.any():
            raise MethodError(
                "neurobridge: volume_reference=healthy, but of nobody with a mask do the tasks "
                f"{', '.join(task.name for task in tasks)} tell that they are healthy; set "
                "volume_reference=everyone"
            )
        return torch.from_numpy(usual)

    def _prepared_masks(self, network: Network, samples: Samples) -> Tensor:
        """Masks over prepared volumes of all who have one, (M, 1, D, H, W)."""
        rows = np.flatnonzero(mask_voxels(samples) > 0)
        if not len(rows):
            return torch.zeros(0)
        source = BatchSource(self.inputs(samples), targets=self.targets(samples))
        parts = []
        for start in range(0, len(rows), self.trainer.predict_batch_size):
            batch = source.read(rows[start : start + self.trainer.predict_batch_size])
            parts.append(network.prepare.carried(batch.targets[MASK], batch.inputs["t1w"]))
        return torch.cat(parts)

    def initialise(self, model: nn.Module, run: RunContext) -> None:
        """Takes over the pretrained encoder, if one is named."""
        if run.pretrained is not None:
            model.encoder.load_pretrained(run.pretrained)

    def targets(self, samples: Samples) -> Mapping[str, Any]:
        """Masks, who has one, and who has atrophy."""
        voxels = mask_voxels(samples)
        targets: dict[str, Any] = {
            KNOWN: (voxels > 0).astype(np.float32),
            ATROPHY: self._rule.labels(samples, self._fitted_tasks),
        }
        with contextlib.suppress(SampleError):
            targets[MASK] = samples.targets(MASK)
        return targets

    # Losses --------------------------------------------------------------------------------------

    def loss_names(self, tasks: Sequence[Task]) -> list[str]:
        """The three that guide, then the tasks."""
        return [*STREAMS, *super().loss_names(tasks)]

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Every loss by name.

        Validation judges a phase by what it is for: segmentation and atrophy in the guided one,
        the tasks in the fused one.
        """
        tasks = self.task_losses(outputs, batch)
        if self._in_guided_phase:
            tasks = {name: loss * 0.0 for name, loss in tasks.items()}
        if not batch.training and not self._in_guided_phase:
            return tasks
        guides = {
            SEGMENTATION: self._segmentation_loss(outputs, batch),
            ATROPHY: atrophy_loss(outputs[ATROPHY], batch.targets[ATROPHY], self._atrophy_weights),
        }
        if batch.training:
            none = outputs[ATROPHY].sum()[None] * 0.0
            guides[RECONSTRUCTION] = outputs.get(RECONSTRUCTION, none).mean()
        if not self._in_guided_phase:
            guides = {name: loss * self.config.guides_in_fusion for name, loss in guides.items()}
        return guides | tasks

    def _segmentation_loss(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:
        logits = outputs[SEGMENTATION]
        if MASK not in batch.targets:
            return logits.sum() * 0.0
        masks = self._fitted().prepare.carried(batch.targets[MASK], batch.inputs["t1w"])
        loss = segmentation_loss(logits, masks, batch.targets[KNOWN], self.config.ce_weight)
        return loss * self._mask_rate

    def present(self, batch: Batch) -> dict[str, bool]:
        """By loss, whether anybody in the batch can be learned from in this phase."""
        tasks = super().present(batch)
        if self._in_guided_phase:
            tasks = dict.fromkeys(tasks, False)
        return {
            SEGMENTATION: bool((batch.targets[KNOWN] > 0).any()),
            ATROPHY: bool((batch.targets[ATROPHY] >= 0).any()),
            RECONSTRUCTION: self.config.reconstruct_share > 0,
            **tasks,
        }

    def shared_parameters(self) -> list[nn.Parameter]:
        """GradNorm and PCGrad compare gradients in the encoder, which every loss reaches."""
        return [p for p in self._fitted().encoder.parameters() if p.requires_grad]

    # Phases --------------------------------------------------------------------------------------

    def train(self, train: Samples, val: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        """The guided phase, unless all that guides is switched off; then the fused one."""
        people, held_back = (self.source(part, tasks) for part in (train, val))
        model, weights = self._fitted(), self.trainer.balance.weights
        run.log({"atrophy_adjusted_for": " ".join(self._rule.covariates) or "no label"})
        if any(weights.get(name, 1.0) > 0 for name in STREAMS):
            self._in_guided_phase = True
            try:
                Trainer(model, self, people, held_back, self.config.guided, run, GUIDED).fit()
            finally:
                self._in_guided_phase = False
            run.log({"stage": GUIDED, "validation_dice": self._dice(held_back)})
            self._forget_first_losses()
        Trainer(model, self, people, held_back, self.trainer, run).fit()
        run.log({"stage": "fit", "validation_dice": self._dice(held_back)})

    def _forget_first_losses(self) -> None:
        """GradNorm measures a phase's losses by the first of that phase.

        Those of the guided phase came without :attr:`NeuroBridgeConfig.guides_in_fusion`.
        """
        balance = self._balance()
        if balance is not None and balance.config.weighting == "gradnorm":
            balance.first.zero_()

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """In the fused phase, what the guided one has trained moves at a rate of its own."""
        if self._in_guided_phase or self.config.body_rate == 1.0:
            return super().parameter_groups(model)
        return parameter_groups(
            model,
            lambda name: name.split(".")[0] in _FRESH,
            rate=lambda fresh: None if fresh else self.trainer.lr * self.config.body_rate,
            order=(True, False),
        )

    @torch.no_grad()
    def _dice(self, people: BatchSource) -> float | None:
        """Mean Dice coefficient of the hippocampus on the store's grid; None without masks."""
        found: list[Tensor] = []
        size = self.trainer.predict_batch_size
        for start in range(0, len(people) if MASK in people.targets else 0, size):
            rows = np.arange(start, min(start + size, len(people)))
            batch = people.read(rows).to(self._device)
            scores = dice((self._hippocampus(batch) > 0.5).float(), batch.targets[MASK])
            found.append(scores[batch.targets[KNOWN] > 0])
        values = torch.cat(found) if found else torch.zeros(0)
        return round(float(values.mean()), 4) if len(values) else None

    # What it shows -------------------------------------------------------------------------------

    def _hippocampus(self, batch: Batch) -> Tensor:
        """Probability of each stored voxel to be hippocampus, (B, 1, D, H, W)."""
        model, stored = self._fitted().eval(), batch.inputs["t1w"]
        found = model(batch.inputs)[SEGMENTATION].float().softmax(dim=1)[:, 1:]
        return model.prepare.restored(found, stored)

    @torch.no_grad()
    def hippocampus_map(self, samples: Samples) -> np.ndarray:
        """Probability of each voxel to be hippocampus, (N, D, H, W), on the grid of the store."""
        parts = [self._hippocampus(batch)[:, 0].cpu() for batch in self._batches(samples)]
        return torch.cat(parts).numpy()

    @torch.no_grad()
    def expose(self, samples: Samples) -> dict[str, np.ndarray]:
        """Gates of the three streams, the hippocampus found, probability of atrophy, GradCAM.

        Returns:
            ``gate`` (N, 3), means over channels in the order segmentation, atrophy, reconstruction;
            ``gate_by_channel`` (N, 3, d); ``hippocampus_mm3`` (N,); ``atrophy`` (N,);
            ``hippocampus_map`` (N, D, H, W) uint8, probability in percent on the grid of the store,
            where that has at most 65,536 voxels (32 x 40 x 32 at 5 mm; not 80 x 100 x 80 at 2 mm,
            where :meth:`hippocampus_map` gives it);
            ``gradcam_<task>`` (N, i, j, k) float16, on the grid of the encoder's coarsest map,
            which :meth:`explain` brings to the grid of the store. Maps are 0 for who has no volume.
        """
        model = self._fitted().eval()
        parts: dict[str, list[Tensor]] = {}
        for batch in self._batches(samples):
            out = model(batch.inputs)
            found = out[SEGMENTATION].float().softmax(dim=1)[:, 1:]
            restored = model.prepare.restored(found, batch.inputs["t1w"])
            shown = {
                "gate": out[GATE].mean(dim=2),
                "gate_by_channel": out[GATE],
                "hippocampus_mm3": restored.sum(dim=(1, 2, 3, 4)) * samples.spacing_mm**3,
                ATROPHY: out[ATROPHY].float().softmax(dim=1)[:, 1],
            }
            shown = {name: values.float() for name, values in shown.items()}
            if restored[0].numel() <= _MOST_VOXELS:
                shown["hippocampus_map"] = (restored[:, 0] * 100).round().to(torch.uint8)
            found = gradcam_maps(model, model.encoder, batch.inputs, self._tasks)
            shown |= {f"gradcam_{task}": maps.half() for task, maps in found.items()}
            for name, values in shown.items():
                parts.setdefault(name, []).append(values.cpu())
        exposed = {name: torch.cat(values).numpy() for name, values in parts.items()}
        for name, values in exposed.items():
            if name == "hippocampus_map" or name.startswith("gradcam_"):
                values[~samples.has("t1w")] = 0
        return exposed

    def explain(self, samples: Samples, task: Task) -> np.ndarray:
        """GradCAM of the encoder's coarsest map, (N, D, H, W), on the grid of the store.

        Points of that map are placed where the encoder's strided layers look.
        """
        if task.name not in self._tasks:
            raise MethodError(f"task {task.name!r} was not fitted; it fitted {self._tasks}")
        model = self._fitted().eval()
        parts = [evidence_maps(model, batch.inputs, task.name) for batch in self._batches(samples)]
        return torch.cat(parts).numpy()
