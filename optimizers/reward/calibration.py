"""How far predictions can be trusted: calibration error, Brier score and rank correlation with what happened."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from optimizers.episode_log import Floats
from signatures.errors import UsageError
from signatures.records import Finite, NonNegative, Probability, Record

BINS: Final = 10


class Calibration(Record):
    """What predictions of one objective are worth on tasks that the predicting model has never seen.

    Every number is cross-fitted: each prediction comes from a model trained on the episodes of other tasks only.
    """

    objective: str
    kind: Literal["classifier", "regressor"]
    "a classifier where every recorded value is 0 or 1"
    n: int = Field(ge=0)
    "predictions: one per recorded round"
    tasks: int = Field(ge=0)
    left_out: int = Field(default=0, ge=0)
    "episodes without an outcome"
    ece: Probability
    "expected calibration error over ten bins of equal count"
    brier: NonNegative
    "mean squared difference of prediction and outcome; for a regressor this is its mean squared error"
    base_brier: NonNegative
    "the same for who predicts the mean of the other tasks: a model is worth something below it"
    spearman: Finite | None
    "of predictions with outcomes; None: one of them does not vary"
    options: int = Field(ge=0)
    "options that were drawn"
    options_spearman: Finite | None
    "over options, of their mean prediction with their mean outcome; None as above"


def expected_calibration_error(predicted_N: Floats, outcome_N: Floats, *, bins: int = BINS) -> float:
    """The mean over bins, weighted by count, of |mean outcome - mean prediction|. Both `N`, outcomes on [0, 1].

    Bins have equal counts: a prediction with r others below it is in bin floor(bins r / N), so that equal predictions
    share a bin and the order of rows means nothing. Raises UsageError on no rows, lengths that differ, and NaN.
    Sources: Naeini et al. 2015 (the error); Nguyen & O'Connor 2015, section 3 (bins of equal count).
    """
    predicted_N, outcome_N = _checked(predicted_N, outcome_N)
    below_N = np.searchsorted(np.sort(predicted_N), predicted_N, side="left")
    bin_N = below_N * bins // len(predicted_N)
    gaps_B = np.bincount(bin_N, weights=outcome_N - predicted_N, minlength=bins)
    return float(np.abs(gaps_B).sum() / len(predicted_N))


def brier(predicted_N: Floats, outcome_N: Floats) -> float:
    """The mean squared difference of prediction and outcome, both `N`. Errors as above. Source: Brier 1950."""
    predicted_N, outcome_N = _checked(predicted_N, outcome_N)
    return float(np.mean((predicted_N - outcome_N) ** 2))


def rank_correlation(first_N: Floats, second_N: Floats) -> float | None:
    """Spearman's rank correlation, ties by average rank; None for less than two rows or a side that does not vary."""
    from scipy.stats import rankdata

    first_N, second_N = _checked(first_N, second_N)
    if len(first_N) < 2 or np.ptp(first_N) == 0 or np.ptp(second_N) == 0:
        return None
    return float(np.clip(np.corrcoef(rankdata(first_N), rankdata(second_N))[0, 1], -1.0, 1.0))


def group_means(values_N: Floats, group_N: npt.ArrayLike) -> Floats:
    """The mean of the values of each group that occurs, in the order of the groups."""
    _, place_N, count_G = np.unique(group_N, return_inverse=True, return_counts=True)
    means_G: Floats = np.bincount(place_N, weights=values_N) / count_G
    return means_G


def _checked(predicted_N: Floats, outcome_N: Floats) -> tuple[Floats, Floats]:
    predicted_N, outcome_N = np.asarray(predicted_N, np.float64), np.asarray(outcome_N, np.float64)
    if predicted_N.ndim != 1 or predicted_N.shape != outcome_N.shape or not len(predicted_N):
        raise UsageError(f"predictions {predicted_N.shape} and outcomes {outcome_N.shape} must be rows of one length")
    if not (np.isfinite(predicted_N).all() and np.isfinite(outcome_N).all()):
        raise UsageError("only finite predictions and outcomes can be compared")
    return predicted_N, outcome_N
