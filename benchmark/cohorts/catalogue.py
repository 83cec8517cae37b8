"""All cohorts by name: those that every clone can make, and those that a user has added."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmark.cohorts.phantom.seeds import (
    DEV_SUFFIX,
    PHANTOMS,
    TWINS,
    generator_seed,
    untwinned,
)
from benchmark.config import CONFIGS, Profile
from benchmark.errors import ConfigError, UnknownNameError

__all__ = ["COHORTS", "DEV_SUFFIX", "CohortSource", "all_cohorts", "get_cohort", "untwinned"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class CohortSource:
    """Where a cohort comes from.

    Attributes:
        name: Folder name under ``data/``.
        title: One line for readers.
        synthetic: Whether its people are made up.
        prepare: (profile, store folder, truth folder, workers, progress) -> None.
        has_truth: Whether a generator made it and knows the truth.
        code: Files and folders that decide its store, relative to ``benchmark/``, besides those
            of every store.
        entry: The file of a user's cohort that says where it lies, relative to the repository.
    """

    name: str
    title: str
    synthetic: bool
    prepare: Callable[[Profile, Path, Path, int, Progress | None], None]
    has_truth: bool = False
    code: tuple[str, ...] = ()
    entry: str = ""


def _phantom(
    profile: Profile, folder: Path, truth: Path, workers: int, progress: Progress | None
) -> None:
    from benchmark.cohorts.phantom.config import PhantomConfig
    from benchmark.cohorts.phantom.prepare import prepare_cohort

    base = untwinned(folder.name)
    if base not in profile.phantom.participants:
        raise ConfigError(
            f"profile {profile.name!r} gives no number of participants for {base!r}; add it under "
            f"phantom.participants in configs/profile/{profile.name}.yaml"
        )
    config = PhantomConfig(
        name=folder.name,
        role=base.removeprefix("phantom-"),
        n=profile.phantom.participants[base],
        seed=generator_seed(folder.name),
        spacing_mm=profile.phantom.spacing_mm,
    )
    prepare_cohort(config, folder, truth, workers=workers, progress=progress)


def _ad_csf(_profile: Profile, folder: Path, *_: object) -> None:
    from benchmark.cohorts.ad_csf import prepare

    prepare(folder)


def _held(_profile: Profile, folder: Path, *_: object) -> None:
    from benchmark.cohorts.held.build import build_store
    from benchmark.cohorts.held.entry import load_entry, read_held

    entry = load_entry(folder.name)
    build_store(folder.name, entry, read_held(folder.name, entry), folder)


_TITLES: Final = {
    "phantom-population": "Synthetic: healthy, wide age range; pretraining and brain age",
    "phantom-memory": "Synthetic: CN, MCI and AD with conversion follow-up, four modalities",
    "phantom-movement": "Synthetic: Parkinson's disease and healthy controls",
    "phantom-external": "Synthetic: memory axis, other scanners, no genetics; never trained on",
}
COHORTS: Final[Mapping[str, CohortSource]] = MappingProxyType(
    {
        **{
            name: CohortSource(name, _TITLES[name], True, _phantom, has_truth=True)
            for name in PHANTOMS
        },
        **{
            twin: CohortSource(
                twin,
                f"Twin of {untwinned(twin)} with another seed, for development",
                True,
                _phantom,
                has_truth=True,
            )
            for twin in TWINS
        },
        "ad-csf": CohortSource(
            "ad-csf",
            "Real: cerebrospinal fluid of 333 people (Craig-Schapiro 2011)",
            False,
            _ad_csf,
            code=("cohorts/ad_csf.py",),
        ),
    }
)


def all_cohorts(configs: Path = CONFIGS) -> Mapping[str, CohortSource]:
    """Every cohort: the shipped ones, then those with an entry in ``configs/held/``.

    Raises:
        ConfigError: An entry is wrong.
    """
    folder = configs / "held"
    names = sorted(path.stem for path in folder.glob("*.yaml")) if folder.is_dir() else ()
    return {**COHORTS, **{name: _held_source(name, configs) for name in names}}


def _held_source(name: str, configs: Path) -> CohortSource:
    from benchmark.cohorts.held.entry import load_entry

    entry = load_entry(name, configs)
    title = entry.title or f"Added from {entry.source}"
    return CohortSource(
        name,
        title,
        entry.synthetic,
        _held,
        code=("cohorts/held",),
        entry=f"configs/held/{name}.yaml",
    )


def get_cohort(name: str) -> CohortSource:
    """Returns the source of a cohort.

    Raises:
        UnknownNameError: No such cohort.
    """
    cohorts = all_cohorts()
    try:
        return cohorts[name]
    except KeyError:
        raise UnknownNameError("cohort", name, cohorts, "neurodx list cohorts") from None
