"""The probe's facts."""

from dataclasses import dataclass

from benchmark.api import MethodInfo, register


@dataclass
class Config:
    """Settings.

    Attributes:
        bad_seed: The fit with this seed misbehaves while the file ``flag`` exists.
        how: raise, exit, kill, unwritable or block.
        flag: That file; for ``block`` a named pipe that is written to and then held open.
        shift: Changes the predictions.
    """

    bad_seed: int = -1
    how: str = "raise"
    flag: str = ""
    shift: float = 0.0


INFO = register(
    MethodInfo(
        name="probe",
        title="Probe",
        summary="Class frequencies, shifted by the mean intensity of a person's volume.",
        model="model:Probe",
        tasks=("dx3", "ad_cn", "conversion", "brain_age"),
        tracks=("t1w", "all", "none", "t1w+report", "confound"),
        copes_with_missing=True,
        config=Config,
        variants={"probe_shifted": {"shift": 0.5, "title": "Shifted"}},
    )
)
