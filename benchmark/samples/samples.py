"""`Samples`: all that a method is ever given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.errors import SampleError, nearest
from benchmark.samples.rows import LazyRows
from benchmark.store.atomic import write_json, write_parquet

__all__ = ["Samples"]

LabelPair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Samples:
    """N people, one index visit each, without identifiers.

    Attributes:
        n: Number of people.
        tables: One table of N rows per tabular source that the track opens, e.g. ``demographics``
            (``age_years``, ``sex``, ...), ``t1w`` (regional volumes in mm3), ``biomarker``.
        arrays: Lazy arrays per modality: ``t1w`` (N, D, H, W), ``fmri`` (N, T, R), ``snps`` (N, S).
        texts: Written text per source, ``report`` only; "" where missing.
        available: Which people have a modality, (N,) bool each.
        cohort: Cohort code of each person, shape (N,); equal codes are the same cohort, -1 is one
            that the fit has not seen.
        names: Column names of arrays that have them, e.g. ``snps``.
        spacing_mm: Voxel size of ``t1w`` in mm, or 0 where there is none.
    """

    n: int
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    arrays: Mapping[str, LazyRows] = field(default_factory=dict)
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    available: Mapping[str, np.ndarray] = field(default_factory=dict)
    cohort: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    spacing_mm: float = 0.0
    _labels: Mapping[str, LabelPair] | None = field(default=None, repr=False)
    _targets: Mapping[str, LazyRows] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not len(self.cohort):
            object.__setattr__(self, "cohort", np.zeros(self.n, dtype=np.int64))
        groups = (self.tables, self.arrays, self.texts, self.available, self._targets or {})
        lengths = {name: len(part) for group in groups for name, part in group.items()}
        lengths |= {f"labels of {t}": len(y) for t, (y, _) in (self._labels or {}).items()}
        lengths["cohort"] = len(self.cohort)
        wrong = [f"{name} has {length}" for name, length in lengths.items() if length != self.n]
        if wrong:
            raise SampleError(f"samples of {self.n} people: {', '.join(sorted(wrong))} rows")

    def __len__(self) -> int:
        return self.n

    # What a method reads ---------------------------------------------------------------------

    def frame(self, *sources: str) -> pd.DataFrame:
        """Tabular columns of the given sources (all of them by default), side by side, (N, P).

        Raises:
            SampleError: The track does not open that source.
        """
        wanted = sources or tuple(self.tables)
        for source in wanted:
            self._need(source, self.tables, "table")
        if not wanted:
            return pd.DataFrame(index=range(self.n))
        return pd.concat([self.tables[s].reset_index(drop=True) for s in wanted], axis=1)

    def volumes(self, indices: np.ndarray | None = None) -> np.ndarray:
        """T1w volumes, float32, shape (B, D, H, W), axes RAS+; zeros where missing."""
        return self.array("t1w", indices)

    def array(self, name: str, indices: np.ndarray | None = None) -> np.ndarray:
        """Rows of an array, float32; zeros where missing, NaN for missing or uncalled genotypes.

        Args:
            name: ``t1w``, ``fmri`` or ``snps`` (dosage 0 to 2).
            indices: Which people, positions or a boolean mask; all by default.

        Raises:
            SampleError: The track does not open that array.
        """
        self._need(name, self.arrays, "array")
        lazy = self.arrays[name] if indices is None else self.arrays[name].subset(indices)
        rows = lazy.take(np.arange(len(lazy)))
        if name == "snps":
            rows[(rows < 0) | ~lazy.available[:, None]] = np.nan
        return rows

    def reports(self) -> Sequence[str]:
        """Written reports, one per person; "" where missing.

        Raises:
            SampleError: The track does not open reports.
        """
        self._need("report", self.texts, "text")
        return self.texts["report"]

    def has(self, modality: str) -> np.ndarray:
        """Which people have the modality, shape (N,), bool; all false if the track closes it."""
        return self.available.get(modality, np.zeros(self.n, dtype=bool))

    def labels(self, task: str) -> LabelPair:
        """Labels of a task: (values (N,) float64, mask (N,) bool).

        The mask is false where a person is ineligible, censored or from a cohort without that
        label; the value is NaN there.

        Raises:
            SampleError: These are test samples, or the task is not part of this run.
        """
        if self._labels is None:
            raise SampleError(
                f"labels of {task!r} were asked of samples that carry none: a method sees labels "
                "of training and validation people only, never in predict()"
            )
        self._need(task, self._labels, "label")
        return self._labels[task]

    def targets(self, name: str) -> LazyRows:
        """Auxiliary training targets, e.g. ``hippocampus_mask`` (N, D, H, W) uint8.

        Raises:
            SampleError: These are test samples, or the cohort has no such target.
        """
        if self._targets is None:
            raise SampleError(f"target {name!r} was asked of samples that carry none")
        self._need(name, self._targets, "target")
        return self._targets[name]

    @property
    def has_labels(self) -> bool:
        """Whether labels may be read: true for training and validation people."""
        return self._labels is not None

    def subset(self, indices: np.ndarray) -> Samples:
        """The people at ``indices`` (positions or a boolean mask), in that order."""
        indices = np.asarray(indices)
        if indices.dtype == bool:
            indices = np.flatnonzero(indices)
        labels, targets = self._labels, self._targets
        return Samples(
            n=len(indices),
            tables={k: t.iloc[indices].reset_index(drop=True) for k, t in self.tables.items()},
            arrays={k: a.subset(indices) for k, a in self.arrays.items()},
            texts={k: [t[i] for i in indices.tolist()] for k, t in self.texts.items()},
            available={k: m[indices] for k, m in self.available.items()},
            cohort=self.cohort[indices],
            names=self.names,
            spacing_mm=self.spacing_mm,
            _labels=None
            if labels is None
            else {k: (y[indices], m[indices]) for k, (y, m) in labels.items()},
            _targets=None
            if targets is None
            else {k: t.subset(indices) for k, t in targets.items()},
        )

    def without_labels(self) -> Samples:
        """The same people with labels and targets removed."""
        fields = {k: getattr(self, k) for k in self.__dataclass_fields__ if not k.startswith("_")}
        return Samples(**fields)

    # Crossing a process boundary ------------------------------------------------------------

    def write(self, folder: Path) -> None:
        """Writes plain arrays and tables that :meth:`read` gives back, with nothing else."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in self.tables.items():
            write_parquet(folder / f"table_{name}.parquet", table)
        for kind, group in (("array", self.arrays), ("target", self._targets or {})):
            for name, lazy in group.items():
                lazy.write(folder / f"{kind}_{name}")
        for name, (values, mask) in (self._labels or {}).items():
            np.save(folder / f"label_{name}.npy", np.stack([values, mask.astype(np.float64)]))
        for name, mask in self.available.items():
            np.save(folder / f"available_{name}.npy", mask)
        np.save(folder / "cohort.npy", self.cohort)
        write_json(
            folder / "samples.json",
            {
                "n": self.n,
                "tables": list(self.tables),
                "arrays": list(self.arrays),
                "available": list(self.available),
                "texts": {name: list(text) for name, text in self.texts.items()},
                "names": {name: list(values) for name, values in self.names.items()},
                "spacing_mm": self.spacing_mm,
                "labels": None if self._labels is None else list(self._labels),
                "targets": None if self._targets is None else list(self._targets),
            },
        )

    @classmethod
    def read(cls, folder: Path) -> Samples:
        """Reads what :meth:`write` wrote; arrays stay on disk."""
        facts = json.loads((folder / "samples.json").read_text())
        labels = None
        if facts["labels"] is not None:
            stacked = {t: np.load(folder / f"label_{t}.npy") for t in facts["labels"]}
            labels = {t: (pair[0], pair[1] > 0) for t, pair in stacked.items()}
        targets = None
        if facts["targets"] is not None:
            targets = {t: LazyRows.read(folder / f"target_{t}") for t in facts["targets"]}
        return cls(
            n=facts["n"],
            tables={t: pd.read_parquet(folder / f"table_{t}.parquet") for t in facts["tables"]},
            arrays={a: LazyRows.read(folder / f"array_{a}") for a in facts["arrays"]},
            texts=facts["texts"],
            available={m: np.load(folder / f"available_{m}.npy") for m in facts["available"]},
            cohort=np.load(folder / "cohort.npy"),
            names=facts["names"],
            spacing_mm=facts["spacing_mm"],
            _labels=labels,
            _targets=targets,
        )

    def _need(self, name: str, known: Mapping[str, object], kind: str) -> None:
        if name not in known:
            close = nearest(name, known)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise SampleError(
                f"no {kind} {name!r} in these samples (there are: "
                f"{', '.join(sorted(known)) or 'none'}){hint}. The track decides what a method "
                "sees: `neurodx list tracks`"
            )
