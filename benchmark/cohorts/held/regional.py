"""Regional tables of the usual pipelines as columns of the store's ``regions``.

Names end in their unit: ``_mm`` thickness, ``_mm2`` area, ``_mm3`` volume. Three formats:

- ``ants``: one row a scan, ``left.entorhinal``: cortical thickness of the 62 DKT regions in mm, as
  the ANTsX pipelines write it (Tustison et al. 2021, 10.1038/s41598-021-87564-6).
- ``freesurfer``: what ``aparcstats2table`` and ``asegstats2table`` write, joined or not:
  ``lh_entorhinal_thickness``, ``lh_entorhinal_volume``, ``Left-Hippocampus``, ``eTIV``
  (Fischl 2012, 10.1016/j.neuroimage.2012.01.021). FastSurfer's statistics have the same form and go
  through the same two commands (Henschel et al. 2020, 10.1016/j.neuroimage.2020.117012).
- ``named``: the columns bear their unit already.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held.released import ReleasedTable

__all__ = ["FORMATS", "read_regions", "snake_case"]

FORMATS: Final = ("ants", "freesurfer", "named")

_THICKNESS_MM = (0.0, 10.0)
_AREA_MM2 = (0.0, 1e6)
_VOLUME_MM3 = (0.0, 1e7)
_RANGES: Final = {"_mm": _THICKNESS_MM, "_mm2": _AREA_MM2, "_mm3": _VOLUME_MM3}

_ANTS = re.compile(r"(left|right)[._][a-z._]+")
_APARC = re.compile(r"(lh|rh)_(\w+)_(thickness|area|volume)(_\w+)?")
_HEAD_SIZE = ("eTIV", "EstimatedTotalIntraCranialVol", "IntraCranialVol", "ICV")
_NOT_REGIONS = re.compile(  # keys of a table, statistics of the surfaces, sums of sums
    r"Measure:volume|(lh|rh)\.aparc.*|participant_id|session_id|Subject|"
    r"(lh|rh)?SurfaceHoles|.*-to-eTIV|\w+_(thicknessstd|meancurv|gauscurv|foldind|curvind)"
)


def snake_case(name: str) -> str:
    """A released name in lower case with underscores.

    >>> snake_case("Left-Cerebral-White-Matter"), snake_case("left.pars.orbitalis")
    ('left_cerebral_white_matter', 'left_pars_orbitalis')
    """
    return re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).strip("_").lower()


def _ants_name(column: str) -> str | None:
    return f"{snake_case(column)}_thickness_mm" if _ANTS.fullmatch(column) else None


def _freesurfer_name(column: str) -> str | None:
    if column in _HEAD_SIZE:
        return v.HEAD_SIZE_MM3
    if _NOT_REGIONS.fullmatch(column):
        return None
    surface = _APARC.fullmatch(column)
    if surface:
        side, region, measure, _ = surface.groups()
        unit = {"thickness": "mm", "area": "mm2", "volume": "mm3"}[measure]
        return f"{side}_{snake_case(region)}_{measure}_{unit}"
    return f"{snake_case(column)}_mm3"  # asegstats2table: volumes


def _named(column: str) -> str | None:
    return snake_case(column) if column.endswith(tuple(_RANGES)) else None


_NAMES: Final[dict[str, Callable[[str], str | None]]] = {
    "ants": _ants_name,
    "freesurfer": _freesurfer_name,
    "named": _named,
}


def read_regions(table: ReleasedTable, form: str, keys: pd.DataFrame) -> pd.DataFrame:
    """The regional measurements of a table.

    Args:
        table: One row a scan.
        form: One of :data:`FORMATS`.
        keys: ``participant_id`` and ``session_id`` of each row, in the table's order.

    Returns:
        The keys, and one float64 column per region, named and in units as this module says. Columns
        that are no regional measurement are left out.
    """
    columns: dict[str, pd.Series] = {}
    for column in map(str, table.frame.columns):
        name = _NAMES[form](column)
        if name is None or column in keys:
            continue
        low, high = _RANGES["_" + name.rpartition("_")[2]]
        columns[name] = table.number(column, low, high).reset_index(drop=True)
    if not columns:
        table.problems.add(table.file, f"no column looks like a region in the format {form!r}")
    return pd.concat([keys.reset_index(drop=True), pd.DataFrame(columns)], axis=1)
