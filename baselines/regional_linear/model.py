"""A linear model on the logarithms of measured regional volumes."""

import numpy as np
import pandas as pd

from benchmark.api import PenalisedLinear, Samples


class RegionalLinear(PenalisedLinear):
    """Log volumes: a linear model can take ratios of them, head size included."""

    def features(self, samples: Samples) -> pd.DataFrame:
        return np.log(samples.frame("t1w").clip(lower=1.0))
