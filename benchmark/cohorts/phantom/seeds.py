"""Which generator seed makes which phantom cohort, the board's and their twins'."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["DEV_SUFFIX", "PHANTOMS", "TWINS", "generator_seed", "untwinned"]

DEV_SUFFIX: Final = "-dev"

# Cohort -> the number that keeps its people apart from those of the others: with one seed for all,
# participant 18 had one anatomy in each.
_NUMBERS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "phantom-population": 0,
        "phantom-memory": 1,
        "phantom-movement": 2,
        "phantom-external": 3,
    }
)
PHANTOMS: Final = tuple(_NUMBERS)
_STRIDE: Final = 100_000
_SEED: Final = 2026
# Twins: methods are developed on these, never on the board's seed. One twin of 500 people cannot
# tell apart methods that differ by 0.02 AUROC; four together can.
_TWIN_SEEDS: Final = (7, 77, 177, 277)
TWINS: Final = (
    *(name + DEV_SUFFIX for name in PHANTOMS),
    *(f"phantom-memory{DEV_SUFFIX}{k}" for k in range(2, len(_TWIN_SEEDS) + 1)),
)
_TWIN: Final = re.compile(f"{DEV_SUFFIX}([0-9]*)$")


def untwinned(name: str) -> str:
    """The cohort that a twin is a twin of; any other name as it is.

    >>> untwinned("phantom-memory-dev2")
    'phantom-memory'
    >>> untwinned("phantom-memory")
    'phantom-memory'
    """
    return _TWIN.sub("", name)


def generator_seed(name: str) -> int:
    """The seed of a phantom cohort or of a twin.

    Args:
        name: A name in :data:`PHANTOMS` or :data:`TWINS`.

    >>> generator_seed("phantom-population"), generator_seed("phantom-memory-dev2")
    (2026, 100077)
    """
    twin = _TWIN.search(name)
    seed = _TWIN_SEEDS[int(twin[1] or 1) - 1] if twin else _SEED
    return seed + _STRIDE * _NUMBERS[untwinned(name)]
