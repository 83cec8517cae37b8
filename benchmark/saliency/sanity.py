"""Do maps depend on what the network has learned? The randomisation check.

Weights are replaced by those of a network that has learned nothing, from the output downwards. A
map that stays as it was shows the volume, not the model.

References:
    Adebayo et al. 2018, Sanity checks for saliency maps, arXiv 1810.03292, section 3.
    Arun et al. 2021, Radiology: Artificial Intelligence, 10.1148/ryai.2021200267 (SSIM, and as its
    bound the mean SSIM of pairs of maps of different people).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from monai.metrics import SSIMMetric
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import nn

from benchmark.stats.resamples import seeded_generator

__all__ = [
    "MOST_CONSTANT",
    "MOST_SPEARMAN",
    "STAGES",
    "executed_modules",
    "judged",
    "randomised",
    "similarity",
    "stage_modules",
    "verdict",
]

Array = NDArray[Any]
STAGES: Final = ("top", "half", "all")
MOST_SPEARMAN: Final = 0.5  # inferred: a quarter of the rank variance; no source gives a figure
MOST_CONSTANT: Final = 0.5  # share of people; inferred
_PAIRS = 50  # Arun et al. 2021, figure 3
_WINDOW = 7


def executed_modules(network: nn.Module, run: Callable[[], Any]) -> list[str]:
    """Names of the modules with parameters of their own, in the order in which they are used.

    Args:
        network: The network.
        run: One forward pass of it.
    """
    order: dict[str, None] = {}
    handles = []
    for name, module in network.named_modules():
        if name and any(True for _ in module.parameters(recurse=False)):

            def note(_: nn.Module, __: Any, ___: Any, name: str = name) -> None:
                order.setdefault(name)

            handles.append(module.register_forward_hook(note))
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return list(order)


def stage_modules(order: Sequence[str], stage: str) -> list[str] | None:
    """Modules whose weights a stage randomises: the last, the later half, or None for everything.

    >>> stage_modules(["stem", "body", "head"], "half")
    ['body', 'head']
    """
    if stage == "all":
        return None
    if stage == "top":
        return list(order[-1:])
    return list(order[len(order) // 2 :])


def randomised(trained: nn.Module, fresh: nn.Module, modules: Sequence[str] | None) -> nn.Module:
    """A copy of a trained network with the weights of an untrained one in some of its modules.

    Args:
        trained: The trained network.
        fresh: The same network as built, under another seed.
        modules: Names of modules, each with its own parameters and buffers; None for all.
    """
    mixed = copy.deepcopy(trained)
    own, other = mixed.state_dict(), fresh.state_dict()
    wanted = None if modules is None else set(modules)
    for name, value in other.items():
        if name in own and (wanted is None or name.rpartition(".")[0] in wanted):
            own[name] = value.clone()
    mixed.load_state_dict(own)
    return mixed.eval()


def similarity(first: Array, second: Array, within: Array) -> tuple[float, float]:
    """Likeness of two absolute maps of the same shape.

    Args:
        first: A map, (D, H, W).
        second: Another.
        within: Voxels over which ranks are compared, bool.

    Returns:
        Spearman's rank correlation within those voxels, and the structural similarity of the whole
        maps, each divided by its maximum. Both are NaN where one map is constant within those
        voxels: there is nothing to compare.
    """
    a, b = np.abs(first).astype(np.float32), np.abs(second).astype(np.float32)
    if np.ptp(a[within]) == 0 or np.ptp(b[within]) == 0:
        return float("nan"), float("nan")
    rank = float(spearmanr(a[within], b[within]).statistic)
    window = min(_WINDOW, *a.shape)
    window -= 1 - window % 2
    metric = SSIMMetric(3, data_range=1.0, kernel_type="uniform", win_size=window)
    pair = (torch.from_numpy(m / m.max())[None, None] for m in (a, b))
    return rank, float(metric(*pair))


def judged(
    maps: Array, mixed: Mapping[str, Array], heads: Array, people: Sequence[str]
) -> pd.DataFrame:
    """Similarity of each person's map to that of every stage, and of pairs of people.

    Args:
        maps: Maps of the trained network, (N, D, H, W).
        mixed: Maps of the randomised networks by stage, each (N, D, H, W).
        heads: Voxels that are head, (N, D, H, W) bool.
        people: Participant ids.

    Returns:
        ``stage participant_id spearman ssim``, NaN where a map is constant; the stage ``other
        person`` holds pairs of maps of different people, up to fifty, and names the first of them.
    """
    rows: list[tuple[str, str, float, float]] = []
    for stage, found in mixed.items():
        for who, a, b, head in zip(people, maps, found, heads, strict=True):
            rows.append((stage, who, *similarity(a, b, head)))
    pairs = [(i, j) for i in range(len(maps)) for j in range(i)]
    seeded_generator("saliency pairs", *people).shuffle(pairs)
    for i, j in pairs[:_PAIRS]:
        both = heads[i] & heads[j]
        rows.append(("other person", people[i], *similarity(maps[i], maps[j], both)))
    return pd.DataFrame(rows, columns=["stage", "participant_id", "spearman", "ssim"])


def verdict(table: pd.DataFrame) -> dict[str, Any]:
    """Whether maps depend on the weights.

    They do if, once everything is randomised, the mean structural similarity is below that of maps
    of different people (Arun et al. 2021) **and** the mean rank correlation is at most
    :data:`MOST_SPEARMAN`. The second part is there because brains are alike: maps of different
    people may be nearly equal, and the first bound is then no bound.

    Constant maps are not compared and enter no mean. Where more than :data:`MOST_CONSTANT` of the
    people have one at the stage ``all`` there is no verdict: GradCAM, whose negative parts are cut
    off, may be empty for a network that has learned nothing, and an empty map is like no other.

    Args:
        table: As :func:`judged` gives it, of one kind.

    Returns:
        ``passed`` (None: no verdict), the ``reason`` if there is none, ``people`` and how many of
        them have a ``constant`` map, the two means and their bounds (NaN where none is compared).
    """
    after = table[table["stage"] == "all"]
    others = table[table["stage"] == "other person"]
    people, constant = len(after), int(after["ssim"].isna().sum())
    spearman, ssim, bound = _mean(after["spearman"]), _mean(after["ssim"]), _mean(others["ssim"])
    bound = 1.0 if np.isnan(bound) else bound
    passed: bool | None = spearman <= MOST_SPEARMAN and ssim < bound
    reason = ""
    if constant > MOST_CONSTANT * people:
        passed = None
        reason = (
            f"for {constant} of {people} people the map, or that of the randomised network, is one "
            "value everywhere in the head, which leaves too little to compare"
        )
    return {
        "passed": passed,
        "reason": reason,
        "people": people,
        "constant": constant,
        "spearman": spearman,
        "most_spearman": MOST_SPEARMAN,
        "ssim": ssim,
        "below_ssim": bound,
    }


def _mean(values: pd.Series) -> float:
    known = values.dropna().to_numpy(dtype=np.float64)
    return float(known.mean()) if len(known) else float("nan")
