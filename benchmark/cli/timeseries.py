"""``neurodx timeseries``: ROI time series out of fMRIPrep's BOLD images."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = """\
Take ROI time series out of BOLD images in MNI space, as fMRIPrep writes them: the mean signal of
each region of your label image, without 24 motion parameters, white matter, CSF and slow drifts.
An image that fails is listed with its reason; run the same command again to go on."""
EPILOG = """\
examples:
  neurodx timeseries derivatives/fmriprep --labels atlas.nii.gz --names atlas.tsv --out series
  neurodx timeseries derivatives/fmriprep --labels atlas.nii.gz --out series \\
      --pattern 'sub-*task-rest*space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz'
  neurodx cohort add oasis3 --root ~/oasis3 --fmri series

The label image must lie in the space of the BOLD images. Tables of XCP-D need no such step.
The status is 0 as soon as one table is there, 1 where none is.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("root", type=Path, help="fMRIPrep's output")
    parser.add_argument("--labels", type=Path, required=True, help="label image, NIfTI")
    parser.add_argument("--names", type=Path, help="table (.tsv, .csv) with index and name")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--pattern", default="", help="names of the images to take, a glob")
    parser.add_argument("--force", action="store_true", help="make anew what is there")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from benchmark.threads import one_thread

    one_thread()

    from rich.console import Console

    from benchmark.imaging.timeseries import extract_series, find_bold

    console = Console(highlight=False, soft_wrap=True, markup=False)
    images = find_bold(args.root, args.pattern)
    console.print(f"{len(images)} BOLD images in {args.root}")
    made, failed = 0, 0
    results = extract_series(images, args.out, args.labels, args.names, force=args.force)
    for number, result in enumerate(results, 1):
        made, failed = made + (result.table is not None), failed + (result.table is None)
        state = "kept" if result.kept else "done" if result.table else "failed"
        reason = f": {result.reason}" if result.reason else ""
        console.print(f"{number}/{len(images)} {state} {result.bold.name}{reason}")
    console.print(f"{made} tables in {args.out}, {failed} failed")
    return 0 if made else 1
