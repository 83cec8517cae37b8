"""Brain age with the regression to the mean taken out, rightly.

Predicted ages are pulled to the mean, so the young look older and the old younger than they are.
The correction inverts a line fitted on *validation* people, ``predicted = a + b age``, and needs
no test age: ``corrected = (predicted - a) / b`` (Cole et al. 2018). The other form in use, which
subtracts ``a + b age`` with the test person's own age, hands the label to the prediction and makes
any model look precise (Butler et al. 2021); it is not offered. A corrected error never stands
alone.

References:
    Cole et al. 2018, 10.1038/mp.2017.62 (the form used).
    Smith et al. 2019, 10.1016/j.neuroimage.2019.06.017 (the bias).
    Butler et al. 2021, 10.1002/hbm.25533; de Lange et al. 2022, 10.1002/hbm.25837 (the pitfalls).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmark.errors import LeakageError, ResultError
from benchmark.metrics import regression
from benchmark.metrics.metric import Array
from benchmark.metrics.validation import check_participants, check_regression

__all__ = ["BiasCorrection", "BrainAgeErrors", "brain_age_errors", "fit_bias_correction"]

FEWEST_PEOPLE = 10
_CLEAR = 2.0  # standard errors that the slope must lie above 0


@dataclass(frozen=True, slots=True)
class BiasCorrection:
    """A fitted line ``predicted = intercept + slope * age``.

    Attributes:
        intercept: In years.
        slope: Years of prediction per year of age; 1 would need no correction.
        fitted_on: Ids of the validation people.
    """

    intercept: float
    slope: float
    fitted_on: frozenset[str] = field(repr=False)

    def apply(self, predicted_years: Array, participant_ids: Array) -> Array:
        """Corrected predictions, shape (N,).

        Raises:
            LeakageError: Somebody to be corrected was among those the line was fitted on.
        """
        both = sorted(self.fitted_on & {str(i) for i in participant_ids})
        if both:
            raise LeakageError(
                f"bias correction: {len(both)} of {len(participant_ids)} people to be corrected "
                f"were used to fit it ({', '.join(both[:5])}); fit it on validation people only"
            )
        corrected: Array = (np.asarray(predicted_years) - self.intercept) / self.slope
        return corrected


@dataclass(frozen=True, slots=True)
class BrainAgeErrors:
    """The uncorrected figures, first, and the corrected beside them.

    Attributes:
        mae: Mean absolute error in years, uncorrected: the figure that counts.
        age_bias_slope: Slope of the uncorrected error on age.
        mae_corrected: After correction; usually larger, since inverting a flat line magnifies.
        age_bias_slope_corrected: Near 0 where the correction holds for new people.
        n: People.
    """

    mae: float
    age_bias_slope: float
    mae_corrected: float
    age_bias_slope_corrected: float
    n: int


def fit_bias_correction(
    age_years: Array, predicted_years: Array, participant_ids: Array
) -> BiasCorrection:
    """Fits the line on validation people by least squares.

    Args:
        age_years: True age, shape (N,).
        predicted_years: Predicted age, shape (N,).
        participant_ids: Who they are, shape (N,); remembered so that nobody of them is corrected.

    Raises:
        ResultError: Invalid input, fewer than 10 people, or a slope that is not clearly above 0
            (less than two standard errors): dividing by it would magnify noise.

    Example:
        >>> ages, ids = np.arange(50.0, 70.0), [f"sub-{i}" for i in range(20)]
        >>> line = fit_bias_correction(ages, 30 + 0.5 * ages, ids)
        >>> round(line.slope, 6), line.apply([60.0], ["sub-99"]).round(6).tolist()
        (0.5, [60.0])
        >>> line.apply([60.0], ["sub-3"])
        Traceback (most recent call last):
        benchmark.errors.LeakageError: bias correction: 1 of 1 people to be corrected were used \
to fit it (sub-3); fit it on validation people only
    """
    age, predicted, _, _ = check_regression(age_years, predicted_years, name="bias correction")
    check_participants(participant_ids, "bias correction")
    ids = frozenset(str(i) for i in participant_ids)
    if len(ids) != len(age) or len(age) < FEWEST_PEOPLE:
        raise ResultError(
            f"bias correction: expected at least {FEWEST_PEOPLE} validation people with one id "
            f"each, got {len(age)} ages and {len(ids)} ids"
        )
    off_age, off_predicted = age - age.mean(), predicted - predicted.mean()
    spread = float(off_age @ off_age)
    slope = float(off_age @ off_predicted) / spread if spread > 0.0 else math.nan
    residual = off_predicted - slope * off_age
    error = math.sqrt(float(residual @ residual) / (len(age) - 2) / spread) if spread else math.nan
    if not slope > max(_CLEAR * error, 1e-9):
        raise ResultError(
            f"bias correction: the slope of prediction on age is {slope:.3g} (standard error "
            f"{error:.3g}), not clearly above 0; report the uncorrected error alone"
        )
    return BiasCorrection(float(predicted.mean() - slope * age.mean()), slope, ids)


def brain_age_errors(
    age_years: Array,
    predicted_years: Array,
    participant_ids: Array,
    folds: Array,
    corrections: Mapping[int, BiasCorrection],
) -> BrainAgeErrors:
    """Errors of test people without correction, and with each fold model's own correction.

    Args:
        age_years: True age, shape (N,).
        predicted_years: Uncorrected predictions, shape (N,).
        participant_ids: Shape (N,).
        folds: Fold of each person, shape (N,).
        corrections: The line fitted on that fold's validation people, by fold.

    Raises:
        ResultError: Invalid input, a person twice, or a fold without correction.
        LeakageError: A test person was among those a correction was fitted on.
    """
    age, predicted, fold, _ = check_regression(
        age_years, predicted_years, folds, name="brain-age errors"
    )
    check_participants(participant_ids, "brain-age errors")
    ids = np.asarray(participant_ids)
    absent = sorted(set(fold.tolist()) - set(corrections))
    if absent:
        raise ResultError(
            f"brain-age errors: no correction for folds {absent}, got those of "
            f"{sorted(corrections)}; fit one on the validation people of every fold"
        )
    corrected = np.empty_like(predicted)
    for name in np.unique(fold):
        inside = fold == name
        corrected[inside] = corrections[name].apply(predicted[inside], ids[inside])
    weights = np.ones((len(age), 1))
    mae, mae_corrected, slope, slope_corrected = (
        float(metric(age, values, fold, weights)[0])
        for metric in (regression.mae, regression.age_bias_slope)
        for values in (predicted, corrected)
    )
    return BrainAgeErrors(mae, slope, mae_corrected, slope_corrected, len(age))
