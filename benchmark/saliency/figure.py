"""Draws an explanation: mean maps of a group in three slices, beside the true change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.errors import ResultError

__all__ = ["draw"]

Array = NDArray[Any]
_INK: Final = "#333333"


def draw(folder: Path, target: Path, group: str | None = None) -> None:
    """Writes a PNG; needs matplotlib (``make dev``).

    Rows are the true change and each kind of map, absolute values averaged over people and divided
    by their 99.5th percentile; columns are the sagittal, coronal and axial slice through the
    greatest mean true change. The mean volume lies beneath.

    Args:
        folder: ``explanations/<row>/<cohort>__<task>__fold<k>`` of a synthetic cohort.
        target: The file.
        group: A true class; everybody by default.

    Raises:
        ResultError: The folder holds no volumes or no true change, or nobody has that class.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    facts = json.loads((folder / "explanation.json").read_text(encoding="utf-8"))
    people = pd.read_parquet(folder / "people.parquet")
    chosen = np.ones(len(people), dtype=bool)
    if group is not None:
        chosen = (people["group"] == group).to_numpy()
    if not chosen.any():
        known = ", ".join(map(str, people["group"].dropna().unique())) or "no classes"
        raise ResultError(f"{folder}: nobody is of class {group!r}; there are {known}")
    if not (folder / "t1w.npy").is_file() or not (folder / "true_change.npy").is_file():
        raise ResultError(
            f"{folder}: expected t1w.npy and true_change.npy, which only explanations of synthetic "
            "cohorts with a known truth hold; explain a phantom cohort"
        )
    names = {"true_change": "true change", **{k: k.replace("_", " ") for k in facts["kinds"]}}
    means = {n: _mean(np.load(folder / f"{n}.npy")[chosen]) for n in names}
    anatomy = np.load(folder / "t1w.npy")[chosen].astype(np.float32).mean(axis=0)
    place = np.unravel_index(means["true_change"].argmax(), anatomy.shape)
    figure, axes = plt.subplots(len(names), 3, figsize=(5.4, 1.9 * len(names)), squeeze=False)
    for row, (name, title) in enumerate(names.items()):
        for axis in range(3):
            panel = axes[row, axis]
            under = np.take(anatomy, place[axis], axis=axis).T
            over = np.take(means[name], place[axis], axis=axis).T
            panel.imshow(under, cmap="gray", origin="lower", vmin=0, vmax=1.3)
            alpha = np.clip(over * 1.2, 0, 0.9)
            panel.imshow(over, cmap="inferno", origin="lower", vmin=0, vmax=1, alpha=alpha)
            panel.set_xticks([])
            panel.set_yticks([])
            for side in panel.spines.values():
                side.set_visible(False)
        axes[row, 0].set_ylabel(title, color=_INK, fontsize=9)
    for axis, title in enumerate(("sagittal", "coronal", "axial")):
        axes[0, axis].set_title(title, color=_INK, fontsize=9)
    kind = "synthetic" if facts["synthetic"] else ""
    figure.suptitle(
        f"{facts['row']}, {facts['cohort']} ({kind}), {facts['task']}, fold {facts['fold']}: "
        f"{int(chosen.sum())} people{f' with {group}' if group else ''}",
        color=_INK,
        fontsize=9,
    )
    figure.tight_layout()
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=90, metadata={"Software": None})
    plt.close(figure)


def _mean(maps: Array) -> Array:
    """Mean absolute map, 1 at its 99.5th percentile."""
    mean = np.abs(maps.astype(np.float32)).mean(axis=0)
    top = float(np.quantile(mean, 0.995)) or 1.0
    scaled: Array = np.clip(mean / top, 0, 1)
    return scaled
