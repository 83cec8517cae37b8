"""A linear model on the logarithms of measured regional volumes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from benchmark.api import UNKNOWN_SITE, PenalisedLinear, Samples, Task

from .sites import SITE, SiteOffsets


class RegionalLinear(PenalisedLinear):
    """Log volumes: a linear model can take ratios of them, head size included.

    Where the track shows sites, their offsets are taken out first; sites are no input.
    """

    def candidates(self, task: Task) -> Sequence[Any]:
        sites = ("sites", SiteOffsets(classes=bool(task.classes)))
        return [Pipeline([sites, *plain.steps]) for plain in super().candidates(task)]

    def features(self, samples: Samples) -> pd.DataFrame:
        regions = np.log(samples.frame("t1w").clip(lower=1.0))
        if "site" not in samples.tables:
            return regions
        names = samples.frame("site")[SITE]
        # The same name in another cohort, as in an external one, is another site.
        scanners = [
            None if s == UNKNOWN_SITE else f"{c} {s}"
            for c, s in zip(samples.cohort, names, strict=True)
        ]
        return regions.assign(**{SITE: scanners})
