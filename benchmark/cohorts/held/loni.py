"""What ADNI and AIBL share, whose tables come through LONI IDA: visit codes and APOE genotypes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from benchmark.cohorts.held.released import ReleasedTable
from benchmark.cohorts.held.volumes import NO_VISIT

__all__ = ["VISIT", "e4_alleles", "session", "visit_months", "visit_of"]

VISIT: Final = r"bl|m\d{1,3}"


def visit_months(codes: pd.Series) -> pd.Series:
    """Months after baseline from a visit code; screening is baseline, other codes are no visit."""
    codes = codes.astype("str")
    months = codes.str.extract(r"^m(\d+)$", expand=False).astype(np.float64)
    return months.mask(codes.isin(["bl", "sc", "scmri"]), 0.0)


def session(months: pd.Series) -> pd.Series:
    """The session of a visit, ``ses-M006``."""
    return "ses-M" + months.fillna(0).astype(int).astype(str).str.zfill(3)


def visit_of(scan: str, sessions: Sequence[str]) -> tuple[str, float] | None:
    """The visit of a scan's session, ``ses-M006``, or ``ses-M06`` as earlier Clinica writes it."""
    found = re.fullmatch(r"ses-M(\d+)", scan)
    if not found:
        return None
    visit = f"ses-M{int(found[1]):03d}"
    return (visit, 0.0) if visit in sessions else NO_VISIT


def e4_alleles(
    table: ReleasedTable, *, missing: Sequence[str] = (), needed: bool = True
) -> Mapping[float, float]:
    """Number of e4 alleles by RID, from ``GENOTYPE`` (3/4), or else ``APGEN1`` and ``APGEN2``.

    Args:
        table: One row a person; of several the first counts.
        missing: Codes for an allele that is not known.
        needed: Whether an allele that is not known is a violation.
    """
    rid = table.number("RID", 1, 99999, needed=True)
    if "GENOTYPE" in table:
        count = table.text("GENOTYPE", r"[234]/[234]", needed=False).str.count("4")
    else:
        pair = ("APGEN1", "APGEN2")
        one, two = (table.number(c, 2, 4, missing=missing, needed=needed) for c in pair)
        count = ((one == 4).astype(int) + (two == 4)).where(one.notna() & two.notna())
    known = pd.DataFrame({"rid": rid, "count": count}).dropna().drop_duplicates("rid")
    return dict(zip(known["rid"], known["count"].astype(np.float64), strict=True))
