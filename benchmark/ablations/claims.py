"""What is claimed, and which fits would show it: ``configs/ablation/<claim>.yaml``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from omegaconf import MISSING

from benchmark.config import CONFIGS, read_config, typed
from benchmark.errors import ConfigError, UnknownNameError

__all__ = ["KINDS", "Arm", "Claim", "load_claims"]

ORDER: Final = "order"
TRANSFER: Final = "transfer"
CONFIDENCE: Final = "confidence"
KINDS: Final = (ORDER, TRANSFER, CONFIDENCE)


@dataclass
class Arm:
    """One way to fit.

    Attributes:
        row: The board row that it is, or varies.
        config: Settings that differ from the row's, by dotted key.
        percent: Share of the training labels; below 100 with the protocol ``few-label``.
    """

    row: str = MISSING
    config: dict[str, Any] = field(default_factory=dict)
    percent: int = 100


@dataclass
class Claim:
    """One published direction.

    Attributes:
        title: The claim in one sentence.
        source: Who makes it, and with which figures.
        kind: ``order``: each arm scores higher than the one before. ``transfer``: the arm scores
            higher at home than on ``external``. ``confidence``: the arm is right more often where
            its probability is higher, third by third.
        cohort: Where it is tested.
        tasks: Tasks; one that is derived from a fitted one counts.
        arms: By name, in the claimed order, lowest first.
        to_first: For ``order``: each arm is claimed to score higher than the first, and the others
            have no order.
        external: For ``transfer``: the other cohort.
        contrast: For ``order``: two of the tasks, where the gain of the last arm over the first is
            claimed to be larger on the former.
        protocol: Split protocol; the profile's own by default.
        seeds: Seeds of training.
        reading: What else a reader must know.
    """

    title: str = MISSING
    source: str = MISSING
    kind: str = ORDER
    cohort: str = MISSING
    tasks: list[str] = field(default_factory=list)
    arms: dict[str, Arm] = field(default_factory=dict)
    to_first: bool = False
    external: str = ""
    contrast: list[str] = field(default_factory=list)
    protocol: str = ""
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    reading: str = ""

    def standing_in(self, stand_ins: Mapping[str, str]) -> Claim:
        """The same claim on the cohorts that take the place of the board's in a profile."""
        cohort, external = (stand_ins.get(name, name) for name in (self.cohort, self.external))
        return dataclasses.replace(self, cohort=cohort, external=external)

    def check(self, name: str) -> None:
        """Refuses a claim that cannot be tested.

        Raises:
            UnknownNameError: ``kind`` is none of the known ones.
            ConfigError: Arms, tasks, seeds or the external cohort do not fit the kind.
        """
        where = f"configs/ablation/{name}.yaml"
        if self.kind not in KINDS:
            raise UnknownNameError(f"kind in {where}", self.kind, KINDS)
        if not self.tasks:
            raise ConfigError(f"{where}: name its tasks")
        if len(self.seeds) < 3 or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"{where}: expected at least 3 different seeds, got {self.seeds}")
        least = 2 if self.kind == ORDER else 1
        if len(self.arms) < least or (least == 1 and len(self.arms) != 1):
            wanted = "two arms or more" if self.kind == ORDER else "one arm"
            raise ConfigError(f"{where}: {self.kind!r} compares {wanted}, got {len(self.arms)}")
        if self.contrast and (
            self.kind != ORDER or len(self.contrast) != 2 or not {*self.contrast} <= {*self.tasks}
        ):
            raise ConfigError(f"{where}: `contrast` names two of the tasks of an {ORDER!r} claim")
        if self.to_first and self.kind != ORDER:
            raise ConfigError(f"{where}: `to_first` belongs to {ORDER!r}")
        if (self.kind == TRANSFER) != bool(self.external):
            raise ConfigError(f"{where}: `external` belongs to {TRANSFER!r}, and is needed there")


def load_claims(only: str | None = None, configs: Path = CONFIGS) -> dict[str, Claim]:
    """Reads all claims, or one.

    Raises:
        UnknownNameError: No such claim; the nearest are suggested.
        ConfigError: A value in one is wrong.
    """
    names = sorted(path.stem for path in (configs / "ablation").glob("*.yaml"))
    if only is not None and only not in names:
        raise UnknownNameError("claim", only, names, "neurodx ablate --list")
    claims = {}
    for name in [only] if only else names:
        values = read_config("ablation", name, "neurodx ablate --list", configs)
        claim: Claim = typed(Claim, values, f"configs/ablation/{name}.yaml")
        claim.check(name)
        claims[name] = claim
    return claims
