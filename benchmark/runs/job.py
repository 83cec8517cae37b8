"""One run as plain JSON: method x cohorts and tasks x protocol x fold x seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

__all__ = ["PLAN", "Job", "Part", "Workspace", "plan_file", "plan_files", "protocol_label"]

PLAN = "plan.json"
FEW_LABEL = "few-label"


@dataclass(frozen=True, slots=True)
class Part:
    """One cohort of a run with the tasks fitted on it."""

    cohort: str
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that decides a run, besides the inputs it reads.

    Attributes:
        row: Name on the board; equals ``method`` unless it is a variant or a tuned configuration.
        method: The method's name in the registry.
        track: What the method may see.
        parts: Cohorts and tasks that one fit spans.
        protocol: Split protocol; a joint run takes the same fold of every cohort.
        fold: Test fold, counted over all repeats.
        seed: Seed of the fit.
        profile: Profile that the job belongs to.
        config: Resolved settings of the method.
        external: Cohorts predicted besides: (cohort, tasks).
        tuned: Whether the settings come from a sweep.
        device: Where torch methods compute.
        precision: "float32" or "amp".
        percent: Share of the training people that is used; below 100 with ``few-label`` only.
        pretrained: Name of the pretraining, or folder of weights, that the fit starts from.
    """

    row: str
    method: str
    track: str
    parts: tuple[Part, ...]
    protocol: str
    fold: int
    seed: int
    profile: str
    config: Mapping[str, Any] = field(default_factory=dict)
    external: tuple[Part, ...] = ()
    tuned: bool = False
    device: str = "cpu"
    precision: str = "float32"
    percent: int = 100
    pretrained: str = ""

    @property
    def shown_protocol(self) -> str:
        """The protocol as rows and records name it: each percentage is one of its own."""
        return protocol_label(self.protocol, self.percent)

    @property
    def label(self) -> str:
        """How the job is named to a person."""
        cells = "; ".join(f"{p.cohort} {'+'.join(p.tasks)}" for p in self.parts)
        share = f", {self.percent} % of the labels" if self.percent < 100 else ""
        return f"{self.row}: {cells}, fold {self.fold}, seed {self.seed}{share}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON that :meth:`from_json` gives back."""
        value: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Rebuilds a job in another process or on another node."""
        parts = tuple(Part(p["cohort"], tuple(p["tasks"])) for p in value["parts"])
        external = tuple(Part(p["cohort"], tuple(p["tasks"])) for p in value["external"])
        return cls(**{**value, "parts": parts, "external": external})


def protocol_label(protocol: str, percent: int = 100) -> str:
    """Names a protocol on the board.

    >>> protocol_label("few-label", 10), protocol_label("3fold")
    ('few-label-10', '3fold')
    """
    return f"{protocol}-{percent}" if protocol == FEW_LABEL else protocol


def plan_file(protocol: str | None = None) -> str:
    """Name of the file that lists a row's runs.

    Args:
        protocol: A protocol besides the profile's own; None for that.

    >>> plan_file(), plan_file("few-label")
    ('plan.json', 'plan.few-label.json')
    """
    return f"plan.{protocol}.json" if protocol else PLAN


def plan_files(protocol: str | None = None) -> tuple[str, ...]:
    """Names of the plans that are scored together: another protocol beside the profile's own."""
    return (PLAN, plan_file(protocol)) if protocol else (PLAN,)


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder that the verbs run in, and the places inside it.

    Attributes:
        root: The folder.
        records: Where run records are, within it.
    """

    root: Path = field(default_factory=Path)
    records: str = "runs"

    @property
    def data(self) -> Path:
        """Cohort stores."""
        return self.root / "data"

    @property
    def truth(self) -> Path:
        """What the phantom generator knows."""
        return self.root / "truth"

    @property
    def splits(self) -> Path:
        """Fold files."""
        return self.root / "splits"

    @property
    def runs(self) -> Path:
        """Run records."""
        return self.root / self.records

    def for_ablations(self) -> Workspace:
        """The same folder with the runs of claims: those in ``runs/`` are outputs of DVC stages."""
        return replace(self, records="ablations/runs")

    @property
    def pretrained(self) -> Path:
        """Weights that were learned before any fit."""
        return self.root / "pretrained"

    @property
    def ablations(self) -> Path:
        """Published claims as tested here."""
        return self.root / "ablations"

    @property
    def explanations(self) -> Path:
        """Maps of evidence."""
        return self.root / "explanations"

    @property
    def features(self) -> Path:
        """Features of frozen encoders."""
        return self.root / "features"

    @property
    def scores(self) -> Path:
        """Scores of all ledgers."""
        return self.scores_of(None)

    @property
    def board(self) -> Path:
        """What the leaderboard reads."""
        return self.board_of(None)

    def scores_of(self, protocol: str | None) -> Path:
        """Scores by a protocol besides the profile's own; None for that."""
        return self._results(protocol) / "scores"

    def board_of(self, protocol: str | None) -> Path:
        """The board of a protocol besides the profile's own; None for that."""
        return self._results(protocol) / "board"

    def _results(self, protocol: str | None) -> Path:
        return self.root / "protocols" / protocol if protocol else self.root
