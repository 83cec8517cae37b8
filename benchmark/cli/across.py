"""``neurodx across``: one task over several cohorts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.sections import section

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.results.across import Across

HELP = "Put the rows of one task together over cohorts: pooled differences, wins, order."
EPILOG = """\
Reads a board. Differences are pooled by random effects (Paule-Mandel, Hartung-Knapp): of two or
three cohorts the interval is wide, and should be. Another choice of methods, tracks or cohorts is
another family, and everything is computed anew. External cohorts count where they have no folds of
their own; as their models may be those of another cohort, trainings are counted beside cohorts.
Oracles and numbers that were not reproduced here are left out.

examples:
  neurodx across --task dx3
  neurodx across --task dx3 --track t1w --json across.json
  neurodx across --task dx3 --method resnet3d --method voxel_svm --board profiles/smoke/board
  neurodx across --task dx3 --figure ranks.svg      from ten cohorts on
"""
_WIDEST = 12
_REMEDY = "all of them with --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("--task", required=True, help="the task")
    for name in ("method", "track", "cohort"):
        parser.add_argument(f"--{name}", action="append", help=f"this {name} only; may be repeated")
    parser.add_argument("--profile", help="whose board; default: the workspace's")
    parser.add_argument("--board", type=Path, help="default: the profile's")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write everything as JSON")
    parser.add_argument(
        "--figure", type=Path, metavar="FILE.svg", help="draw the critical-difference diagram"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from rich.console import Console

    from benchmark.errors import ConfigError
    from benchmark.results.across import across_cohorts
    from benchmark.runs.workspace import profile_here, workspace_of
    from benchmark.store.atomic import write_text

    if args.figure and args.figure.suffix != ".svg":
        raise ConfigError(f"--figure {args.figure}: expected a name that ends in .svg")
    board = args.board or workspace_of(args.profile or profile_here()).board
    found = across_cohorts(
        board, args.task, methods=args.method, tracks=args.track, cohorts=args.cohort
    )
    console = Console(highlight=False)
    console.width = max(console.width, 110)
    _show(found, args.task, console)
    if args.json:
        write_text(args.json, _as_json(found))
        console.print(f"wrote {args.json}")
    if args.figure:
        write_text(args.figure, _drawn(found, args.task))
        console.print(f"wrote {args.figure}")
    return 0


def _drawn(found: Across, task: str) -> str:
    """The diagram as SVG.

    Raises:
        ResultError: It may not be drawn.
    """
    from benchmark.errors import ResultError
    from benchmark.metrics import METRICS
    from benchmark.report.mean_ranks import mean_ranks_figure
    from benchmark.tasks import TASKS

    if found.diagram is None:
        raise ResultError(f"--figure: {found.no_diagram}")
    title = f"{TASKS[task].title}, {METRICS[found.metric].title}"
    return mean_ranks_figure(found.diagram, title).standalone()


def _show(found: Across, task: str, console: Console) -> None:
    said = ", ".join(f"{cohort} ({protocol})" for cohort, protocol in found.cohorts.items())
    console.print(f"{task}, {found.metric}, over {len(found.cohorts)} cohorts: {said}\n")
    homes = list(found.trained_on.values())
    shared = [c for c, home in found.trained_on.items() if home != c and homes.count(home) > 1]
    if shared:
        console.print(
            f"{', '.join(shared)}: answered by models that answer for another cohort here. People "
            "differ, trainings do not, so pooled intervals are too narrow.\n",
            soft_wrap=True,
        )
    pairs = found.pairs.assign(size=found.pairs["difference"].abs())
    pairs = pairs.sort_values(["p_holm", "size"], ascending=[True, False])
    lines = [
        f"{r['a']} against {r['b']}: {r['difference']:+.3f} ({r['low']:+.3f} to {r['high']:+.3f}), "
        f"p {r['p_holm']:.3f}, {r['n_cohorts']} cohorts "
        f"(models trained on {r['n_trainings']}), sd between them {r['tau']:.3f}"
        for r in pairs.to_dict("records")
    ]
    section(console, f"pooled differences of {len(lines)} pairs, p by Holm", lines, _REMEDY)
    names = list(found.wins)
    if len(names) <= _WIDEST:
        wins = [
            f"{a}: " + ", ".join(f"{b} {x:.2f}" for b, x in row.dropna().items())
            for a, row in found.wins.iterrows()
        ]
        section(console, "share of cohorts in which it is better than", wins, _REMEDY)
    orders = [
        f"{r['first']} and {r['second']}: tau {r['tau']:.2f}, {r['flips']:.0%} of {r['n_pairs']} "
        "pairs change places"
        for r in found.agreement.to_dict("records")
    ]
    if orders:
        section(console, "do orders agree", orders, _REMEDY)
    if found.diagram is None:
        console.print(found.no_diagram, markup=False, soft_wrap=True)
        return
    ranks = zip(found.diagram.names, found.diagram.mean_ranks, strict=True)
    section(console, "mean ranks", [f"{name}: {rank:.2f}" for name, rank in ranks], _REMEDY)
    section(console, "not told apart", [", ".join(g) for g in found.diagram.groups], _REMEDY)


def _as_json(found: Across) -> str:
    import json

    tables = {name: getattr(found, name) for name in ("pairs", "agreement")}
    matrices = {name: getattr(found, name) for name in ("scores", "wins")}
    diagram = found.diagram and {
        "names": list(found.diagram.names),
        "mean_ranks": found.diagram.mean_ranks.tolist(),
        "friedman_p": found.diagram.friedman_p,
        "groups": [list(group) for group in found.diagram.groups],
    }
    content = {
        "cohorts": dict(found.cohorts),
        "trained_on": dict(found.trained_on),
        "metric": found.metric,
        **{n: json.loads(t.to_json(orient="records")) for n, t in tables.items()},
        **{n: json.loads(t.to_json(orient="index")) for n, t in matrices.items()},
        "diagram": diagram,
        "no_diagram": found.no_diagram,
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"
