"""``neurodx sweep``: tunes a method on validation people."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "Tune a method on validation people and freeze the winner as a board row; resumable."
EPILOG = """\
examples:
  neurodx sweep method=resnet3d task=dx3 trials=20
  neurodx sweep method=resnet3d task=dx3 trials=40                (20 more: what is done is kept)
  neurodx sweep method=resnet3d task=dx3 cohort=phantom-memory-dev  (on the development twin)
  neurodx sweep method=voxel_svm task=pd_hc profile=smoke trials=5 --workers 1
  neurodx sweep method=resnet3d task=dx3 config.trainer.epochs=6   (fixed in every trial)
Test people are never read. The space is the method's space.py; docs/sweeps.md says more.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("overrides", nargs="+", help="Hydra overrides, at least method=NAME")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: the profile's, one per core)"
    )
    parser.add_argument(
        "--all-folds", action="store_true", help="average over every fold instead of one"
    )
    parser.add_argument(
        "--force", action="store_true", help="freeze the winner even if the frozen one is better"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where to freeze it (default: configs/tuned/<row>_tuned.yaml)",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    import os

    from benchmark.cli.compose import compose_request
    from benchmark.cli.sweep_progress import SweepProgress
    from benchmark.errors import ConfigError
    from benchmark.runs.workspace import workspace_of
    from benchmark.sweeps import SweepRequest, freeze, plan_study, run_study
    from benchmark.sweeps.freeze import tuned_path

    if args.workers is not None and args.workers < 1:
        raise ConfigError(f"--workers {args.workers}: expected 1 or more")
    asked = compose_request(args.overrides)
    if asked.protocol not in (None, asked.profile.protocol):
        raise ConfigError(
            f"protocol={asked.protocol}: a sweep tunes on the folds of the profile's own protocol, "
            f"{asked.profile.protocol}; leave it out, or give `profile.protocol={asked.protocol}`"
        )
    if asked.scale is not None:
        raise ConfigError(
            f"scale={asked.scale}: a sweep tunes at the method's own scale, for which its space.py "
            "is made; leave it out, or fix settings with `config.<setting>=`"
        )
    request = SweepRequest(
        method=asked.method,
        task=asked.task,
        cohort=asked.cohort,
        track=asked.track,
        fold=asked.fold,
        all_folds=args.all_folds,
        seed=asked.seed,
        trials=asked.trials,
        config=asked.config,
    )
    plan = plan_study(request, asked.profile, workspace_of(asked.profile.name))
    path = tuned_path(plan, args.output)
    workers = args.workers or asked.profile.workers or os.cpu_count() or 1
    with SweepProgress(plan, workers) as progress:
        result = run_study(plan, workers, progress.start, progress.done, progress.tick)
    frozen = freeze(plan, result, path, force=args.force)
    progress.summary(result, frozen)
    return 0
