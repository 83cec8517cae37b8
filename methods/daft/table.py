"""The clinical table as numbers: standardised, imputed, with indicators of what is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmark.api import MethodError, Samples

__all__ = ["StandardiseTable", "read_table"]

SOURCES = ("demographics", "clinical")
_NUMBERS = {"sex": {"F": 0.0, "M": 1.0}}


def read_table(samples: Samples) -> np.ndarray:
    """Demographic and clinical columns as they are, (N, P) float32, NaN where missing.

    Columns of a source that a person does not have are missing, whatever they hold. P is 0 where
    the track opens neither source.

    Raises:
        MethodError: A column holds text that has no numbers here.
    """
    columns = [np.zeros((samples.n, 0), dtype=np.float32)]
    for source in SOURCES:
        if source in samples.tables:
            values = _numbers(samples.frame(source))  # n p
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

    A missing value becomes the training mean, 0. The indicator of a column is 1 where its value is
    missing; it stays 0 where the training people have all or none of that column, since what it
    would mean has then not been learned.

    Args:
        values: Of training people, (N, P), NaN where missing; N is 0 when weights are loaded.
    """

    def __init__(self, values: np.ndarray) -> None:
        super().__init__()
        x = torch.from_numpy(values).double()
        known = ~x.isnan()
        n = known.sum(dim=0).clamp_min(1)
        mean = torch.where(known, x, 0.0).sum(dim=0) / n
        sd = (torch.where(known, x - mean, 0.0).square().sum(dim=0) / n).sqrt()
        varied = known.any(dim=0) & ~known.all(dim=0)
        self.register_buffer("mean", mean.float())
        self.register_buffer("sd", torch.where(sd > 0, sd, 1.0).float())
        self.register_buffer("varied", varied.float())

    @property
    def width(self) -> int:
        """Columns of the answer, 2 P."""
        return 2 * len(self.mean)

    def forward(self, values: Tensor) -> Tensor:
        """From columns (B, P), NaN where missing, to (B, 2 P)."""
        missing = values.isnan()
        z = torch.where(missing, 0.0, (values - self.mean) / self.sd)  # b p
        return torch.cat([z, missing * self.varied], dim=1)
