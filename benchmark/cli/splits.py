"""``neurodx splits``: makes, verifies, shows and compares fold files."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.splitting import Split
    from benchmark.store import Cohort

NAME = "splits"
HELP = "Make, verify, show and compare fold files: who trains, who validates, who is tested."
EPILOG = """\
examples:
  neurodx splits make --cohort phantom-memory --protocol 3fold
  neurodx splits make --cohort phantom-external --protocol external --train-cohort phantom-memory
  neurodx splits make --cohort phantom-memory --protocol few-label --profile smoke
  neurodx splits verify                      every fold file, against its cohort
  neurodx splits show --cohort phantom-memory --protocol 3fold
  neurodx splits diff                        every fold file: what its cohort has become
  neurodx splits diff old/data/adni data/adni                 two stores: people, labels, folds
  neurodx splits diff profiles/adni/data/adni profiles/adni-2026/data/adni-2026
  neurodx splits diff splits/adni/5fold.csv data/adni         folds against the store there is now
  neurodx splits diff OLD NEW --splits shared/adni            sealed folds of the older store

`diff` ends with status 0 if nothing changed, 1 if anything did. It shows identifiers; --report
writes counts alone. What then changed between two boards: `neurodx protocol diff`.

The rule and the file format are in docs/splits.md, what `verify` refuses in docs/leakage.md.
"""
_CLEAN = "clean"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("action", choices=("make", "verify", "show", "diff"), help="what to do")
    parser.add_argument(
        "sides",
        nargs="*",
        type=Path,
        metavar="OLD NEW",
        help="diff, before any option: two cohort stores, or folds (a file or folder) and a store; "
        "NEW is the workspace's own store unless given",
    )
    parser.add_argument(
        "--cohort",
        action="append",
        default=[],
        help="one cohort (repeatable), not beside paths; default: all",
    )
    parser.add_argument(
        "--protocol",
        action="append",
        default=[],
        help="3fold, 5fold, 5x5fold, leave-site-out, external or few-label (repeatable); "
        "default: 3fold for make, all for the others",
    )
    parser.add_argument("--seed", type=int, default=0, help="enters every hash (default: 0)")
    parser.add_argument(
        "--train-cohort", default="", help="external: the cohort whose models predict this one"
    )
    parser.add_argument("--profile", help="default: the one of this folder, or mini")
    parser.add_argument("--data", type=Path, help="cohort stores (default: the profile's)")
    parser.add_argument("--splits", type=Path, help="fold files (default: the profile's)")
    parser.add_argument(
        "--report", type=Path, help="verify, diff: also write the outcome as JSON (diff: counts)"
    )
    parser.add_argument("--all", action="store_true", help="diff: name everybody, not the first 10")


def run(args: argparse.Namespace) -> int:
    """Runs the verb.

    Returns:
        0, or 1 where ``verify`` refused a fold file or ``diff`` found a difference.

    Raises:
        ConfigError: Paths were given to another action than ``diff``.
        UnknownNameError: No cohort of that name is known, prepared or split.
    """
    from benchmark.threads import one_thread

    one_thread()

    from rich.console import Console

    from benchmark.config import load_profile
    from benchmark.errors import ConfigError
    from benchmark.runs.workspace import profile_here, workspace_of

    args.profile = args.profile or profile_here()
    workspace = workspace_of(load_profile(args.profile).name)
    args.splits_given = args.splits is not None
    args.data, args.splits = args.data or workspace.data, args.splits or workspace.splits
    console = Console(highlight=False)
    _check_names([*args.cohort, *filter(None, [args.train_cohort])], args.data, args.splits)
    if args.sides and args.action != "diff":
        raise ConfigError(
            f"`neurodx splits {args.action}` takes no paths, got {args.sides[0]}; name a cohort "
            "with --cohort, folders with --data and --splits"
        )
    actions = {"make": _make, "verify": _verify, "show": _show, "diff": _diff}
    return actions[args.action](args, console)


def _make(args: argparse.Namespace, console: Console) -> int:
    from benchmark.leakage import verify_split
    from benchmark.splitting import make_split
    from benchmark.store import Cohort

    for name in args.cohort or _prepared(args.data):
        cohort = Cohort(args.data / name)
        for protocol in args.protocol or ["3fold"]:
            split = make_split(cohort, protocol, args.seed, args.train_cohort)
            verify_split(split, cohort)
            path = args.splits / name / f"{protocol}.csv"
            note = _replaced(path, split)
            split.write(path.parent)
            line = f"{path}: {_extent(split)}, sha256 {split.content_hash[:12]}{note}"
            console.print(line, soft_wrap=True)
    return 0


def _replaced(path: Path, split: Split) -> str:
    """Says so when other folds stood there: splits are never redrawn in silence."""
    from benchmark.store import file_sha256

    if not path.is_file() or file_sha256(path) == split.content_hash:
        return ""
    return f" (REPLACES other folds, sha256 {file_sha256(path)[:12]})"


def _verify(args: argparse.Namespace, console: Console) -> int:
    from functools import cache

    from benchmark.leakage import image_twins
    from benchmark.store import Cohort
    from benchmark.store.atomic import write_json

    @cache
    def opened(name: str) -> Cohort:
        cohort = Cohort(args.data / name)
        cohort.verify()
        image_twins(cohort)  # a broken volume is refused first
        return cohort

    records = [_checked(path, args.data, opened) for path in _fold_files(args)]
    styles = {_CLEAN: "green", "refused": "bold red"}
    for record in records:
        status = str(record["status"])
        style = styles.get(status, "yellow")
        where = f"{record['cohort']}/{record['protocol']}"
        console.print(f"[{style}]{status:11}[/] {where}: ", end="", soft_wrap=True)
        console.print(str(record["detail"]), markup=False, soft_wrap=True)
    if args.report:
        write_json(args.report, {"schema_version": 1, "splits": records})
    return int(any(record["status"] == "refused" for record in records))


def _checked(path: Path, data: Path, opened: Callable[[str], Cohort]) -> dict[str, Any]:
    """The outcome for one fold file; deterministic, so that it can be a pipeline's output."""
    from benchmark.errors import BenchmarkError, SplitError
    from benchmark.leakage import verify_external_images, verify_split
    from benchmark.leakage.remedy import remedied
    from benchmark.splitting import read_split

    record: dict[str, Any] = {"cohort": path.parent.name, "protocol": path.stem}
    try:
        split = read_split(path)
        if not (data / split.cohort / "cohort.json").is_file():
            detail = f"cohort not prepared; run `neurodx prepare {split.cohort}`"
            return {**record, "status": "not checked", "detail": detail}
        cohort = opened(split.cohort)
        verify_split(split, cohort)
        if split.train_cohort != split.cohort and (data / split.train_cohort).is_dir():
            verify_external_images(cohort, opened(split.train_cohort))
    except SplitError as error:
        return {**record, "status": "refused", "detail": str(remedied(error, path))}
    except BenchmarkError as error:
        return {**record, "status": "refused", "detail": str(error)}
    return {**record, "status": _CLEAN, "detail": _extent(split), "sha256": split.content_hash}


def _show(args: argparse.Namespace, console: Console) -> int:
    from benchmark.splitting import read_split
    from benchmark.store import Cohort

    for path in _fold_files(args):
        split = read_split(path)
        console.print(_table(split, Cohort(args.data / split.cohort)))
    return 0


def _diff(args: argparse.Namespace, console: Console) -> int:
    from benchmark.cli.splits_diff import diff

    return diff(args, [] if args.sides else _fold_files(args), console)


def _table(split: Split, cohort: Cohort) -> Any:
    from rich import box
    from rich.table import Table

    from benchmark import vocabulary as v
    from benchmark.splitting.people import people_of
    from benchmark.splitting.split import FOLD, REPEAT

    people = people_of(cohort.visits)
    people["group"] = people["outcome"].where(people["outcome"] != "", people["class"])
    index = cohort.index_visits.set_index(v.PARTICIPANT_ID)
    ages = index[v.AGE_YEARS] if v.AGE_YEARS in index else index[v.SITE_ID].map(lambda _: None)
    people[v.AGE_YEARS] = people[v.PARTICIPANT_ID].map(ages).astype("float64")
    groups = sorted(set(people["group"]))
    title = f"{split.cohort}, {split.protocol}, seed {split.seed}"
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("fold", "part", "people", *(g or "no class" for g in groups)):
        table.add_column(name, justify="left" if name == "part" else "right", no_wrap=True)
    for name in ("age", "% F", "sites"):
        table.add_column(name, justify="right", no_wrap=True)
    joined = split.table.merge(people, on=v.PARTICIPANT_ID, how="left")
    for (repeat, fold, part), rows in joined.groupby([REPEAT, FOLD, v.PART], sort=True):
        number = f"{repeat}.{fold}" if split.n_repeats > 1 else str(fold)
        counts = [str(int((rows["group"] == g).sum())) for g in groups]
        table.add_row(number, str(part), str(len(rows)), *counts, *_summary(rows))
    return table


def _summary(rows: Any) -> tuple[str, str, str]:
    from benchmark import vocabulary as v

    age = rows[v.AGE_YEARS].mean()
    known = rows.loc[rows[v.SEX] != "", v.SEX]
    women = f"{100 * (known == 'F').mean():.0f}" if len(known) else "-"
    return ("-" if age != age else f"{age:.1f}", women, str(rows[v.SITE_ID].nunique()))  # noqa: PLR0124


def _extent(split: Split) -> str:
    people = split.table["participant_id"].nunique()
    repeats = f"{split.n_repeats} x " if split.n_repeats > 1 else ""
    omitted = len({(p["fold"], p["percent"], p["task"]) for p in split.manifest.get("omitted", ())})
    note = f", {omitted} points omitted (a class has fewer than 2 people)" if omitted else ""
    return f"{people} people, {repeats}{split.n_folds} fold(s){note}"


def _prepared(data: Path) -> list[str]:
    from benchmark.errors import CohortError
    from benchmark.store import store_names

    names = store_names(data)
    if not names:
        raise CohortError(f"{data}: no prepared cohort; run `neurodx prepare` first")
    return names


def _check_names(names: list[str], data: Path, splits: Path) -> None:
    """Refuses a misspelt cohort by the nearest name, before anybody is advised to prepare it."""
    from benchmark.cohorts.catalogue import all_cohorts
    from benchmark.errors import UnknownNameError
    from benchmark.store import store_names

    # Cohorts that were prepared from elsewhere have no entry in the catalogue.
    known = {*all_cohorts(), *store_names(data), *(path.name for path in splits.glob("*/"))}
    for name in names:
        if name not in known:
            raise UnknownNameError("cohort", name, known, "neurodx list cohorts")


def _fold_files(args: argparse.Namespace) -> list[Path]:
    """The fold files that were asked for; a manifest without its file counts, and is refused."""
    from benchmark.errors import SplitError

    found = {
        path.with_suffix(".csv")
        for ending in ("csv", "json")
        for path in args.splits.glob(f"*/*.{ending}")
    }
    cohorts, protocols = set(args.cohort), set(args.protocol)
    files = sorted(
        path
        for path in found
        if (not cohorts or path.parent.name in cohorts)
        and (not protocols or path.stem in protocols)
    )
    if not files:
        raise SplitError(
            f"{args.splits}: no fold files for what was asked; make them with `neurodx splits make`"
        )
    return files
