"""What decides a phantom cohort: its role, size, generator seed and grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final

from benchmark.errors import ConfigError, UnknownNameError

__all__ = ["GENERATOR_VERSION", "ROLES", "SHAPES", "PhantomConfig", "Role"]

GENERATOR_VERSION: Final = 6  # raise it when any byte or latent changes

# Store grids: field of view 160 x 200 x 160 mm (160 x 192 x 160 at 4 and 2 mm).
SHAPES: Final[Mapping[float, tuple[int, int, int]]] = MappingProxyType(
    {10.0: (16, 20, 16), 5.0: (32, 40, 32), 4.0: (40, 48, 40), 2.0: (80, 96, 80)}
)


@dataclass(frozen=True, slots=True)
class Role:
    """A cohort role of the literature.

    Attributes:
        title: For readers.
        axis: Latent severity: "ad", "pd" or "none" (healthy).
        age_mean_years, age_sd_years, age_min_years, age_max_years: Truncated normal.
        severity_mean: Mean of the latent severity at age 70, mean education, average genetics.
        n_sites: Number of sites.
        scanner_set: Which family of scanners; the external role has its own.
        has_genetics: Whether anybody was genotyped.
        has_report: Whether reports are written.
        splits_pretraining: Whether every second person belongs to pretraining.
    """

    title: str
    axis: str
    age_mean_years: float
    age_sd_years: float
    age_min_years: float
    age_max_years: float
    severity_mean: float
    n_sites: int
    scanner_set: int = 0
    has_genetics: bool = True
    has_report: bool = True
    splits_pretraining: bool = False


ROLES: Final[Mapping[str, Role]] = MappingProxyType(
    {
        "population": Role(
            "healthy population", "none", 65.0, 14.0, 45.0, 85.0, 0.0, 4,
            has_report=False, splits_pretraining=True,
        ),
        "memory": Role("memory clinic", "ad", 72.0, 7.0, 55.0, 90.0, 1.0, 6),
        "movement": Role("movement disorder", "pd", 63.0, 9.0, 40.0, 85.0, 1.2, 5),
        "external": Role(
            "external memory cohort", "ad", 70.0, 10.0, 45.0, 92.0, 0.6, 3,
            scanner_set=1, has_genetics=False,
        ),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PhantomConfig:
    """Everything that decides the bytes of a phantom cohort.

    Attributes:
        name: The cohort's name, e.g. ``phantom-memory``.
        role: A key of :data:`ROLES`.
        n: Number of participants, numbered from 1.
        seed: Generator seed; a ``-dev`` twin differs in this only.
        spacing_mm: Voxel size of the store: 10, 5, 4 or 2.

    Raises:
        UnknownNameError: The role is not known.
        ConfigError: Size, seed or spacing is out of range.
    """

    name: str
    role: str
    n: int
    seed: int
    spacing_mm: float = 5.0

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise UnknownNameError("phantom role", self.role, ROLES)
        if self.n < 1:
            raise ConfigError(f"cohort {self.name!r}: n is {self.n}, expected 1 or more")
        if self.seed < 0:
            raise ConfigError(f"cohort {self.name!r}: seed is {self.seed}, expected 0 or more")
        if self.spacing_mm not in SHAPES:
            known = ", ".join(f"{s:g}" for s in SHAPES)
            raise ConfigError(
                f"cohort {self.name!r}: spacing_mm is {self.spacing_mm!r}, expected one of {known}"
            )

    @property
    def parameters(self) -> Role:
        """Parameters of the role."""
        return ROLES[self.role]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Store grid (D, H, W)."""
        return SHAPES[self.spacing_mm]

    def recipe(self) -> dict[str, Any]:
        """JSON-able description of everything that decides the content."""
        return {**asdict(self), "generator_version": GENERATOR_VERSION}
