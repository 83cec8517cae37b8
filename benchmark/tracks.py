"""What a method may see: each track is a set of sources.

A track is part of a run's identity. ``Samples`` holds the columns and arrays of a track's sources
and nothing else, so a row on the board can be compared with others of the same track, and with
every row whose sources are a subset of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from benchmark import vocabulary as v
from benchmark.errors import UnknownNameError

__all__ = ["SOURCES", "TRACKS", "Source", "get_track"]


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of information.

    Attributes:
        name: Its name in a track.
        modality: The modality whose absence makes the source missing; empty where the source is a
            plain column that may hold missing values.
        columns: Columns of the participant table that it opens.
    """

    name: str
    modality: str = ""
    columns: tuple[str, ...] = ()


_SOURCES = (
    Source("demographics", columns=(v.AGE_YEARS, "age_transformed", v.SEX, v.EDUCATION_YEARS)),
    Source("head_size", columns=(v.HEAD_SIZE_MM3,)),
    Source("site", columns=(v.SITE_ID,)),
    Source("t1w", modality=v.T1W),
    Source("fmri", modality=v.FMRI),
    Source("genetic", modality=v.GENETIC, columns=(v.APOE_E4,)),
    Source("biomarker", modality=v.BIOMARKER),
    Source("clinical", columns=(v.FAMILY_HISTORY, "faq_total")),
    Source("report", modality=v.REPORT),
    Source("mmse", columns=(v.MMSE,)),
)
SOURCES: Final[Mapping[str, Source]] = MappingProxyType({s.name: s for s in _SOURCES})

_CLINICAL = frozenset({"demographics", "clinical"})

TRACKS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "none": frozenset(),
        "demographic": frozenset({"demographics"}),
        "confound": frozenset({"demographics", "head_size", "site"}),
        "t1w": frozenset({"t1w"}),
        "t1w+site": frozenset({"t1w", "site"}),
        "fmri": frozenset({"fmri"}),
        "genetic": frozenset({"genetic"}),
        "biomarker": frozenset({"biomarker"}),
        "clinical": _CLINICAL,
        "clinical+mmse": _CLINICAL | {"mmse"},
        "report": frozenset({"report"}),
        "report+mmse": frozenset({"report", "mmse"}),
        "clinical+report": _CLINICAL | {"report"},
        "t1w+clinical": _CLINICAL | {"t1w"},
        "t1w+report": frozenset({"t1w", "report"}),
        "t1w+clinical+report": _CLINICAL | {"t1w", "report"},
        "t1w+fmri": frozenset({"t1w", "fmri"}),
        "clinical+genetic": _CLINICAL | {"genetic"},
        "all": _CLINICAL | {"t1w", "fmri", "genetic", "biomarker", "report"},
    }
)


def get_track(name: str) -> frozenset[str]:
    """Returns the sources of a track.

    Raises:
        UnknownNameError: No track of that name.
    """
    try:
        return TRACKS[name]
    except KeyError:
        raise UnknownNameError("track", name, TRACKS, "neurodx list tracks") from None
