"""``neurodx volumes``: raw T1w scans to volumes in the store's space."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.imaging.volumes import Event, PreparedVolumes

HELP = """\
Turn T1w scans into volumes in the store's space: orientation, brain extraction, N4, affine to MNI,
crop, intensity. Steps that a pipeline has done already are skipped. A scan that fails is listed
with its reason and never stops the rest; run the same command again to go on or to try it again."""
EPILOG = """\
examples:
  neurodx volumes bids/ --out volumes --spacing 2
  neurodx volumes derivatives/fmriprep --out volumes      (masks and corrected fields are used)
  neurodx volumes scans.csv --out volumes --workers 4     (participant_id, session_id, path, done)
  neurodx volumes analyze/ --out volumes --pattern '*.hdr' --axes LAS  (headers without orientation)

look at volumes/qc.html; tables are index, qc, regions and failures (parquet) beside it.
The status is 0 as soon as one volume is there, 1 where none is.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("root", type=Path, help="folder with scans, or a table (.csv, .tsv)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the volumes")
    parser.add_argument("--spacing", type=float, default=2.0, help="voxel size, mm (default 2)")
    parser.add_argument(
        "--done",
        default="auto",
        help="what was done to all scans: raw, corrected (its receive field), t1-linear, fmriprep, "
        "fmriprep-mni, freesurfer-orig; "
        "by default seen from the files' names",
    )
    parser.add_argument("--pattern", default="", help="names of the files to take, a glob")
    parser.add_argument(
        "--axes", default="", help="directions of the voxel axes where headers do not say, e.g. RAS"
    )
    parser.add_argument(
        "--workers", type=int, default=0, help="processes of 1.5 GB each; one per core by default"
    )
    parser.add_argument("--force", action="store_true", help="make anew what is there")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    import time

    from benchmark.threads import one_thread

    one_thread()

    from rich.console import Console
    from rich.progress import Progress

    from benchmark.imaging.finding import find_scans
    from benchmark.imaging.volumes import prepare_volumes

    console = Console()
    sources = find_scans(args.root, args.done, args.pattern, args.axes)
    console.print(f"{len(sources)} scans in {args.root}", highlight=False)
    started = time.perf_counter()
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("scans", total=len(sources))

        def show(event: Event) -> None:
            bar.update(task, completed=event.done)
            _say(console, event)

        volumes = prepare_volumes(
            sources, args.out, args.spacing, workers=args.workers, progress=show, force=args.force
        )
    return _conclude(console, volumes, time.perf_counter() - started)


def _say(console: Console, event: Event) -> None:
    from rich.markup import escape

    count = f"{event.done}/{event.total}"
    if event.failure is not None:
        why = escape(f"{event.failure.step}: {event.failure.reason}")
        console.print(f"{count} [red]failed[/] {escape(event.name)}\n  {why}", highlight=False)
    elif not console.is_terminal:
        what = "kept" if event.kept else "done"
        console.print(f"{count} {what} {escape(event.name)}", highlight=False)


def _conclude(console: Console, volumes: PreparedVolumes, seconds: float) -> int:
    qc, failures = volumes.qc, volumes.failures
    flagged = int((qc["flags"] != "").sum())
    console.print(
        f"{len(qc)} volumes, {flagged} to look at, {len(failures)} failed, in {seconds:.0f} s; see "
        f"{volumes.folder / 'qc.html'}",
        highlight=False,
        soft_wrap=True,
    )
    return 0 if len(qc) else 1
