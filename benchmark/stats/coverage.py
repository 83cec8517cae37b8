"""Do the 95 % intervals cover? Simulated, and written into ``docs/statistics.md``.

Run ``python -m benchmark.stats.coverage`` (about five CPU minutes) from the repository's root.

Every data set has fixed numbers of people per class, dealt over five folds, and a model that is
given, as the intervals of the board say. The truth is a closed form. Resampling weights are drawn
anew every few data sets, so their own error averages out. The last rows fit a model in every fold
and ask for something else: whether the interval covers what the *procedure* reaches on average over
training sets, which the board's intervals do not claim.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import norm

from benchmark.errors import ResultError
from benchmark.metrics import METRICS
from benchmark.stats.bca import bca_interval
from benchmark.stats.delong import auroc_components, delong_interval, delong_variance
from benchmark.stats.interval import Interval
from benchmark.stats.resamples import draw_resamples, jackknife_weights, strata_codes

__all__ = ["CASES", "Case", "Covered", "simulate", "table", "write_table_into"]

Array = NDArray[Any]

N_RESAMPLES = 2000
N_FOLDS = 5
_SHIFT = 1.2  # distance of the classes: an AUROC of 0.80
_FEATURES = 8  # of the procedure that is fitted
_AGE_SD, _ERROR_SD = 8.0, 5.0
_SETS_PER_DRAW = 25
BEGIN, END = "<!-- coverage table: begin -->", "<!-- coverage table: end -->"


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table: people per class (one number for a regression) and metrics."""

    label: str
    sizes: tuple[int, ...]
    metrics: tuple[str, ...] = ("roc_auc", "balanced_accuracy", "brier_score")
    fitted: bool = False


CASES = (
    Case("n = 300, 150 / 150", (150, 150)),
    Case("n = 300, 270 / 30", (270, 30)),
    Case("n = 1,000, 500 / 500", (500, 500)),
    Case("n = 1,000, 900 / 100", (900, 100)),
    Case("n = 300, age", (300,), ("mae",)),
    Case("n = 1,000, age", (1000,), ("mae",)),
    Case("n = 100, 50 / 50", (50, 50)),
    Case("n = 100, 85 / 15", (85, 15)),
    Case("n = 100, age", (100,), ("mae",)),
    Case("procedure, n = 100, 50 / 50", (50, 50), fitted=True),
    Case("procedure, n = 300, 150 / 150", (150, 150), fitted=True),
)


@dataclass(frozen=True, slots=True)
class Covered:
    """Attributes: case, metric, share of intervals that cover, its Monte-Carlo error, mean width.

    ``below`` and ``above`` are the shares of data sets whose truth lies below and above the
    interval; 2.5 % each is the aim.
    """

    case: str
    metric: str
    share: float
    error: float
    below: float
    above: float
    width: float


def simulate(case: Case, n_sets: int = 2000, *, seed: int = 0) -> list[Covered]:
    """Counts how often the interval of each metric covers the truth.

    Args:
        case: People and metrics.
        n_sets: Data sets; the Monte-Carlo error is ``sqrt(share (1 - share) / n_sets)``.
        seed: Seed.
    """
    rng = np.random.default_rng([seed, *case.sizes, case.fitted])
    bounds = np.array(list(_intervals(case, rng, n_sets)))  # data sets x metrics x 3
    result = []
    for j, metric in enumerate(case.metrics):
        low, high, reached = bounds[:, j].T
        truth = float(reached.mean()) if case.fitted else reached
        below, above = float((truth < low).mean()), float((truth > high).mean())
        share = 1.0 - below - above
        error = math.sqrt(max(share * (1.0 - share), 1e-12) / n_sets)
        width = float((high - low).mean())
        result.append(Covered(case.label, metric, share, error, below, above, width))
    return result


@dataclass(slots=True)
class _Draw:
    """Resampling and leave-one-out weights, drawn anew every few data sets."""

    strata: Array
    number: int = -1
    weights: Array = field(default_factory=lambda: np.empty(0))
    left_out: Array = field(default_factory=lambda: np.empty(0))

    def take(self, data_set: int) -> None:
        """Makes the weights those of a data set."""
        if data_set // _SETS_PER_DRAW != self.number:
            self.number = data_set // _SETS_PER_DRAW
            ids = np.arange(len(self.strata)).astype(str)
            self.weights = draw_resamples(
                ids, self.strata, n_resamples=N_RESAMPLES, seed=self.number
            )
            self.left_out = jackknife_weights(self.strata).astype(np.float32)


def _data(case: Case, rng: np.random.Generator) -> tuple[Array, Array, Array, dict[str, float]]:
    """Labels, folds, predictions and the truth by metric."""
    n = sum(case.sizes)
    if len(case.sizes) == 1:
        y, prediction, truth = _ages(n, rng)
        return y, np.arange(n) % N_FOLDS, prediction, truth
    y = np.repeat([0, 1], case.sizes)
    folds = np.concatenate([np.arange(size) % N_FOLDS for size in case.sizes])
    prediction, truth = (_fitted if case.fitted else _given)(y, folds, rng)
    return y, folds, prediction, truth


def _intervals(case: Case, rng: np.random.Generator, n_sets: int) -> Iterator[list[list[float]]]:
    """Low, high and truth for each metric, for each data set."""
    draw = None
    for number in range(n_sets):
        y, folds, prediction, truth = _data(case, rng)
        if draw is None:
            classes = np.zeros(len(y)) if len(case.sizes) == 1 else y
            draw = _Draw(strata_codes(folds, classes))
        draw.take(number)
        found = [(name, _interval(name, y, prediction, folds, draw)) for name in case.metrics]
        yield [[interval.low, interval.high, truth[name]] for name, interval in found]


def _interval(name: str, y: Array, prediction: Array, folds: Array, draw: _Draw) -> Interval:
    """The interval that the board gives."""
    if name == "roc_auc":
        parts = auroc_components(y, prediction, folds)
        variance = delong_variance(parts.influence, draw.strata)
        return delong_interval(parts.auroc, variance, int(np.bincount(y).min()))
    compute = METRICS[name].compute
    score = float(compute(y, prediction, folds))
    replicates = compute(y, prediction, folds, draw.weights)
    left_out = compute(y, prediction, folds, draw.left_out)
    return bca_interval(score, replicates, left_out, draw.strata)


def _given(y: Array, _folds: Array, rng: np.random.Generator) -> tuple[Array, dict[str, float]]:
    """A model that states the posterior for balanced classes from one normal marker."""
    z = rng.normal(size=len(y)) + _SHIFT * y
    p = _expit(_SHIFT * (z - _SHIFT / 2.0))
    return np.stack([1.0 - p, p], axis=1), _truth(float(y.mean()))


@cache
def _truth(prevalence: float) -> dict[str, float]:
    def loss(z: float, label: int) -> float:
        error = _expit(_SHIFT * (z - _SHIFT / 2.0)) - label
        return float(error**2 * norm.pdf(z - _SHIFT * label))

    brier = [quad(loss, -9.0, 11.0, args=(label,))[0] for label in (0, 1)]
    return {
        "roc_auc": float(norm.cdf(_SHIFT / math.sqrt(2.0))),
        "balanced_accuracy": float(norm.cdf(_SHIFT / 2.0)),
        "brier_score": (1.0 - prevalence) * brier[0] + prevalence * brier[1],
    }


def _ages(n: int, rng: np.random.Generator) -> tuple[Array, Array, dict[str, float]]:
    """Predicted ages pulled to the mean by a third, with skewed errors."""
    age = 70.0 + _AGE_SD * rng.normal(size=n)
    skewed = (rng.gamma(2.0, size=n) - 2.0) / math.sqrt(2.0)
    predicted = 70.0 + (age - 70.0) * 2.0 / 3.0 + _ERROR_SD * skewed
    return age, predicted, {"mae": _MAE}


def _true_mae() -> float:
    """Mean absolute value of a normal pull to the mean plus a skewed error."""

    def inner(g: float) -> float:
        mean, sd = _ERROR_SD * (g - 2.0) / math.sqrt(2.0), _AGE_SD / 3.0
        folded = sd * math.sqrt(2.0 / math.pi) * math.exp(-(mean**2) / (2.0 * sd**2))
        return (folded + mean * (1.0 - 2.0 * float(norm.cdf(-mean / sd)))) * g * math.exp(-g)

    return float(quad(inner, 0.0, 60.0, limit=200)[0])


_MAE = _true_mae()


def _fitted(y: Array, folds: Array, rng: np.random.Generator) -> tuple[Array, dict[str, float]]:
    """A linear discriminant fitted in every fold; its truth is what these models reach."""
    shift = np.zeros(_FEATURES)
    shift[0] = _SHIFT
    x = rng.normal(size=(len(y), _FEATURES)) + y[:, None] * shift
    p = np.empty(len(y))
    reached = []
    for fold in range(N_FOLDS):
        test, train = folds == fold, folds != fold
        means = np.array([x[train & (y == k)].mean(axis=0) for k in (0, 1)])
        centred = x[train] - means[y[train]]
        w = np.linalg.solve(centred.T @ centred / (train.sum() - 2), means[1] - means[0])
        cut = float(w @ means.mean(axis=0))
        p[test] = _expit(x[test] @ w - cut)
        reached.append(_reached(w, cut, shift))
    mean = {name: float(np.mean([r[name] for r in reached])) for name in reached[0]}
    return np.stack([1.0 - p, p], axis=1), mean


def _reached(w: Array, cut: float, shift: Array) -> dict[str, float]:
    """AUROC, balanced accuracy and Brier score of a linear score in the population, 1 : 1."""
    size, apart = float(np.linalg.norm(w)), float(w @ shift)
    nodes, weight = np.polynomial.hermite_e.hermegauss(40)
    weight = weight / weight.sum()
    brier = [
        float(weight @ (_expit(size * nodes + label * apart - cut) - label) ** 2)
        for label in (0, 1)
    ]
    right = norm.cdf(cut / size), norm.cdf((apart - cut) / size)
    return {
        "roc_auc": float(norm.cdf(apart / (size * math.sqrt(2.0)))),
        "balanced_accuracy": float(np.mean(right)),
        "brier_score": float(np.mean(brier)),
    }


def _expit(x: Any) -> Any:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def table(rows: Sequence[Covered], n_sets: int) -> str:
    """The Markdown table."""
    titles = {name: METRICS[name].title for case in CASES for name in case.metrics}
    error = 100 * math.sqrt(0.95 * 0.05 / n_sets)
    lines = [
        f"{n_sets:,} data sets a line; Monte-Carlo error of a share near 95 %: {error:.1f} points.",
        "",
        "| people | metric | covered | truth below | truth above | mean width |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.case} | {titles[r.metric]} | {100 * r.share:.1f} % | {100 * r.below:.1f} % | "
        f"{100 * r.above:.1f} % | {r.width:.3f} |"
        for r in rows
    ]
    return "\n".join(lines)


def write_table_into(path: Path, text: str) -> None:
    """Replaces what stands between the two markers of a page.

    Raises:
        ResultError: The page lacks a marker.
    """
    page = path.read_text(encoding="utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ResultError(f"{path}: expected one line {BEGIN!r} and one {END!r} around the table")
    head, rest = page.split(BEGIN)
    path.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def main(n_sets: int = 2000, say: Callable[[str], object] = sys.stdout.write) -> None:
    """Simulates every case, shows the table and writes it into the page."""
    rows: list[Covered] = []
    for case in CASES:
        found = simulate(case, n_sets)
        say(f"{case.label}: {', '.join(f'{r.metric} {r.share:.3f}' for r in found)}\n")
        rows += found
    write_table_into(Path("docs/statistics.md"), table(rows, n_sets))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
