"""Makes and checks one kind of map after another; one that fails does not end the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark.errors import BenchmarkError, MethodError
from benchmark.saliency.fold import FittedFold
from benchmark.saliency.maps import Mapper
from benchmark.saliency.randomisation import is_network, randomisation_check
from benchmark.saliency.sanity import verdict
from benchmark.samples import Samples

__all__ = ["HIPPOCAMPUS", "Made", "MadeMaps", "make_maps"]

HIPPOCAMPUS: Final = "hippocampus_map"


@dataclass
class Made:
    """Maps of one kind, as stored, what is known of them, and their check."""

    maps: np.ndarray
    facts: dict[str, Any]
    sanity: pd.DataFrame | None = None


@dataclass
class MadeMaps:
    """What could be made of one fold.

    Attributes:
        kinds: By kind of map.
        refused: By what was not made, the reason.
        hippocampus: What the method takes for hippocampus, (N, D, H, W) float16, where it says so.
    """

    kinds: dict[str, Made] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    hippocampus: np.ndarray | None = None


def make_maps(
    fold: FittedFold,
    mapper: Mapper,
    samples: Samples,
    kinds: Sequence[str],
    check: tuple[Samples, Sequence[str]],
    step: Callable[[str], None],
) -> MadeMaps:
    """Makes every kind that can be made, and what the method shows as hippocampus.

    Args:
        fold: The fitted fold.
        mapper: Makes the maps.
        samples: The people.
        kinds: What is wanted.
        check: The first of these people, at whom the randomisation check looks, and the ids of
            all; a network given no volumes is not checked.
        step: Told what is being done.

    Raises:
        MethodError: No kind can be made; the reasons are named.
    """
    out = MadeMaps()
    checked = is_network(fold.method) and mapper.sees_volumes(samples)
    few, ids = check

    def make(kind: str) -> None:
        why = mapper.refusal(kind, samples)
        if why:
            raise MethodError(why)
        step(kind)
        found = _make(mapper, kind, samples)
        if checked:
            step(f"randomisation check: {kind}")
            found.sanity = randomisation_check(fold, mapper, kind, few, found.maps, ids)
            found.facts["sanity"] = verdict(found.sanity)
        out.kinds[kind] = found

    def hippocampus(name: str) -> None:
        step(name)
        out.hippocampus = _hippocampus(fold.method, samples)

    for kind in kinds:
        _attempt(kind, make, out.refused)
    if not out.kinds:
        raise MethodError(
            f"{fold.job.label}: "
            + "; ".join(f"no map {kind!r}: {why}" for kind, why in out.refused.items())
        )
    if hasattr(fold.method, HIPPOCAMPUS):
        _attempt(HIPPOCAMPUS, hippocampus, out.refused)
    return out


def _attempt(name: str, make: Callable[[str], None], refused: dict[str, str]) -> None:
    """Notes why something could not be made; a full disk or the like ends everything."""
    try:
        make(name)
    except OSError:
        raise
    except (BenchmarkError, NotImplementedError) as error:
        refused[name] = str(error)
    except Exception as error:  # noqa: BLE001 - whatever a method's code raises, others are made
        refused[name] = f"{type(error).__name__}: {error}"


def _make(mapper: Mapper, kind: str, samples: Samples) -> Made:
    """Maps as they are stored: float16, divided by the greatest absolute value of all."""
    clock, cpu = time.perf_counter(), time.process_time()
    maps = mapper.maps(kind, samples)
    if not np.ptp(maps.reshape(len(maps), -1), axis=1).any():
        raise MethodError("each person's map is one value everywhere, and shows no place")
    facts: dict[str, Any] = {
        "seconds": time.perf_counter() - clock,
        "cpu_seconds": time.process_time() - cpu,
    }
    scale = float(np.abs(maps).max()) or 1.0
    facts["scale"] = scale
    facts["empty_maps"] = int((~maps.reshape(len(maps), -1).any(axis=1)).sum())
    if kind == "gradcam":
        facts["layer"] = mapper.layer
    if kind == "integrated_gradients":
        facts["median_incompleteness"] = float(np.median(mapper.completeness))
    return Made((maps / scale).astype(np.float16), facts)


def _hippocampus(method: Any, samples: Samples) -> np.ndarray:
    found = np.asarray(method.hippocampus_map(samples))
    expected = (samples.n, *samples.arrays["t1w"].shape)
    if found.shape != expected or not ((found >= 0) & (found <= 1)).all():
        raise MethodError(
            f"{type(method).__name__}.hippocampus_map() gave {found.shape}, expected probabilities "
            f"of shape {expected}"
        )
    return found.astype(np.float16)
