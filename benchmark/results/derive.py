"""A binary task read from a three-class model by renormalising its two probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmark.errors import ResultError
from benchmark.metrics.validation import check_classification
from benchmark.results.ledger import prediction_columns, require_columns

__all__ = ["derive_binary"]


def derive_binary(
    frame: pd.DataFrame, source: Sequence[str], target: Sequence[str]
) -> pd.DataFrame:
    """Restricts a ledger to two of its classes.

    Keeps the people of those two diagnoses; ``p_1' = p_1 / (p_0 + p_1)``. Where both are exactly
    zero the model says nothing about the pair and gets 0.5 each.

    Args:
        frame: Ledger of the source task, ``y_true`` and ``prob_k`` in the order of ``source``.
        source: Class names of the fitted task.
        target: The two class names of the derived task, in its order.

    Raises:
        ResultError: A target class is not a class of the source, a column is missing, or the
            probabilities are not valid.
    """
    if len(target) != 2 or not set(target) <= set(source):
        raise ResultError(
            f"cannot derive classes {list(target)} from {list(source)}: "
            "expected two of the fitted task's classes"
        )
    columns = prediction_columns(source)
    require_columns(frame, ["y_true", *columns], "derived task")
    index = [list(source).index(name) for name in target]
    kept = frame.loc[frame["y_true"].isin(index)]
    labels, whole = frame["y_true"].to_numpy(), frame[columns].to_numpy()
    check_classification(labels, whole, name="derived task")
    pair = kept[[columns[i] for i in index]].to_numpy(dtype=np.float64)
    total = pair.sum(axis=1, keepdims=True)
    share = np.divide(pair, total, out=np.full_like(pair, 0.5), where=total > 0)
    derived = kept.drop(columns=columns)
    return derived.assign(
        y_true=(kept["y_true"] == index[1]).astype(np.float64),
        prob_0=share[:, 0],
        prob_1=share[:, 1],
    )
