"""Logistic regression on the clinical table, APOE e4 and SNP dosages."""

import pandas as pd

from benchmark.api import PenalisedLinear, Samples


class ClinicalGenetic(PenalisedLinear):
    """Additive genotypes; what is missing is imputed by the training median and flagged."""

    _columns: list[str] | None = None

    def features(self, samples: Samples) -> pd.DataFrame:
        parts = [samples.frame()]
        if "snps" in samples.arrays:
            parts.append(pd.DataFrame(samples.array("snps"), columns=list(samples.names["snps"])))
        frame = pd.concat(parts, axis=1)
        if self._columns is None:
            self._columns = list(frame)
        return frame.reindex(columns=self._columns)  # another cohort may lack a source
