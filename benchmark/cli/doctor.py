"""``neurodx doctor``: what is installed, missing or shadowed."""

from __future__ import annotations

import argparse

HELP = "Say what is installed, missing, shadowed or left over; exit 0 if the default job can run."
EPILOG = """\
Every finding that is not ok has a remedy. Nothing is changed.

examples:
  neurodx doctor
  neurodx doctor --json     for a bug report
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    import json
    from dataclasses import asdict

    from benchmark.doctor import FAIL, NOTE, OK, examine

    findings = examine()
    failed = [finding for finding in findings if finding.state == FAIL]
    if args.json:
        report = {"can_run": not failed, "findings": [asdict(finding) for finding in findings]}
        print(json.dumps(report, indent=1))  # noqa: T201
        return 1 if failed else 0

    from rich.console import Console

    console = Console()
    colours = {OK: "green", NOTE: "yellow", FAIL: "red"}
    area = ""
    for finding in findings:
        if finding.area != area:
            area = finding.area
            console.print(f"[bold]{area}[/]")
        console.print(f"  [{colours[finding.state]}]{finding.state:4}[/] ", end="")
        console.print(f"{finding.name}: {finding.detail}", markup=False, highlight=False)
        if finding.remedy:
            console.print(f"       -> {finding.remedy}", markup=False, highlight=False)
    if failed:
        names = ", ".join(finding.name for finding in failed)
        console.print(f"[red]the default job cannot run[/]: {names}; do what is said above")
    else:
        console.print("[green]the default job can run[/]: `make repro`")
    return 1 if failed else 0
