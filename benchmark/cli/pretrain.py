"""``neurodx pretrain``: learns weights from people without labels."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

HELP = (
    "Learn weights from people without labels (configs/pretraining), once for all fits that start "
    "from them; what is there is kept, what was interrupted goes on."
)
EPILOG = """\
The weights lie in pretrained/NAME/ with the list of the people that they saw: a fit that holds one
of them back refuses to start. A method names them by its setting `pretrained`.

examples:
  neurodx pretrain t1w_dense_vit
  neurodx pretrain --profile smoke                     (all that the profile names)
  neurodx pretrain t1w_dense_vit --profile twins --force
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("names", nargs="*", help="pretrainings; all of the profile's by default")
    parser.add_argument("--profile", help="default: the one of this folder, or mini")
    parser.add_argument("--force", action="store_true", help="learn anew what is there")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from benchmark.threads import one_thread

    one_thread()

    import torch
    from rich.console import Console
    from rich.progress import Progress

    from benchmark.config import load_profile
    from benchmark.runs.pretraining import resolve_pretraining, run_pretraining
    from benchmark.runs.workspace import profile_here, workspace_of

    torch.set_num_threads(1)  # as every fit, so that both give the same bits
    console = Console(highlight=False)
    profile = load_profile(args.profile or profile_here())
    workspace = workspace_of(profile.name)
    names = args.names or list(profile.pretraining)
    if not names:
        console.print(
            f"profile {profile.name!r} names no pretraining; name one: neurodx pretrain NAME"
        )
    for name in names:
        wanted = resolve_pretraining(name, profile)
        started = time.perf_counter()
        loss = float("nan")
        with Progress(console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task(name, total=wanted.config.trainer.epochs)

            def show(record: Mapping[str, Any], bar: Progress = bar, task: Any = task) -> None:
                nonlocal loss
                loss = record.get("validation_loss", loss)
                bar.update(task, completed=record.get("epoch", 0))

            made = run_pretraining(wanted, profile, workspace, force=args.force, on_log=show)
        folder = workspace.pretrained / name
        if made:
            seconds = time.perf_counter() - started
            console.print(
                f"{name}: learned in {seconds:.0f} s, validation loss {loss:.4f}: {folder}"
            )
        else:
            console.print(f"{name}: already learned, in {folder} (--force learns it anew)")
    return 0
