"""A linear model on the correlations between regions."""

from typing import Final

import numpy as np
import pandas as pd

from benchmark.api import PenalisedLinear, Samples

MOST_CORRELATED: Final = 0.999  # Fisher z is infinite at 1


def fisher_z(series: np.ndarray) -> np.ndarray:
    """Fisher z of the correlation of each pair of regions.

    Args:
        series: Time series, (N, T, R).

    Returns:
        Shape (N, R (R - 1) / 2), pairs in the order of ``numpy.triu_indices``; NaN where one of the
        two does not vary or holds a NaN.
    """
    centred = series - series.mean(axis=1, keepdims=True)
    size = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    unit = np.divide(centred, size, out=np.full_like(centred, np.nan), where=size > 0)
    first, second = np.triu_indices(series.shape[2], k=1)
    r = np.einsum("ntr,nts->nrs", unit, unit)[:, first, second]
    return np.arctanh(np.clip(r, -MOST_CORRELATED, MOST_CORRELATED))


class ConnectivityLinear(PenalisedLinear):
    """Every pair of regions is a feature; a pair that is missing is imputed and flagged."""

    def features(self, samples: Samples) -> pd.DataFrame:
        return pd.DataFrame(fisher_z(samples.array("fmri").astype(np.float64)))
