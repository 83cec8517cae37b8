"""``neurodx score``: turns ledgers into scores with intervals."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "Score every whole row of runs/ with every metric of its task; adds the oracle on phantoms."
EPILOG = """\
Only the run ids that the current plans list are read. Nothing is fitted.

With --metric or --where the stored predictions are scored again and printed; scores/ stays as it
is. A condition is a pandas query on the columns of data/<cohort>/participants.parquet (index
visits), with age_band ("60-69") and apoe_e4_carrier (0 or 1) besides.

examples:
  neurodx score
  neurodx score --profile smoke --resamples 200
  neurodx score --protocol few-label          into protocols/few-label/scores/
  neurodx score --metric balanced_accuracy --metric mcc --cohort phantom-memory
  neurodx score --import my_metrics --metric my_metric      registered in my_metrics.py
  neurodx score --where 'sex == "F" and age_years < 75' --task ad_cn --csv women.csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("--profile", help="default: the one of this folder, or mini")
    parser.add_argument("--protocol", help="the rows of `neurodx run ... protocol=` as well")
    parser.add_argument("--resamples", type=int, help="bootstrap resamples instead of its number")
    again = parser.add_argument_group("scoring stored predictions again")
    again.add_argument(
        "--metric", action="append", metavar="NAME", help="a registered metric; may be repeated"
    )
    again.add_argument(
        "--import",
        action="append",
        default=[],
        dest="modules",
        metavar="MODULE",
        help="a Python module that registers metrics; may be repeated",
    )
    again.add_argument("--where", default="", metavar="CONDITION", help="keep these people only")
    again.add_argument(
        "--cohort", action="append", metavar="NAME", help="only this cohort; may be repeated"
    )
    again.add_argument(
        "--task", action="append", metavar="NAME", help="only this task; may be repeated"
    )
    again.add_argument(
        "--method", action="append", metavar="NAME", help="only this method; may be repeated"
    )
    again.add_argument("--oracle", action="store_true", help="ask the oracle too (takes longer)")
    again.add_argument("--csv", type=Path, metavar="PATH", help="write the table as CSV")
    again.add_argument("--json", type=Path, metavar="PATH", help="write the table as JSON")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    if args.modules and not args.metric:
        from benchmark.errors import ConfigError

        raise ConfigError("--import: name the metric that it registers with --metric")
    narrowed = (args.where, args.cohort, args.task, args.method, args.csv, args.json, args.oracle)
    if args.metric or any(narrowed):
        from benchmark.cli.rescore_table import rescore_and_show

        return rescore_and_show(args)
    import time

    from rich.console import Console

    from benchmark.cli.oracle_rows import oracle_rows
    from benchmark.config import load_profile
    from benchmark.results import PlanFilter, score_workspace
    from benchmark.results.people import Background
    from benchmark.results.planned import read_runs
    from benchmark.results.robustness import Before, write_robustness
    from benchmark.runs.job import plan_files
    from benchmark.runs.planning import other_protocol
    from benchmark.runs.workspace import profile_here, workspace_of
    from benchmark.tasks import TASKS

    console = Console()
    profile = load_profile(args.profile or profile_here())
    workspace = workspace_of(profile.name)
    protocol = other_protocol(args.protocol, profile)
    scores_folder = workspace.scores_of(protocol)
    plans = plan_files(protocol)
    since = time.perf_counter()

    def say(done: str) -> None:
        nonlocal since
        now = time.perf_counter()
        console.print(f"score: {done} in {now - since:.0f} s")
        since = now

    with console.status("asking the oracle"):
        oracle = oracle_rows(workspace, profile.methods, plans)
    say(f"{len(oracle)} oracle rows")
    only = PlanFilter(methods=frozenset(profile.methods), plans=plans)
    with console.status("reading the runs"):
        runs = read_runs(workspace.runs, TASKS, only, with_validation=True, scores=scores_folder)
        before = Before.read(scores_folder)
    with console.status("scoring"):
        scores = score_workspace(
            runs,
            scores_folder,
            n_resamples=args.resamples or profile.n_resamples,
            extra=oracle,
        )
    say(f"{len(scores)} scores")
    with console.status("robustness"):
        people = Background.read(workspace.data, workspace.splits, profile.cohorts)
        write_robustness(runs, scores_folder, people, extra=oracle, before=before)
    say("robustness tables")
    return 0
