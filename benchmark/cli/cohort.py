"""``neurodx cohort``: cohorts that a user holds under an agreement of their own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.held_entry import add_sources, entry_of, named

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.cohorts.held.add import Added
    from benchmark.cohorts.held.arrays import HeldArray
    from benchmark.cohorts.held.volumes import HeldVolumes
    from benchmark.config import Profile

HELP = "Add a cohort that you hold: files as the study releases them to rows on a board."
EPILOG = """\
actions:
  list      studies that can be read, and the cohorts that have been added
  show      what a study's adapter wants: files, terms, label rules, options
  check     read the files and list every rule that they break; nothing is written
  add       check, prepare, split, and write a profile of the cohort's name
  external  fit on one added cohort, predict others (--test)
  seal      write the folds with HMACs for identifiers, or compare with such a file
  results   write a page of the scores of added cohorts (--out)
  remove    take a cohort's entry and profile away; its workspace stays

examples:
  neurodx cohort list
  neurodx cohort show oasis1
  neurodx cohort check oasis1 --root ~/oasis1 --report problems.csv
  neurodx cohort add oasis1 --root ~/oasis1            then `make repro COHORT=oasis1`
  neurodx cohort add oasis1 --root ~/oasis1 --run      to the ranked rows at once
  neurodx cohort add ixi --root ~/ixi --option features=ants --as ixi-ants
  neurodx cohort add ixi --root ~/ixi --volumes ~/ixi-volumes    after `neurodx volumes`
  neurodx cohort add bids --root ~/study --as my-study  any study's BIDS folder
  neurodx cohort add oasis1 --root ~/oasis1 --fmri ~/xcp_d --frames 200 --snps ~/panel.bed
  neurodx cohort external ixi-ants --test oasis1 --as ixi-to-oasis1 --run
  neurodx cohort seal oasis1 --out shared/oasis1
  neurodx cohort seal oasis1 --compare shared/oasis1/5fold.sealed.csv
  neurodx cohort results --out real_cohorts.md         of all that have been added, or of NAME
  neurodx cohort add my_clinic.yaml --root ~/clinic    a table of your own, by a mapping

What is written lies in configs/held/, configs/profile/ and profiles/NAME/, where git ignores it.
What to download, from where and under what terms: docs/data.md.
"""
_MOST_SHOWN = 5
_ACTIONS = ("list", "show", "check", "add", "external", "seal", "results", "remove")


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
    add_sources(parser)
    parser.add_argument("--as", dest="cohort", default="", help="the cohort's name, if not NAME")
    parser.add_argument("--title", default="", help="one line for readers")
    parser.add_argument("--synthetic", action="store_true", help="its people are made up")
    parser.add_argument(
        "--test", action="append", default=[], metavar="COHORT", help="external: who is predicted"
    )
    parser.add_argument("--report", type=Path, help="check: write every violation to this CSV")
    parser.add_argument("--out", type=Path, help="seal: folder; results: file")
    parser.add_argument("--compare", type=Path, metavar="CSV", help="seal: a sealed fold file")
    parser.add_argument("--run", action="store_true", help="go on to the ranked rows")


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
    actions = {
        "list": _list,
        "show": _show,
        "check": _check,
        "add": _add,
        "external": _external,
        "seal": _seal,
        "results": _results,
        "remove": _remove,
    }
    return actions[args.action](args, console)


def _list(_args: argparse.Namespace, console: Console) -> int:
    from rich.table import Table

    from benchmark.cohorts.held.adapters import ADAPTERS
    from benchmark.cohorts.held.entry import added_profiles, held_names, load_entry
    from benchmark.config import load_profile
    from benchmark.runs.workspace import workspace_of

    studies = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("study", "what", "files"):
        studies.add_column(column, overflow="fold")
    for adapter in ADAPTERS.values():
        files = ", ".join(_either(file.name) for file in adapter.files if file.needed)
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
    for name in sorted(added_profiles() - {*names}):
        (train, plan), *_ = load_profile(name).plan.items()
        source = f"external: {train} to {', '.join(plan.external)}"
        added.add_row(name, source, "", ", ".join(plan.fit), f"make repro COHORT={name}")
    console.print()
    console.print(added)
    return 0


def _either(name: str) -> str:
    """Names of a file that differ between releases."""
    return name.replace("|", " or ")


def _show(args: argparse.Namespace, console: Console) -> int:
    from benchmark.cli.cohort_show import show

    show(named(args), console)
    return 0


def _check(args: argparse.Namespace, console: Console) -> int:
    from benchmark.cohorts.held.entry import read_held
    from benchmark.cohorts.held.problems import Problems

    name, entry = args.cohort or _plain(args.name), entry_of(args)
    problems = Problems()
    try:
        reading = read_held(name, entry, problems)
    finally:
        if args.report:
            problems.table().to_csv(args.report, index=False)
            console.print(f"{args.report}: {len(problems.found)} violation(s)")
    people = reading.visits["participant_id"].nunique()
    console.print(f"{name}: {people} people, {len(reading.visits)} visits; no rule is broken")
    _volumes(reading.volumes, people, console)
    _arrays(reading.arrays, people, console)
    _left_out(dict(reading.left_out), console)
    return 0


def _add(args: argparse.Namespace, console: Console) -> int:
    import time

    from benchmark.cohorts.held.add import add_cohort

    started = time.perf_counter()
    name, entry = args.cohort or _plain(args.name), entry_of(args)
    _check_new(name)
    added = add_cohort(name, entry, _pipeline)
    _told(name, added, console)
    console.print(f"{name}: added in {time.perf_counter() - started:.0f} s")
    return _go_on(name, args, console)


def _external(args: argparse.Namespace, console: Console) -> int:
    from benchmark.cohorts.held.entry import held_names
    from benchmark.cohorts.held.external import pair_cohorts
    from benchmark.errors import ConfigError, UnknownNameError

    train = named(args)
    if not args.test:
        raise ConfigError(
            f"say who is predicted: `neurodx cohort external {train} --test COHORT`; "
            "`neurodx cohort list` shows the cohorts that have been added"
        )
    for cohort in (train, *args.test):
        if cohort not in held_names():
            raise UnknownNameError("added cohort", cohort, held_names(), "neurodx cohort list")
    name = args.cohort or f"{train}-to-{'-'.join(args.test)}"
    _check_new(name)
    profile = pair_cohorts(name, train, args.test, _pipeline)
    plan = profile.plan[train]
    for other, tasks in plan.external.items():
        console.print(f"{name}: fitted on {train}, {other} predicted: {', '.join(tasks)}")
    console.print(f"  {profile.protocol}; rows: {', '.join(profile.methods)}")
    return _go_on(name, args, console)


def _check_new(name: str) -> None:
    """A name that nothing shipped bears."""
    from benchmark.cohorts.catalogue import COHORTS
    from benchmark.cohorts.held.entry import added_profiles, check_name
    from benchmark.config import CONFIGS

    profiles = {path.stem for path in (CONFIGS / "profile").glob("*.yaml")}
    check_name(name, {*COHORTS, *profiles} - added_profiles())


def _pipeline(profile: Profile) -> str:
    from benchmark.runs.pipeline import pipeline_text

    return pipeline_text(profile)


def _go_on(name: str, args: argparse.Namespace, console: Console) -> int:
    if args.run:
        from benchmark.cli.repro import run as repro

        return repro(argparse.Namespace(profile=name))
    console.print(f"next: `make repro COHORT={name}` (or `neurodx repro --profile {name}`)")
    return 0


def _told(name: str, added: Added, console: Console) -> None:
    have = {k: n for k, n in added.cohort.card["availability"].items() if n}
    console.print(f"{name}: {', '.join(f'{n} {k}' for k, n in have.items())}")
    _volumes(added.volumes, have["people"], console)
    if added.qc_page:
        console.print(f"  quality control: {added.qc_page}")
    _left_out(added.left_out, console)
    for answer in added.answers:
        counts = ", ".join(f"{n} {c}" for c, n in answer.counts.items())
        excluded = ", ".join(f"{n} {why}" for why, n in answer.excluded.items())
        state = "" if answer.possible else "[yellow]too few people[/]: "
        console.print(
            f"  {answer.task}: {state}{counts}"
            + (f" (not eligible: {excluded})" if excluded else "")
        )
    for answer in added.few:
        counts = ", ".join(f"{n} {c}" for c, n in answer.counts.items())
        console.print(
            f"  {answer.task}: [yellow]too few people with a volume[/]: {counts}, expected "
            f"{answer.least}. Rows that read T1w scans for it are left out, volumes or regions; "
            "prepare more scans, or add the cohort without --volumes for rows that read regions"
        )
    if added.replaced:
        console.print(f"  [yellow]REPLACES other folds[/], sha256 {added.replaced[:12]}")
    rows = ", ".join(added.profile.methods)
    console.print(
        f"  {added.profile.protocol}, sha256 {added.split.content_hash[:12]}; rows: {rows}"
    )


def _volumes(volumes: HeldVolumes | None, people: int, console: Console) -> None:
    if volumes is None:
        return
    shape = " x ".join(map(str, volumes.shape[1:]))
    have = volumes.rows["participant_id"].nunique()
    console.print(
        f"  volumes: {have} of {people} people, {len(volumes.rows)} visit(s), {shape} voxels at "
        f"{volumes.spacing_mm:g} mm, {volumes.flagged} to look at; modality t1w is theirs alone"
    )
    if volumes.unmatched:
        shown = ", ".join(volumes.unmatched[:_MOST_SHOWN])
        more = len(volumes.unmatched) - _MOST_SHOWN
        tail = f" and {more} more" if more > 0 else ""
        console.print(f"  of nobody in the tables: {shown}{tail}", markup=False)


def _arrays(arrays: Sequence[HeldArray], people: int, console: Console) -> None:
    for held in arrays:
        have = held.rows["participant_id"].nunique()
        shape = " x ".join(map(str, held.values.shape[1:]))
        unit = {"fmri": "frames x regions", "snps": "SNPs"}[held.name]
        console.print(f"  {held.name}: {have} of {people} people, {shape} {unit}", markup=False)


def _left_out(left_out: dict[str, int], console: Console) -> None:
    for why, n in left_out.items():
        console.print(f"  left out: {n} {why}", markup=False)


def _seal(args: argparse.Namespace, console: Console) -> int:
    from benchmark.cohorts.held.entry import held_names
    from benchmark.cohorts.held.sealed import compare_sealed, write_sealed
    from benchmark.config import load_profile
    from benchmark.errors import UnknownNameError
    from benchmark.runs.readiness import ready_split
    from benchmark.runs.workspace import workspace_of
    from benchmark.store import Cohort

    name = named(args)
    if name not in held_names():
        raise UnknownNameError("added cohort", name, held_names(), "neurodx cohort list")
    workspace = workspace_of(name)
    ids = Cohort(workspace.data / name).visits["participant_id"]
    split = ready_split(name, load_profile(name).protocol, name, workspace)
    if args.compare:
        compare_sealed(split, ids, args.compare)
        console.print(f"{args.compare}: the same folds as {name}, {split.protocol}")
        return 0
    path = write_sealed(split, ids, args.out or workspace.root / "sealed")
    console.print(f"{path}: {split.protocol} of {name}; it and its .json hold no identifier")
    return 0


def _results(args: argparse.Namespace, console: Console) -> int:
    from benchmark.cli.held_page import held_page
    from benchmark.cohorts.held.entry import added_profiles
    from benchmark.errors import ConfigError, UnknownNameError
    from benchmark.store.atomic import write_text

    added = sorted(added_profiles())
    if args.name and args.name not in added:
        raise UnknownNameError("added cohort", args.name, added, "neurodx cohort list")
    if args.out is None:
        raise ConfigError("say where to: `neurodx cohort results --out real_cohorts.md`")
    write_text(args.out, held_page([args.name] if args.name else added))
    console.print(f"wrote {args.out}")
    return 0


def _remove(args: argparse.Namespace, console: Console) -> int:
    from benchmark.cohorts.held.add import remove_cohort
    from benchmark.cohorts.held.entry import added_profiles
    from benchmark.errors import UnknownNameError

    if args.name not in added_profiles():
        raise UnknownNameError("added cohort", args.name, added_profiles(), "neurodx cohort list")
    home = remove_cohort(args.name)
    console.print(f"{args.name}: removed. Its data, runs and board stay in {home}; delete them if")
    console.print("your agreement asks for it.")
    return 0


def _plain(name: str) -> str:
    return Path(name).stem.replace("_", "-")
