"""Expected responses of a fit: from linear predictors to the scale of the response."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate.fitted import Fitted, once
from hier.kernel.laplace.likelihood import of_rows, probabilities_of_rows
from hier.kernel.laplace.log_densities import Observed
from hier.settings import written


@once
def fitted_values(estimate: Fitted) -> pd.Series:
    """What `Estimate.fitted` says."""
    values = expected(estimate, estimate.predictors())
    return pd.Series(values, index=estimate.model.design.index, name="fitted")


def residuals(estimate: Fitted) -> pd.Series:
    """What `Estimate.residuals` says."""
    design = estimate.model.design
    return pd.Series(design.observed, index=design.index, name="residual") - fitted_values(estimate)


def expected_response(estimate: Fitted, eta: np.ndarray, rows: Any = slice(None)) -> np.ndarray:
    """What `Estimate.expected_response` says."""
    family = estimate.model.family
    if family.mean is None and not family.has_cutpoints:
        return eta
    eta = predictor_of_rows(estimate, eta, rows)
    if estimate.model.is_linear_normal:
        return eta
    others = [np.broadcast_to(own[rows], eta.shape).ravel() for own in estimate.predictors()[1:]]
    return expected(estimate, [eta.ravel(), *others]).reshape(eta.shape)


def expected(estimate: Fitted, predictors: list[np.ndarray]) -> np.ndarray:
    """Expected responses (n,) from the linear predictor (n,) of each parameter; shares where there are trials."""
    if estimate.model.is_linear_normal:
        return predictors[0]
    return expected_with_slope(estimate, predictors)[0]


def expected_with_slope(estimate: Fitted, predictors: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Expected responses (n,), and their derivatives in the linear predictor of the mean (n,).

    Raises FitError for a family that does not say what its mean is.
    """
    model = estimate.model
    if model.family.has_cutpoints:
        probabilities, slopes = probabilities_with_slope(estimate, predictors)
        values = model.design.category_values
        return probabilities @ values, slopes @ values
    if model.family.mean is None:
        raise FitError(
            f"the family `{model.family.name}` does not say what its mean is", hint="register it with a function `mean`"
        )
    return of_rows(model.family.mean, model.likelihood, _one_trial(estimate, predictors), predictors)


def probabilities_with_slope(estimate: Fitted, predictors: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities of an ordered response's categories (n, K), and their derivatives in the linear predictor."""
    return probabilities_of_rows(estimate.model.likelihood, _one_trial(estimate, predictors), predictors)


def _one_trial(estimate: Fitted, predictors: list[np.ndarray]) -> Observed:
    """Rows of one trial each, so that a count of successes is a share."""
    ones = np.ones(len(predictors[0]))
    return Observed(ones, ones, estimate.further.cutpoints)


def predictor_of_rows(estimate: Fitted, eta: Any, rows: Any) -> np.ndarray:
    """Linear predictors (..., n) of some rows of the fit, as numbers. Raises FitError for anything else."""
    n = len(np.arange(estimate.nobs)[rows])
    try:
        found = np.asarray(eta, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.shape[-1:] != (n,):
        raise FitError(
            "the linear predictor is a number for each row of the fit",
            found=written(eta),
            expected=f"an array whose last axis has length {n}",
        )
    return found
