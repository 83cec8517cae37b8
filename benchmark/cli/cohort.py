"""``neurodx cohort``: cohorts that a user holds under an agreement of their own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.cohorts.held.add import Added
    from benchmark.cohorts.held.entry import CohortEntry

HELP = "Add a cohort that you hold: files as the study releases them to rows on a board."
EPILOG = """\
actions:
  list      studies that can be read, and the cohorts that have been added
  show      what a study's adapter wants: files, terms, label rules, options
  check     read the files and list every rule that they break; nothing is written
  add       check, prepare, split, and write a profile of the cohort's name
  remove    take a cohort's entry and profile away; its workspace stays

examples:
  neurodx cohort list
  neurodx cohort show oasis1
  neurodx cohort check oasis1 --root ~/oasis1 --report problems.csv
  neurodx cohort add oasis1 --root ~/oasis1            then `make repro COHORT=oasis1`
  neurodx cohort add oasis1 --root ~/oasis1 --run      to the ranked rows at once
  neurodx cohort add ixi --root ~/ixi --option features=ants --as ixi-ants
  neurodx cohort add my_clinic.yaml --root ~/clinic    a table of your own, by a mapping

What is written lies in configs/cohort/, configs/profile/ and profiles/NAME/, where git ignores it.
What to download, from where and under what terms: docs/data.md.
"""
_ACTIONS = ("list", "show", "check", "add", "remove")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("action", choices=_ACTIONS, help="what to do")
    parser.add_argument(
        "name",
        nargs="?",
        default="",
        metavar="NAME",
        help="a study, a cohort, or a mapping (.yaml)",
    )
    parser.add_argument("--root", type=Path, help="folder of the download")
    parser.add_argument("--as", dest="cohort", default="", help="the cohort's name, if not NAME")
    parser.add_argument("--title", default="", help="one line for readers")
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="of the adapter"
    )
    parser.add_argument("--synthetic", action="store_true", help="its people are made up")
    parser.add_argument("--report", type=Path, help="check: write every violation to this CSV")
    parser.add_argument("--run", action="store_true", help="add: go on to the ranked rows")


def run(args: argparse.Namespace) -> int:
    """Runs the verb.

    Raises:
        ConfigError: An argument is missing or malformed.
        CohortError: The files break a rule, or no task has enough people.
    """
    from benchmark.threads import one_thread

    one_thread()

    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    actions = {"list": _list, "show": _show, "check": _check, "add": _add, "remove": _remove}
    return actions[args.action](args, console)


def _list(_args: argparse.Namespace, console: Console) -> int:
    from rich.table import Table

    from benchmark.cohorts.held.adapters import ADAPTERS
    from benchmark.cohorts.held.entry import held_names, load_entry
    from benchmark.config import load_profile
    from benchmark.runs.workspace import workspace_of

    studies = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("study", "what", "files"):
        studies.add_column(column, overflow="fold")
    for adapter in ADAPTERS.values():
        files = ", ".join(file.name for file in adapter.files if file.needed)
        studies.add_row(adapter.name, adapter.title, files)
    console.print(studies)
    names = held_names()
    if not names:
        console.print("\nno cohort has been added; `neurodx cohort add NAME --root FOLDER`")
        return 0
    added = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("cohort", "source", "root", "tasks", "state"):
        added.add_column(column, overflow="fold")
    for name in names:
        entry, plan = load_entry(name), load_profile(name).plan[name]
        board = (workspace_of(name).root / "board").is_dir()
        state = f"make board COHORT={name}" if board else f"make repro COHORT={name}"
        added.add_row(name, entry.source, entry.root, ", ".join(plan.fit), state)
    console.print()
    console.print(added)
    return 0


def _show(args: argparse.Namespace, console: Console) -> int:
    from benchmark.cohorts.held.entry import adapter_of, held_names, load_entry

    source = load_entry(args.name).source if args.name in held_names() else _named(args)
    adapter = adapter_of(source)
    console.print(f"[bold]{adapter.title}[/]\n\nsource: {adapter.source}")
    console.print(f"licence: {adapter.licence}\nterms: {adapter.terms}")
    console.print(f"cite: {adapter.citation}\n\nfiles in the folder given by --root:")
    for file in adapter.files:
        need = "" if file.needed else " (optional)"
        console.print(f"  {file.name.replace('|', ' or ')}{need}: {file.about}", markup=False)
    for name, value in adapter.options.items():
        console.print(f"option {name} (default {value!r}): {adapter.about_options[name]}")
    console.print(f"\npreparation: {adapter.preparation}")
    return 0


def _check(args: argparse.Namespace, console: Console) -> int:
    from benchmark.cohorts.held.entry import read_held
    from benchmark.cohorts.held.problems import Problems

    name, entry = args.cohort or _plain(args.name), _entry(args)
    problems = Problems()
    try:
        reading = read_held(name, entry, problems)
    finally:
        if args.report:
            problems.table().to_csv(args.report, index=False)
            console.print(f"{args.report}: {len(problems.found)} violation(s)")
    people = reading.visits["participant_id"].nunique()
    console.print(f"{name}: {people} people, {len(reading.visits)} visits; no rule is broken")
    _left_out(dict(reading.left_out), console)
    return 0


def _add(args: argparse.Namespace, console: Console) -> int:
    import time

    from benchmark.cohorts.catalogue import COHORTS, CohortSource, all_cohorts
    from benchmark.cohorts.held.add import add_cohort
    from benchmark.cohorts.held.entry import check_name, held_names
    from benchmark.config import CONFIGS, Profile
    from benchmark.runs.pipeline import pipeline_text

    started = time.perf_counter()
    name, entry = args.cohort or _plain(args.name), _entry(args)
    profiles = {path.stem for path in (CONFIGS / "profile").glob("*.yaml")}
    check_name(name, {*COHORTS, *profiles} - set(held_names()))

    def pipeline(profile: Profile) -> str:
        known: dict[str, CohortSource] = dict(all_cohorts())
        return pipeline_text(profile, known)

    added = add_cohort(name, entry, pipeline)
    _told(name, added, console)
    console.print(f"{name}: added in {time.perf_counter() - started:.0f} s")
    if args.run:
        from benchmark.cli.repro import run as repro

        return repro(argparse.Namespace(profile=name))
    console.print(f"next: `make repro COHORT={name}` (or `neurodx repro --profile {name}`)")
    return 0


def _told(name: str, added: Added, console: Console) -> None:
    have = {k: n for k, n in added.cohort.card["availability"].items() if n}
    console.print(f"{name}: {', '.join(f'{n} {k}' for k, n in have.items())}")
    _left_out(added.left_out, console)
    for answer in added.answers:
        counts = ", ".join(f"{n} {c}" for c, n in answer.counts.items())
        excluded = ", ".join(f"{n} {why}" for why, n in answer.excluded.items())
        state = "" if answer.possible else "[yellow]too few people[/]: "
        console.print(
            f"  {answer.task}: {state}{counts}" + (f" (not: {excluded})" if excluded else "")
        )
    rows = ", ".join(added.profile.methods)
    console.print(
        f"  {added.profile.protocol}, sha256 {added.split.content_hash[:12]}; rows: {rows}"
    )


def _left_out(left_out: dict[str, int], console: Console) -> None:
    for why, n in left_out.items():
        console.print(f"  left out: {n} {why}", markup=False)


def _remove(args: argparse.Namespace, console: Console) -> int:
    from benchmark.cohorts.held.add import remove_cohort
    from benchmark.cohorts.held.entry import held_names
    from benchmark.errors import UnknownNameError

    if args.name not in held_names():
        raise UnknownNameError("added cohort", args.name, held_names(), "neurodx cohort list")
    home = remove_cohort(args.name)
    console.print(f"{args.name}: removed. Its data, runs and board stay in {home}; delete them if")
    console.print("your agreement asks for it.")
    return 0


def _named(args: argparse.Namespace) -> str:
    from benchmark.errors import ConfigError

    if not args.name:
        raise ConfigError(f"say which: `neurodx cohort {args.action} NAME`; `neurodx cohort list`")
    return str(args.name)


def _plain(name: str) -> str:
    return Path(name).stem.replace("_", "-")


def _entry(args: argparse.Namespace) -> CohortEntry:
    from benchmark.cohorts.held.entry import CohortEntry, adapter_of
    from benchmark.errors import ConfigError

    source = _named(args)
    if source.endswith((".yaml", ".yml")):
        source = str(Path(source).expanduser().resolve())
    adapter_of(source)  # an unknown study is told before a missing folder
    if args.root is None:
        raise ConfigError(
            f"say where the files are: `neurodx cohort {args.action} {source} --root FOLDER`; what "
            f"they are: `neurodx cohort show {source}`"
        )
    options = {}
    for given in args.option:
        key, equals, value = given.partition("=")
        if not equals:
            raise ConfigError(f"--option {given!r}: expected KEY=VALUE, e.g. features=ants")
        options[key] = value
    root = str(args.root.expanduser().resolve())
    return CohortEntry(
        source=source, root=root, title=args.title, options=options, synthetic=args.synthetic
    )
