"""Explains one fold of a row: fit, maps, randomisation check, agreement, one folder of results."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import MethodError, UnknownNameError
from benchmark.results.folders import replaced_folder, write_json
from benchmark.runs.execute import is_done
from benchmark.runs.identity import commit, input_hashes, library_versions, run_id
from benchmark.runs.job import Job, Workspace
from benchmark.saliency.controls import GroupMaps
from benchmark.saliency.evidence import explained
from benchmark.saliency.fold import FittedFold, Point
from benchmark.saliency.made import HIPPOCAMPUS, Made, MadeMaps, make_maps
from benchmark.saliency.maps import KINDS, Mapper, MapSettings
from benchmark.saliency.people import POSITION, chosen_people
from benchmark.saliency.randomisation import is_network
from benchmark.saliency.scores import Scored, score_maps
from benchmark.store import Cohort, tree_sha256
from benchmark.store.hashing import canonical_sha256

__all__ = ["SCHEMA_VERSION", "Listener", "Request", "explain_fold", "explanation_folder"]

SCHEMA_VERSION: Final = 1
FACTS: Final = "explanation.json"
PACKAGE: Final = Path(__file__).resolve().parents[1]
_LIBRARIES: Final = ("captum", "monai", "scikit-learn", "scipy")  # that make and score maps


@dataclass(frozen=True)
class Listener:
    """Told of each step, and of how many people are done within it."""

    step: Callable[[str], None] = lambda _: None
    people: Callable[[int, int], None] = lambda _, __: None


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        kinds: Kinds of map; empty for all that the method can give.
        people: How many test people at most, classes in turn; 0 for all.
        sanity_people: How many of them the randomisation check looks at.
        settings: How maps are made.
        without_run: Whether a fit may be explained that no run vouches for.
    """

    kinds: tuple[str, ...] = ()
    people: int = 24
    sanity_people: int = 8
    settings: MapSettings = field(default_factory=MapSettings)
    without_run: bool = False


def explanation_folder(workspace: Workspace, job: Job, point: Point) -> Path:
    """Where the explanation of a fold lies; a protocol or seed that was asked for is named."""
    name = f"{point.cohort}__{point.task}__fold{point.fold}"
    if point.protocol is not None:
        name += f"__{job.shown_protocol}"
    if point.seed is not None:
        name += f"__seed{job.seed}"
    return workspace.explanations / job.row / name


def explain_fold(
    job: Job, point: Point, request: Request, workspace: Workspace, report: Listener | None = None
) -> tuple[Path, bool]:
    """Explains a fold, unless the same explanation is there.

    Args:
        job: The fit, as :func:`~benchmark.saliency.fold.job_of` finds it.
        point: The cohort and task to explain.
        request: What is asked for.
        workspace: Where everything lies.
        report: Told what is being done.

    Returns:
        The folder, and whether it was written now. Kinds that could not be made are in the record,
        ``refused``, with their reasons.

    Raises:
        UnknownNameError: There is no such kind of map.
        MethodError: No kind of map can be made; the reasons are named.
        ResultError: There is no run, or the fit made anew is another one.
    """
    for kind in request.kinds:
        if kind not in KINDS:
            raise UnknownNameError("kind of map", kind, KINDS, "neurodx explain --help")
    report = report or Listener()
    folder = explanation_folder(workspace, job, point)
    identity = _identity(job, point, request, workspace)
    if _stored_identity(folder) == identity:
        return folder, False
    with replaced_folder(folder) as fresh:
        scratch = folder.with_name(f".{run_id(job, workspace)}.fit.partial")
        scratch.mkdir(exist_ok=True)  # a fit whose explanation was interrupted goes on there
        report.step("fit")
        clock, cpu = time.perf_counter(), time.process_time()
        fold = FittedFold.fit(job, point, workspace, scratch, without_run=request.without_run)
        timing = {
            "fit_seconds": time.perf_counter() - clock,
            "fit_cpu_seconds": time.process_time() - cpu,
        }
        _explain(fold, request, workspace, fresh, report, {"identity": identity, **timing})
    shutil.rmtree(scratch, ignore_errors=True)
    return folder, True


def _explain(
    fold: FittedFold,
    request: Request,
    workspace: Workspace,
    folder: Path,
    report: Listener,
    facts: dict[str, Any],
) -> None:
    if "t1w" not in fold.test.arrays:
        raise MethodError(
            f"{fold.job.label}: the track {fold.job.track!r} shows no volumes (t1w), so there is "
            "nothing to draw maps on"
        )
    people = chosen_people(fold, request.people)
    samples = fold.test.subset(people[POSITION].to_numpy())
    groups = GroupMaps.learn(fold.train, fold.task)
    mapper = Mapper(fold.method, fold.task, groups.reference, request.settings, report.people)
    ids = people[v.PARTICIPANT_ID].tolist()
    few = samples.subset(np.arange(min(request.sanity_people, samples.n)))
    made = make_maps(fold, mapper, samples, request.kinds or KINDS, (few, ids), report.step)
    if is_network(fold.method) and mapper.sees_volumes(samples):
        people["evidence"] = mapper.evidence(samples).astype(np.float64)
    for kind, found in made.kinds.items():
        np.save(folder / f"{kind}.npy", found.maps)
    if made.hippocampus is not None:
        np.save(folder / f"{HIPPOCAMPUS}.npy", made.hippocampus)
    volumes = samples.volumes()
    _write_tables(folder, people, made.kinds)
    report.step("agreement with the true change")
    maps = {kind: found.maps for kind, found in made.kinds.items()}
    scored = score_maps(maps, volumes, people, groups, workspace.truth / fold.cell.cohort.name)
    scored.write(folder)
    if fold.cell.cohort.card.get("synthetic"):
        np.save(folder / "t1w.npy", volumes.astype(np.float16))
    write_json(_plain(_facts(fold, request, facts, made, scored)), folder / FACTS)


# Record ------------------------------------------------------------------------------------------


def _write_tables(folder: Path, people: pd.DataFrame, made: Mapping[str, Made]) -> None:
    people.drop(columns=POSITION).to_parquet(folder / "people.parquet", index=False)
    tables = [
        found.sanity.assign(kind=kind) for kind, found in made.items() if found.sanity is not None
    ]
    if tables:
        pd.concat(tables, ignore_index=True).to_parquet(folder / "sanity.parquet", index=False)


def _facts(
    fold: FittedFold,
    request: Request,
    facts: Mapping[str, Any],
    made: MadeMaps,
    scored: Scored,
) -> dict[str, Any]:
    job, cohort = fold.job, fold.cell.cohort
    return {
        "schema_version": SCHEMA_VERSION,
        **facts,
        "run_id": fold.identity,
        "verified": fold.verified,
        "row": job.row,
        "method": job.method,
        "track": job.track,
        "cohort": cohort.name,
        "synthetic": bool(cohort.card.get("synthetic")),
        "task": fold.task.name,
        "classes": list(fold.task.classes),
        "explained": explained(fold.task),
        "protocol": job.shown_protocol,
        "fold": job.fold,
        "seed": job.seed,
        "profile": job.profile,
        "spacing_mm": fold.test.spacing_mm,
        "axes": "i j k, RAS+",
        "shape": list(fold.test.arrays["t1w"].shape),
        "settings": asdict(request.settings),
        "kinds": {kind: found.facts for kind, found in made.kinds.items()},
        "refused": made.refused,
        "hippocampus_map": made.hippocampus is not None,
        "truth": scored.facts,
        "commit": commit(),
        "versions": dict(library_versions()) | _versions(),
    }


def _identity(job: Job, point: Point, request: Request, workspace: Workspace) -> str:
    """Hash of everything that could change an explanation."""
    identity = run_id(job, workspace)
    truth = workspace.truth / point.cohort
    code = [path for path in (PACKAGE / "saliency").glob("*.py") if path.name != "figure.py"]
    return canonical_sha256(
        {
            "schema": SCHEMA_VERSION,
            "run": identity,
            "verified": is_done(workspace.runs / job.row / identity),
            "inputs": input_hashes(job, workspace),
            "request": asdict(request) | {"without_run": False},
            "task": [point.cohort, point.task],
            "code": tree_sha256([*code, PACKAGE / "stats", PACKAGE / "metrics"]),
            "versions": _versions(),
            "truth": Cohort(truth).content_hash if truth.is_dir() else "",
        }
    )


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def _stored_identity(folder: Path) -> str:
    path = folder / FACTS
    return str(json.loads(path.read_text())["identity"]) if path.is_file() else ""


def _plain(value: Any) -> Any:
    """JSON without NaN: null instead."""
    if isinstance(value, Mapping):
        return {str(k): _plain(inner) for k, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
