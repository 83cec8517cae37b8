"""All studies that can be read, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from benchmark.cohorts.held.adni import ADNI
from benchmark.cohorts.held.aibl import AIBL
from benchmark.cohorts.held.bids import BIDS
from benchmark.cohorts.held.ixi import IXI
from benchmark.cohorts.held.oasis1 import OASIS1
from benchmark.cohorts.held.oasis2 import OASIS2
from benchmark.cohorts.held.oasis3 import OASIS3
from benchmark.cohorts.held.ppmi import PPMI
from benchmark.cohorts.held.reading import Adapter
from benchmark.cohorts.held.ukb import UKB
from benchmark.errors import UnknownNameError

__all__ = ["ADAPTERS", "get_adapter"]

ADAPTERS: Final[Mapping[str, Adapter]] = MappingProxyType(
    {a.name: a for a in (ADNI, AIBL, OASIS1, OASIS2, OASIS3, PPMI, UKB, IXI, BIDS)}
)


def get_adapter(name: str) -> Adapter:
    """Returns an adapter.

    Raises:
        UnknownNameError: No such study.
    """
    try:
        return ADAPTERS[name]
    except KeyError:
        raise UnknownNameError("cohort source", name, ADAPTERS, "neurodx cohort list") from None
