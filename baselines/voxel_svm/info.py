"""Linear support vector machine on voxels."""

from dataclasses import dataclass, field

from benchmark.api import MethodInfo, register


@dataclass
class Config:
    """Settings.

    Attributes:
        penalties: Values of C to choose from on validation people.
        outline: Whether it sees the outline of the brain alone, and nothing within.
        smoothing_mm: Full width at half maximum of a Gaussian applied first; 0 for none.
    """

    penalties: list[float] = field(default_factory=lambda: [1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    outline: bool = False
    smoothing_mm: float = 0.0


INFO = register(
    MethodInfo(
        name="voxel_svm",
        title="Linear SVM on voxels",
        summary="Linear support vector machine on all voxels of the standardised T1w volume.",
        model="model:VoxelSvm",
        tasks=("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc", "brain_age", "impaired"),
        tracks=("t1w",),
        requires=("t1w",),
        config=Config,
        variants={"outline_svm": {"title": "Linear SVM on the brain's outline", "outline": True}},
        paper="Bron et al. 2021: linear SVM on voxels against CNN for Alzheimer's disease.",
        doi="10.1016/j.nicl.2021.102712",
    )
)
