"""The commands that a refused fold file asks for, as they work where it lies."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmark.errors import SplitError

__all__ = ["remedied", "what_to_do"]

_PROFILES = "profiles"  # git ignores the folds in there, unlike those at the root
_REMAKE = re.compile(r"`neurodx splits make --cohort [^`]+`")
_RESTORE = re.compile(r"restore it with `git checkout -- [^`]+` or ")


def remedied(error: SplitError, folds: Path) -> SplitError:
    """The same refusal; in a profile's workspace without git, and with that profile in commands.

    Args:
        error: What the reader of fold files says, who knows neither git nor profiles.
        folds: The fold file, ``splits/<cohort>/<protocol>.csv`` of a workspace.
    """
    if not _profile(folds):
        return error
    return SplitError(_REMAKE.sub(_remake(folds), _RESTORE.sub("", str(error))))


def what_to_do(folds: Path) -> str:
    """What makes a fold file right again, as the end of a refusal."""
    restore = "" if _profile(folds) else "Restore the file with `git checkout`, or "
    correct = "correct" if restore else "Correct"
    return f"{restore}{correct} the cohort where it is wrong, and rebuild with {_remake(folds)}"


def _profile(folds: Path) -> str:
    """The profile whose workspace holds a fold file; "" at the root, or elsewhere."""
    workspace = folds.resolve().parents[2]
    return workspace.name if workspace.parent.name == _PROFILES else ""


def _remake(folds: Path) -> str:
    try:
        train = json.loads(folds.with_suffix(".json").read_text(encoding="utf-8"))["train_cohort"]
    except (OSError, ValueError, KeyError, TypeError):
        train = ""  # most protocols have none; a manifest that cannot be read is made anew as well
    options = {"train-cohort": train, "profile": _profile(folds)}
    more = "".join(f" --{name} {value}" for name, value in options.items() if value)
    return f"`neurodx splits make --cohort {folds.parent.name} --protocol {folds.stem}{more}`"
