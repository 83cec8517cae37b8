"""``neurodx score``: turns ledgers into scores with intervals."""

from __future__ import annotations

import argparse

HELP = "Score every whole row of runs/ with every metric of its task; adds the oracle on phantoms."
EPILOG = """\
Only the run ids that the current plans list are read. Nothing is fitted.

examples:
  neurodx score
  neurodx score --profile smoke --resamples 200
  neurodx score --protocol few-label          into robustness/few-label/scores/
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("--profile", help="default: the one of this folder, or mini")
    parser.add_argument("--protocol", help="score `neurodx run ... protocol=` instead")
    parser.add_argument("--resamples", type=int, help="bootstrap resamples instead of its number")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    import time

    from rich.console import Console

    from benchmark.cli.oracle_rows import oracle_rows
    from benchmark.config import load_profile
    from benchmark.results import PlanFilter, score_workspace
    from benchmark.runs.job import plan_file
    from benchmark.runs.planning import other_protocol
    from benchmark.runs.workspace import profile_here, workspace_of

    console = Console()
    profile = load_profile(args.profile or profile_here())
    workspace = workspace_of(profile.name)
    protocol = other_protocol(args.protocol, profile)
    started = time.perf_counter()
    with console.status("asking the oracle"):
        oracle = oracle_rows(workspace, profile.methods, plan_file(protocol))
    console.print(f"score: {len(oracle)} oracle rows in {time.perf_counter() - started:.0f} s")
    with console.status("scoring"):
        scores = score_workspace(
            workspace.runs,
            workspace.scores_of(protocol),
            n_resamples=args.resamples or profile.n_resamples,
            extra=oracle,
            only=PlanFilter(frozenset(profile.methods), plan=plan_file(protocol)),
        )
    console.print(f"score: {len(scores)} scores in {time.perf_counter() - started:.0f} s")
    return 0
