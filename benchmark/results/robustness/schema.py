"""Columns of the robustness tables, ``<name>.parquet`` on the board.

Every table opens with the row's key (``cohort task track protocol method derived_from``) unless it
is about pairs. ``status`` is "done", "suppressed" (fewer than 10 people in a class), "undefined"
(no value on these people), "omitted" (no run could be made) or "missing" (the runs hold no such
answers); ``note`` says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from benchmark.results.schema import ROW_KEY

__all__ = ["TABLES", "outdated"]

_KEY = dict.fromkeys(ROW_KEY, "str")
_METRIC = {"metric": "str"}
_INTERVAL = {"score": "float64", "ci_low": "float64", "ci_high": "float64"}
_SAID = {"status": "str", "note": "str"}

_ALL: dict[str, dict[str, str]] = {
    # One line per row and group of people; `worst` marks the weakest of each variable.
    "subgroups": {
        **_KEY,
        **_METRIC,
        "variable": "str",
        "group": "str",
        "n": "Int64",
        "n_smallest_class": "Int64",
        **_INTERVAL,
        "ci_method": "str",
        "worst": "boolean",
        **_SAID,
    },
    # One line per row and variable: best minus worst group, positive in the metric's direction.
    "subgroup_gaps": {
        **_KEY,
        **_METRIC,
        "variable": "str",
        "groups": "Int64",
        "best_group": "str",
        "worst_group": "str",
        "gap": "float64",
        "gap_low": "float64",
        "gap_high": "float64",
        "separated": "boolean",
    },
    # Age: score on all minus score on the age-matched people, positive = age helped.
    "age_matched": {
        **_KEY,
        **_METRIC,
        "oldest_class": "str",
        "youngest_class": "str",
        "age_gap_years": "float64",
        "matched_age_gap_years": "float64",
        "n": "Int64",
        "n_matched": "Int64",
        "score": "float64",
        "matched_score": "float64",
        "matched_low": "float64",
        "matched_high": "float64",
        "drop": "float64",
        "drop_low": "float64",
        "drop_high": "float64",
        **_SAID,
    },
    # How well the site can be told from outputs or embeddings, against permuted sites.
    "site_trace": {
        **_KEY,
        "told_from": "str",  # "outputs", "embedding"
        "sites": "Int64",
        "n": "Int64",
        "balanced_accuracy": "float64",
        "chance": "float64",
        "null_low": "float64",
        "null_high": "float64",
        "p_value": "float64",
        **_SAID,
    },
    # In-domain minus external, and in-domain minus left-out site: positive = worse elsewhere.
    "external_drop": {
        **_KEY,
        **_METRIC,
        "external_cohort": "str",
        "in_domain": "float64",
        "external": "float64",
        "drop": "float64",
        "drop_low": "float64",
        "drop_high": "float64",
        "n_in_domain": "Int64",
        "n_external": "Int64",
    },
    "leave_site_out": {
        **_KEY,
        **_METRIC,
        "in_domain": "float64",
        "left_out": "float64",
        "drop": "float64",
        "drop_low": "float64",
        "drop_high": "float64",
        "n": "Int64",
    },
    # The same on each left-out site: one line per row and site.
    "left_out_sites": {
        **_KEY,
        **_METRIC,
        "site": "str",
        "n": "Int64",
        "n_smallest_class": "Int64",
        "in_domain": "float64",
        "left_out": "float64",
        "left_out_low": "float64",
        "left_out_high": "float64",
        "drop": "float64",
        "drop_low": "float64",
        "drop_high": "float64",
        **_SAID,
    },
    "few_label": {
        **_KEY,
        **_METRIC,
        "percent": "Int64",
        **_INTERVAL,
        "n": "Int64",
        **_SAID,
    },
    # One line per row, modalities that were left and set of people; drop: full set minus this.
    "missing_modalities": {
        **_KEY,
        **_METRIC,
        "shown": "str",  # as the ledger has it (`report+t1w`, `drop-50`), or `full`
        "n_modalities": "Int64",  # in `shown`; none where they were dropped at random
        "percent": "Int64",  # dropped at random; 0 for `full`, none for other subsets
        "people": "str",  # "everybody", "complete" (have them all), "some" (are left one or more)
        "n": "Int64",
        "n_everybody": "Int64",  # of whom n are the people that this line is about
        "n_smallest_class": "Int64",
        **_INTERVAL,
        "ci_method": "str",
        "drop": "float64",
        "drop_low": "float64",
        "drop_high": "float64",
        **_SAID,
    },
    # Spread between training seeds beside the spread between samples of people.
    "seed_variance": {
        **_KEY,
        **_METRIC,
        "seeds": "Int64",
        "seed_sd": "float64",
        "sample_sd": "float64",
        "seed_share": "float64",
        **_SAID,
    },
    # Validation score minus test score of the same fits: positive = validation flatters.
    "honesty": {
        **_KEY,
        **_METRIC,
        "runs": "Int64",
        "test_evaluations": "Int64",
        "superseded_evaluations": "Int64",
        "validation_score": "float64",
        "test_score": "float64",
        "optimism": "float64",
        "optimism_low": "float64",
        "optimism_high": "float64",
        "n_validation": "Int64",
        "n_test": "Int64",
        **_SAID,
    },
    # Brain age: errors in years before and after correction with lines fitted on validation.
    "brain_age": {
        **_KEY,
        **_METRIC,
        "mae": "float64",
        "mae_corrected": "float64",
        "age_bias_slope": "float64",
        "age_bias_slope_corrected": "float64",
        "n": "Int64",
        **_SAID,
    },
    # Pairs of rows of a cell that say the same of the same people.
    "duplicates": {
        "cohort": "str",
        "task": "str",
        "protocol": "str",
        "method_a": "str",
        "track_a": "str",
        "derived_a": "str",
        "method_b": "str",
        "track_b": "str",
        "derived_b": "str",
        "kind": "str",
        "correlation": "float64",
        "largest_difference": "float64",
        "n_common": "Int64",
        "content_sha256": "str",
    },
    # What each of the others holds, in a sentence; an empty table says why it is empty.
    "robustness": {"table": "str", "rows": "Int64", "says": "str"},
}
TABLES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(_ALL)


def outdated(name: str, columns: Iterable[str], wanted: Iterable[str]) -> str:
    """Why a table of the board cannot be read; empty where it has every column.

    Columns are compared, and not a number of the format, which somebody would have to raise.

    Args:
        name: The table.
        columns: What it has.
        wanted: What this version reads, such as ``TABLES[name]``.
    """
    there = set(columns)
    absent = [column for column in wanted if column not in there]
    if not absent:
        return ""
    return f"{name}.parquet lacks {', '.join(absent)}: an older version wrote this board"
