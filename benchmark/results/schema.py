"""Columns of the board's tables, and the strict schema of a run's ``result.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark.errors import ResultError

__all__ = [
    "CELL",
    "EXTERNAL_PROTOCOL",
    "LEADERBOARD",
    "LEADERBOARD_DTYPES",
    "LEAVE_SITE_OUT",
    "ORACLE",
    "RESULT_SCHEMA_VERSION",
    "ROW_KEY",
    "read_result",
    "typed",
    "validate_result",
]

RESULT_SCHEMA_VERSION: Final = 1
EXTERNAL_PROTOCOL: Final = "external"
LEAVE_SITE_OUT: Final = "leave-site-out"
ORACLE: Final = "oracle"  # shown, never ranked

CELL: Final = ("cohort", "task", "protocol")
ROW_KEY: Final = ("cohort", "task", "track", "protocol", "method", "derived_from")

LEADERBOARD_DTYPES: Final[Mapping[str, str]] = {
    "cohort": "str",
    "task": "str",
    "track": "str",
    "protocol": "str",
    "method": "str",
    "metric": "str",
    "score": "float64",
    "ci_low": "float64",
    "ci_high": "float64",
    "n": "Int64",
    "rank_low": "Int64",
    "rank_high": "Int64",
    "tie_group": "Int64",
    "seeds": "Int64",
    "folds": "Int64",
    "provenance": "str",
    "synthetic": "boolean",
    "tuned": "boolean",
    "derived_from": "str",
    "fit_seconds": "float64",
    "params": "Int64",
    # the leading columns end here
    "title": "str",
    "status": "str",
    "error": "str",
    "ci_method": "str",
    "small_sample": "boolean",
    "n_by_class": "str",
    "rank_all_low": "Int64",
    "rank_all_high": "Int64",
    "tie_group_all": "Int64",
    "first_place_share": "float64",
    "floor_gain": "float64",
    "floor_gain_low": "float64",
    "floor_gain_high": "float64",
    "oracle_gap": "float64",
    "test_evaluations": "Int64",
    "cpu_seconds": "float64",
    "peak_memory_mib": "float64",
    "seed_sd": "float64",
    "n_more_to_separate": "float64",
    "higher_is_better": "boolean",
    "position": "Int64",
}
LEADERBOARD: Final = tuple(LEADERBOARD_DTYPES)

_NUMBER = (int, float)
_RESULT_FIELDS: Final[Mapping[str, tuple[type, ...]]] = {
    "schema_version": (int,),
    "run_id": (str,),
    "method": (str,),
    "track": (str,),
    "protocol": (str,),
    "fold": (int,),
    "seed": (int,),
    "profile": (str,),
    "parts": (list,),
    "tuned": (bool,),
    "provenance": (str,),
    "fit_seconds": _NUMBER,
    "fit_cpu_seconds": _NUMBER,
    "predict_seconds": _NUMBER,
    "peak_memory_mib": (*_NUMBER, type(None)),
    "params": (int, type(None)),
    "n_train": (int,),
    "n_validation": (int,),
    "processes": (int,),
    "started": (str,),
    "versions": (dict,),
    "hashes": (dict,),
    "commit": (str, type(None)),
}


def typed(frame: pd.DataFrame, dtypes: Mapping[str, str]) -> pd.DataFrame:
    """Returns the frame with exactly these columns, in order and of these types.

    A missing column is filled with missing values; a column beyond them is an error.

    Raises:
        ResultError: The frame has a column that the table does not.
    """
    extra = [c for c in frame.columns if c not in dtypes]
    if extra:
        raise ResultError(f"unexpected columns {extra}; the table has {list(dtypes)}")
    columns = {}
    for name, dtype in dtypes.items():
        column = frame[name] if name in frame else pd.Series(np.nan, index=frame.index)
        if dtype == "str":
            column = column.astype("object").where(column.notna(), "")
        columns[name] = column.astype(pd.api.types.pandas_dtype(dtype))
    return pd.DataFrame(columns, index=frame.index)


def validate_result(record: Mapping[str, Any], where: str) -> None:
    """Checks a run's record against the schema, version 1.

    Args:
        record: The parsed ``result.json``.
        where: Its path, for messages.

    Raises:
        ResultError: Another version, a field missing, unknown or of the wrong type. All faults
            are listed at once.
    """
    version = record.get("schema_version")
    if version != RESULT_SCHEMA_VERSION:
        raise ResultError(
            f"{where}: expected schema_version {RESULT_SCHEMA_VERSION}, got {version!r}; "
            "rerun the method with `neurodx run`"
        )
    faults = [f"{name} is missing" for name in _RESULT_FIELDS if name not in record]
    faults += [f"{name} is not known" for name in record if name not in _RESULT_FIELDS]
    for name, types in _RESULT_FIELDS.items():
        if name in record and not _is_a(record[name], types):
            expected = " or ".join(t.__name__ for t in types)
            faults.append(f"{name} should be {expected}, got {record[name]!r}")
    faults += _part_faults(record.get("parts"))
    if faults:
        raise ResultError(f"{where}: {'; '.join(faults)}")


def read_result(path: Path) -> dict[str, Any]:
    """Reads and validates a ``result.json``.

    Raises:
        ResultError: The file is missing, not JSON, or breaks the schema.
    """
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        raise ResultError(f"{path}: there is no such file; rerun with `neurodx run`") from None
    except json.JSONDecodeError as error:
        raise ResultError(f"{path}: not valid JSON ({error}); rerun with `neurodx run`") from None
    if not isinstance(record, dict):
        raise ResultError(f"{path}: expected a JSON object, got {type(record).__name__}")
    validate_result(record, str(path))
    return record


def _is_a(value: object, types: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in types
    return isinstance(value, types)


def _part_faults(parts: object) -> list[str]:
    if not isinstance(parts, list):
        return []
    good = [
        isinstance(part, dict)
        and set(part) == {"cohort", "tasks"}
        and isinstance(part["cohort"], str)
        and isinstance(part["tasks"], list)
        for part in parts
    ]
    return [] if all(good) and good else ["parts should be a list of {cohort, tasks}"]
