"""The clinical table as numbers: standardised, imputed, with indicators of what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmark.api import MethodError, Samples
from methods.daft.info import DaftConfig

__all__ = ["MISSING", "StandardiseTable", "read_table"]

MISSING = ("mean", "median")
SOURCES = ("demographics", "clinical")
_NUMBERS = {"sex": {"F": 0.0, "M": 1.0}}


def read_table(samples: Samples, only: Sequence[str] = ()) -> np.ndarray:
    """Demographic and clinical columns as they are, (N, P) float32, NaN where missing.

    Columns of a source that a person does not have are missing, whatever they hold. P is 0 where
    the track opens neither source.

    Args:
        samples: The people.
        only: Names of the columns that are read, in any order; all where it is empty.

    Raises:
        MethodError: A column holds text that has no numbers here, or a named one is not there.
    """
    frames = {source: samples.frame(source) for source in SOURCES if source in samples.tables}
    known = [str(name) for table in frames.values() for name in table]
    if only and not frames:
        raise MethodError(
            f"columns: this track opens no table to read {', '.join(only)} from; leave columns "
            "empty, or choose the track t1w+clinical"
        )
    if absent := [name for name in only if name not in known]:
        raise MethodError(
            f"columns: this track and cohort have no {', '.join(absent)}; expected some of "
            f"{', '.join(known)}"
        )
    columns = [np.zeros((samples.n, 0), dtype=np.float32)]
    for source, table in frames.items():
        values = _numbers(table[[name for name in table if not only or name in only]])  # n p
        if source in samples.available:
            values[~samples.has(source)] = np.nan
        columns.append(values)
    return np.concatenate(columns, axis=1)


def _numbers(table: pd.DataFrame) -> np.ndarray:
    values = np.full(table.shape, np.nan, dtype=np.float32)
    for place, (name, column) in enumerate(table.items()):
        if pd.api.types.is_numeric_dtype(column):
            values[:, place] = column.to_numpy(dtype=np.float32, na_value=np.nan)
        elif name in _NUMBERS:
            values[:, place] = column.map(_NUMBERS[str(name)]).to_numpy(dtype=np.float32)
        else:
            raise MethodError(
                f"column {name!r} holds text; expected numbers, or one of {', '.join(_NUMBERS)}"
            )
    return values


class StandardiseTable(nn.Module):
    """Values with mean 0 and standard deviation 1, then indicators; nothing is learned.

    A missing value becomes the training mean, 0, or median. The indicator of a column is 1 where
    its value is missing; it stays 0 where the training people have all or none of that column,
    since what it would mean has then not been learned.

    Args:
        values: Of training people, (N, P), NaN where missing; N is 0 when weights are loaded.
        config: What stands for a missing value, and whether there are indicators.
    """

    fill: Tensor

    def __init__(self, values: np.ndarray, config: DaftConfig) -> None:
        super().__init__()
        self.indicators = config.indicators
        x = torch.from_numpy(values).double()
        known = ~x.isnan()
        n = known.sum(dim=0).clamp_min(1)
        mean = torch.where(known, x, 0.0).sum(dim=0) / n
        sd = (torch.where(known, x - mean, 0.0).square().sum(dim=0) / n).sqrt()
        varied = known.any(dim=0) & ~known.all(dim=0)
        sd = torch.where(sd > 0, sd, 1.0)
        fill = torch.zeros_like(mean)
        if config.missing == "median" and len(x):
            fill = ((x.nanquantile(0.5, dim=0) - mean) / sd).nan_to_num(0.0)
        self.register_buffer("mean", mean.float())
        self.register_buffer("sd", sd.float())
        self.register_buffer("fill", fill.float())
        self.register_buffer("varied", varied.float())

    @property
    def width(self) -> int:
        """Columns of the answer, 2 P, or P without indicators."""
        return (2 if self.indicators else 1) * len(self.mean)

    def forward(self, values: Tensor) -> Tensor:
        """From columns (B, P), NaN where missing, to (B, 2 P), or (B, P) without indicators."""
        missing = values.isnan()
        z = torch.where(missing, self.fill, (values - self.mean) / self.sd)  # b p
        if not self.indicators:
            return z
        return torch.cat([z, missing * self.varied], dim=1)
