"""``neurodx explain``: where a fitted row sees its evidence."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.saliency.study import Request

HELP = (
    "Draw maps of evidence of one fold of a board row for its test people, check them by "
    "randomised weights and, on phantoms, against the true map of change."
)
EPILOG = """\
Runs keep no fitted models: the fold is fitted anew, and its predictions must equal those of the
run to the last bit. What is there already, made by the same code from the same data, is kept.
The result is explanations/<row>/<cohort>__<task>__fold<k>/ in the profile's workspace; see
docs/saliency.md. A kind that cannot be made is listed with the reason, and the others are made; the
exit status is 1 if it was asked for by name, or if nothing can be made.

besides the keys of `neurodx run`:
  maps=A,B        of own, gradcam, integrated_gradients, occlusion, rollout; all that can be given
                  by default
  people=24       test people, classes in turn; 0 for all
  layer=NAME      where GradCAM is taken; the layer that the network names by default
  steps=32 window_mm=30 stride_mm=20     of integrated gradients and of occlusion

examples:
  neurodx explain method=resnet3d cohort=phantom-memory task=dx3 fold=0
  neurodx explain method=resnet3d cohort=phantom-memory task=dx3 fold=0 maps=gradcam people=6
  neurodx explain method=neurobridge cohort=phantom-memory task=dx3 fold=1 maps=own,occlusion
  neurodx explain method=resnet3d profile=twins cohort=phantom-memory-dev task=dx3 fold=0 \\
      --figure maps.png --group AD
"""
_OWN_KEYS: dict[str, type] = {
    "maps": str,
    "people": int,
    "layer": str,
    "steps": int,
    "window_mm": float,
    "stride_mm": float,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument(
        "overrides", nargs="+", help="method=NAME cohort=NAME task=NAME fold=K, and what else"
    )
    parser.add_argument(
        "--without-run",
        action="store_true",
        help="explain a fit that no run vouches for; the record says so",
    )
    parser.add_argument(
        "--figure", metavar="PNG", help="draw the mean maps too (synthetic cohorts; `make dev`)"
    )
    parser.add_argument("--group", help="a class: the figure shows those who have it only")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    import sys

    from benchmark.threads import one_thread

    one_thread()  # as in the processes that runs are made in: another number changes the last bits

    from rich.console import Console

    from benchmark.cli.compose import compose_request
    from benchmark.errors import ConfigError
    from benchmark.runs.rows import resolve_row
    from benchmark.runs.workspace import workspace_of

    own, overrides = _own_settings(args.overrides)
    asked = compose_request(overrides)
    if asked.cohort is None or asked.task is None or asked.fold is None:
        raise ConfigError(
            "say which fit: cohort=NAME task=NAME fold=K, e.g. `neurodx explain method=resnet3d "
            "cohort=phantom-memory task=dx3 fold=0`"
        )
    from benchmark.saliency.fold import Point, job_of
    from benchmark.saliency.study import Listener, explain_fold

    row = resolve_row(asked.method, asked.profile, asked.config, asked.track, scale=asked.scale)
    point = Point(asked.cohort, asked.task, asked.fold, asked.seed, asked.protocol)
    workspace = workspace_of(asked.profile.name)
    job = job_of(row, asked.profile, workspace, point)
    console = Console(highlight=False)
    console.print(job.label, soft_wrap=True)
    request = _request(own, without_run=args.without_run)
    with console.status("") as status:
        step = ""

        def begin(what: str) -> None:
            nonlocal step
            step = what
            status.update(what)
            if not console.is_terminal:
                console.print(f"  {what}", soft_wrap=True)

        def count(done: int, of: int) -> None:
            status.update(f"{step}: {done} of {of} people")

        listener = Listener(begin, count)
        folder, fresh = explain_fold(job, point, request, workspace, listener)
    console.print(f"{'written' if fresh else 'already there'}: {folder}", soft_wrap=True)
    from benchmark.cli.explain_table import show

    refused = show(folder, console)
    if args.figure:
        from pathlib import Path

        from benchmark.saliency.figure import draw

        draw(folder, Path(args.figure), args.group)
        console.print(f"figure: {args.figure}", soft_wrap=True)
    missing = [kind for kind in request.kinds if kind in refused]
    if missing:
        print(f"neurodx explain: asked for and not given: {', '.join(missing)}", file=sys.stderr)  # noqa: T201
    return 1 if missing else 0


def _own_settings(overrides: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Takes this verb's own keys from the overrides; the others are those of `neurodx run`."""
    from benchmark.errors import ConfigError

    own: dict[str, Any] = {}
    others = []
    for override in overrides:
        key, _, value = override.partition("=")
        if key not in _OWN_KEYS:
            others.append(override)
            continue
        kind = _OWN_KEYS[key]
        try:
            own[key] = kind(value)
        except ValueError:
            raise ConfigError(f"{override!r}: expected {key}=<{kind.__name__}>") from None
        least = 0 if key == "people" else 1
        if kind is not str and own[key] < least:
            raise ConfigError(f"{override!r}: expected a number of at least {least}")
    return own, others


def _request(own: dict[str, Any], *, without_run: bool) -> Request:
    from benchmark.saliency.maps import MapSettings
    from benchmark.saliency.study import Request

    kinds = tuple(dict.fromkeys(part for part in own.pop("maps", "").split(",") if part))
    people = own.pop("people", Request.people)
    settings = MapSettings(**own)
    return Request(kinds=kinds, people=people, settings=settings, without_run=without_run)
