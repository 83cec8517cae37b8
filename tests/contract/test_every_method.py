"""Every registered method, one rule at a time, on tiny cohorts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.checks import Bench, Rule, rules_for, run_rule
from benchmark.config import load_profile
from benchmark.registry import registry

_WHOLE_RUN = "run"  # makes whole runs, so it runs with the end-to-end tests
PLANNED = {row for name in ("smoke", "mini", "standard") for row in load_profile(name).methods}


def _cases() -> Iterator[object]:
    for info in registry().methods.values():
        for row in (info.name, *info.variants):
            # A variant that no profile plans is larger than the rest; it is tried in the slow tier.
            marks = [] if row == info.name or row in PLANNED else [pytest.mark.slow]
            for rule in rules_for(row, info.name):
                own = [pytest.mark.e2e] if rule.name == _WHOLE_RUN and not marks else marks
                yield pytest.param(row, rule, marks=own, id=f"{row}-{rule.name}")


@pytest.fixture(scope="session")
def benches() -> dict[str, Bench]:
    return {}


@pytest.mark.parametrize(("row", "rule"), [*_cases()])
def test_method_keeps_rule(
    row: str, rule: Rule, benches: dict[str, Bench], tmp_path_factory: pytest.TempPathFactory
) -> None:
    if row not in benches:
        benches[row] = Bench(row, tmp_path_factory.mktemp(row))
    outcome = run_rule(rule, benches[row])
    assert outcome.passed, f"{outcome.message}\n{outcome.trace}"


def test_every_folder_with_a_method_is_registered() -> None:
    root = Path(__file__).resolve().parents[2]
    folders = {
        path.parent.name
        for package in ("baselines", "methods")
        for path in (root / package).glob("[a-z]*/info.py")
    }
    assert folders <= set(registry().methods)
    assert not registry().unavailable
