"""``neurodx splits diff``: what a changed table of people does to labels and folds."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.cli.sections import MOST_LINES, section

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.diff.changes import Change
    from benchmark.diff.folds import FoldsDiff, PartChange
    from benchmark.diff.people import PeopleDiff
    from benchmark.splitting import Split
    from benchmark.store import Cohort

__all__ = ["diff"]

_ALL = 10**9
_MOST_NAMES = 10
_REMEDY = "all of them with --all"


@dataclass(frozen=True, slots=True)
class _Pair:
    """Folds, the table that they are held against and, where it is there, the one they are of."""

    old: Cohort | None
    new: Cohort
    files: Sequence[Path]


def diff(args: argparse.Namespace, files: Sequence[Path], console: Console) -> int:
    """Compares OLD and NEW, or fold files with the stores that are there.

    Args:
        args: ``sides``, ``cohort``, ``data``, ``splits``, ``splits_given``, ``protocol``, ``all``,
            ``report``.
        files: The workspace's fold files that were asked for, where no side was given.
        console: Where identifiers may be shown; the report holds counts only.

    Returns:
        0 if nothing changed, 1 if anything did.

    Raises:
        ConfigError: A side is neither a cohort store nor folds, or a cohort was named besides.
        CohortError: A store is missing.
        SplitError: A fold file is missing, edited, or sealed under another list of participants.
    """
    from benchmark.store.atomic import write_json

    console.width = max(console.width, 110)
    most = _ALL if args.all else _MOST_NAMES
    records, changed = [], False
    for pair in _pairs(args, files):
        people = _people(pair, console, most)
        found = [_folds(path, pair, people) for path in pair.files]
        for each in found:
            _show_folds(each, people, pair.new, console, most)
        records.append(_record(pair, people, found))
        changed |= bool(people and not people.same)
        changed |= any(not f.fits or f.gone or f.outside for f in found)
    if args.report:
        write_json(args.report, {"schema_version": 1, "compared": records})
        console.print(f"wrote {args.report}: counts, no identifiers")
    console.print(
        "something changed" if changed else "nothing changed", style="red" if changed else "green"
    )
    return int(changed)


# Which files ------------------------------------------------------------------------------------


def _pairs(args: argparse.Namespace, files: Sequence[Path]) -> Iterator[_Pair]:
    from benchmark.errors import ConfigError
    from benchmark.store import Cohort

    sides: list[Path] = args.sides
    if len(sides) > 2:
        raise ConfigError(
            f"expected OLD and NEW, got {len(sides)} paths; `neurodx splits diff --help`"
        )
    if sides and args.cohort:
        raise ConfigError(
            f"expected paths or --cohort, got {sides[0]} and --cohort "
            f"{args.cohort[0]}; leave one out"
        )
    if sides and _is_store(sides[0]):
        old = Cohort(sides[0])
        new = Cohort(sides[1] if len(sides) == 2 else args.data / sides[0].name)
        yield _Pair(old, new, _files_of(args, sides[0], new.folder))
        return
    if sides:
        files = _wanted(sides[0], args.protocol)
        if not files:
            raise ConfigError(
                f"{sides[0]}: expected a cohort store (a folder with cohort.json), a fold file or "
                "a folder of fold files; `neurodx splits diff --help`"
            )
    for path in files:
        yield _Pair(None, Cohort(sides[1] if len(sides) == 2 else _store_for(path, args)), [path])


def _is_store(path: Path) -> bool:
    return (path / "cohort.json").is_file()


def _store_for(path: Path, args: argparse.Namespace) -> Path:
    """The store that lies beside a fold file in its workspace, or in the profile's."""
    from benchmark.errors import ConfigError

    folder = path.resolve().parent  # splits/<cohort>
    places = [folder.parent.parent / "data" / folder.name, Path(args.data / folder.name)]
    found = next(filter(_is_store, places), None)
    if found is None and args.sides:
        raise ConfigError(
            f"{path}: expected the cohort store of these folds in {places[0]} or {places[1]}; "
            f"say where it is: `neurodx splits diff {path} STORE`"
        )
    return found or places[1]


def _files_of(args: argparse.Namespace, old: Path, new: Path) -> list[Path]:
    """The folds of the old store: given, beside it, or of its name in the workspace."""
    name = old.absolute().name
    places = [args.splits / name, args.splits / new.absolute().name]
    if args.splits_given:
        places.append(args.splits)
    else:
        places.insert(0, old.absolute().parent.parent / "splits" / name)
    return next((files for place in places if (files := _wanted(place, args.protocol))), [])


def _wanted(place: Path, protocols: Sequence[str]) -> list[Path]:
    found = [place] if place.is_file() else sorted(place.glob("*.csv"))
    return [path for path in found if not protocols or path.name.split(".")[0] in protocols]


def _folds(path: Path, pair: _Pair, people: PeopleDiff | None) -> FoldsDiff:
    from benchmark.diff.folds import diff_folds

    return diff_folds(_split(path, pair), pair.new.visits, people)


def _split(path: Path, pair: _Pair) -> Split:
    from benchmark.cohorts.held.sealed import is_sealed, open_sealed
    from benchmark.errors import SplitError
    from benchmark.splitting import read_split

    if not is_sealed(path):
        return read_split(path)
    cohort = pair.old or pair.new
    split = open_sealed(path, cohort.visits["participant_id"], cohort.name)
    if split is None:
        raise SplitError(
            f"{path}: sealed under another list of participants than that of {cohort.folder}, so "
            "somebody appeared or vanished, and the seal hides who. Give the store of the release "
            "that it was made from: `neurodx splits diff OLD_STORE NEW_STORE --splits "
            f"{path.parent}`"
        )
    return split


# What is shown ----------------------------------------------------------------------------------


def _people(pair: _Pair, console: Console, most: int) -> PeopleDiff | None:
    if pair.old is None:
        return None
    from benchmark.diff.people import classes_of, diff_people

    people = diff_people(pair.old.visits, pair.new.visits)
    lines = max(most, MOST_LINES)
    old, new = str(pair.old.folder), str(pair.new.folder)
    console.print(f"{old} -> {new}", style="bold", markup=False, soft_wrap=True)
    for what, ids, table in (
        ("appeared", people.appeared, people.new_people),
        ("vanished", people.vanished, people.old_people),
    ):
        line = f"  {what}: {_counted(len(ids), classes_of(table, ids))}{_names(ids, most)}"
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"  stay: {len(people.stay)}", markup=False)
    for title, changes in (("labels", people.labels), ("strata", people.strata)):
        for kind in dict.fromkeys(change.kind for change in changes):
            told = _transitions([c for c in changes if c.kind == kind], most)
            section(
                console, f"{title}, {kind}: {sum(told.values())} changed", [*told], _REMEDY, lines
            )
    for task, side in people.one_sided.items():
        console.print(f"labels, {task}: only the {side} table has any", markup=False)
    if not pair.files:
        console.print("no fold files of it were found; say where with --splits")
    return people


def _counted(n: int, classes: Mapping[str, int]) -> str:
    told = ", ".join(f"{name} {count}" for name, count in classes.items())
    return f"{n} people ({told})" if told else f"{n} people"


def _names(ids: Sequence[str], most: int) -> str:
    if not ids:
        return ""
    more = f" and {len(ids) - most} more ({_REMEDY})" if len(ids) > most else ""
    return f": {', '.join(ids[:most])}{more}"


def _transitions(changes: Sequence[Change], most: int) -> dict[str, int]:
    """Lines "from -> to: who" with their numbers, the most frequent first."""
    by: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        by.setdefault((change.old, change.new), []).append(change.name)
    ranked = sorted(by.items(), key=lambda item: (-len(item[1]), item[0]))
    return {
        f"{old} -> {new}: {len(who)}{_names(who, most)}": len(who) for (old, new), who in ranked
    }


def _show_folds(
    found: FoldsDiff, people: PeopleDiff | None, new: Cohort, console: Console, most: int
) -> None:
    split = found.split
    title = f"\nfolds {split.cohort}/{split.protocol} -> {new.folder}"
    console.print(title, style="bold", markup=False, soft_wrap=True)
    for what, ids in (
        ("of the folds, not in the table", found.gone),
        ("of the table, in no fold", found.outside),
        ("of the folds, not in the old table either", found.foreign if people else ()),
    ):
        if ids:
            told = ids in (people.appeared, people.vanished) if people else False
            names = "" if told else _names(ids, most)
            console.print(f"  {what}: {len(ids)} people{names}", markup=False, soft_wrap=True)
    changed = [part for part in found.parts if part.changed]
    if changed:
        shown = changed[: max(most, MOST_LINES)]
        console.print(_table(shown, split.n_repeats))
        if len(changed) > len(shown):
            console.print(f"  and {len(changed) - len(shown)} more parts ({_REMEDY})")
    for line in _verdict(found, people, new.name):
        console.print(f"  {line}", markup=False, soft_wrap=True)


def _table(parts: Sequence[PartChange], n_repeats: int) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("fold", "part", "people", "gone", "relabelled", "classes and outcomes"):
        right = name in ("fold", "people", "gone", "relabelled")
        table.add_column(name, justify="right" if right else "left", no_wrap=right)
    for p in parts:
        number = f"{p.repeat}.{p.fold}" if n_repeats > 1 else str(p.fold)
        relabelled = "?" if p.relabelled is None else str(p.relabelled)
        table.add_row(number, p.part, str(p.n), str(p.gone), relabelled, _classes(p))
    return table


def _classes(part: PartChange) -> str:
    def one(name: str) -> str:
        now = part.now.get(name, 0)
        if not part.before:
            return f"{name} {now} now"
        before = part.before.get(name, 0)
        return f"{name} {before}" if before == now else f"{name} {before} -> {now}"

    return ", ".join(one(name) for name in sorted(part.before.keys() | part.now.keys()))


def _verdict(found: FoldsDiff, people: PeopleDiff | None, name: str) -> Iterator[str]:
    """Whether the folds can still be used, why not, and what to do next."""
    tasks = sorted({c.kind for c in people.labels} | {*people.one_sided}) if people else []
    relabelled = (
        f"labels of {', '.join(tasks)} changed: even with the same folds, scores are not "
        "comparable with those of before"
    )
    if found.fits:
        yield "the folds fit this table as they are"
        if tasks:
            yield f"{relabelled}; `neurodx run` makes these runs again"
        elif people is None:
            yield "labels that are no stratum, as an age within its decade, are not in the manifest"
        return
    yield "these folds do not fit this table: `neurodx splits verify` and `run` refuse them"
    if found.gone:
        yield (
            f"{len(found.gone)} people are gone; the {len(found.stay)} who stay keep their parts, "
            "so nobody would leak, but fits and scores would be those of fewer people"
        )
    if found.outside:
        yield (
            f"{len(found.outside)} people are in no fold: they would neither train nor be tested, "
            "and the row would not be one of this table"
        )
    if tasks:
        yield relabelled
    if not (found.gone or found.outside or tasks):
        yield "the people are the same; class, outcome, sex, age band, site or family changed"
    if people is None:
        yield (
            "whose label or stratum changed is not in the manifest: `neurodx splits diff OLD_STORE "
            "NEW_STORE` says it where the older store is kept"
        )
    yield "to keep the folds, and all rows comparable: stay with the table that they were made from"
    yield from _anew(found, name)


def _anew(found: FoldsDiff, name: str) -> Iterator[str]:
    from benchmark.cohorts.held.entry import held_names

    if found.refusal:
        yield f"new folds cannot be made: {found.refusal}"
        return
    make = f"`neurodx splits make --cohort {name} --protocol {found.split.protocol}`"
    if name in held_names():
        make = f"`neurodx cohort add`, once more or under another name (--as), for {name}"
    moved = ""
    if found.moved is not None:
        moved = f"; {found.moved} of the {len(found.stay)} who stay would be tested in another fold"
    yield (
        f"to take the new table: {make}; every row of the board is then run again, and none is "
        f"comparable with a row of before{moved}"
    )


# What may be written ----------------------------------------------------------------------------


def _record(pair: _Pair, people: PeopleDiff | None, found: Sequence[FoldsDiff]) -> dict[str, Any]:
    """Counts alone: no identifier, and no value of a regression, which may be somebody's age."""
    record: dict[str, Any] = {"cohort": pair.new.name}
    if people is not None:
        record["people"] = {
            "appeared": len(people.appeared),
            "vanished": len(people.vanished),
            "stay": len(people.stay),
        }
        record["labels"] = dict(sorted(Counter(c.kind for c in people.labels).items()))
        record["strata"] = dict(sorted(Counter(c.kind for c in people.strata).items()))
    record["splits"] = [
        {
            "protocol": each.split.protocol,
            "sha256": each.split.content_hash,
            "fits": each.fits,
            "gone": len(each.gone),
            "in_no_fold": len(each.outside),
            "would_move": each.moved,
            "parts": [
                {
                    "repeat": part.repeat,
                    "fold": part.fold,
                    "part": part.part,
                    "people": part.n,
                    "gone": part.gone,
                    "relabelled": part.relabelled,
                    "before": dict(part.before),
                    "now": dict(part.now),
                }
                for part in each.parts
            ],
        }
        for each in found
    ]
    return record
