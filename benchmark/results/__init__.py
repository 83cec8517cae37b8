"""Ledgers to scores to the board, and the comparison with the reference: torch-free."""

from __future__ import annotations

from benchmark.errors import ResultError
from benchmark.results.board import rank_workspace
from benchmark.results.derive import derive_binary
from benchmark.results.ledger import Gap, Ledger, RowFacts, RowKey
from benchmark.results.planned import PlanFilter
from benchmark.results.reference import ReferenceReport, compare_reference, write_reference
from benchmark.results.replicates import CellCandidates, read_replicates
from benchmark.results.schema import (
    LEADERBOARD,
    LEADERBOARD_DTYPES,
    RESULT_SCHEMA_VERSION,
    read_result,
    validate_result,
)
from benchmark.results.scoring import score_workspace

__all__ = [
    "LEADERBOARD",
    "LEADERBOARD_DTYPES",
    "RESULT_SCHEMA_VERSION",
    "CellCandidates",
    "Gap",
    "Ledger",
    "PlanFilter",
    "ReferenceReport",
    "ResultError",
    "RowFacts",
    "RowKey",
    "compare_reference",
    "derive_binary",
    "rank_workspace",
    "read_replicates",
    "read_result",
    "score_workspace",
    "validate_result",
    "write_reference",
]
