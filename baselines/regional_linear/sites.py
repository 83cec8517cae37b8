"""Takes out of regional measurements what the scanners of training people add to them."""

from typing import Final, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

SITE: Final = "site_id"
_ROUNDING: Final = 1e-9  # a residual below this part of the feature's largest value is none


class SiteOffsets(TransformerMixin, BaseEstimator):
    r"""ComBat without its scale, fitted on training people.

    A feature of a person at site i is :math:`\alpha + X \beta + \gamma_i + \epsilon`, where X is
    what is to be predicted: what sites differ in for that reason stays. The offsets
    :math:`\gamma_i`, with mean 0 over training people, are shrunk by empirical Bayes towards the
    site's mean over features, in units of the residual's standard deviation:

    .. math:: \gamma^*_i = (n_i \tau_i^2 \hat\gamma_i + \bar\gamma_i) / (n_i \tau_i^2 + 1)

    To take an offset out, nothing must be known of a person but the site. ComBat's scale would need
    :math:`X \beta`, for a test person what is to be predicted. A site of no training person has no
    offset: its measurements stay as they are, in the frame of the mean training person. Nor has a
    person whose site is missing, who is left out of the fit. Missing values count as the feature's
    median in the fit and stay missing.

    What could be an offset as well as an effect of X, as where each site has one class alone,
    counts as X and stays: of all least-squares solutions the offsets are those with the smallest
    sum of squares over training people. Features without a residual, such as constant ones, have
    no offset and no part in :math:`\bar\gamma_i` and :math:`\tau_i`.

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
        """Learns the offsets."""
        self.offsets_ = pd.DataFrame()
        if SITE not in X:
            return self
        told = X[SITE].notna().to_numpy()
        values = X.loc[told].drop(columns=SITE)
        self.offsets_ = pd.DataFrame(columns=values.columns, dtype=np.float64)
        if values.empty:
            return self
        filled = values.fillna(values.median()).fillna(0.0).to_numpy(dtype=np.float64)
        sites = pd.get_dummies(X.loc[told, SITE], dtype=np.float64)
        raw, sd = _told_apart(filled, sites.to_numpy(), self._kept(np.asarray(y)[told]))
        self.offsets_ = pd.DataFrame(0.0, index=sites.columns, columns=values.columns)
        varies = sd > _ROUNDING * np.abs(filled).max(axis=0)
        if varies.any():
            raw = raw[:, varies] / sd[varies]
            spread = raw.var(axis=1, ddof=min(1, raw.shape[1] - 1), keepdims=True)
            weight = sites.sum().to_numpy()[:, None] * spread
            shrunk = (weight * raw + raw.mean(axis=1, keepdims=True)) / (weight + 1)
            self.offsets_.loc[:, varies] = shrunk * sd[varies]
        return self

    def _kept(self, y: np.ndarray) -> np.ndarray:
        """What is to be predicted, about its mean; (N, K)."""
        kept = pd.get_dummies(y, dtype=np.float64).iloc[:, 1:] if self.classes else pd.DataFrame(y)
        return (kept - kept.mean()).to_numpy(dtype=np.float64)

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Measurements without the offset of their site, and without the column of sites."""
        if SITE not in X:
            return X
        values = X.drop(columns=SITE)
        return values - self.offsets_.reindex(X[SITE]).fillna(0.0).to_numpy()


def _told_apart(
    values: np.ndarray, sites: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares offsets beside ``kept``, the smallest there are, and the residual's sd.

    Both sides are first cleared of ``kept`` (Frisch & Waugh 1933), which leaves nothing of an
    offset that it explains; the least-squares solution of smallest norm is 0 there.

    Args:
        values: (N, P).
        sites: 1 at the person's site, (N, S).
        kept: About its mean, (N, K).

    Returns:
        Offsets (S, P), whose mean over people is 0, and the standard deviation (P,).
    """

    def cleared(columns: np.ndarray) -> np.ndarray:
        return columns - kept @ np.linalg.lstsq(kept, columns, rcond=None)[0]

    centred = values - values.mean(axis=0)
    root = np.sqrt(sites.sum(axis=0))  # (S,): the norm is over people, not over sites
    raw = np.linalg.lstsq(cleared(sites / root), cleared(centred), rcond=None)[0] / root[:, None]
    return raw, np.std(cleared(centred - sites @ raw), axis=0)
