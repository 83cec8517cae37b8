"""Writes the DVC pipeline of a profile.

One pipeline per profile, all of the same shape: the default profile's stands at the root of the
repository, the others in ``profiles/<name>/``, which is then the workspace of that profile. A test
holds the committed files against this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from benchmark.cohorts.catalogue import CohortSource, all_cohorts, untwinned
from benchmark.cohorts.phantom.generator_files import ORACLE_FILES, STORE_FILES, generator_files
from benchmark.config import CONFIGS, Profile, load_suite
from benchmark.errors import UnknownNameError
from benchmark.metrics import METRICS
from benchmark.registry import ROOT
from benchmark.results.folders import cell_file
from benchmark.runs.pretraining import resolve_pretraining
from benchmark.runs.rows import resolve_row, tuned_rows
from benchmark.runs.workspace import DEFAULT_PROFILE, profile_folder
from benchmark.splitting.protocols import EXTERNAL
from benchmark.tasks import get_task

__all__ = [
    "CODE_LINKS",
    "CODE_PACKAGES",
    "FIT_CODE",
    "pipeline_path",
    "pipeline_text",
    "reads_links",
]

# In the workspace of a cohort that a user holds: a folder of links to the packages that stages
# depend on (see ``benchmark/cohorts/held/add.py``).
CODE_LINKS = "code"
CODE_PACKAGES = ("baselines", "benchmark", "methods")

_HEADER = """\
# Written by `neurodx pipeline`; change configs/profile/{name}.yaml and run it again.
# Stages are coarse on purpose: folds, tasks and seeds fan out inside `neurodx run`.
"""
FIT_CODE = (
    "config.py",
    "encoders",
    "imaging/regions.py",
    "method.py",
    "prediction.py",
    "registry.py",
    "runs/beside.py",
    "runs/checkpoints.py",
    "runs/execute.py",
    "runs/identity.py",
    "runs/job.py",
    "runs/ledger.py",
    "runs/people.py",
    "runs/planning.py",
    "runs/rows.py",
    "runs/runner.py",
    "runs/team.py",
    "samples",
    "sklearn_method.py",
    "splitting",
    "store",
    "tasks.py",
    "tracks.py",
    "training",
)
_PRETRAIN_CODE = (
    "config.py",
    "encoders",
    "imaging/regions.py",
    "runs/pretraining.py",
    "samples",
    "store",
    "training",
)
_SCORE_CODE = ("metrics", "stats", "results", "tasks.py", "tracks.py", "cli/score.py")


def pipeline_path(profile: str) -> Path:
    """Where the pipeline of a profile stands, relative to the repository."""
    return profile_folder(profile) / "dvc.yaml"


def pipeline_text(profile: Profile, cohorts: Mapping[str, CohortSource] | None = None) -> str:
    """Returns the text of a profile's ``dvc.yaml``.

    Args:
        profile: The profile.
        cohorts: Sources of its cohorts; all that are known by default.
    """
    builder = _Builder(profile, all_cohorts() if cohorts is None else cohorts)
    document = {
        "stages": builder.stages(),
        "metrics": ["board/metrics.json"],
        "plots": [plot for cell in _cells(profile) for plot in _plots(profile.name, *cell)],
    }
    body = yaml.safe_dump(document, sort_keys=False, width=100)
    return _HEADER.format(name=profile.name) + body


def reads_links(profile: Profile, cohorts: Mapping[str, CohortSource] | None = None) -> bool:
    """Whether a user holds all cohorts of a profile, whose stages then depend on links to code.

    Args:
        profile: The profile.
        cohorts: Sources of its cohorts; all that are known by default.
    """
    sources = all_cohorts() if cohorts is None else cohorts
    known = [sources[cohort] for cohort in profile.cohorts if cohort in sources]
    return profile.name != DEFAULT_PROFILE and bool(known) and all(s.entry for s in known)


def _cells(profile: Profile) -> list[tuple[str, str, str]]:
    """Cohort, task and protocol of every table of the board."""
    cells = []
    for cohort, plan in profile.plan.items():
        cells += [(cohort, task, profile.protocol) for task in (*plan.fit, *plan.derive)]
        for other, fitted in plan.external.items():
            derived = [task for task, source in plan.derive.items() if source in fitted]
            cells += [(other, task, EXTERNAL) for task in (*fitted, *derived)]
    return cells


def _plots(profile: str, cohort: str, task: str, protocol: str) -> list[dict[str, Any]]:
    """A picture of the primary metric, and one of calibration where there are classes.

    DVC knows them by name over all pipelines of the repository, hence the profile in it.
    """
    file = f"board/plots/{cell_file(cohort, task, protocol, ending='csv')}"
    facts = get_task(task)
    shown = {"score": METRICS[facts.primary_metric].title}
    if facts.classes:
        shown["brier_score"] = METRICS["brier_score"].title
    return [
        {
            f"{profile} {cohort} {task} {protocol} {column}": {
                "template": "bar_horizontal",
                "title": f"{cohort}, {task}, {protocol}",
                "x": {file: column},
                "y": {file: "row"},
                "x_label": label,
                "y_label": "method",
            }
        }
        for column, label in shown.items()
    ]


class _Builder:
    def __init__(self, profile: Profile, cohorts: Mapping[str, CohortSource]) -> None:
        self._profile = profile
        self._sources = cohorts
        self._default = profile.name == DEFAULT_PROFILE
        self._prefix = "" if self._default else "../../"
        linked = reads_links(profile, cohorts)
        self._code_prefix = f"{CODE_LINKS}/" if linked else self._prefix

    def stages(self) -> dict[str, Any]:
        profile = self._profile
        stages: dict[str, Any] = {}
        for cohort in profile.cohorts:
            stages[f"prepare-{cohort}"] = self._prepare(cohort)
        for cohort in self._split_cohorts():
            stages[f"split-{cohort}"] = self._split(cohort)
        stages["verify"] = self._verify()
        for name in profile.pretraining:
            stages[f"pretrain-{name}"] = self._pretrain(name)
        for row in profile.methods:
            stages[f"run-{row}"] = self._run(row)
        stages["score"] = self._score()
        stages["rank"] = self._rank()
        return stages

    def _code(self, *names: str) -> list[str]:
        return [f"{self._code_prefix}benchmark/{name}" for name in names]

    def _config(self) -> str:
        return f"{self._prefix}configs/profile/{self._profile.name}.yaml"

    def _prepare(self, cohort: str) -> dict[str, Any]:
        if cohort not in self._sources:
            raise UnknownNameError("cohort", cohort, self._sources, "neurodx list cohorts")
        source = self._sources[cohort]
        code = generator_files() if source.has_truth else source.code
        outs = [f"data/{cohort}"] + ([f"truth/{cohort}"] if source.has_truth else [])
        entry = [self._prefix + source.entry] if source.entry else []
        stage: dict[str, Any] = {
            "cmd": f"neurodx prepare {cohort} --profile {self._profile.name} --force",
            "deps": [*self._code(*STORE_FILES, *code), *entry],
        }
        if source.has_truth:
            scale = [f"phantom.participants.{untwinned(cohort)}", "phantom.spacing_mm"]
            stage["params"] = [{self._config(): scale}]
        return stage | {"outs": [{out: {"cache": False, "persist": True}} for out in outs]}

    def _split_cohorts(self) -> list[str]:
        external = [other for plan in self._profile.plan.values() for other in plan.external]
        return list(dict.fromkeys([*self._profile.plan, *external]))

    def _split(self, cohort: str) -> dict[str, Any]:
        table = f"data/{cohort}/participants.parquet"
        plan = self._profile.plan.get(cohort)
        if plan:
            protocols = [self._profile.protocol, *plan.protocols]
            options = " ".join(f"--protocol {protocol}" for protocol in protocols)
        else:
            train = next(c for c, p in self._profile.plan.items() if cohort in p.external)
            options = f"--protocol external --train-cohort {train}"
        stage: dict[str, Any] = {
            "cmd": f"neurodx splits make --cohort {cohort} {options}",
            "deps": [table, *self._code("splitting")],
            "outs": [{f"splits/{cohort}": {"cache": False, "persist": True}}],
        }
        # The published splits are frozen: a change of code or cohort is caught by `verify` and
        # never moves a participant silently.
        return {"frozen": True, **stage} if self._default else stage

    def _verify(self) -> dict[str, Any]:
        cohorts = self._split_cohorts()
        inputs = [f"data/{c}" for c in cohorts] + [f"splits/{c}" for c in cohorts]
        return {
            "cmd": "neurodx splits verify --report reports/splits.json",
            "deps": [*inputs, *self._code("leakage", "splitting")],
            "outs": [{"reports/splits.json": {"cache": False}}],
            "always_changed": True,
        }

    def _pretrain(self, name: str) -> dict[str, Any]:
        wanted = resolve_pretraining(name, self._profile)
        recipe = f"{self._prefix}configs/pretraining/{name}.yaml"
        keys = ["seeds", "device", "precision", "stand_ins", f"pretraining.{name}"]
        return {
            "cmd": f"neurodx pretrain {name} --profile {self._profile.name}",
            "deps": [
                recipe,
                *(f"data/{cohort}" for cohort in wanted.cohorts),
                *self._code(*_PRETRAIN_CODE),
            ],
            "params": [{self._config(): keys}],
            "outs": [{f"pretrained/{name}": {"cache": False, "persist": True}}],
        }

    def _run(self, name: str) -> dict[str, Any]:
        row = resolve_row(name, self._profile)
        suite = load_suite(row.suite, self._profile).parts if row.suite else self._profile.plan
        cohorts = [
            cohort
            for cohort, plan in self._profile.plan.items()
            if cohort in suite and set(plan.fit) & set(row.tasks)
        ]
        external = [e for cohort in cohorts for e in self._profile.plan[cohort].external]
        folder = row.info.folder
        deps = ["reports/splits.json", *self._code(*FIT_CODE)]
        if folder is not None:
            deps.append(self._code_prefix + folder.relative_to(ROOT).as_posix())
        if row.tuned:
            deps.append(self._prefix + tuned_rows()[name].relative_to(CONFIGS.parent).as_posix())
        if row.suite:
            deps.append(f"{self._prefix}configs/suite/{row.suite}.yaml")
        if row.pretrained in self._profile.pretraining:
            deps.append(f"pretrained/{row.pretrained}")
        deps += [f"data/{cohort}" for cohort in dict.fromkeys(cohorts + external)]
        deps += [f"splits/{cohort}" for cohort in cohorts]
        keys = ["protocol", "seeds", "device", "precision", "plan", "settings"]
        keys += ["stand_ins"] if row.suite else []
        return {
            "cmd": f"neurodx run method={name} profile={self._profile.name}",
            "deps": deps,
            "params": [{self._config(): keys}],
            "outs": [{f"runs/{name}": {"cache": False, "persist": True}}],
        }

    def _score(self) -> dict[str, Any]:
        truths = [f"truth/{c}" for c in self._profile.cohorts if self._sources[c].has_truth]
        people = [f"data/{c}/participants.parquet" for c in self._split_cohorts()]
        return {
            "cmd": f"neurodx score --profile {self._profile.name}",
            "deps": [
                *(f"runs/{row}" for row in self._profile.methods),
                *truths,
                *people,
                *self._code(*_SCORE_CODE, "cohorts/oracle_ledgers.py"),
                *self._code(*(f"cohorts/phantom/{name}" for name in ORACLE_FILES)),
            ],
            "params": [{self._config(): ["n_resamples", "methods"]}],
            "outs": [{"scores": {"cache": False, "persist": True}}],
        }

    def _rank(self) -> dict[str, Any]:
        cards = ["cli/cards.py", "runs/rows.py"]
        return {
            "cmd": f"neurodx rank --profile {self._profile.name}",
            "deps": [
                "scores",
                *self._code("stats", "results", "cli/rank.py", *cards),
                *(f"{self._prefix}{path}" for path in self._card_files()),
            ],
            "params": [{self._config(): ["methods", "settings"]}],
            "outs": [{"board": {"cache": False, "persist": True}}],
        }

    def _card_files(self) -> list[str]:
        """What a method card is written from."""
        rows = [resolve_row(name, self._profile) for name in self._profile.methods]
        folders = [row.info.folder for row in rows if row.info.folder]
        paths = [folder / name for folder in folders for name in ("info.py", "README.md")]
        paths += [tuned_rows()[row.name] for row in rows if row.tuned]
        found = [path.relative_to(ROOT).as_posix() for path in paths if path.is_file()]
        return list(dict.fromkeys(found))
