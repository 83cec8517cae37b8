"""``neurodx ablate``: tests published claims."""

from __future__ import annotations

import argparse

HELP = (
    "Test published claims (configs/ablation): fit arms that differ in one thing over several "
    "seeds, and give each difference with its interval and a verdict. What is done is kept."
)
EPILOG = """\
Not part of `neurodx repro`: all claims take up to two hours on two cores. An interrupted call goes
on where it stopped; arms that several claims share are fitted once. The table goes to
docs/ablations.md (profile mini) and to the board.

examples:
  neurodx ablate --list
  neurodx ablate --only experts_over_shared
  neurodx ablate                              every claim
  neurodx ablate --profile twins --only queries_saturate
"""
_PAGE = "docs/ablations.md"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("--only", metavar="CLAIM", help="one claim; all by default")
    parser.add_argument("--list", action="store_true", help="name the claims and what they need")
    parser.add_argument("--profile", help="default: the one of this folder, or mini")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from benchmark.threads import one_thread

    one_thread()

    from rich.console import Console

    from benchmark.ablations.claims import load_claims
    from benchmark.ablations.report import markdown, write_lines
    from benchmark.ablations.study import plan_study, run_study, study_lines
    from benchmark.cli.progress import JobProgress
    from benchmark.config import load_profile
    from benchmark.registry import ROOT
    from benchmark.runs.execute import is_done
    from benchmark.runs.workspace import DEFAULT_PROFILE, profile_here, workspace_of
    from benchmark.store.atomic import write_text

    console = Console(highlight=False)
    claims = load_claims(args.only)
    profile = load_profile(args.profile or profile_here())
    workspace = workspace_of(profile.name)
    study = plan_study(claims, profile, workspace)
    if args.list:
        for name, claim in claims.items():
            wanted = {i for (c, _, _), ids in study.runs.items() if c == name for i in ids}
            done = sum(is_done(workspace.runs / study.jobs[i].row / i) for i in wanted)
            console.print(f"[bold]{name}[/]  {claim.title}", soft_wrap=True)
            console.print(f"    {len(wanted)} runs, {done} done; {claim.source}", soft_wrap=True)
        return 0
    with JobProgress("ablate", workspace, console) as progress:
        failed = run_study(
            study,
            profile,
            workspace,
            on_start=progress.start,
            on_done=progress.done,
            on_tick=progress.tick,
        )
    lines = []
    status = 1 if failed else 0
    for name, found in study_lines(study, profile, workspace):
        if isinstance(found, str):
            console.print(f"[red]{name}[/]: cannot be judged: {found}", soft_wrap=True)
            status = 1
            continue
        lines += found
    every = load_claims()
    folders = [workspace.ablations, *([workspace.board] if workspace.board.is_dir() else [])]
    table = write_lines(lines, every, *folders)
    for row in table[table["claim"].isin(list(claims))].to_dict("records") if len(table) else ():
        interval = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        arms = f"{row['higher']} over {row['lower']}"
        console.print(f"{row['verdict']:10} {row['claim']} {row['task']}: {arms}: {interval}")
    if profile.name == DEFAULT_PROFILE:
        write_text(ROOT / _PAGE, markdown(table, every, profile.name))
        console.print(f"table: {_PAGE}")
    return status
