"""What all encoders of volumes share: how inputs are prepared, padded and cut into patches."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import avg_pool3d, interpolate, pad

from benchmark.encoders.base import Encoded, Encoder
from benchmark.errors import ConfigError, UnknownNameError
from benchmark.training.volumes import NormaliseVolumes, head_scale, rescaled, white_level

__all__ = [
    "FITS",
    "PrepareVolumes",
    "Size",
    "VolumeEncoder",
    "cropped",
    "from_patches",
    "pad_to_multiple",
    "size_of",
    "to_patches",
]

Size = tuple[int, int, int]
FITS = ("pad", "resample")


class VolumeEncoder(Encoder):
    """From prepared volumes (B, 1, D, H, W) to one token per patch and one vector a person.

    A volume whose sides are no multiples of the patch is padded with zeros (background) on both
    sides, the odd slab at the end.

    Attributes:
        patch: Voxels of one token along each axis, (i, j, k).
        width: Features of a token, d.
        gradcam_layer: Name, as in ``named_modules``, of the module whose output is the last map of
            convolutions; "" where there is none.
    """

    patch: Size
    gradcam_layer: str = ""

    @property
    def map_start(self) -> tuple[float, float, float]:
        """Where the first point of ``gradcam_layer``'s map lies, in voxels of the padded volume.

        The next ones follow every ``patch`` voxels; in the middle of patches unless an encoder says
        otherwise.
        """
        first, second, third = ((step - 1) / 2 for step in self.patch)
        return first, second, third

    def token_grid(self, shape: Sequence[int]) -> Size:
        """Tokens along each axis for volumes of a shape (D, H, W); tokens lie in C order."""
        return size_of([-(-side // step) for side, step in zip(shape, self.patch, strict=True)])

    def encode_masked(
        self, x: Tensor, hidden: Tensor, mask_token: Tensor, *, drop: bool = False
    ) -> Encoded:
        """Encodes volumes of which some patches are hidden, for masked autoencoding.

        Args:
            x: Volumes, 0 in hidden patches, (B, 1, D, H, W).
            hidden: Which patches are, (B, T) bool.
            mask_token: What an encoder with a transformer puts in their place, (d,); one without
                sees the zeros.
            drop: Whether an encoder with a transformer gets visible tokens alone, and the mask
                token takes the others' places after the last block.
        """
        del hidden, mask_token, drop
        return self.encode(x)


class PrepareVolumes(nn.Module):
    """Stored volumes as every encoder of this benchmark takes them.

    Heads of one size and one scale of intensities (:class:`NormaliseVolumes`), then the mean over
    neighbouring voxels, then another grid, e.g. the one that published weights were learned on.
    Nothing is learned.

    Args:
        spacing_mm: Voxel size of the store.
        pool: Voxels that are averaged along each axis; all 1 leaves the grid as it is.
        grid: Sides of prepared volumes in voxels; empty leaves the grid as it is.
        fit: How volumes come to that grid: ``pad`` keeps the size of a voxel and adds or takes off
            the same on both sides, ``resample`` stretches them, linearly interpolated.

    Raises:
        ConfigError: ``pool`` or ``grid`` is not three positive numbers.
        UnknownNameError: ``fit`` is not known.
    """

    def __init__(
        self,
        spacing_mm: float,
        pool: Sequence[int] = (1, 1, 1),
        grid: Sequence[int] = (),
        fit: str = "pad",
    ) -> None:
        super().__init__()
        if fit not in FITS:
            raise UnknownNameError("fit of volumes to a grid", fit, FITS)
        self.normalise = NormaliseVolumes(spacing_mm)
        self.pool = size_of(pool)
        self.grid = size_of(grid) if len(grid) else None
        self.fit = fit

    def shape(self, stored: Sequence[int]) -> Size:
        """Shape (D, H, W) of prepared volumes.

        Raises:
            ConfigError: A side of the stored volume is no multiple of what is averaged.
        """
        if any(side % step for side, step in zip(stored, self.pool, strict=True)):
            raise ConfigError(
                f"pool {list(self.pool)} does not divide volumes of {tuple(stored)} voxels"
            )
        pooled = [side // step for side, step in zip(stored, self.pool, strict=True)]
        return self.grid or size_of(pooled)

    def forward(self, x: Tensor) -> Tensor:
        """Volumes as stored, (B, 1, D, H, W), to prepared ones, (B, 1, D', H', W')."""
        return self._gridded(self.normalise(x))

    def carried(self, maps: Tensor, stored: Tensor) -> Tensor:
        """Brings maps over stored volumes to where the prepared volumes show the same place.

        A mask comes out as shares of voxels, between 0 and 1.

        Args:
            maps: Anything known over stored volumes, e.g. a segmentation, (B, 1, D, H, W).
            stored: The volumes as stored, (B, 1, D, H, W).

        Returns:
            Shape (B, 1, D', H', W').
        """
        return self._gridded(rescaled(maps, self._scale(stored)))

    def _gridded(self, x: Tensor) -> Tensor:
        if self.pool != (1, 1, 1):
            x = avg_pool3d(x, self.pool)
        if self.grid is None or self.grid == tuple(x.shape[2:]):
            return x
        if self.fit == "resample":
            return interpolate(x, size=self.grid, mode="trilinear", align_corners=False)
        return cropped(padded(x, self.grid), self.grid)

    def restored(self, maps: Tensor, stored: Tensor) -> Tensor:
        """Brings maps over prepared volumes back to where the stored volumes show the same place.

        Args:
            maps: Anything measured over prepared volumes, e.g. saliency, (B, 1, D', H', W').
            stored: The volumes as stored, (B, 1, D, H, W).

        Returns:
            Shape (B, 1, D, H, W); 0 where the prepared volume does not reach.
        """
        shape = stored.shape[2:]
        pooled = [side // step for side, step in zip(shape, self.pool, strict=True)]
        if self.grid is not None and self.fit == "pad":
            maps = cropped(padded(maps, pooled), pooled)
        if maps.shape[2:] != shape:
            maps = interpolate(maps, size=tuple(shape), mode="trilinear", align_corners=False)
        return rescaled(maps, 1 / self._scale(stored))

    def _scale(self, stored: Tensor) -> Tensor:
        """Size of each head over the reference's, as a length, (B,); 1 where there is no grid."""
        spacing_mm = self.normalise.spacing_mm
        if not spacing_mm:
            return stored.new_ones(len(stored))
        level = white_level(stored)[:, None, None, None, None]
        return head_scale(stored / level, spacing_mm)


def size_of(values: Sequence[int]) -> Size:
    """Three positive whole numbers as a tuple.

    Raises:
        ConfigError: There are not three, or one is below 1.
    """
    if len(values) != 3 or any(v < 1 for v in values):
        raise ConfigError(f"expected three numbers of at least 1, got {list(values)}")
    first, second, third = (int(v) for v in values)
    return first, second, third


def pad_to_multiple(x: Tensor, multiple: Sequence[int]) -> Tensor:
    """Adds background on both sides of the last three axes, the odd slab at the end.

    Args:
        x: Maps, (B, C, D, H, W).
        multiple: What each side shall be a multiple of.
    """
    return padded(
        x, [-(-side // step) * step for side, step in zip(x.shape[2:], multiple, strict=True)]
    )


def padded(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Adds background on both sides of axes that are shorter than wanted, the odd slab at the end.

    Args:
        x: Maps, (B, C, D, H, W).
        shape: What each side shall measure at least.
    """
    amounts: list[int] = []
    for side, wanted in zip(x.shape[:1:-1], list(shape)[::-1], strict=True):  # last axis first
        missing = max(wanted - side, 0)
        amounts += [missing // 2, missing - missing // 2]
    return pad(x, amounts) if any(amounts) else x


def cropped(x: Tensor, shape: Sequence[int] | None) -> Tensor:
    """Takes off what :func:`pad_to_multiple` added to volumes of a shape (D, H, W)."""
    if shape is None or tuple(x.shape[2:]) == tuple(shape):
        return x
    starts = [(side - wanted) // 2 for side, wanted in zip(x.shape[2:], shape, strict=True)]
    i, j, k = (slice(s, s + wanted) for s, wanted in zip(starts, shape, strict=True))
    return x[:, :, i, j, k]


def to_patches(x: Tensor, patch: Size) -> Tensor:
    """Cuts volumes (B, 1, D, H, W) into patches (B, T, V) of V voxels, both in C order."""
    n = len(x)
    i, j, k = (side // step for side, step in zip(x.shape[2:], patch, strict=True))
    x = x.reshape(n, i, patch[0], j, patch[1], k, patch[2])
    x = x.permute(0, 1, 3, 5, 2, 4, 6)  # b i j k p q r
    return x.reshape(n, i * j * k, patch[0] * patch[1] * patch[2])


def from_patches(x: Tensor, patch: Size, grid: Size) -> Tensor:
    """Joins patches (B, T, V) to volumes (B, 1, D, H, W); undoes :func:`to_patches`."""
    x = x.reshape(len(x), *grid, *patch).permute(0, 1, 4, 2, 5, 3, 6)  # b i p j q k r
    i, j, k = (tokens * step for tokens, step in zip(grid, patch, strict=True))
    return x.reshape(len(x), 1, i, j, k)
