"""Where the workspace of a profile lies, and which profile a folder belongs to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from benchmark.registry import ROOT
from benchmark.runs.job import Workspace

__all__ = ["DEFAULT_PROFILE", "profile_folder", "profile_here", "workspace_of"]

DEFAULT_PROFILE: Final = "mini"
_PROFILES: Final = "profiles"


def profile_folder(profile: str) -> Path:
    """The workspace of a profile, relative to the repository.

    >>> profile_folder("smoke").as_posix()
    'profiles/smoke'
    >>> profile_folder("mini").as_posix()
    '.'
    """
    return Path() if profile == DEFAULT_PROFILE else Path(_PROFILES, profile)


def profile_here(here: Path | None = None) -> str:
    """The profile that a verb means when it is not told one.

    Args:
        here: A folder; the current one by default.

    Returns:
        The profile whose workspace ``here`` lies in; anywhere else the default one.
    """
    place = (here or Path.cwd()).resolve()
    profiles = ROOT / _PROFILES
    if place == profiles or not place.is_relative_to(profiles):
        return DEFAULT_PROFILE
    return place.relative_to(profiles).parts[0]


def workspace_of(profile: str, here: Path | None = None) -> Workspace:
    """The workspace that a verb works in.

    Args:
        profile: The profile.
        here: Where the verb is called; the current folder by default.

    Returns:
        Anywhere in the repository the profile's own workspace, written relative to ``here``;
        outside of it the folder ``here`` itself.
    """
    place = (here or Path.cwd()).resolve()
    if not place.is_relative_to(ROOT):
        return Workspace() if here is None else Workspace(here)
    return Workspace(Path(os.path.relpath(ROOT / profile_folder(profile), place)))
