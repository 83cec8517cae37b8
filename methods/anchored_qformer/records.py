"""From clinical tables and reports to one short text a person."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark.api import Samples, one_of

__all__ = ["ORDERS", "cut_share", "has_text", "in_order", "record", "written"]

ORDERS: Final = ("written", "salient")
_SEX: Final = {"F": "Woman", "M": "Man"}
_TOLD: Final = ("faq_total", "family_history", "sex", "age_years", "education_years")
# Triggers of negation after Chapman et al. 2001, 10.1006/jbin.2001.1029.
_DENIED: Final = re.compile(
    r"\b(no|not|none|denie[sd]|without|negative|absent|unremarkable)\b", re.IGNORECASE
)
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+")


def has_text(samples: Samples) -> np.ndarray:
    """Who has a clinical record or a report, (N,) bool; demographics alone are neither."""
    return samples.has("clinical") | samples.has("report")


def written(samples: Samples, order: str = "written") -> list[str]:
    """One text a person: the record, then the report; "" where there is neither.

    Args:
        samples: People; any of the tables ``demographics`` and ``clinical`` and the reports may be
            closed.
        order: As for :func:`in_order`.
    """
    sources = [s for s in ("clinical", "demographics") if s in samples.tables]
    rows = samples.frame(*sources).to_dict("records") if sources else [{}] * samples.n
    reports = samples.reports() if "report" in samples.texts else [""] * samples.n
    texts = []
    for values, report, told in zip(rows, reports, has_text(samples), strict=True):
        parts = [record(values), in_order(report, order)]
        texts.append(" ".join(filter(None, parts)) if told else "")
    return texts


def record(values: Mapping[str, Any]) -> str:
    """Says a row of the clinical tables in words; missing values are left out.

    What bears on the disease comes first: functional scale, family history, any further column;
    then sex, age and education.

    >>> record({"age_years": 68.4, "sex": "M", "faq_total": 9.0, "family_history": 1.0})
    'Functional score 9. Family history. Man, 68 years.'
    >>> record({"faq_total": None, "mmse": 26.0, "education_years": 14.0})
    'mmse 26. 14 years of education.'
    """
    known = {str(name): value for name, value in values.items() if not pd.isna(value)}
    said = []
    if "faq_total" in known:
        said.append(f"Functional score {known['faq_total']:g}")
    if "family_history" in known:
        said.append("Family history" if known["family_history"] else "No family history")
    for name, value in known.items():
        if name not in _TOLD:
            said.append(f"{name.replace('_', ' ')} {_short(value)}")
    person = []
    if "sex" in known:
        person.append(_SEX.get(str(known["sex"]), str(known["sex"])))
    if "age_years" in known:
        person.append(f"{known['age_years']:.0f} years")
    if "education_years" in known:
        person.append(f"{known['education_years']:.0f} years of education")
    if person:
        said.append(", ".join(person))
    return " ".join(f"{part}." for part in said)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else str(value)


def in_order(report: str, order: str) -> str:
    """A report with its statements in an order.

    Args:
        report: Sentences.
        order: ``written`` leaves it as it is. ``salient`` puts statements with a number first, then
            affirmed ones, then denied ones, each group as written: where a text must be cut, most
            of what is lost is a list of denials.

    Raises:
        MethodError: The order is not known.

    >>> in_order("Denies tremor. Seen alone. Read 2 of 4.", "salient")
    'Read 2 of 4. Seen alone. Denies tremor.'
    """
    if one_of("text.order", order, ORDERS) == "written":
        return report
    statements = [s for s in _SENTENCE_END.split(report.strip()) if s]
    return " ".join(sorted(statements, key=_rank))


def _rank(statement: str) -> int:
    if any(c.isdigit() for c in statement):
        return 0
    return 2 if _DENIED.search(statement) else 1


def cut_share(lengths: Sequence[int], limit: int) -> tuple[float, float]:
    """Share of texts longer than the limit, and share of all tokens beyond it; 0 without any.

    >>> cut_share([10, 30, 0], 20)
    (0.5, 0.25)
    """
    there = np.array([n for n in lengths if n], dtype=np.float64)
    if not len(there):
        return 0.0, 0.0
    beyond = np.maximum(there - limit, 0)
    return float((beyond > 0).mean()), float(beyond.sum() / there.sum())
