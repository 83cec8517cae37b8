"""``neurodx run``: fits and predicts one board row."""

from __future__ import annotations

import argparse
import time

HELP = "Fit a board row on every cohort, task, fold and seed of a profile; what is done is kept."
EPILOG = """\
examples:
  neurodx run method=resnet3d
  neurodx run method=resnet3d profile=smoke
  neurodx run method=voxel_svm cohort=phantom-memory task=dx3 fold=0
  neurodx run method=resnet3d task=dx3 config.trainer.lr=0.003   (a trial: the plan stays as it is)
  neurodx run method=voxel_svm protocol=few-label     (or leave-site-out, 5x5fold)
  neurodx run method=neurobridge scale=paper cohort=phantom-memory profile.device=cuda
  torchrun --nproc-per-node 2 -m benchmark.cli run method=resnet3d config.trainer.distributed=true
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("overrides", nargs="+", help="Hydra overrides, at least method=NAME")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    import os
    import sys

    from rich.console import Console

    from benchmark.cli.compose import compose_request
    from benchmark.cli.progress import JobProgress
    from benchmark.errors import RunFailed
    from benchmark.runs.planning import Selection
    from benchmark.runs.rows import resolve_row
    from benchmark.runs.runner import run_row
    from benchmark.runs.team import Team
    from benchmark.runs.workspace import workspace_of

    request = compose_request(args.overrides)
    row = resolve_row(
        request.method, request.profile, request.config, request.track, scale=request.scale
    )
    wanted = Selection(request.cohort, request.task, request.fold, request.seed)
    other_row = bool(request.config) or request.track is not None or request.scale is not None
    select = wanted if other_row or wanted != Selection() else None
    workspace = workspace_of(request.profile.name)
    started = time.perf_counter()
    console = Console(quiet=not Team.here().leads)
    try:
        with JobProgress(row.name, workspace, console) as progress:
            report = run_row(
                row,
                request.profile,
                workspace,
                select=select,
                protocol=request.protocol,
                watch=progress,
            )
    except RunFailed as error:  # one of several processes; the others do not know yet
        print(f"neurodx run: {error}", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(1)  # an ordinary end would wait for what the others never send
    progress.summary(report, time.perf_counter() - started)
    return 1 if report.failed else 0
