"""Confidence intervals of the fixed effects, standard deviations and correlations: Wald's, the profile's and the
bootstrap's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate.approximations import satterthwaite
from hier.estimate.mixed_model_equations import relative_factors
from hier.estimate.named import NamedParameter, chosen_parameters, estimates_of, named_parameters
from hier.estimate.predict import check_choice, normal_quantile
from hier.estimate.printing import Table
from hier.estimate.support import end_reached
from hier.estimate.unknown import curvature_at
from hier.kernel.algebra.scaling import ColumnUnits, Units, direction
from hier.kernel.covariance.theta import Terms, theta_of
from hier.kernel.normal import profile
from hier.kernel.normal.point_fit import BOUNDARY, PointFit, fit_best
from hier.kernel.normal.profile import (
    Profiled,
    ProfileEnd,
    Search,
    density_parameter_values,
    parameter_values,
    profile_bound,
)
from hier.kernel.search.moments import start_of
from hier.model.problem import Problem, likelihood_problem, posterior_problem, terms_of
from hier.settings import PROBABILITY, check

if TYPE_CHECKING:
    from hier.estimate.result import Estimate

KINDS = {"fixed": profile.FIXED, "sigma": profile.LOG_SIGMA, "sd": profile.LOG_SD, "cor": profile.ATANH_COR}
AT_LIMIT = 1e-7  # of a correlation's distance from -1 or 1
NOTHING = 1e-10  # of a factor: a combination with less does not vary
NUDGE = 0.05  # a relative standard deviation, where columns have root mean square 1
LONGEST_STEP = 1.0  # on the logarithm of a standard deviation and Fisher's z
LONGEST_SE = 1.0  # on these scales: near a limit the curvature may say nothing
LONGEST_STEP_FIXED = 8.0  # standard errors


class Refits(NamedTuple):
    """The bootstrap of an interval: arguments of `Estimate.bootstrap`."""

    n: int = 1000
    seed: int = 0
    kind: str = "parametric"
    progress: bool = True


def confint(
    estimate: Estimate, method: str, level: float, parameters: str | Sequence[str] | None, df: str, refits: Refits
) -> pd.DataFrame:
    """What `Estimate.confint` says."""
    check_choice("method", method, (*METHODS, "boot"))
    check_choice("df", df, ("none", "satterthwaite"))
    level = check("level", level, PROBABILITY)
    asked = chosen_parameters(estimate.model, parameters)
    if df != "none" and method != "wald":
        raise FitError(
            f"{NO_DF[method]} intervals have no degrees of freedom", hint='leave `df` out, or use method="wald"'
        )
    if method == "boot":
        return _boot(estimate, asked, level, refits)
    bounds, note = METHODS[method](estimate, asked, level, df)
    table = Table(bounds, index=[own.name for own in asked], columns=["lower", "upper"])
    table.attrs = {"method": method, "level": level, "note": note}
    return table


def in_kernel(own: NamedParameter, estimate: Estimate, units: Units) -> Profiled:
    """A parameter for the kernel, in its units."""
    sizes = [columns.size for columns in units.random]
    if own.kind == "fixed":
        return profile.fixed_parameter(direction(units.basis[own.i])[0], sizes)
    at = estimate.model.structure.order.index(own.group)
    return variance_parameter(own, len(units.centre), units.random, at)


def variance_parameter(own: NamedParameter, p: int, units: Sequence[ColumnUnits], at: int) -> Profiled:
    """A standard deviation or correlation for the kernel, of the factor that stands there at place `at`, or sigma; in
    a model with p fixed effects.
    """
    of = None if own.kind == "sigma" else tuple(units[at].direction(k)[0] for k in (own.i, own.j))
    return profile.variance_parameter(KINDS[own.kind], p, [columns.size for columns in units], at, of)


def to_user(own: NamedParameter, estimate: Estimate, units: Units) -> Callable[[Any], Any]:
    """The way from a parameter's value in the kernel to the user's parameter."""
    if own.kind == "fixed":
        return lambda value: units.centre[own.i] + direction(units.basis[own.i])[1] * value
    if own.kind == "cor":
        return np.tanh
    scale = units.y
    if own.kind == "sd":
        scale = scale * units.random[estimate.model.structure.order.index(own.group)].direction(own.i)[1]
    return lambda value: scale * np.exp(value)


def _wald(estimate: Estimate, asked: list[NamedParameter], level: float, df: str) -> tuple[np.ndarray, str]:
    """Estimate plus and minus a quantile of standard errors: of the logarithm for a standard deviation, of Fisher's z
    for a correlation.

    Source: the delta method; Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, section 2.4.3.
    """
    arrays = estimate.arrays
    bounds = np.full((len(asked), 2), np.nan)
    sides = np.array([-1.0, 1.0]) * normal_quantile(0.5 + level / 2)
    fixed = [k for k, own in enumerate(asked) if own.kind == "fixed" and not arrays.unknown[own.i]]
    errors = arrays.standard_errors(np.eye(len(arrays.beta)))
    for k in fixed:
        i = asked[k].i
        bounds[k] = arrays.beta[i] + sides * errors[i]
    if df == "satterthwaite" and fixed:
        from scipy.special import stdtrit

        all_df = satterthwaite(estimate).df(np.eye(len(arrays.beta)))
        for k in fixed:
            i = asked[k].i
            half = stdtrit(all_df[i], 0.5 + level / 2) * errors[i]
            bounds[k] = arrays.beta[i] + np.array([-1.0, 1.0]) * half
    inside = [k for k, own in enumerate(asked) if own.kind != "fixed" and not _at_limit(own, estimate)]
    flat: list[str] = []
    if inside:
        units, values, slopes = _search_values(estimate, [asked[k] for k in inside])
        variance = np.einsum("bm,mk,bk->b", slopes, arrays.curvature.covariance, slopes)
        for k, value, spread, moves in zip(inside, values, variance, arrays.curvature.moves(slopes), strict=True):
            if moves:
                flat.append(asked[k].name)
            else:
                bounds[k] = to_user(asked[k], estimate, units)(value + sides * np.sqrt(spread))
    limited = [own.name for k, own in enumerate(asked) if k not in fixed and k not in inside]
    return bounds, wald_note(limited, flat)


def wald_note(limited: Sequence[str], flat: Sequence[str]) -> str:
    """What Wald intervals are, and why some parameters have none: those at a limit, and those of which nothing is
    known.
    """
    said = ["Wald intervals; those of standard deviations and correlations on the log and Fisher's z scale"]
    if limited:
        said.append(f"none of what is estimated at a limit of its range ({', '.join(limited)})")
    if flat:
        said.append(f"none of what the data do not determine ({', '.join(flat)})")
    return "; ".join(said)


def unknown_parameters(estimate: Estimate) -> list[str]:
    """The standard deviations, correlations and sigma along which the objective is flat; mostly none."""
    if not estimate.arrays.curvature.flat.shape[1]:
        return []
    asked = [own for own in named_parameters(estimate.model) if own.kind != "fixed" and not _at_limit(own, estimate)]
    _, _, slopes = _search_values(estimate, asked)
    moves = estimate.arrays.curvature.moves(slopes)
    return [own.name for own, lost in zip(asked, moves, strict=True) if lost]


def _search_values(estimate: Estimate, asked: list[NamedParameter]) -> tuple[Units, np.ndarray, np.ndarray]:
    """Values of the parameters in the kernel, and their derivatives in what the search was over."""
    model, x = estimate.model, estimate.arrays.search
    terms = terms_of(model.design, model.structure)
    if estimate.method == "map":
        from hier.model.density import Density

        problem = posterior_problem(model.design, model.structure, model.priors)
        assert problem.priors is not None
        density = Density(terms, len(problem.priors.held), with_volume=False)
        own = [in_kernel(one, estimate, problem.units) for one in asked]
        return problem.units, *density_parameter_values(x, own, density, problem)
    units = estimate.solved.units
    return units, *parameter_values(x, [in_kernel(one, estimate, units) for one in asked], terms)


def _at_limit(own: NamedParameter, estimate: Estimate) -> bool:
    """Whether a standard deviation is estimated as zero, a correlation as -1 or 1 or not at all, or any of them as the
    end of its prior's support.
    """
    (value,) = estimates_of(estimate, [own])
    if estimate.method == "map" and end_reached(estimate.model, own.name, value) is not None:
        return True
    if own.kind == "sd":
        columns = estimate.solved.units.random[estimate.model.structure.order.index(own.group)]
        return bool(value < BOUNDARY * estimate.sigma * columns.direction(own.i)[1])
    if own.kind == "cor":
        at, units = estimate.model.structure.order.index(own.group), estimate.solved.units
        of = np.stack([units.random[at].direction(k)[0] for k in (own.i, own.j)])
        return _is_limit(of, relative_factors(estimate, units)[at])
    return False


def _is_limit(of: np.ndarray, factor: np.ndarray) -> bool:
    """Whether the correlation of two combinations `of` (2, q) of the kernel's deviations with this factor is at its
    limit, or not known: whether that of two is which combine the same columns, but share none.

    Far from the origin of a covariate intercept and slope have a correlation near a limit and may yet be anything.
    """
    shared, _ = np.linalg.qr(of[::-1].T)
    halves = shared.T @ factor
    lengths = np.linalg.norm(halves, axis=1)
    if (lengths <= NOTHING * np.linalg.norm(factor)).any():
        return True
    return not abs(halves[0] @ halves[1]) < (1.0 - AT_LIMIT) * lengths.prod()


def _profile(estimate: Estimate, asked: list[NamedParameter], level: float, df: str) -> tuple[np.ndarray, str]:
    """Bounds at which twice the profile log-likelihood has fallen by the quantile of a chi-squared on one degree."""
    if estimate.method == "map":
        raise FitError(
            "a posterior mode has no profile of the likelihood",
            found='an estimate by method="map"',
            hint='use model.estimate("ml").confint("profile"), or method="wald" for the curvature at the mode',
        )
    model = estimate.model
    problem = likelihood_problem(model.design, model.structure)
    terms = terms_of(model.design, model.structure)
    fit = fit_best(start_of(problem.first, terms), problem.cross, terms, reml=False)
    root = normal_quantile(0.5 + level / 2)
    bounds = np.array([_bounds_of(own, estimate, problem, terms, fit, root) for own in asked]).reshape(-1, 2)
    note = "profile likelihood" + (", of the model refitted by maximum likelihood" * (estimate.method == "reml"))
    return bounds, note


def _boot(estimate: Estimate, asked: list[NamedParameter], level: float, refits: Refits) -> pd.DataFrame:
    """Percentiles of the refits of a bootstrap."""
    from hier.estimate.bootstrap import bootstrap

    found = bootstrap(estimate, refits.n, refits.seed, kind=refits.kind, progress=refits.progress)
    return found.confint(level).loc[[own.name for own in asked]]


def _bounds_of(
    named: NamedParameter, estimate: Estimate, problem: Problem, terms: Terms, fit: PointFit, root: float
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
    named: NamedParameter, own: Profiled, estimate: Estimate, fit: PointFit, terms: Terms
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
        if _is_limit(*_of_factor(own, fit.factors)):
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


LIMITS = {"fixed": (-np.inf, np.inf), "sigma": (0.0, np.inf), "sd": (0.0, np.inf), "cor": (-1.0, 1.0)}
ARRIVED = 1e-6  # of the signed root of the deviance
NO_DF = {"profile": "profile", "boot": "bootstrap"}
METHODS = {"wald": _wald, "profile": _profile}
