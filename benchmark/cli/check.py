"""``neurodx check``: a method against its contract."""

from __future__ import annotations

import argparse

HELP = "Check a method against its contract on made-up people, then run one tiny real fit."
EPILOG = """\
examples:
  neurodx check my_network
  neurodx check my_network --rule seed --rule saved     (some rules only)
Settings are those of profile smoke; CONTRIBUTING.md gives the rules.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="a method or one of its variants")
    parser.add_argument(
        "--rule", action="append", metavar="RULE", help="only this rule; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from benchmark.threads import one_thread

    one_thread()  # as workers do
    import json
    import tempfile
    import time
    from dataclasses import asdict
    from pathlib import Path

    from rich.console import Console

    from benchmark.checks import Bench, rules_for, run_rule
    from benchmark.errors import UnknownNameError

    console = Console(quiet=args.json)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="neurodx-check-") as scratch:
        bench = Bench(args.name, Path(scratch), thorough=True)
        rules = rules_for(args.name, bench.row.info.name)
        for wanted in args.rule or ():
            if wanted not in {rule.name for rule in rules}:
                raise UnknownNameError("rule", wanted, [rule.name for rule in rules])
        chosen = [rule for rule in rules if not args.rule or rule.name in args.rule]
        console.print(f"[bold]{args.name}[/]: {bench.row.info.folder}", highlight=False)
        outcomes = []
        for rule in chosen:
            outcome = run_rule(rule, bench)
            outcomes.append(outcome)
            mark = "[green]pass[/]" if outcome.passed else "[red]FAIL[/]"
            console.print(
                f"{mark}  {rule.name:9} {rule.title:44} {outcome.seconds:5.1f} s  ", end=""
            )
            console.print(outcome.remark, markup=False, highlight=False, style="dim")
            if not outcome.passed:
                console.print(f"      {outcome.message}", markup=False, highlight=False)
            if outcome.trace:
                console.print(outcome.trace, markup=False, highlight=False, style="dim")
    failed = [outcome.rule for outcome in outcomes if not outcome.passed]
    seconds = time.perf_counter() - started
    if args.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))  # noqa: T201
    elif failed:
        again = " ".join(f"--rule {rule}" for rule in failed)
        console.print(
            f"[red]{len(failed)} of {len(outcomes)} rules broken[/] in {seconds:.0f} s; correct "
            f"{bench.row.info.folder} and run `neurodx check {args.name} {again}`",
            highlight=False,
        )
    else:
        console.print(
            f"[green]all {len(outcomes)} rules hold[/] in {seconds:.0f} s; next: "
            f"`neurodx run method={args.name} profile=smoke` "
            "(needs the data of `make repro PROFILE=smoke`)",
            highlight=False,
        )
    return 1 if failed else 0
