"""Everything that should not diagnose anybody: age, sex, head size, site."""

from benchmark.api import MethodInfo, register

INFO = register(
    MethodInfo(
        name="confound",
        title="Age + sex + head size + site",
        summary="Linear model on demography, measured head size and site: the widest confound row.",
        model="model:Confound",
        tasks=("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc", "brain_age", "impaired"),
        tracks=("confound",),
    )
)
