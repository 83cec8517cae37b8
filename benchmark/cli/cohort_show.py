"""``neurodx cohort show``: what an adapter wants, its terms and its label rules."""

from __future__ import annotations

from inspect import getdoc, getmodule
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cohorts.held.entry import adapter_of, held_names, load_entry
from benchmark.cohorts.held.mapping_schema import load_mapping
from benchmark.runs.workspace import workspace_of
from benchmark.store import Cohort

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["show"]


def show(name: str, console: Console) -> None:
    """Prints what is known of a study, a mapping or an added cohort.

    Args:
        name: Its name, or the path of a mapping.
        console: Where to.

    Raises:
        UnknownNameError: No such study or cohort.
        ConfigError: The mapping is missing or wrong.
    """
    source = load_entry(name).source if name in held_names() else name
    adapter = adapter_of(source)
    console.print(f"[bold]{adapter.title}[/]\n\nsource: {adapter.source}")
    console.print(f"licence: {adapter.licence}\nterms: {adapter.terms}")
    console.print(f"cite: {adapter.citation}\n\nfiles in the folder given by --root:")
    for file in adapter.files:
        need = "" if file.needed else " (optional)"
        names = file.name.replace("|", " or ")  # names that differ between releases
        console.print(f"  {names}{need}: {file.about}", markup=False)
    for option, value in adapter.options.items():
        console.print(f"option {option} (default {value!r}): {adapter.about_options[option]}")
    console.print(f"\npreparation: {adapter.preparation}")
    console.print(f"\n{_label_rules(name, source)}", markup=False)


def _label_rules(name: str, source: str) -> str:
    """The rules that the store of an added cohort holds, else those that its source states."""
    store = workspace_of(name).data / name
    if name in held_names() and (store / "cohort.json").is_file():
        return _listed(Cohort(store).card["label_rules"])
    if source.endswith((".yaml", ".yml")):
        every = {"every task whose columns are there": "as the mapping translates the codes"}
        return _listed(load_mapping(Path(source)).tasks or every)
    return f"label rules, and what the files hold:\n{getdoc(getmodule(adapter_of(source).read))}"


def _listed(rules: dict[str, str]) -> str:
    return "\n".join(["label rules:", *(f"  {task}: {rule}" for task, rule in rules.items())])
