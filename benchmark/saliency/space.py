"""From the grid of a layer, or of tokens, back to the grid of the store.

A convolution with stride samples its input at every second voxel or so, beginning at the first;
maps that are merely stretched to the size of the volume lie several voxels beside what they show.
Here the position of every point of a layer is computed from kernels, strides and paddings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from benchmark.encoders.volume import PrepareVolumes, Size, cropped
from benchmark.training.volumes import NormaliseVolumes, head_scale, rescaled, white_level

__all__ = ["LayerGrid", "layer_grids", "prepared_shape", "to_store", "upsampled"]

_STRIDED = (nn.Conv3d, nn.MaxPool3d, nn.AvgPool3d)
_MAP = 5  # axes of (B, C, D, H, W)


@dataclass(frozen=True)
class LayerGrid:
    """Where the points of a map lie, in voxels of the volume that the first convolution sees.

    Attributes:
        shape: Points along each axis.
        base: Voxels of that volume along each axis.
        start: Position of the first point along each axis.
        step: Distance of neighbouring points.
    """

    shape: Size
    base: Size
    start: tuple[float, float, float]
    step: tuple[float, float, float]

    @classmethod
    def even(cls, shape: Sequence[int], base: Sequence[int]) -> LayerGrid:
        """Points in the centres of equal blocks, as patches are."""
        step = tuple(b / s for b, s in zip(base, shape, strict=True))
        return cls(_three(shape), _three(base), _floats([(s - 1) / 2 for s in step]), _floats(step))

    @classmethod
    def patches(
        cls, shape: Sequence[int], patch: Sequence[int], seen: Sequence[int], base: Sequence[int]
    ) -> LayerGrid:
        """Centres of the patches of a transformer, in voxels of prepared volumes.

        What enters the transformer may be coarser than the prepared volume, as means over equal
        blocks are; a patch then covers as many times more. What is padded to whole patches is
        padded on both sides, the odd slab at the end.

        Args:
            shape: Patches along each axis.
            patch: Voxels of a patch along each axis, of the volume that enters.
            seen: Shape (D', H', W') of the volume that enters.
            base: Shape (D, H, W) of prepared volumes.
        """
        start, step = [], []
        for n, side, before, whole in zip(shape, patch, seen, base, strict=True):
            ratio = whole / before
            start.append(ratio * (side / 2 - (n * side - before) // 2) - 0.5)
            step.append(ratio * side)
        return cls(_three(shape), _three(base), _floats(start), _floats(step))


@dataclass
class _Trace:
    grids: dict[Size, LayerGrid] = field(default_factory=dict)
    layers: dict[str, LayerGrid] = field(default_factory=dict)
    base: Size | None = None

    def strided(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Notes where the output of a convolution or pooling lies."""
        before, after = _three(inputs[0].shape[2:]), _three(output.shape[2:])
        if self.base is None:
            self.base = before
            self.grids[before] = LayerGrid(before, before, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        found = self.grids.get(before)
        if found is None or after in self.grids:
            return
        kernel, stride = (_along(getattr(module, name)) for name in ("kernel_size", "stride"))
        dilation = _along(getattr(module, "dilation", 1))
        reach = [d * (k - 1) / 2 for d, k in zip(dilation, kernel, strict=True)]
        padding = _padding(module, reach)
        offset = [r - p for r, p in zip(reach, padding, strict=True)]
        self.grids[after] = LayerGrid(
            after,
            self.base,
            _floats([a + s * o for a, s, o in zip(found.start, found.step, offset, strict=True)]),
            _floats([s * r for s, r in zip(found.step, stride, strict=True)]),
        )

    def mapped(self, name: str, output: Any) -> None:
        """Notes the grid of a module whose output is a map."""
        if self.base is None or not isinstance(output, Tensor) or output.ndim != _MAP:
            return
        shape = _three(output.shape[2:])
        self.layers.pop(name, None)  # the order is that of the last call
        self.layers[name] = self.grids.get(shape) or LayerGrid.even(shape, self.base)


def layer_grids(network: nn.Module, run: Callable[[], Any]) -> dict[str, LayerGrid]:
    """Grids of all modules whose output is a map, in the order in which they are done.

    Args:
        network: The network.
        run: One forward pass of it, with or without gradients.
    """
    trace = _Trace()
    handles = []
    for name, module in network.named_modules():
        if isinstance(module, _STRIDED):
            handles.append(module.register_forward_hook(trace.strided))

        def note(_: nn.Module, __: Any, output: Any, name: str = name) -> None:
            trace.mapped(name, output)

        if name:
            handles.append(module.register_forward_hook(note))
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return trace.layers


def upsampled(maps: Tensor, grid: LayerGrid, shape: Sequence[int]) -> Tensor:
    """Interpolates maps linearly from the points of a layer to prepared volumes.

    Args:
        maps: Shape (B, 1, d, h, w), as the grid says.
        grid: Where the points lie.
        shape: Shape (D, H, W) of the prepared volumes; what the base has more was padded on both
            sides.
    """
    for axis in range(3):
        position = torch.arange(grid.base[axis], dtype=maps.dtype, device=maps.device)
        place = (position - grid.start[axis]) / grid.step[axis]
        place = place.clamp(0, grid.shape[axis] - 1)
        points = torch.arange(grid.shape[axis], dtype=maps.dtype, device=maps.device)
        weights = (1 - (place[:, None] - points).abs()).clamp_min(0)  # new old
        maps = torch.movedim(torch.movedim(maps, axis + 2, -1) @ weights.T, -1, axis + 2)
    if all(b >= s for b, s in zip(grid.base, shape, strict=True)):
        pooled = [b // s for b, s in zip(grid.base, shape, strict=True)]
        if max(pooled) == 1:
            return cropped(maps, shape)
    return interpolate(maps, size=tuple(shape), mode="trilinear", align_corners=False)


def prepared_shape(network: nn.Module, stored: Sequence[int]) -> Size:
    """Shape of volumes once the network has prepared them."""
    prepare: PrepareVolumes | None = _first(network, PrepareVolumes)
    return _three(stored) if prepare is None else prepare.shape(stored)


def to_store(network: nn.Module, maps: Tensor, stored: Tensor) -> Tensor:
    """Brings maps over prepared volumes to where the stored volumes show the same place.

    Undoes what the first ``PrepareVolumes`` or ``NormaliseVolumes`` in the network does; a network
    with neither sees the store's own space.

    Args:
        network: The network.
        maps: Shape (B, 1, D', H', W').
        stored: Volumes as stored, (B, 1, D, H, W).

    Returns:
        Shape (B, 1, D, H, W).
    """
    prepare: PrepareVolumes | None = _first(network, PrepareVolumes)
    if prepare is not None:
        return prepare.restored(maps, stored)
    if maps.shape[2:] != stored.shape[2:]:
        maps = interpolate(
            maps, size=tuple(stored.shape[2:]), mode="trilinear", align_corners=False
        )
    normalise = _first(network, NormaliseVolumes)
    if normalise is None or not normalise.spacing_mm:
        return maps
    level = white_level(stored)[:, None, None, None, None]
    return rescaled(maps, 1 / head_scale(stored / level, normalise.spacing_mm))


def _first(network: nn.Module, kind: type[Any]) -> Any:
    return next((module for module in network.modules() if isinstance(module, kind)), None)


def _three(values: Sequence[int]) -> Size:
    first, second, third = (int(v) for v in values)
    return first, second, third


def _floats(values: Sequence[float]) -> tuple[float, float, float]:
    first, second, third = (float(v) for v in values)
    return first, second, third


def _padding(module: nn.Module, reach: Sequence[float]) -> tuple[float, float, float]:
    """Padding on one side of each axis; one by name is none, or what keeps the size."""
    padding = module.padding
    if isinstance(padding, str):
        return _floats(reach) if padding == "same" else (0.0, 0.0, 0.0)
    return _along(padding)


def _along(value: Any) -> tuple[float, float, float]:
    """A setting along each axis."""
    return _floats([value] * 3 if isinstance(value, (int, float)) else value)
