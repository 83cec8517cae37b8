"""The adapter: what is trained in front of a frozen encoder of volumes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import avg_pool3d

from benchmark.api import MethodError, one_of

__all__ = ["ACTIVATIONS", "Adapter", "AveragePool"]

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


class AveragePool(nn.Module):
    """Means over blocks of voxels, (B, 1, D, H, W) to (B, 1, D/s, H/s', W/s'').

    Args:
        stride: Voxels that are averaged along each axis.
    """

    def __init__(self, stride: Sequence[int]) -> None:
        super().__init__()
        self.stride = tuple(stride)

    def forward(self, x: Tensor) -> Tensor:
        """The means."""
        return avg_pool3d(x, self.stride)


class Adapter(nn.Module):
    """A bottleneck of convolutions whose answer is added to the average-pooled input.

    Where its last layer starts at zero, it is an average pool at first and the frozen encoder sees
    what it was pretrained on.

    Args:
        channels: Channels of the convolution.
        bottleneck: Channels of the bottleneck.
        kernel: Size of the convolution, voxels along each axis.
        stride: Its stride, which is also what is averaged.
        groups: Groups of the norm over channels and space.
        activation: One of ``ACTIVATIONS``.
        zero_start: Whether the last layer starts at zero.

    Raises:
        MethodError: Along an axis the kernel minus the stride is negative or odd, so that no
            padding makes the convolution's grid that of the average pool, or the activation is not
            known.
    """

    def __init__(
        self,
        channels: int,
        bottleneck: int,
        kernel: Sequence[int],
        stride: Sequence[int],
        groups: int,
        *,
        activation: str = "gelu",
        zero_start: bool = True,
    ) -> None:
        super().__init__()
        one_of("adapter.activation", activation, ACTIVATIONS)
        beyond = [k - s for k, s in zip(kernel, stride, strict=True)]
        if any(b < 0 or b % 2 for b in beyond):
            raise MethodError(
                f"adapter.kernel {list(kernel)} must exceed adapter.stride {list(stride)} by an "
                "even number of voxels along each axis, or equal it"
            )
        self.pool = AveragePool(stride)
        padding = tuple(b // 2 for b in beyond)
        self.convolution = nn.Conv3d(1, channels, tuple(kernel), tuple(stride), padding)
        self.norm = nn.GroupNorm(groups, channels)
        self.narrow = nn.Conv3d(channels, bottleneck, kernel_size=1)
        self.widen = nn.Conv3d(bottleneck, channels, kernel_size=1)
        self.out = nn.Conv3d(channels, 1, kernel_size=1)
        if zero_start:
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)
        kind = ACTIVATIONS[activation]
        self.act = kind()
        self.last_maps = kind()  # a module of its own, so that its output can be looked at

    def maps(self, x: Tensor) -> Tensor:
        """The maps before the last layer, (B, C, D', H', W')."""
        x = self.act(self.norm(self.convolution(x)))  # b c d' h' w'
        out: Tensor = self.last_maps(self.widen(self.act(self.narrow(x))))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Volumes (B, 1, D, H, W) to what the frozen encoder sees, (B, 1, D', H', W')."""
        out: Tensor = self.pool(x) + self.out(self.maps(x))
        return out
