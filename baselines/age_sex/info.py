"""The confound floor: age and sex."""

from benchmark.api import MethodInfo, register

INFO = register(
    MethodInfo(
        name="age_sex",
        title="Age + sex",
        summary="Logistic regression on age and sex: what a diagnosis owes to demography alone.",
        model="model:AgeSex",
        tasks=("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc", "impaired"),
        tracks=("demographic",),
    )
)
