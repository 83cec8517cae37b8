"""The probe's facts."""

from dataclasses import dataclass

from benchmark.api import MethodInfo, register


@dataclass
class Config:
    """Settings: a penalty, a diary, and penalties above which it raises or dies."""

    penalty: float = 1e-4
    diary: str = ""
    raise_above: float = float("inf")
    die_above: float = float("inf")


INFO = register(
    MethodInfo(
        name="sweep_probe",
        title="Probe",
        summary="Logistic regression on age and education.",
        model="model:Probe",
        tasks=("dx3", "ad_cn", "brain_age"),
        tracks=("demographic", "all"),
        copes_with_missing=True,
        config=Config,
        variants={"sweep_probe_weak": {"penalty": 1e-6, "title": "Weak probe"}},
    )
)
