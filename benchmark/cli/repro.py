"""``neurodx repro``: the whole chain, as ``make repro`` runs it."""

from __future__ import annotations

import argparse

HELP = "Run `dvc repro` for a profile, show the ranked table and compare it with the reference."
EPILOG = """\
One method that fails never hides the others: what is whole is scored and ranked, the cell is
shown as failed, and the command exits with 1. The next run retries what is missing.

examples:
  neurodx repro
  neurodx repro --profile smoke
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("--profile", help="default: the one of this folder, or mini")


def run(args: argparse.Namespace) -> int:
    """Runs the verb.

    Raises:
        ConfigError: It is a study that has not been added.
        UnknownNameError: No such profile.
    """
    import os
    import subprocess
    import sys
    import time
    from pathlib import Path

    from rich.console import Console

    from benchmark.cohorts.held.adapters import ADAPTERS
    from benchmark.cohorts.held.entry import added_profiles
    from benchmark.config import CONFIGS, load_profile
    from benchmark.errors import ConfigError
    from benchmark.registry import ROOT
    from benchmark.runs.workspace import DEFAULT_PROFILE, profile_folder, profile_here

    console = Console()
    name = args.profile or profile_here()
    if name in ADAPTERS and not (CONFIGS / "profile" / f"{name}.yaml").is_file():
        raise ConfigError(
            f"cohort {name!r} has not been added: `neurodx cohort add {name} --root FOLDER` first; "
            f"what to download: `neurodx cohort show {name}`"
        )
    profile = load_profile(name)
    folder = ROOT / profile_folder(profile.name)
    tools = str(Path(sys.executable).parent)
    path = os.pathsep.join((tools, os.environ.get("PATH", "")))
    environment = os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1"}

    def call(*command: str) -> int:
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode

    started = time.perf_counter()
    status = call("dvc", "repro", "--keep-going")
    if status:
        console.print("[red]a stage failed[/]; scoring and ranking what is whole")
        for verb in ("score", "rank"):
            if call("neurodx", verb, "--profile", profile.name):
                return 1
    call("neurodx", "rank", "--show")
    console.print(f"{profile.name}: {(time.perf_counter() - started) / 60:.1f} minutes")
    if profile.name == DEFAULT_PROFILE:
        status = call("neurodx", "compare-reference") or status
    variable = "COHORT" if profile.name in added_profiles() else "PROFILE"
    other = "" if profile.name == DEFAULT_PROFILE else f" {variable}={profile.name}"
    opens = f"`neurodx board --profile {profile.name}`"
    said = f"open the board: `make board{other}`   (or {opens})"
    console.print(said, highlight=False, soft_wrap=True)
    return 1 if status else 0
