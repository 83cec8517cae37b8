"""The floor: class frequencies, or the mean."""

from benchmark.api import MethodInfo, register

INFO = register(
    MethodInfo(
        name="chance",
        title="Chance / predict the mean",
        summary="Predicts the class frequencies (or the mean) of the training people for everyone.",
        model="model:Chance",
        tasks=("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc", "brain_age", "impaired"),
        tracks=("none",),
    )
)
