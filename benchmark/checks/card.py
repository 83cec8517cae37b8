"""Rules that need no fit: what a method says of itself is complete, true to its files and light."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from benchmark.checks.outcome import ContractError
from benchmark.config import Profile, load_profile, load_suite, method_config
from benchmark.errors import BenchmarkError, ConfigError
from benchmark.method_info import MethodInfo
from benchmark.runs.checkpoints import is_recipe
from benchmark.runs.rows import resolve_row, tasks_of_row
from benchmark.tasks import TASKS
from benchmark.tracks import SOURCES, TRACKS
from benchmark.vocabulary import MODALITIES

if TYPE_CHECKING:
    from benchmark.checks.bench import Bench

__all__ = [
    "card_complete",
    "heavy_imports",
    "info_light",
    "names_known",
    "rows_resolve",
    "space_fits",
]

HEAVY = ("numpy", "pandas", "torch", "sklearn", "scipy", "monai")
_DRAWS = 3


def card_complete(bench: Bench) -> str:
    """README, summary, licence, and whom to ask or cite."""
    info = bench.row.info
    where = f"{info.folder}/info.py"
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", info.name):
        raise ContractError(f"{where}: name {info.name!r} is not snake_case, e.g. 'my_network'")
    if info.folder and info.folder.parent.name in ("methods", "baselines"):
        _expect(
            info.name == info.folder.name, f"{where}: name {info.name!r} differs from its folder"
        )
    for field in ("title", "summary", "licence"):
        _expect(bool(getattr(info, field).strip()), f"{where}: fill in {field!r}")
    ours = info.package.startswith("baselines.")
    _expect(ours or bool(info.paper or info.contact), f"{where}: give a 'paper' or a 'contact'")
    _expect(not info.doi or info.doi.startswith("10."), f"{where}: doi {info.doi!r}: expected 10.…")
    _expect(not info.doi or bool(info.paper), f"{where}: a doi is given, so give 'paper' too")
    readme = info.folder / "README.md" if info.folder else None
    text = readme.read_text(encoding="utf-8") if readme and readme.is_file() else ""
    _expect(bool(text.strip()), f"{readme}: write the method card: what it does, sees and costs")
    _expect("TODO" not in text + info.summary + info.contact, f"{readme} or info.py holds a TODO")
    return ""


def names_known(bench: Bench) -> str:
    """Tasks, tracks, modalities, suites exist, and each track opens what is required."""
    info = bench.row.info
    where = f"{info.folder}/info.py"
    for field, values, known in (
        (
            "tasks",
            [t for row in (info.name, *info.variants) for t in tasks_of_row(info, row)],
            TASKS,
        ),
        ("tracks", info.tracks, TRACKS),
        ("requires", info.requires, MODALITIES),
    ):
        strange = sorted(set(values) - set(known))
        _expect(not strange, f"{where}: {field} {strange} unknown; there are {', '.join(known)}")
    _expect(bool(info.tasks and info.tracks), f"{where}: declare at least one task and one track")
    for track in info.tracks:
        opened = {SOURCES[source].modality or source for source in TRACKS[track]}
        closed = sorted(set(info.requires) - opened)
        _expect(not closed, f"{where}: requires {closed}, which track {track!r} does not open")
    _suites_known(info, where)
    for part in info.pretraining:
        _expect(":" in part, f"{where}: pretraining {part!r}: expected COHORT:PART")
    return ""


def _suites_known(info: MethodInfo, where: str) -> None:
    for row, own in {info.name: {}, **info.variants}.items():
        suite = str(own.get("suite", info.suite))
        if not suite:
            continue
        parts = load_suite(suite, Profile(name="check")).parts
        named = {task for tasks in parts.values() for task in tasks}
        _expect(
            bool(own.get("multitask", info.multitask)),
            f"{where}: row {row!r} with suite {suite!r} is one fit of several tasks: give it "
            "multitask=True, or suite=''",
        )
        _expect(
            bool(named & set(info.tasks)),
            f"{where}: suite {suite!r} holds {', '.join(sorted(named))}, none of them in 'tasks'",
        )


def rows_resolve(bench: Bench) -> str:
    """Every variant has settings that the method knows, in each profile, and known weights."""
    info = bench.row.info
    for profile in map(load_profile, ("smoke", "mini", "standard")):
        for name in (info.name, *info.variants):
            weights = resolve_row(name, profile).pretrained
            _expect(
                not weights or is_recipe(weights),
                f"{info.folder}: row {name!r} starts from {weights!r}, which is no pretraining "
                "(configs/pretraining); give weights of one machine on the command line instead: "
                "`config.pretrained=PATH`",
            )
            _expect(
                not weights or bool(info.pretraining),
                f"{info.folder}/info.py: row {name!r} starts from {weights!r}: say in "
                "'pretraining' whom it has seen, e.g. 'phantom-population:pretrain'",
            )
    return ""


def space_fits(bench: Bench) -> str:
    """What ``space.py`` suggests are settings of the method."""
    info = bench.row.info
    if not info.folder or not (info.folder / "space.py").is_file():
        return "no space.py: `neurodx sweep` cannot tune it"
    suggest = importlib.import_module(f"{info.package}.space").suggest
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(_DRAWS):
        settings: dict[str, Any] = suggest(study.ask())
        try:
            method_config(info.config, settings, f"{info.folder}/space.py")
        except ConfigError as error:
            raise ContractError(
                f"{error} suggest() must return settings of {info.config}"
            ) from error
    return ""


def info_light(bench: Bench) -> str:
    """``info.py`` imports nothing heavy, so that listing a hundred methods takes an instant."""
    info = bench.row.info
    heavy = heavy_imports([f"{info.package}.info"])
    _expect(
        not heavy,
        f"{info.folder}/info.py imports {', '.join(heavy)}: move what needs it to model.py, or "
        "into a function (`python -X importtime` names the culprit)",
    )
    return ""


def heavy_imports(modules: Iterable[str]) -> list[str]:
    """Which heavy packages a fresh interpreter has loaded after importing some modules.

    Raises:
        BenchmarkError: A module cannot be imported on its own.
    """
    code = (
        "import importlib, json, sys\n"
        f"for name in {list(modules)!r}: importlib.import_module(name)\n"
        f"print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"cannot import {', '.join(modules)}:\n{done.stderr.strip()}")
    return list(json.loads(done.stdout))


def _expect(holds: bool, message: str) -> None:
    if not holds:
        raise ContractError(message)
