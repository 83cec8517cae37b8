"""Takes out of regional measurements what the scanners of training people add to them."""

from typing import Final, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from benchmark.api import MethodError

SITE: Final = "site_id"


class SiteOffsets(TransformerMixin, BaseEstimator):
    r"""ComBat without its scale, fitted on training people.

    A feature of a person at site i is :math:`\alpha + X \beta + \gamma_i + \epsilon`, where X is
    what is to be predicted: what sites differ in for that reason stays. The offsets
    :math:`\gamma_i`, with mean 0 over training people, are shrunk by empirical Bayes towards the
    site's mean over features, in units of the residual's standard deviation:

    .. math:: \gamma^*_i = (n_i \tau_i^2 \hat\gamma_i + \bar\gamma_i) / (n_i \tau_i^2 + 1)

    To take an offset out, nothing must be known of a person but the site. ComBat's scale would need
    :math:`X \beta`, for a test person what is to be predicted. A site of no training person has no
    offset: its measurements stay as they are, in the frame of the mean training person. Missing
    values count as the feature's median in the fit and stay missing.

    Without a column ``site_id`` nothing is done.

    Attributes:
        classes: Whether the target is a class rather than a value.
        offsets_: Offset of each feature, by site.

    References:
        Johnson, Li & Rabinovic 2007, 10.1093/biostatistics/kxj037: the posterior mean, variance 1.
        Fortin et al. 2018, 10.1016/j.neuroimage.2017.11.024, for cortical thickness.
    """

    def __init__(self, classes: bool = False) -> None:
        self.classes = classes

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Self:
        """Learns the offsets.

        Raises:
            MethodError: Sites and classes cannot be told apart: each site has one class alone.
        """
        self.offsets_ = pd.DataFrame()
        if SITE not in X:
            return self
        values = X.drop(columns=SITE)
        filled = values.fillna(values.median()).fillna(0.0).to_numpy(dtype=np.float64)
        sites = pd.get_dummies(X[SITE], dtype=np.float64)
        kept = pd.get_dummies(y, dtype=np.float64).iloc[:, 1:] if self.classes else pd.DataFrame(y)
        design = np.column_stack([sites, kept - kept.mean().to_numpy()])
        coefficients, _, rank, _ = np.linalg.lstsq(design, filled, rcond=None)
        if rank < design.shape[1]:
            raise MethodError(
                f"sites {', '.join(sites)} and what is predicted cannot be told apart in the "
                "training people; expected a site with more than one class or age"
            )
        n = sites.sum().to_numpy()[:, None]  # (S, 1)
        sd = np.std(filled - design @ coefficients, axis=0)  # (P,)
        means = coefficients[: len(n)]  # (S, P)
        raw = (means - (n * means).sum(axis=0) / n.sum()) / np.where(sd > 0, sd, np.inf)
        spread = raw.var(axis=1, ddof=min(1, raw.shape[1] - 1), keepdims=True)
        weight = n * spread
        shrunk = (weight * raw + raw.mean(axis=1, keepdims=True)) / (weight + 1)
        self.offsets_ = pd.DataFrame(shrunk * sd, index=sites.columns, columns=values.columns)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Measurements without the offset of their site, and without the column of sites."""
        if SITE not in X:
            return X
        values = X.drop(columns=SITE)
        return values - self.offsets_.reindex(X[SITE]).fillna(0.0).to_numpy()
