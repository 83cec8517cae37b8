"""Maps of evidence of a fitted method on the grid of the store, one kind after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerGradCam, Occlusion
from torch import Tensor, nn

from benchmark.errors import MethodError, UnknownNameError
from benchmark.method import Method
from benchmark.saliency.evidence import Evidence, depends_on, last_outputs
from benchmark.saliency.rollout import (
    answering_sources,
    attention_sources,
    kept_attention,
    rolled_out,
    saved_attention,
)
from benchmark.saliency.space import LayerGrid, layer_grids, prepared_shape, to_store, upsampled
from benchmark.samples import Samples
from benchmark.tasks import Task
from benchmark.training.batches import BatchSource, even_batches

__all__ = ["KINDS", "MapSettings", "Mapper"]

VOLUMES: Final = "t1w"
OWN: Final = "own"
# Coarser maps of a layer cannot point anywhere: 4 points are 40 mm apart on a 160 mm axis.
_LEAST_POINTS = 4


@dataclass(frozen=True)
class MapSettings:
    """How maps are made.

    Attributes:
        steps: Points of the path of integrated gradients (Gauss-Legendre).
        window_mm: Side of the cube that occlusion replaces.
        stride_mm: Distance of neighbouring cubes.
        layer: Module whose map GradCAM weighs; "" for the one that the network names.
        batch: Volumes that go through the network at once.
    """

    steps: int = 32
    window_mm: float = 30.0
    stride_mm: float = 20.0
    layer: str = ""
    batch: int = 8


@dataclass
class Mapper:
    """Makes the maps of a fitted method.

    Attributes:
        method: The fitted method.
        task: What is explained.
        baseline: The reference volume of integrated gradients and occlusion, (D, H, W).
        settings: How.
        progress: Told how many people of how many are done.
        layer: Where GradCAM was taken, once it was made.
        completeness: By person, how far the sum of integrated gradients is from the difference in
            evidence between volume and reference, as a share of that difference.
    """

    method: Method
    task: Task
    baseline: np.ndarray
    settings: MapSettings = field(default_factory=MapSettings)
    progress: Callable[[int, int], None] = lambda _, __: None
    layer: str = field(default="", init=False)
    completeness: np.ndarray = field(default_factory=lambda: np.zeros(0), init=False)

    def refusal(self, kind: str, samples: Samples) -> str:
        """Why a kind of map cannot be given; "" if it can.

        Raises:
            UnknownNameError: There is no such kind.
        """
        if kind not in KINDS:
            raise UnknownNameError("kind of map", kind, KINDS, "neurodx explain --help")
        name = type(self.method).__name__
        if kind == OWN:
            has_own = type(self.method).explain is not Method.explain
            return "" if has_own else f"{name} has no explain() of its own"
        if not isinstance(getattr(self.method, "model", None), nn.Module):
            return f"{name} is no network that torch can differentiate (no TorchMethod)"
        if not self.sees_volumes(samples):
            given = ", ".join(sorted(self._columns(samples))) or "nothing"
            return (
                f"the network of {name} is given {given}, not the volumes themselves "
                f"({VOLUMES!r}): nothing leads back to voxels"
            )
        return _REFUSALS[kind](self, samples) if kind in _REFUSALS else ""

    def maps(self, kind: str, samples: Samples) -> np.ndarray:
        """Maps on the grid of the store, (N, D, H, W), float32.

        Positive is evidence for what :func:`~benchmark.saliency.evidence.explained` says; GradCAM
        and rollout have no negative values.

        Raises:
            MethodError: The network cannot give that kind, or gave something else.
            UnknownNameError: There is no such kind.
        """
        refusal = self.refusal(kind, samples)
        if refusal:
            raise MethodError(f"no map {kind!r}: {refusal}")
        if kind == OWN:
            found = np.asarray(self.method.explain(samples, self.task), dtype=np.float32)
        else:
            make: Callable[[Mapper, Samples], np.ndarray] = _MAKERS[kind]
            found = make(self, samples)
        expected = (samples.n, *self.baseline.shape)
        if found.shape != expected or not np.isfinite(found).all():
            raise MethodError(
                f"{type(self.method).__name__}: maps {kind!r} have shape {found.shape}, expected "
                f"{expected}, all finite; {int((~np.isfinite(found)).sum())} values are not"
            )
        return found

    def sees_volumes(self, samples: Samples) -> bool:
        """Whether the stored volumes themselves enter the network."""
        return VOLUMES in self._columns(samples)

    def evidence(self, samples: Samples) -> np.ndarray:
        """What the maps explain, one number a person, (N,)."""
        with torch.no_grad():
            found = [f(x, *others).cpu() for f, x, others in self._batches(samples)]
        return torch.cat(found).numpy()

    # Kinds ---------------------------------------------------------------------------------------

    def _integrated_gradients(self, samples: Samples) -> np.ndarray:
        parts, gaps = [], []
        for evidence, x, others in self._batches(samples):
            start = self._reference(x)
            found, delta = IntegratedGradients(evidence).attribute(
                x,
                baselines=start.expand_as(x),
                additional_forward_args=others or None,
                n_steps=self.settings.steps,
                internal_batch_size=self.settings.batch,
                return_convergence_delta=True,
            )
            rows = tuple(o for o in others)
            with torch.no_grad():
                change = evidence(x, *rows) - evidence(start.expand_as(x), *rows)
            gaps.append((delta.abs() / change.abs().clamp_min(1e-6)).detach().cpu())
            parts.append(found.detach().float().cpu()[:, 0])
        self.completeness = torch.cat(gaps).numpy()
        return torch.cat(parts).numpy()

    def _occlusion(self, samples: Samples) -> np.ndarray:
        window, stride = (
            max(1, round(mm / (samples.spacing_mm or mm)))
            for mm in (self.settings.window_mm, self.settings.stride_mm)
        )
        sides = [min(window, side) for side in self.baseline.shape]
        steps = [min(stride, side) for side in sides]
        parts = []
        for evidence, x, others in self._batches(samples):
            with torch.no_grad():
                found = Occlusion(evidence).attribute(
                    x,
                    sliding_window_shapes=(1, *sides),
                    strides=(1, *steps),
                    baselines=self._reference(x),
                    additional_forward_args=others or None,
                    perturbations_per_eval=4,
                )
            parts.append(found.float().cpu()[:, 0])
        return torch.cat(parts).numpy()

    def _gradcam(self, samples: Samples) -> np.ndarray:
        network = self._network()
        name, grid = self._layer(samples)
        self.layer = name
        parts = []
        for evidence, x, others in self._batches(samples):
            cam = LayerGradCam(evidence, network.get_submodule(name))
            with torch.enable_grad():
                found = cam.attribute(
                    x, additional_forward_args=others or None, relu_attributions=True
                )
            maps = upsampled(found.detach().float(), grid, prepared_shape(network, x.shape[2:]))
            parts.append(to_store(network, maps, x)[:, 0].cpu())
        network.zero_grad(set_to_none=True)
        return torch.cat(parts).numpy()

    def _rollout(self, samples: Samples) -> np.ndarray:
        network = self._network()
        (source,) = self._sources(samples).values()
        entered: list[Sequence[int]] = []
        handle = source.register_forward_pre_hook(lambda _, x: entered.append(x[0].shape[2:]))
        parts = []
        try:
            for evidence, x, others in self._batches(samples):
                with torch.no_grad(), saved_attention(source):
                    evidence(x, *others)
                    kept = kept_attention(source)
                shape = prepared_shape(network, x.shape[2:])
                seen = entered[-1] if entered else shape  # no call: its tokens are made elsewhere
                tokens = source.token_grid(seen)
                share = _from_patches(kept, int(np.prod(tokens)))
                grid = LayerGrid.patches(tokens, source.patch, seen, shape)
                maps = upsampled(share.reshape(len(x), 1, *tokens), grid, shape)
                parts.append(to_store(network, maps, x)[:, 0].cpu())
        finally:
            handle.remove()
        return torch.cat(parts).numpy()

    # Parts ---------------------------------------------------------------------------------------

    def _network(self) -> nn.Module:
        network: nn.Module = self.method.model.eval()  # type: ignore[attr-defined]
        return network

    def _columns(self, samples: Samples) -> dict[str, Any]:
        """What the network is given: ``explained_inputs`` of a method that computes features of
        volumes once and has a network that takes the volumes themselves, else its inputs.
        """
        method: Any = self.method
        return dict(getattr(method, "explained_inputs", method.inputs)(samples))

    def _reference(self, like: Tensor) -> Tensor:
        return torch.from_numpy(self.baseline).to(like)[None, None]

    def _batches(self, samples: Samples) -> Iterator[tuple[Evidence, Tensor, tuple[Tensor, ...]]]:
        """The function that is explained, volumes, and the other inputs, batch by batch."""
        network = self._network()
        device = next(network.parameters()).device
        source = BatchSource(self._columns(samples))
        for rows in even_batches(np.arange(samples.n), self.settings.batch):
            inputs = source.read(rows).to(device).inputs
            others = tuple(name for name in inputs if name != VOLUMES)
            evidence = Evidence(network, self.task.name, VOLUMES, others)
            yield evidence, inputs[VOLUMES], tuple(inputs[name] for name in others)
            self.progress(int(rows[-1]) + 1, samples.n)

    def _gradient_refusal(self, samples: Samples) -> str:
        evidence, x, others = self._one(samples)
        if depends_on(evidence(x, *others), {VOLUMES: x}):
            return ""
        return (
            f"no gradient leads from the answer of {type(self.method).__name__} back to the volume"
        )

    def _sources(self, samples: Samples) -> dict[str, Any]:
        evidence, x, others = self._one(samples)
        return answering_sources(self._network(), lambda: evidence(x, *others))

    def _rollout_refusal(self, samples: Samples) -> str:
        name = type(self.method).__name__
        there = attention_sources(self._network())
        if not there:
            return (
                f"no module of the network of {name} keeps attention between patches of a volume: "
                "one with save_attention, attention_maps, token_grid() and patch is needed"
            )
        found = self._sources(samples)
        if not found:
            return (
                f"the answer of {name} does not come from the attention that is kept "
                f"({', '.join(there)})"
            )
        if len(found) > 1:
            return (
                f"the answer of {name} comes from several transformers that see the volume "
                f"({', '.join(found)}), and rollout follows one"
            )
        return ""

    def _one(self, samples: Samples) -> tuple[Evidence, Tensor, tuple[Tensor, ...]]:
        """As :meth:`_batches`, for one person and ready for a gradient at the volume."""
        evidence, x, others = next(self._batches(samples.subset(np.arange(min(1, samples.n)))))
        return evidence, x.clone().requires_grad_(), others

    def _layer_refusal(self, samples: Samples) -> str:
        network = self._network()
        wanted = self.settings.layer
        grids = self._grids(samples)
        if wanted and wanted not in grids:
            known = ", ".join(grids) or "none"
            return (
                f"layer {wanted!r} has no map over the volume that the answer reads; those that "
                f"have: {known}"
            )
        if _named(network) or wanted or grids:
            return ""
        return (
            f"no layer of the network of {type(self.method).__name__} has a map over the volume "
            "that the answer reads (a network may name one as gradcam_layer)"
        )

    def _layer(self, samples: Samples) -> tuple[str, LayerGrid]:
        """The layer asked for, else the one that is named, else the last that is not too coarse."""
        grids = self._grids(samples)
        name = self.settings.layer or _named(self._network())
        if not name:
            fine = [n for n, grid in grids.items() if min(grid.shape) >= _LEAST_POINTS]
            name = (fine or list(grids))[-1]
        if name not in grids:
            raise MethodError(
                f"{type(self.method).__name__}: gradcam_layer {name!r} gave no map "
                "(B, C, D, H, W) that the answer reads; layers that do: "
                f"{', '.join(grids) or 'none'}"
            )
        return name, grids[name]

    def _grids(self, samples: Samples) -> dict[str, LayerGrid]:
        """Grids of the layers whose map the answer depends on."""
        network = self._network()
        evidence, x, others = self._one(samples)
        answers: list[Tensor] = []
        with last_outputs(network.named_modules()) as outputs:
            grids = layer_grids(network, lambda: answers.append(evidence(x, *others)))
        read = depends_on(answers[0], outputs)
        return {name: grid for name, grid in grids.items() if name in read}


def _named(network: nn.Module) -> str:
    """Full name of the layer that the network, or a module in it, names for GradCAM; "" if none."""
    for prefix, module in network.named_modules():
        name = getattr(module, "gradcam_layer", "")
        if isinstance(name, str) and name:
            return f"{prefix}.{name}" if prefix else name
    return ""


def _from_patches(kept: list[Tensor], patches: int) -> Tensor:
    """What the pooled token, or the mean of all, holds of each patch, (B, patches)."""
    tokens = kept[0].shape[-1] if kept else 0
    if tokens not in (patches, patches + 1):
        raise MethodError(
            f"attention between {tokens} tokens was kept, expected {patches}, one a patch, or one "
            "more that is pooled; tokens of other modalities among them have no place in the volume"
        )
    rolled = rolled_out(kept)  # b t t
    return rolled.mean(dim=1) if tokens == patches else rolled[:, 0, 1:]


_MAKERS: Final = {
    "gradcam": Mapper._gradcam,
    "integrated_gradients": Mapper._integrated_gradients,
    "occlusion": Mapper._occlusion,
    "rollout": Mapper._rollout,
}
_REFUSALS: Final = {
    "gradcam": Mapper._layer_refusal,
    "integrated_gradients": Mapper._gradient_refusal,
    "rollout": Mapper._rollout_refusal,
}
KINDS: Final = (OWN, *_MAKERS)
