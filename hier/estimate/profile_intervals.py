"""Intervals at which the profile likelihood has fallen by a quantile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hier.errors import FitError
from hier.estimate.choices import normal_quantile
from hier.estimate.fitted import Fitted
from hier.estimate.kernel_parameters import in_kernel, is_limit, to_user
from hier.estimate.named import NamedParameter
from hier.estimate.unknown import curvature_at
from hier.kernel.covariance.theta import Terms, theta_of
from hier.kernel.normal.point_fit import BOUNDARY, PointFit, fit_best
from hier.kernel.normal.profile import Profiled, ProfileEnd, Search, parameter_values, profile_bound
from hier.kernel.search.moments import start_of
from hier.model.problem import Problem, likelihood_problem

NUDGE = 0.05  # a relative standard deviation, where columns have root mean square 1
LONGEST_STEP = 1.0  # on the logarithm of a standard deviation and Fisher's z
LONGEST_SE = 1.0  # on these scales: near a limit the curvature may say nothing
LONGEST_STEP_FIXED = 8.0  # standard errors
ARRIVED = 1e-6  # of the signed root of the deviance
LIMITS = {"fixed": (-np.inf, np.inf), "sigma": (0.0, np.inf), "sd": (0.0, np.inf), "cor": (-1.0, 1.0)}


def profile(estimate: Fitted, asked: Sequence[NamedParameter], level: float) -> tuple[np.ndarray, str]:
    """Bounds at which twice the profile log-likelihood has fallen by the quantile of a chi-squared on one degree."""
    if estimate.method == "map":
        raise FitError(
            "a posterior mode has no profile of the likelihood",
            found='an estimate by method="map"',
            hint='use model.estimate("ml").confint("profile"), or method="wald" for the curvature at the mode',
        )
    model = estimate.model
    problem = likelihood_problem(model)
    terms = model.terms
    fit = fit_best(start_of(problem.first, terms), problem.cross, terms, reml=False)
    root = normal_quantile(0.5 + level / 2)
    bounds = np.array([_bounds_of(own, estimate, problem, terms, fit, root) for own in asked]).reshape(-1, 2)
    note = "profile likelihood" + (", of the model refitted by maximum likelihood" * (estimate.method == "reml"))
    return bounds, note


def _bounds_of(
    named: NamedParameter, estimate: Fitted, problem: Problem, terms: Terms, fit: PointFit, root: float
) -> tuple[float, float]:
    own = in_kernel(named, estimate, problem.units)
    found = list(LIMITS[named.kind])
    value, se, limit = _scale(named, own, estimate, fit, terms)
    if limit == "undefined":
        return found[0], found[1]
    begin = fit.x
    if limit != "inside":
        begin, se = _off_limits(fit, terms), 1.0
        value = float(parameter_values(begin, [own], terms)[0][0])
    stride = LONGEST_STEP_FIXED * se if named.kind == "fixed" else LONGEST_STEP
    for k, side in enumerate((-1.0, 1.0)):
        if limit != ("lower", "upper")[k]:
            search = Search(fit.value, begin, value, side, value, se, stride, root)
            bound = _outermost(own, search._replace(first=_near(search, stride)), problem, terms, fit)
            if not bound.flat:
                arrived = abs(bound.root - root) < ARRIVED
                found[k] = float(to_user(named, estimate, problem.units)(bound.value)) if arrived else np.nan
    return found[0], found[1]


def _outermost(own: Profiled, search: Search, problem: Problem, terms: Terms, fit: PointFit) -> ProfileEnd:
    """The bound that is farthest out of those that several searches find.

    With correlations the other parameters may have several best points, of which one search follows one.
    """

    def bound(search: Search) -> ProfileEnd:
        return profile_bound(own, search, problem.cross, terms)

    def arrived(bound: ProfileEnd) -> bool:
        return bound.flat or abs(bound.root - search.root) < ARRIVED

    found = bound(search)
    if not arrived(found):
        found = bound(search._replace(stride=search.stride / 8, first=_near(search, search.stride / 8)))
    turned = [np.tril(factor, -1).any() for factor in fit.factors]
    if not any(turned) or not arrived(found) or found.flat:
        return found
    covariances = [factor @ factor.T for factor in fit.factors]
    other = [2.0 * np.diag(np.diag(own)) - own for own in covariances]
    begin = np.append(theta_of(other, terms), np.log(fit.sigma))
    again = bound(search._replace(begin=begin, first=found.value))
    farther = search.side * (again.value - found.value) > 0.0 or again.flat
    return again if arrived(again) and farther else found


def _near(search: Search, stride: float) -> float:
    """The first value to go to with steps of at most `stride`."""
    return search.start + search.side * min(search.root * search.se, stride)


def _off_limits(fit: PointFit, terms: Terms) -> np.ndarray:
    """The search's parameters with a little variance added in every direction."""
    covariances = [factor @ factor.T + NUDGE**2 * np.eye(len(factor)) for factor in fit.factors]
    return np.append(theta_of(covariances, terms), np.log(fit.sigma))


def _scale(
    named: NamedParameter, own: Profiled, estimate: Fitted, fit: PointFit, terms: Terms
) -> tuple[float, float, str]:
    """The value of a parameter at the maximum-likelihood fit, its standard error, and where it stands in its range."""
    if named.kind == "fixed":
        return float(own.row @ fit.beta), float(np.sqrt(own.row @ fit.vcov @ own.row)), "inside"
    values, slopes = parameter_values(fit.x, [own], terms)
    value, slope = float(values[0]), slopes[0]
    if named.kind == "sd" and not value - np.log(fit.sigma) > np.log(BOUNDARY):
        return value, np.nan, "lower"
    if named.kind == "cor":
        if np.isnan(value):
            return value, np.nan, "undefined"
        if is_limit(*_of_factor(own, fit.factors)):
            return value, np.nan, "upper" if value > 0 else "lower"
    curvature = curvature_at(estimate.model, fit, "ml")
    se = float(np.sqrt(slope @ curvature.covariance @ slope))
    known = se > 0 and not curvature.moves(slope[None])[0]
    return value, min(se, LONGEST_SE) if known else LONGEST_SE, "inside"


def _of_factor(own: Profiled, factors: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The columns of the one factor that a parameter is of, and the factor."""
    ends = np.cumsum([0, *(len(factor) for factor in factors)])
    (at,) = {int(np.searchsorted(ends, k, "right")) - 1 for k in np.flatnonzero(own.of.any(axis=0))}
    return own.of[:, ends[at] : ends[at + 1]], factors[at]
