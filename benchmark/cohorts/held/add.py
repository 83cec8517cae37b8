"""Adds a cohort: checked, prepared, split, then entered; nothing of it is left where one fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmark.cohorts.held.build import build_store
from benchmark.cohorts.held.entry import (
    CohortEntry,
    entry_path,
    entry_text,
    file_hashes,
    held_names,
    load_entry,
    read_held,
)
from benchmark.cohorts.held.plan import Answer, answers, few_with_volumes, profile_text
from benchmark.cohorts.held.volumes import HeldVolumes
from benchmark.config import Profile
from benchmark.errors import ConfigError
from benchmark.imaging.qc_page import QC_PAGE
from benchmark.leakage import verify_split
from benchmark.registry import ROOT
from benchmark.runs.pipeline import CODE_LINKS, CODE_PACKAGES
from benchmark.runs.workspace import profile_folder
from benchmark.splitting import Split, make_split
from benchmark.store import Cohort, file_sha256
from benchmark.store.atomic import write_text

__all__ = ["Added", "add_cohort", "make_workspace", "remove_cohort", "write_workspace"]

# The workspace is a DVC repository of its own without git: DVC refuses pipelines that git ignores,
# and nothing of a cohort under an agreement may be offered to git.
_DVC_CONFIG: Final = "[core]\n    analytics = false\n    no_scm = true\n"
# DVC applies no .dvcignore to what lies outside of its repository, and would take the bytecode in
# ``../../benchmark`` for a change of the code. So stages reach the code through links inside.
_DVC_IGNORE: Final = "__pycache__/\n*.pyc\n"


@dataclass(frozen=True, slots=True)
class Added:
    """What adding a cohort gave.

    Attributes:
        cohort: The store.
        answers: Its tasks, possible or not.
        profile: The profile that was written.
        split: Its folds.
        left_out: Rows that were left out: why -> how many.
        replaced: sha256 of other folds that stood there; "" where there were none.
        volumes: The people's prepared scans, or None.
        few: Tasks for which too few people have a volume, so that no row reads T1w scans.
        qc_page: The copy of their quality control in the workspace, or None.
    """

    cohort: Cohort
    answers: list[Answer]
    profile: Profile
    split: Split
    left_out: dict[str, int]
    replaced: str = ""
    volumes: HeldVolumes | None = None
    few: list[Answer] = field(default_factory=list)
    qc_page: Path | None = None


def add_cohort(
    name: str,
    entry: CohortEntry,
    pipeline: Callable[[Profile], str],
    root: Path = ROOT,
) -> Added:
    """Checks, prepares and splits a cohort and writes its entry, profile and pipeline.

    Args:
        name: The cohort's name, checked by the caller.
        entry: Where it lies; its hashes are taken anew.
        pipeline: Text of the ``dvc.yaml`` of a profile.
        root: The repository.

    Raises:
        CohortError: The files break a rule, or no task has enough people.
        SplitError: The cohort cannot be split.
        ConfigError: An option or the mapping is wrong, or the name is that of another source.
    """
    configs, home = root / "configs", root / profile_folder(name)
    _same_source(name, entry, configs)
    entry.files, entry.volumes_sha256 = {}, ""
    reading = read_held(name, entry)
    entry.files = file_hashes(Path(entry.root), reading)
    entry.volumes_sha256 = reading.volumes.sha256 if reading.volumes else ""
    _hide(home)
    build_store(name, entry, reading, home / "data" / name)
    cohort = Cohort(home / "data" / name)
    found = answers(cohort, reading.tasks)
    profile, text = profile_text(cohort, found, configs)
    split = make_split(cohort, profile.protocol, seed=0)
    verify_split(split, cohort)
    replaced = _other_folds(home / "splits" / name / f"{profile.protocol}.csv", split)
    split.write(home / "splits" / name)
    texts = {
        entry_path(name, configs): entry_text(entry),
        configs / "profile" / f"{name}.yaml": text,
    }
    write_workspace(home, texts, pipeline, profile)
    return Added(
        cohort,
        found,
        profile,
        split,
        dict(reading.left_out),
        replaced,
        reading.volumes,
        few_with_volumes(cohort, profile.plan[name].fit),
        _copy_qc(reading.volumes, home),
    )


def _copy_qc(volumes: HeldVolumes | None, home: Path) -> Path | None:
    """Keeps the page of the volumes that are in the store, and none of others."""
    page = home / "volumes" / QC_PAGE
    page.unlink(missing_ok=True)
    if volumes is None:
        return None
    source = volumes.prepared.folder / QC_PAGE
    if not source.is_file():
        return None
    write_text(page, source.read_text(encoding="utf-8"))
    return page


def _same_source(name: str, entry: CohortEntry, configs: Path) -> None:
    if name not in held_names(configs):
        return
    before = load_entry(name, configs)
    if before.source != entry.source:
        raise ConfigError(
            f"cohort {name!r} was added from {before.source}, not from {entry.source}; choose "
            f"another name with `--as NAME`, or `neurodx cohort remove {name}` first"
        )


def _other_folds(path: Path, split: Split) -> str:
    before = file_sha256(path) if path.is_file() else ""
    return "" if before == split.content_hash else before


def write_workspace(
    home: Path, texts: Mapping[Path, str], pipeline: Callable[[Profile], str], profile: Profile
) -> None:
    """Writes configuration files and the pipeline of a workspace; all of them or none.

    Args:
        home: The workspace; git will ignore it.
        texts: Content of the configuration files, by path.
        pipeline: Text of the ``dvc.yaml`` of a profile, once these files are there.
        profile: The profile.
    """
    before = {path: path.read_text() if path.is_file() else None for path in texts}
    try:
        for path, text in texts.items():
            write_text(path, text)
        make_workspace(home)
        write_text(home / "dvc.yaml", pipeline(profile))
    except BaseException:
        for path, old in before.items():
            path.unlink(missing_ok=True) if old is None else write_text(path, old)
        raise


def make_workspace(home: Path) -> None:
    """Makes a folder a DVC repository of its own that git ignores, with links to the code.

    What is there stays; a workspace without links, of an earlier version, gets them.
    """
    _hide(home)
    if not (home / ".dvc" / "config").is_file():
        write_text(home / ".dvc" / "config", _DVC_CONFIG)
    write_text(home / ".dvcignore", _DVC_IGNORE)
    _link_code(home)


def _hide(home: Path) -> None:
    """Keeps git from a workspace, before anything under an agreement is in it."""
    home.mkdir(parents=True, exist_ok=True)
    write_text(home / ".gitignore", "*\n")


def _link_code(home: Path) -> None:
    """Links to the packages that stages depend on, not to the repository: DVC skips what has one.

    A folder with a ``.dvc`` of its own is another repository to DVC, whose files it leaves out.
    """
    folder = home / CODE_LINKS
    folder.mkdir(exist_ok=True)
    for package in CODE_PACKAGES:
        link = folder / package
        if not link.is_symlink():
            link.symlink_to(Path("..", "..", "..", package), target_is_directory=True)


def remove_cohort(name: str, root: Path = ROOT) -> Path:
    """Takes a cohort's entry, profile and pipeline away; what was computed stays.

    Returns:
        The workspace that stays.
    """
    configs, home = root / "configs", root / profile_folder(name)
    entry_path(name, configs).unlink(missing_ok=True)
    (configs / "profile" / f"{name}.yaml").unlink(missing_ok=True)
    (home / "dvc.yaml").unlink(missing_ok=True)
    return home
