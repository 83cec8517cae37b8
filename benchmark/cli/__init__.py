"""The command line: one file per verb, imported when it is called for."""

from __future__ import annotations

import argparse
import errno
import importlib.metadata
import sys
from collections.abc import Sequence

from benchmark.errors import BenchmarkError, UnknownNameError

__all__ = ["VERBS", "main"]

VERBS = {
    "cohort": "add a cohort that you hold, and list those that can be read",
    "prepare": "make the cohort stores",
    "volumes": "turn T1w scans into volumes in the store's space",
    "timeseries": "take ROI time series out of what fMRIPrep wrote",
    "splits": "make, verify, show and compare fold files",
    "pretrain": "learn weights from people without labels, for fits to start from",
    "run": "fit and predict one board row",
    "score": "turn ledgers into scores with intervals",
    "rank": "rank the methods and write the board",
    "compare-reference": "compare the board with the published numbers",
    "report": "write one cohort and task as a page, with tables for LaTeX",
    "across": "put the rows of one task together over cohorts",
    "protocol": "compare two boards: what changed, which conclusions flipped",
    "board": "open the leaderboard",
    "list": "list methods, tasks, tracks, cohorts or profiles",
    "new-method": "start a method from the template",
    "check": "check a method against its contract",
    "explain": "draw maps of evidence, check them, score them against the truth",
    "ablate": "test published claims: arms against each other, over seeds",
    "sweep": "tune a method on validation people",
    "repro": "run the whole chain, as `make repro` does",
    "pipeline": "write the DVC pipelines of the profiles",
    "doctor": "say what is installed, missing or shadowed",
}

_DISK_ERRORS = {
    errno.ENOSPC: "free some space (`df -h .`) and run the same command again",
    errno.EDQUOT: "free some space (`quota`) and run the same command again",
    errno.EROFS: "run it in a folder that can be written to",
    errno.EACCES: "run it in a folder that you may read and write",
}
_EPILOG = """\
From nothing to a leaderboard: `make repro`, then `make board`.
Enter a cohort that you hold:  `neurodx cohort add oasis1 --root FOLDER`.
Enter a method:                `neurodx new-method NAME`, then `neurodx check NAME`.
Help on one verb:              `neurodx run --help`; the version: `neurodx --version`.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; errors that a user can act on are shown without a traceback.

    Returns:
        The exit status: 0 done, 1 an error, 2 wrong usage.
    """
    arguments = [*(sys.argv[1:] if argv is None else argv)]  # `list` is a verb's module here
    verb = arguments[0] if arguments else "--help"
    if verb in ("-h", "--help"):
        _overview().print_help()
        return 0 if arguments else 2
    if verb == "--version":
        print(f"neurodx-bench {importlib.metadata.version('neurodx-bench')}")  # noqa: T201
        return 0
    try:
        if verb not in VERBS:
            raise UnknownNameError("verb", verb, VERBS, "neurodx --help")
        module = importlib.import_module(f"benchmark.cli.{verb.replace('-', '_')}")
        parser = argparse.ArgumentParser(
            prog=f"neurodx {verb}",
            description=module.HELP,
            epilog=getattr(module, "EPILOG", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(parser)
        return int(module.run(parser.parse_intermixed_args(arguments[1:])))
    except BenchmarkError as error:
        print(f"neurodx {verb}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        print(f"neurodx {verb}: {_disk_error(error)}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        print("interrupted; run the same command to continue", file=sys.stderr)  # noqa: T201
        return 130


def _disk_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    remedy = _DISK_ERRORS[error.errno or 0]
    return f"{where}{error.strerror or error}; {remedy}. What is done is kept."


def _overview() -> argparse.ArgumentParser:
    width = max(map(len, VERBS))
    lines = "\n".join(f"  {verb:{width}}  {what}" for verb, what in VERBS.items())
    return argparse.ArgumentParser(
        prog="neurodx",
        usage="neurodx VERB [options]",
        description=f"A benchmark of neurodegenerative-disease imaging.\n\nverbs:\n{lines}",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
