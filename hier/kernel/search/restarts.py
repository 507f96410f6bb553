"""When one search is not enough, and where others begin.

Most fits are done after one search, and pay some microseconds for being looked at. Another search follows where the
first did not end at a minimum, where it ended on the boundary, which it may have reached from the wrong side, where the
residual variance is very small beside the deviations', so that the way to it is long, and where it ended no better than
the model without deviations, which is among those that were searched. A likelihood that is approximated may have a
second maximum where a standard deviation is large on the scale of a logarithm or logit, and the more so the less the
data say of it: few events, most of all.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from hier.kernel.algebra.crossproducts import CrossProducts
from hier.kernel.algebra.marginal import LOG_2PI
from hier.kernel.arrays.library import Array
from hier.kernel.covariance.theta import Terms, n_columns, n_theta, theta_of
from hier.kernel.covariance.theta import starts as with_others
from hier.kernel.search.curvature import decrease_left
from hier.kernel.search.moments import any_moments

LEFT = 1e-4  # of -2 log likelihood: what a search that converged may leave to a Newton step
BOUNDARY = 1e-4  # a diagonal entry of the factor below this is a variance on the boundary, as in lme4's isSingular
SMALL_SIGMA = 1e-2  # of the response's spread
SAME = 1e-6  # of -2 log likelihood: two ends of searches for one optimum
SMALL_SD, LARGE_SD = 0.1, 3.0  # relative to sigma, or on the scale of a predictor: where further searches begin
HIGH_SD = 3.0  # on the scale of a predictor
VAGUE = 4.0  # of -2 log likelihood over a change of all deviations by a factor e: their size is known to one of e^0.7


class End(Protocol):
    """What the end of a search is judged by: `x` (m,) with the objective's `value`, `gradient` and `hessian`, whether
    the search `converged` by its own rule, and the relative covariance `factors` (q, q).
    """

    @property
    def x(self) -> np.ndarray | Array: ...
    @property
    def value(self) -> np.ndarray | Array: ...
    @property
    def gradient(self) -> np.ndarray | Array: ...
    @property
    def hessian(self) -> np.ndarray | Array: ...
    @property
    def converged(self) -> np.bool_ | Array: ...
    @property
    def factors(self) -> tuple[np.ndarray | Array, ...]: ...


class EndOfNormal(End, Protocol):
    """With the residual standard deviation `sigma`."""

    @property
    def sigma(self) -> np.ndarray | Array: ...


class EndOfRows(End, Protocol):
    """With the value of the model without deviations, `alone`."""

    @property
    def alone(self) -> np.ndarray | Array: ...


def neg2_without_deviations(cross: CrossProducts, *, reml: bool) -> float:
    """The REML criterion or -2 log-likelihood of the linear model without deviations, sigma at its best.

    In the kernel's units the fixed effects' columns are orthogonal with mean square 1, and so is what they leave of the
    response. Source: Harville (1974), Biometrika 61, 383, equation 2.
    """
    n, p = float(cross.nobs), cross.xx.shape[0] - 1
    df = n - p if reml else n
    value = df * (LOG_2PI + np.log(n / df) + 1.0) - float(cross.log_weights)
    return float(value + p * np.log(n) if reml else value)


def is_at_minimum(fit: End) -> bool:
    """Whether a search ended where neither its own rule nor the slope relative to the curvature leaves anything."""
    return bool(fit.converged and np.isfinite(fit.value) and decrease_left(fit.gradient, fit.hessian) < LEFT)


def is_doubtful(fit: EndOfNormal, alone: float) -> bool:
    """Whether another search is worth its time; `alone`: -2 log likelihood without deviations."""
    on_boundary = any(np.abs(np.diagonal(factor)).min() < BOUNDARY for factor in fit.factors)
    return bool(not is_at_minimum(fit) or on_boundary or fit.sigma < SMALL_SIGMA or fit.value > alone + SAME)


def are_rows_doubtful(fit: EndOfRows, terms: Terms, unit: float) -> bool:
    """The same of a likelihood of rows, whose linear predictor has the scale `unit`."""
    spreads = [float(np.linalg.norm(factor, axis=1).max()) for factor in fit.factors]
    least = [float(np.abs(np.diagonal(factor)).min()) for factor in fit.factors]
    at_edge = any(own < BOUNDARY * unit for own in least) or any(own > HIGH_SD * unit for own in spreads)
    return bool(not is_at_minimum(fit) or at_edge or fit.value > fit.alone + SAME or _is_vague(fit, terms))


def _is_vague(fit: End, terms: Terms) -> bool:
    """Whether the curvature says little of how large a factor's deviations are, the parameters of the response
    following.
    """
    count = n_theta(terms)
    theta, beside, rest = fit.x[:count], fit.hessian[:count, count:], fit.hessian[count:, count:]
    try:
        following = np.linalg.solve(rest, beside.T)
    except np.linalg.LinAlgError:
        return True
    left = fit.hessian[:count, :count] - beside @ following
    ends = np.cumsum([n_theta((blocks,)) for blocks in terms])
    at = np.searchsorted(ends, np.arange(count), side="right")
    return any(own @ left @ own < VAGUE for own in (np.where(at == k, theta, 0.0) for k in range(len(terms))))


def with_spread(x: np.ndarray, terms: Terms, sd: float) -> np.ndarray:
    """x (m,) with theta such that every column of deviations has the standard deviation `sd` on its own."""
    theta = theta_of([sd**2 * np.eye(n_columns(blocks)) for blocks in terms], terms)
    return np.concatenate([theta, x[len(theta) :]])


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
    return np.concatenate([with_others(start, terms) for start in starts])


def best_minimum(fits: list[Any]) -> Any:
    """The fit of the lowest value among those that ended at a minimum; where none did, of the lowest of all.

    Away from its minima an approximate likelihood may be a number that means nothing: where the curvature of what is
    integrated out is not positive, it grows without bounds.
    """
    return fits[0] if len(fits) == 1 else best_of([fit for fit in fits if is_at_minimum(fit)] or fits)


def best_of(fits: list[Any]) -> Any:
    """The fit of the lowest value; of equal ones, one that ended at a minimum."""
    if len(fits) == 1:
        return fits[0]
    finite = [fit for fit in fits if np.isfinite(fit.value)] or fits
    lowest = min(float(fit.value) for fit in finite)
    equal = [fit for fit in finite if not float(fit.value) > lowest + SAME] or finite
    return next((fit for fit in equal if is_at_minimum(fit)), min(equal, key=lambda fit: float(fit.value)))
