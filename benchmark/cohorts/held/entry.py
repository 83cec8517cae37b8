"""``configs/held/<name>.yaml``: where a cohort lies on this machine. Git-ignored."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import yaml

from benchmark.cohorts.held.adapters import get_adapter
from benchmark.cohorts.held.arrays import GenotypeRule, SeriesRule
from benchmark.cohorts.held.genotypes import read_genotypes
from benchmark.cohorts.held.mapping import mapping_adapter
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import Adapter, Reading
from benchmark.cohorts.held.timeseries import read_timeseries
from benchmark.cohorts.held.volumes import with_volumes
from benchmark.config import CONFIGS, read_config, typed
from benchmark.errors import CohortError, ConfigError
from benchmark.store import file_sha256
from benchmark.store.validate import validate_participants

__all__ = [
    "GROUP",
    "WRITTEN",
    "CohortEntry",
    "adapter_of",
    "added_profiles",
    "check_name",
    "entry_path",
    "entry_text",
    "file_hashes",
    "held_names",
    "load_entry",
    "read_held",
]

GROUP: Final = "held"  # never a key of `neurodx run`: Hydra would take `cohort=x` for a file
WRITTEN: Final = "# Written by `neurodx cohort"
_HEADER: Final = """\
# Written by `neurodx cohort add`. Git-ignored: it holds a path of this machine.
"""
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass
class CohortEntry:
    """Where a cohort comes from.

    Attributes:
        source: An adapter's name, or the path of a mapping.
        root: Folder of the download, absolute.
        title: One line for readers.
        options: What differs from the adapter's defaults.
        synthetic: Whether its people are made up, e.g. a replica for tests.
        files: sha256 of the files that were read, by path relative to ``root``.
        volumes: Folder that ``neurodx volumes`` wrote, absolute; "" for none.
        volumes_sha256: Hash of its volumes and regions.
        fmri: Where time series lie, before what a mapping says.
        snps: Where genotypes lie, before what a mapping says.
    """

    source: str = ""
    root: str = ""
    title: str = ""
    options: dict[str, str] = field(default_factory=dict)
    synthetic: bool = False
    files: dict[str, str] = field(default_factory=dict)
    volumes: str = ""
    volumes_sha256: str = ""
    fmri: SeriesRule | None = None
    snps: GenotypeRule | None = None


def check_name(name: str, taken: set[str]) -> None:
    """Refuses a name that is no folder name of ours, or that something else bears.

    Raises:
        ConfigError: It is malformed or taken.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"cohort name {name!r}: expected lower-case letters, digits and single hyphens, "
            "beginning with a letter; choose one with `--as NAME`"
        )
    if name in taken:
        raise ConfigError(
            f"cohort name {name!r} is taken by a cohort or profile that this repository ships; "
            "choose another one with `--as NAME`"
        )


def entry_path(name: str, configs: Path = CONFIGS) -> Path:
    """The file of a cohort's entry."""
    return configs / GROUP / f"{name}.yaml"


def held_names(configs: Path = CONFIGS) -> list[str]:
    """Names of the cohorts that have been added, sorted."""
    return sorted(path.stem for path in (configs / GROUP).glob("*.yaml"))


def load_entry(name: str, configs: Path = CONFIGS) -> CohortEntry:
    """Reads a cohort's entry.

    Raises:
        UnknownNameError: No such cohort.
        ConfigError: The file is wrong.
    """
    values = read_config(GROUP, name, "neurodx cohort list", configs)
    entry: CohortEntry = typed(CohortEntry, values, f"configs/held/{name}.yaml")
    return entry


def entry_text(entry: CohortEntry) -> str:
    """The content of a cohort's entry."""
    return _HEADER + yaml.safe_dump(asdict(entry), sort_keys=False, width=100)


def added_profiles(configs: Path = CONFIGS) -> set[str]:
    """Profiles that ``neurodx cohort`` has written; all others are shipped."""
    files = (configs / "profile").glob("*.yaml")
    return {path.stem for path in files if path.read_text().startswith(WRITTEN)}


def adapter_of(source: str) -> Adapter:
    """The adapter of a source: a study, or the mapping that a YAML file holds.

    Raises:
        UnknownNameError: No such study.
        ConfigError: The mapping is missing or wrong.
    """
    if source.endswith((".yaml", ".yml")):
        return mapping_adapter(Path(source))
    return get_adapter(source)


def read_held(name: str, entry: CohortEntry, problems: Problems | None = None) -> Reading:
    """Reads and checks a cohort.

    Args:
        name: Named in messages.
        entry: Where it lies; where it states hashes, the files must have them.
        problems: Collects the violations, for whoever wants to write them down.

    Raises:
        CohortError: A rule is broken (all are listed), the folder is missing, or a file is another
            one than when the cohort was added; the prepared volumes are missing, others than
            then, or nobody's.
        ConfigError: An option or the mapping is wrong.
    """
    adapter = adapter_of(entry.source)
    options = adapter.with_defaults(entry.options)
    root = Path(entry.root)
    problems = Problems() if problems is None else problems
    if not root.is_dir():
        wanted = "; ".join(file.name for file in adapter.files if file.needed)
        raise CohortError(
            f"cohort {name!r}: {root} is no folder; expected the download with {wanted}; see "
            f"`neurodx cohort show {entry.source}`"
        )
    try:
        reading = adapter.read(root, options, problems)
        reading = _with_arrays(reading, entry, adapter, root, problems)
    except (AttributeError, KeyError, TypeError, ValueError):
        problems.refuse(name)  # what is wrong with the files is why it failed
        raise
    problems.refuse(name)
    try:
        validate_participants(reading.visits, name)
    except CohortError as error:  # whoever writes the violations down has this one too
        problems.add(adapter.files[0].name, str(error))
        raise
    if entry.files:
        _same_files(name, entry.files, file_hashes(root, reading))
    if not entry.volumes:
        return reading
    volumes = Path(entry.volumes)
    reading = with_volumes(name, reading, volumes, adapter.scan_of, adapter.visit_of)
    got = reading.volumes.sha256 if reading.volumes else ""
    if entry.volumes_sha256 not in ("", got):
        raise CohortError(
            f"cohort {name!r}: {entry.volumes}: expected the volumes as they were when the cohort "
            f"was added (sha256 {entry.volumes_sha256[:12]}), got others ({got[:12]}); run "
            "`neurodx cohort add` again to take them in"
        )
    return reading


def _with_arrays(
    reading: Reading, entry: CohortEntry, adapter: Adapter, root: Path, problems: Problems
) -> Reading:
    """Adds the time series and genotypes that the entry or the mapping names."""
    fmri, snps = entry.fmri or adapter.fmri, entry.snps or adapter.snps
    scan_of, visit_of = adapter.scan_of, adapter.visit_of
    found = [
        read_timeseries(fmri, root, reading.visits, problems, scan_of, visit_of) if fmri else None,
        read_genotypes(snps, root, reading.visits, problems, scan_of) if snps else None,
    ]
    arrays = tuple(array for array in found if array)
    return replace(
        reading,
        arrays=arrays,
        files=tuple(dict.fromkeys((*reading.files, *(f for a in arrays for f in a.files)))),
        left_out={**reading.left_out, **{w: n for a in arrays for w, n in a.left_out.items()}},
    )


def file_hashes(root: Path, reading: Reading) -> dict[str, str]:
    """sha256 of the files that were read, by path relative to the root where they lie below it."""
    return {
        (path.relative_to(root) if path.is_relative_to(root) else path).as_posix(): file_sha256(
            path
        )
        for path in reading.files
    }


def _same_files(name: str, before: dict[str, str], now: dict[str, str]) -> None:
    changed = sorted(f for f in before.keys() | now.keys() if before.get(f) != now.get(f))
    if changed:
        raise CohortError(
            f"cohort {name!r}: {', '.join(changed)}: expected the files as they were when the "
            "cohort was added, got others; run `neurodx cohort add` again to take them in, or "
            "first under another name (`--as`): `neurodx splits diff` then says what a new release "
            "does to people, labels and folds"
        )
