"""The tables of ``docs/leakage.md``: every check and every test that they name exists."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "leakage.md").read_text(encoding="utf-8")
FEWEST_KINDS = 14
PLANTED = (
    "test_leakage_across.py",
    "test_leakage_contents.py",
    "test_leakage_runs.py",
    "test_leakage_splits.py",
)
# Of these files: what shows that something clean passes, or how a refusal reads.
NOT_PLANTED = {
    "test_a_clean_cohort_passes",
    "test_a_person_of_two_cohorts_who_is_in_one_part_is_no_leak",
    "test_a_persons_own_rescan_is_no_leak",
    "test_a_series_that_is_not_finite_is_nobodys",
    "test_images_on_different_grids_are_not_compared",
    "test_measurements_of_other_regions_are_others",
    "test_measurements_that_agree_by_chance_are_no_leak",
    "test_missing_measurements_and_empty_series_are_nobodys",
    "test_of_many_with_one_series_each_who_leaks_is_named",
    "test_reports_that_state_what_they_may_are_clean",
    "test_several_leaks_are_listed_together",
    "test_three_thousand_equal_people_are_as_many_pairs",
    "test_what_is_measured_is_read_once_per_cohort",
    "test_what_was_run_before_is_not_refereed_again_and_clean_folds_pass",
}


@cache
def functions(folder: str) -> Counter[str]:
    """Names of all functions below a folder, methods included."""
    return Counter(
        node.name
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    )


def rows() -> list[list[str]]:
    """Leak, who refuses it, and the tests that plant it, of every row."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "leak"]


def named(text: str) -> list[str]:
    """Names of functions in a cell: code with an underscore, apart from columns and sources."""
    return [name for name in re.findall(r"`(\w+)`", text) if "_" in name and name != "family_id"]


def test_each_kind_is_a_row_of_its_own() -> None:
    kinds = [leak for leak, _, _ in rows()]
    assert len(set(kinds)) == len(kinds) >= FEWEST_KINDS


def test_each_kind_names_who_refuses_it_and_that_exists() -> None:
    known = functions("benchmark")
    for leak, by, _ in rows():
        assert named(by) or "canary" in by, leak
        assert not [name for name in named(by) if name not in known], leak


def test_each_kind_names_a_test_that_plants_it() -> None:
    known = functions("tests")
    for leak, _, planted in rows():
        assert named(planted), leak
        assert [known[name] for name in named(planted)] == [1] * len(named(planted)), leak


def test_every_other_test_on_the_page_exists() -> None:
    assert set(re.findall(r"`(test_\w+)`", PAGE)) <= set(functions("tests"))


def test_no_planted_leak_is_missing_from_the_page() -> None:
    planted = {
        node.name
        for name in PLANTED
        for node in ast.parse((ROOT / "tests" / "unit" / name).read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert planted >= NOT_PLANTED
    assert planted - NOT_PLANTED == planted & {n for row in rows() for n in named(row[2])}
