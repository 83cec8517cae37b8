"""DenseFormer-MoE: dense stem, transformer, experts chosen by each task, one head per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.api import (
    Batch,
    RunContext,
    Samples,
    Task,
    TorchMethod,
    one_of,
    parameter_groups,
)
from benchmark.encoders import PrepareVolumes, build_encoder, gradcam_maps
from methods.denseformer_moe.evidence import gradcam, token_attention
from methods.denseformer_moe.experts import (
    Experts,
    Gate,
    Routing,
    as_built,
    balance_loss,
    check,
)
from methods.denseformer_moe.info import DenseFormerConfig

STEM = ("backbone.stem.", "backbone.project.")
BACKBONE = "backbone."
NORMS = ("batch", "layer", "none")
ROUTING = "routing"  # beside the tasks among the outputs: (B, tasks, 3, E)


class DenseFormerMoE(TorchMethod):
    """DenseFormer-MoE as a method; one fit serves all tasks of a suite."""

    config_type = DenseFormerConfig

    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        """Makes the network; its shape depends on the grid of the volumes, not on the people."""
        return Network(self.config, tasks, train.spacing_mm, self.inputs(train)["t1w"].shape)

    def initialise(self, model: nn.Module, run: RunContext) -> None:
        """Starts the backbone from pretrained weights, where there are any."""
        if run.pretrained is not None:
            model.backbone.load_pretrained(run.pretrained)

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Stem and what follows the backbone have own rates; vectors and positions do not decay."""
        return parameter_groups(
            model,
            self._rate,
            rate=lambda rate: self.trainer.lr * rate,
            decays=lambda name: "position." not in name,
        )

    def _rate(self, name: str) -> float:
        if name.startswith(STEM):
            return self.config.stem_rate
        return 1.0 if name.startswith(BACKBONE) else self.config.head_rate

    def penalty(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor | None:
        """Weighted balance of the experts over those who have a task's label."""
        experts = self.config.experts
        if not experts.balance_weight:
            return None
        routings = [Routing(*each.unbind(1)) for each in outputs[ROUTING].unbind(1)]
        masks = [batch.masks[task] for task in self._tasks]
        loss = balance_loss(routings, masks, experts.balance, experts.balance_over)
        return experts.balance_weight * loss

    @torch.no_grad()
    def expose(self, samples: Samples) -> dict[str, np.ndarray]:
        """Routing, attention and GradCAM.

        Returns:
            ``routing``, what each expert counts for each task, in the order of the fit's tasks,
            (N, tasks, E); ``attention``, what each place of the token grid gets in each block,
            (N, blocks, i, j, k): from the cls token, or from the mean over tokens;
            ``gradcam_<task>`` (N, i, j, k) float16, on the same grid, that of the stem, which
            :meth:`explain` brings to the grid of the store; 0 for who has no volume.
        """
        model = self._fitted().eval()
        routing, attention = [], []
        maps: dict[str, list[np.ndarray]] = {f"gradcam_{task}": [] for task in self._tasks}
        for batch in self._batches(samples):
            with token_attention(model.backbone) as read:
                outputs = model(batch.inputs)
                attention.append(read(model.prepare.shape(batch.inputs["t1w"].shape[2:])).cpu())
            routing.append(outputs[ROUTING][:, :, 0].cpu())
            found = gradcam_maps(model, model.backbone, batch.inputs, self._tasks)
            for task, values in found.items():
                maps[f"gradcam_{task}"].append(values.half().cpu().numpy())
        shown = {ROUTING: torch.cat(routing).numpy(), "attention": torch.cat(attention).numpy()}
        for name, parts in maps.items():
            shown[name] = np.concatenate(parts)
            shown[name][~samples.has("t1w")] = 0
        return shown

    def explain(self, samples: Samples, task: Task) -> np.ndarray:
        """GradCAM at the stem, (N, D, H, W), 0 or more.

        What is differentiated is the value, or the log odds of all other classes against the first.
        Points of the stem's map are placed where its strided layers look.
        """
        model = self._fitted().eval()
        maps = [gradcam(model, batch.inputs, task.name) for batch in self._batches(samples)]
        return torch.cat(maps).cpu().numpy()


class Network(nn.Module):
    """From volumes (B, 1, D, H, W) to one output per task (B, K), and the routing."""

    def __init__(
        self,
        config: DenseFormerConfig,
        tasks: Sequence[Task],
        spacing_mm: float,
        shape: Sequence[int],
    ) -> None:
        super().__init__()
        check(config.experts)
        experts = as_built(config.experts)
        self.prepare = PrepareVolumes(spacing_mm, grid=config.grid, fit=config.fit)
        settings = asdict(config.backbone)
        self.backbone = build_encoder("dense_vit", settings, self.prepare.shape(shape))
        width = self.backbone.width
        self.norm = _norm(config.feature_norm, width)
        self.experts = Experts(width, experts)
        self.residual = experts.residual
        self.gates = nn.ModuleDict({task.name: Gate(width, experts) for task in tasks})
        self.heads = nn.ModuleDict({task.name: nn.Linear(width, task.n_outputs) for task in tasks})

    def features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """What stands for a scan before any task, f, (B, d)."""
        x = self.prepare(inputs["t1w"])  # b 1 i j k
        return self.norm(self.backbone(x).pooled)  # b d

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One output per task, (B, K), and ``routing``, (B, tasks, 3, E), as :class:`Routing`."""
        return self.answers(self.features(inputs))

    def answers(self, f: Tensor) -> dict[str, Tensor]:
        """As :meth:`forward`, from features (B, d)."""
        opinions = self.experts(f)  # b e d
        outputs, routings = {}, []
        for task, head in self.heads.items():
            routing = self.gates[task](f)  # b e
            mixed = torch.einsum("be,bed->bd", routing.weights.to(opinions.dtype), opinions)
            outputs[task] = head(f + mixed if self.residual else mixed)  # b k
            routings.append(torch.stack(routing, dim=1))  # b 3 e
        outputs[ROUTING] = torch.stack(routings, dim=1)  # b t 3 e
        return outputs


def _norm(name: str, width: int) -> nn.Module:
    """Norm of f, (B, d), without parameters."""
    if one_of("feature_norm", name, NORMS) == "batch":
        return nn.BatchNorm1d(width, affine=False)
    return nn.LayerNorm(width, elementwise_affine=False) if name == "layer" else nn.Identity()
