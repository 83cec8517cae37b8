"""``neurodx pipeline``: writes the DVC pipelines."""

from __future__ import annotations

import argparse

HELP = "Write dvc.yaml of every profile from configs/profile/; --check only compares."
EPILOG = """\
examples:
  neurodx pipeline            after adding a method to a profile
  neurodx pipeline --check    what the tests do
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("--check", action="store_true", help="fail where a file differs")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from rich.console import Console

    from benchmark.ablations.pipeline import ABLATION_PIPELINE, ablation_pipeline_text
    from benchmark.cohorts.held.add import make_workspace
    from benchmark.config import CONFIGS, load_profile
    from benchmark.registry import ROOT
    from benchmark.runs.pipeline import pipeline_path, pipeline_text, reads_links
    from benchmark.runs.workspace import DEFAULT_PROFILE, profile_folder
    from benchmark.store.atomic import write_text

    console = Console()
    different = []
    stems = sorted(path.stem for path in (CONFIGS / "profile").glob("*.yaml"))
    profiles = {name: load_profile(name) for name in stems}
    wanted = {ROOT / pipeline_path(name): pipeline_text(p) for name, p in profiles.items()}
    wanted[ROOT / ABLATION_PIPELINE] = ablation_pipeline_text(load_profile(DEFAULT_PROFILE))
    if not args.check:
        for profile in profiles.values():
            if reads_links(profile):
                make_workspace(ROOT / profile_folder(profile.name))
    for path, text in wanted.items():
        if path.is_file() and path.read_text() == text:
            continue
        different.append(path)
        if not args.check:
            write_text(path, text)
            console.print(f"wrote {path.relative_to(ROOT)}")
    if args.check and different:
        paths = ", ".join(str(path.relative_to(ROOT)) for path in different)
        console.print(f"{paths}: out of step with configs/profile/; run `neurodx pipeline`")
        return 1
    if not different:
        console.print("all pipelines are in step with configs/profile/")
    return 0
