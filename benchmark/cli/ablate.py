"""``neurodx ablate``: tests published claims."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pandas as pd

    from benchmark.ablations.study import Study
    from benchmark.runs.job import Workspace

HELP = (
    "Test published claims (configs/ablation): fit the arms of each over several "
    "seeds, and give each difference with its interval and a verdict. What is done is kept."
)
EPILOG = """\
Not part of `neurodx repro`: all claims take up to two hours on two cores. An interrupted call goes
on where it stopped; arms that several claims share are fitted once. The table of differences, and
those of what the methods expose, go to docs/ablations.md (profile mini) and to the board.

examples:
  neurodx ablate --list
  neurodx ablate --only experts_over_shared
  neurodx ablate                              every claim
  neurodx ablate --profile twins --only queries_saturate
"""
_PAGE = "docs/ablations.md"
_FIGURES = "figures"


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
    from benchmark.ablations.study import (
        plan_study,
        run_study,
        standing,
        study_lines,
        unjudged,
    )
    from benchmark.cli.progress import JobProgress
    from benchmark.config import load_profile
    from benchmark.registry import ROOT
    from benchmark.runs.workspace import DEFAULT_PROFILE, profile_here, workspace_of
    from benchmark.store.atomic import write_text

    console = Console(highlight=False)
    claims = load_claims(args.only)
    profile = load_profile(args.profile or profile_here())
    workspace = workspace_of(profile.name)
    if args.list:
        for name, claim in claims.items():
            console.print(f"[bold]{name}[/]  {claim.title}", soft_wrap=True)
            console.print(f"    {standing(name, claim, profile, workspace)}", soft_wrap=True)
            console.print(f"    {claim.source}", soft_wrap=True)
        return 0
    study = plan_study(claims, profile, workspace)
    with JobProgress("ablate", workspace.for_ablations(), console) as progress:
        failed = run_study(study, profile, workspace, progress)
    lines = []
    status = 1 if failed else 0
    judged = []
    for name, found in study_lines(study, profile, workspace):
        if isinstance(found, str):
            lines += unjudged(name, study.claims[name], found)
            status = 1
            continue
        lines += found
        judged.append(name)
    every = load_claims()
    folders = [workspace.ablations, *([workspace.board] if workspace.board.is_dir() else [])]
    table = write_lines(lines, every, *folders)
    for row in table[table["claim"].isin(list(claims))].to_dict("records") if len(table) else ():
        said = row["note"]
        if not said:
            interval = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
            said = f"{row['higher']} over {row['lower']}: {interval}"
        console.print(f"{row['verdict']:10} {row['claim']} {row['task']}: {said}", soft_wrap=True)
    insides, embeddings = _insides(study, judged, every, workspace, folders)
    for note, rows in insides[insides["note"] != ""].groupby("note"):
        console.print(f"inside: {note}: {', '.join(rows['row'].unique())}", soft_wrap=True)
    if profile.name == DEFAULT_PROFILE:
        page = markdown(table, every, profile.name)
        write_text(ROOT / _PAGE, f"{page}\n{_section(insides, embeddings, ROOT / 'docs')}")
        console.print(f"table: {_PAGE}")
    return status


def _insides(
    study: Study,
    judged: Sequence[str],
    claims: Collection[str],
    workspace: Workspace,
    folders: Collection[Path],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sums up what the arms of the judged claims expose; returns both tables of all claims."""
    from benchmark.ablations.inside_tables import write_insides
    from benchmark.ablations.insides import study_insides

    found = study_insides(study, judged, workspace)
    return write_insides(*found, study.claims, claims, *folders)


def _section(insides: pd.DataFrame, embeddings: pd.DataFrame, docs: Path) -> str:
    """Writes the figures; returns the section of the page."""
    from benchmark.ablations.inside_figures import inside_figures
    from benchmark.ablations.inside_report import insides_markdown
    from benchmark.store.atomic import write_text

    figures = inside_figures(insides, embeddings)
    for figure in figures.values():
        write_text(docs / _FIGURES / f"{figure.name}.svg", figure.standalone())
    return insides_markdown(insides, figures, _FIGURES)
