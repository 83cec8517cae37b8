"""The README shows what the results page shows, and claims no release that there was not."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def tables(text: str) -> dict[str, str]:
    """Tables of a page by the title above them."""
    found = re.findall(r"^#{2,3} (\S+ / .+)\n\n((?:\|.*\n)+)", text, re.MULTILINE)
    return dict(found)


def test_the_readme_shows_the_tables_of_the_results_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    results = tables((ROOT / "docs" / "results.md").read_text(encoding="utf-8"))
    shown = tables(readme)
    assert {title.split(" (")[0] for title in shown} == {
        "phantom-memory / dx3 / 3fold",
        "ad-csf / impaired / 3fold",
    }
    stale = [title for title, table in shown.items() if results.get(title) != table]
    assert not stale, "copy these tables from docs/results.md"
    assert f"Two of the {len(results)} tables" in readme


def test_nothing_is_cited_as_released_while_it_is_not() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (heading,) = re.findall(
        rf"^## {re.escape(citation['version'])} \((.*)\)$", changes, re.MULTILINE
    )
    released = str(citation.get("date-released", "unreleased"))
    assert released == heading
