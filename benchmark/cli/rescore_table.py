"""Stored predictions scored again: the table in a terminal, as CSV and as JSON."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmark.cli.oracle_rows import oracle_rows
from benchmark.cli.own_metrics import import_metrics
from benchmark.config import load_profile
from benchmark.results.people import read_people
from benchmark.results.rescore import LEAST_PER_CLASS, Request, rescore
from benchmark.runs.job import plan_files
from benchmark.runs.planning import other_protocol
from benchmark.runs.workspace import profile_here, workspace_of
from benchmark.store.atomic import write_text

__all__ = ["rescore_and_show"]

_SHOWN = ("method", "track", "metric", "score", "95 % interval", "n", "")


def rescore_and_show(args: argparse.Namespace) -> int:
    """Scores again what the arguments name, prints the table and writes it where asked.

    Raises:
        BenchmarkError: A name is not known, or a condition cannot be read.
    """
    import_metrics(args.modules)
    console = Console()
    console.width = max(console.width, 110)
    profile = load_profile(args.profile or profile_here())
    workspace = workspace_of(profile.name)
    plans = plan_files(other_protocol(args.protocol, profile))
    request = Request(
        metrics=tuple(dict.fromkeys(args.metric or ())),
        where=args.where.strip(),
        cohorts=args.cohort,
        tasks=args.task,
        methods=args.method,
        n_resamples=args.resamples or profile.n_resamples,
        plans=plans,
    )
    with console.status("scoring again"):
        table = rescore(
            workspace.runs,
            request,
            read_people(workspace.data, profile.cohorts) if request.where else {},
            extra=oracle_rows(workspace, profile.methods, plans) if args.oracle else (),
            methods=frozenset(profile.methods),
        )
    _show(table, request, console)
    if args.csv:
        write_text(args.csv, table.assign(where=request.where).to_csv(index=False))
        console.print(f"wrote {args.csv}")
    if args.json:
        rows = json.loads(table.to_json(orient="records", double_precision=10))
        content = {"where": request.where, "profile": profile.name, "rows": rows}
        write_text(args.json, json.dumps(content, indent=1) + "\n")
        console.print(f"wrote {args.json}")
    return 0


def _show(table: pd.DataFrame, request: Request, console: Console) -> None:
    for (cohort, task, protocol), rows in table.groupby(["cohort", "task", "protocol"]):
        printed = Table(
            title=f"{cohort} / {task} / {protocol}", title_justify="left", box=None, pad_edge=False
        )
        for heading in _SHOWN:
            printed.add_column(heading, justify="right" if heading in _SHOWN[3:6] else "left")
        for row in rows.to_dict("records"):
            printed.add_row(*_cells(row))
        console.print(printed, highlight=False)
    suppressed = int((table["status"] == "suppressed").sum())
    if suppressed:
        console.print(
            f"{suppressed} of {len(table)} cells are suppressed: fewer than {LEAST_PER_CLASS} "
            f"people in a class meet {request.where!r}.",
            style="yellow",
            highlight=False,
            markup=False,
        )
    console.print("Nothing was fitted, and scores/ is as it was.")


def _cells(row: dict[Any, Any]) -> list[str]:
    name = row["method"] + (f" (from {row['derived_from']})" if row["derived_from"] else "")
    interval = "" if pd.isna(row["ci_low"]) else f"{row['ci_low']:.3f} to {row['ci_high']:.3f}"
    score = "" if pd.isna(row["score"]) else f"{row['score']:.3f}"
    said = "" if row["status"] == "done" else f"{row['status']}: {row['note']}"
    return [name, row["track"], row["metric"], score, interval, str(row["n"]), said]
