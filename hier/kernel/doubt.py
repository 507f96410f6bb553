"""When one search is not enough, and where others begin: the rule for likelihoods of a Normal response.

Most fits are done after one search, and pay some microseconds for being looked at. Another search follows where the
first did not end at a minimum, where it ended on the boundary, which it may have reached from the wrong side, where the
residual variance is very small beside the deviations', so that the way to it is long, and where it ended no better than
the model without deviations, which is among those that were searched.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hier.kernel.covariance import Terms, n_columns, theta_of
from hier.kernel.crossproducts import CrossProducts
from hier.kernel.curvature import decrease_left
from hier.kernel.marginal import LOG_2PI
from hier.kernel.moments import any_moments

LEFT = 1e-4  # of -2 log likelihood: what a search that converged may leave to a Newton step
BOUNDARY = 1e-4  # a diagonal entry of the factor below this is a variance on the boundary, as in lme4's isSingular
SMALL_SIGMA = 1e-2  # of the response's spread
SAME = 1e-6  # of -2 log likelihood: two ends of searches for one optimum
SMALL_SD, LARGE_SD = 0.1, 3.0  # relative to sigma: where further searches begin


def neg2_without_deviations(cross: CrossProducts, *, reml: bool) -> float:
    """The REML criterion or -2 log-likelihood of the linear model without deviations, sigma at its best.

    In the kernel's units the fixed effects' columns are orthogonal with mean square 1, and so is what they leave of the
    response. Source: Harville (1974), Biometrika 61, 383, equation 2.
    """
    n, p = float(cross.nobs), cross.xx.shape[0] - 1
    df = n - p if reml else n
    value = df * (LOG_2PI + np.log(n / df) + 1.0) - float(cross.log_weights)
    return float(value + p * np.log(n) if reml else value)


def is_at_minimum(fit: Any) -> bool:
    """Whether a search ended where neither its own rule nor the slope relative to the curvature leaves anything."""
    return bool(fit.converged) and np.isfinite(fit.value) and decrease_left(fit.gradient, fit.hessian) < LEFT


def is_doubtful(fit: Any, alone: float) -> bool:
    """Whether another search is worth its time; `alone`: -2 log likelihood without deviations."""
    on_boundary = any(np.abs(np.diagonal(factor)).min() < BOUNDARY for factor in fit.factors)
    return not is_at_minimum(fit) or on_boundary or fit.sigma < SMALL_SIGMA or fit.value > alone + SAME


def further_starts(cross: CrossProducts, terms: Terms) -> np.ndarray:
    """Where other searches begin (s, m): at moments, and where all deviations are small; where crossed factors make a
    search dear, at the latter alone.
    """
    starts = []
    first = None if cross.dense else any_moments(cross, terms)
    if first is not None:
        starts.append(np.append(theta_of(first.covariances, terms, SMALL_SD), np.log(first.sigma)))
    small = [SMALL_SD**2 * np.eye(n_columns(blocks)) for blocks in terms]
    starts.append(np.append(theta_of(small, terms), 0.0))
    if not cross.dense:
        large = [LARGE_SD**2 * np.eye(n_columns(blocks)) for blocks in terms]
        starts.append(np.append(theta_of(large, terms), np.log(0.3)))
    return np.array(starts)


def best_of(fits: list[Any]) -> Any:
    """The fit of the lowest value; of equal ones, one that ended at a minimum."""
    finite = [fit for fit in fits if np.isfinite(fit.value)] or fits
    lowest = min(float(fit.value) for fit in finite)
    equal = [fit for fit in finite if not float(fit.value) > lowest + SAME] or finite
    return next((fit for fit in equal if is_at_minimum(fit)), min(equal, key=lambda fit: float(fit.value)))
