"""``neurodx prepare``: makes cohort stores."""

from __future__ import annotations

import argparse

HELP = "Make a profile's cohort stores under its data/; an interrupted preparation resumes."
EPILOG = """\
examples:
  neurodx prepare phantom-memory
  neurodx prepare phantom-memory --profile smoke        (into profiles/smoke/data/)
  neurodx prepare phantom-memory-dev --profile mini     (a twin to develop on)
  neurodx prepare ad-csf --force
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("cohorts", nargs="*", help="names; all of the profile's by default")
    parser.add_argument("--profile", help="default: the one of this folder, or mini")
    parser.add_argument(
        "--force",
        action="store_true",
        help="make anew what is there; an interrupted one still resumes",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the verb.

    Raises:
        ConfigError: A folder was given, where names of cohorts are expected.
        UnknownNameError: No such cohort or profile.
    """
    import os
    import time

    from benchmark.threads import one_thread

    one_thread()

    from rich.console import Console
    from rich.progress import Progress

    from benchmark.cohorts.catalogue import get_cohort
    from benchmark.config import load_profile
    from benchmark.runs.workspace import profile_here, workspace_of

    console = Console()
    profile = load_profile(args.profile or profile_here())
    workspace = workspace_of(profile.name)
    _refuse_folders(args.cohorts)
    sources = [get_cohort(name) for name in args.cohorts or profile.cohorts]
    for source in sources:
        folder, truth = workspace.data / source.name, workspace.truth / source.name
        if (folder / "cohort.json").is_file() and not args.force:
            console.print(f"{source.name}: already prepared in {folder} (--force makes it anew)")
            continue
        # What stands there goes when its successor is whole: CohortWriter.finish replaces it.
        started = time.perf_counter()
        workers = profile.workers or os.cpu_count() or 1
        with Progress(console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task(source.name, total=None)
            source.prepare(
                profile,
                folder,
                truth,
                workers,
                lambda done, total: bar.update(task, completed=done, total=total),  # noqa: B023
            )
        console.print(f"{source.name}: prepared in {time.perf_counter() - started:.0f} s")
    return 0


def _refuse_folders(names: list[str]) -> None:
    from pathlib import Path

    from benchmark.cohorts.catalogue import all_cohorts
    from benchmark.errors import ConfigError

    known = all_cohorts()
    for name in names:
        if name not in known and Path(name).expanduser().is_dir():
            out = f"{Path(name).expanduser().resolve()}-volumes"
            raise ConfigError(
                f"{name} is a folder, expected names of cohorts (`neurodx list cohorts`); raw "
                f"scans are prepared by `neurodx volumes {name} --out {out} --spacing 2`, and "
                f"join a cohort that you hold by `neurodx cohort add NAME --root FOLDER --volumes "
                f"{out}`"
            )
