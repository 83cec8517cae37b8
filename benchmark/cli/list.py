"""``neurodx list``: what there is."""

from __future__ import annotations

import argparse
import json
from typing import Any

HELP = "List methods (board rows), tasks, tracks, cohorts or profiles."
EPILOG = """\
examples:
  neurodx list methods
  neurodx list tasks --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    kinds = ("methods", "tasks", "tracks", "cohorts", "profiles")
    parser.add_argument("kind", choices=kinds, metavar="KIND", help=" | ".join(kinds))
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    rows = globals()[f"_{args.kind}"]()
    if args.json:
        print(json.dumps(rows, indent=1))  # noqa: T201
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_text(row.get(column, "")) for column in columns))
    Console().print(table)
    return 0


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _methods() -> list[dict[str, Any]]:
    from benchmark.registry import registry
    from benchmark.runs.rows import tasks_of_row, tuned_rows

    found = registry()
    rows: list[dict[str, Any]] = []
    for info in found.methods.values():
        for name in (info.name, *info.variants):
            track = str(info.variants.get(name, {}).get("track", info.tracks[0]))
            title = str(info.variants.get(name, {}).get("title", info.title))
            row = {
                "name": name,
                "title": title,
                "track": track,
                "tasks": list(tasks_of_row(info, name)),
            }
            rows.append(row | {"status": "available"})
    rows += [{"name": name, "title": f"tuned: {path}"} for name, path in tuned_rows().items()]
    for label, trace in found.unavailable.items():
        reason = trace.strip().splitlines()[-1]
        rows.append({"name": label, "status": f"unavailable: {reason}"})
    return rows


def _tasks() -> list[dict[str, Any]]:
    from benchmark.tasks import TASKS

    return [
        {
            "name": task.name,
            "title": task.title,
            "classes": list(task.classes) or [task.unit],
            "primary_metric": task.primary_metric,
            "closed_inputs": sorted(task.forbidden),
        }
        for task in TASKS.values()
    ]


def _tracks() -> list[dict[str, Any]]:
    from benchmark.tracks import TRACKS

    return [{"name": name, "sources": sorted(sources)} for name, sources in TRACKS.items()]


def _cohorts() -> list[dict[str, Any]]:
    from benchmark.cohorts.catalogue import all_cohorts
    from benchmark.runs.workspace import profile_here, workspace_of

    workspace = workspace_of(profile_here())

    return [
        {
            "name": source.name,
            "title": source.title,
            "synthetic": source.synthetic,
            "prepared": (workspace.data / source.name / "cohort.json").is_file(),
        }
        for source in all_cohorts().values()
    ]


def _profiles() -> list[dict[str, Any]]:
    from benchmark.config import CONFIGS, load_profile

    profiles = [load_profile(path.stem) for path in sorted((CONFIGS / "profile").glob("*.yaml"))]
    return [
        {
            "name": profile.name,
            "spacing_mm": profile.phantom.spacing_mm,
            "protocol": profile.protocol,
            "seeds": profile.seeds,
            "cohorts": profile.cohorts,
        }
        for profile in profiles
    ]
