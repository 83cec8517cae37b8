"""One held cohort predicted by the models of another: the protocol that shows a site shift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import yaml

from benchmark import vocabulary as v
from benchmark.cohorts.held.add import write_workspace
from benchmark.cohorts.held.plan import (
    HEADER,
    answers,
    lacks_series,
    lacks_volumes,
    reads_series_alone,
    rows_of_volumes,
)
from benchmark.config import CohortPlan, Profile, load_profile
from benchmark.errors import CohortError
from benchmark.registry import ROOT
from benchmark.runs.planning import serves
from benchmark.runs.rows import resolve_row
from benchmark.runs.workspace import profile_folder
from benchmark.store import Cohort

__all__ = ["external_profile", "pair_cohorts"]


def external_profile(name: str, train: str, others: Sequence[str], root: Path = ROOT) -> Profile:
    """The profile in which the models of one cohort predict others.

    Rows that read volumes are entered where all cohorts hold volumes of one grid, rows that read
    time series where all hold series of the same frames and regions.

    Args:
        name: Its name.
        train: The cohort whose folds are fitted; it has been added.
        others: Cohorts that are predicted; each has been added, and nobody of them is in ``train``.
        root: The repository.

    Raises:
        UnknownNameError: A cohort has not been added.
        CohortError: The cohorts have no task in common.
    """
    configs = root / "configs"
    base = load_profile(train, configs)
    fitted = base.plan[train].fit
    stores = {c: _store(root, c) for c in others}
    external: dict[str, list[str]] = {}
    for other, cohort in stores.items():
        rules = cohort.card["label_rules"]
        found = answers(cohort, {task: rules[task] for task in fitted if task in rules})
        external[other] = [answer.task for answer in found if answer.possible]
        if not external[other]:
            raise CohortError(
                f"cohorts {train!r} and {other!r} have no task in common: {train} is fitted for "
                f"{', '.join(fitted)}, {other} can answer {', '.join(rules)}; "
                "`neurodx cohort list` shows the tasks of all"
            )
    tasks = [task for task in fitted if any(task in wanted for wanted in external.values())]
    plan = CohortPlan(fit=tasks, external=external)
    methods = []
    everyone = [_store(root, train), *stores.values()]
    images: set[str] = set() if _one_grid(everyone) else rows_of_volumes(configs)
    one_atlas = _one_atlas(everyone)
    for method in base.methods:
        row = resolve_row(method, base, configs=configs)
        asked = {other: [t for t in wanted if t in row.tasks] for other, wanted in external.items()}
        able = (one_atlas or not reads_series_alone(row)) and all(
            serves(row, cohort, fitted=False)
            and not lacks_volumes(row, cohort, asked[other])
            and not lacks_series(row, cohort, asked[other])
            for other, cohort in stores.items()
        )
        if able and method not in images and set(row.tasks) & set(tasks):
            methods.append(method)
    return Profile(
        name=name,
        phantom=base.phantom,
        cohorts=[train, *others],
        protocol=base.protocol,
        seeds=base.seeds,
        plan={train: plan},
        methods=methods,
        n_resamples=base.n_resamples,
    )


def _store(root: Path, name: str) -> Cohort:
    return Cohort(root / profile_folder(name) / "data" / name)


def _one_grid(cohorts: Sequence[Cohort]) -> bool:
    """Whether all stores hold volumes of one grid; regions without volumes give no images."""
    grids = {
        (c.card.get("spacing_mm"), *c.array(v.T1W).shape[1:]) if c.has(v.T1W) else ()
        for c in cohorts
    }
    return len(grids) == 1 and () not in grids


def _one_atlas(cohorts: Sequence[Cohort]) -> bool:
    """Whether all stores hold time series of the same frames and regions."""
    atlases = {
        (*c.array(v.FMRI).shape[1:], *c.card.get("fmri", {}).get("region_names", ()))
        if c.has(v.FMRI)
        else ()
        for c in cohorts
    }
    return len(atlases) == 1 and () not in atlases


def pair_cohorts(
    name: str,
    train: str,
    others: Sequence[str],
    pipeline: Callable[[Profile], str],
    root: Path = ROOT,
) -> Profile:
    """Writes the profile of :func:`external_profile`, and its workspace; errors are the same."""
    profile = external_profile(name, train, others, root)
    text = HEADER + yaml.safe_dump(asdict(profile), sort_keys=False, width=100)
    home = root / profile_folder(name)
    write_workspace(home, {root / "configs" / "profile" / f"{name}.yaml": text}, pipeline, profile)
    return profile
