"""Standard deviations and correlations as functions of the search's parameters, and the likelihood profiled over them.

A parameter's profile is what the likelihood keeps when all others follow at their best. Adding a penalty
k/2 (value - t)^2 to -2 log likelihood and minimising that leads to a point of the profile, whatever t is: with the
parameter at that point the penalty is fixed, so the others are at their best. The slope of the profile there is the
penalty's, k (t - value). So the bounds of an interval are found by Newton's method on the signed root of the deviance,
moving t, and no parameter has ever to be held.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from hier.kernel.algebra.crossproducts import CrossProducts
from hier.kernel.algebra.integrate import Factors, integrate_groups
from hier.kernel.algebra.marginal import (
    FixedPrior,
    Marginal,
    fixed_effects,
    fixed_effects_form,
    neg2_log_marginal,
)
from hier.kernel.arrays.control import chosen, in_turn, while_loop
from hier.kernel.arrays.derivatives import gradient
from hier.kernel.arrays.library import Array, xp
from hier.kernel.covariance.theta import Terms, relative_factors
from hier.kernel.normal.expansion import evaluator
from hier.kernel.normal.point_fit import search_seconds
from hier.kernel.programs.compiled import Program, told_by_origin
from hier.kernel.programs.precision import computed, float64
from hier.kernel.search.optimise import minimise

FIXED, LOG_SIGMA, LOG_SD, ATANH_COR = range(4)
MAX_STEPS = 60
OF_A_BOUND = 8  # searches
CLOSE = 1e-9  # of the signed root of the deviance
CLOSED = 1e-13  # of a value and its standard error: bounds this close leave nothing between them
ROUNDING = 1e-13  # of the deviance, relative to -2 log likelihood
FAR = 9.0  # a standard deviation exp(-9) of the residual's, or a correlation of tanh(9), is as good as at its limit
STIFFNESS = 10.0  # of the penalty, relative to the profile's own curvature at the estimate


class Profiled(NamedTuple):
    """A parameter on the scale on which it is profiled, in the kernel's units.

    `kind`: FIXED, the combination `row` (p,) of the fixed effects; LOG_SIGMA; LOG_SD of the first of two combinations
    `of` (2, q) of one factor's deviations, q counting the columns of all factors in turn; ATANH_COR, Fisher's z of the
    correlation of both.
    """

    kind: np.ndarray
    of: np.ndarray
    row: np.ndarray


def fixed_parameter(row: np.ndarray, sizes: Sequence[int]) -> Profiled:
    """The combination `row` (p,) of the fixed effects, in a model with grouping factors of so many columns."""
    return Profiled(np.int32(FIXED), np.zeros((2, sum(sizes))), np.asarray(row, float))


def variance_parameter(
    kind: int, p: int, sizes: Sequence[int], at: int = 0, of: tuple[np.ndarray, np.ndarray] | None = None
) -> Profiled:
    """A parameter of the covariances, in a model with p fixed effects and grouping factors of so many columns; `of`:
    combinations (q,) of the deviations of factor `at`.
    """
    both = np.zeros((2, sum(sizes)))
    if of is not None:
        start = sum(sizes[:at])
        both[:, start : start + sizes[at]] = of
    return Profiled(np.int32(kind), both, np.zeros(p))


def value_of(own: Profiled, factors: Factors, sigma: Array) -> Array:
    """The value of a parameter that is no fixed effect; 0 for one that is."""

    def halves() -> tuple[Array, Array]:
        """Two rows whose products are both variances and the covariance."""
        ends = np.cumsum([factor.shape[0] for factor in factors])[:-1]
        parts = xp.split(own.of, ends, axis=1)
        first, second = xp.concatenate([part @ factor for part, factor in zip(parts, factors, strict=True)], axis=1)
        return first, second

    def log_sd() -> Array:
        return 0.5 * xp.log(xp.sum(halves()[0] ** 2)) + xp.log(sigma)

    def atanh_cor() -> Array:
        # not from the correlation itself, which near its limits has lost the digits that its distance from them has
        first, second = (half / xp.sqrt(xp.sum(half**2)) for half in halves())
        return 0.5 * (xp.log(xp.sum((first + second) ** 2)) - xp.log(xp.sum((first - second) ** 2)))

    return chosen(own.kind, [lambda: xp.zeros(()), lambda: xp.log(sigma), log_sd, atanh_cor])


def values_of(
    x: Array, parameters: Profiled, given: Any, *, covariance: Callable[[Array, Any], tuple[Factors, Array]]
) -> tuple[Array, Array]:
    """Values (b,) of parameters that stand on the first axis, and their derivatives (b, m); `covariance(x, given)` is
    (factors, sigma).
    """

    def value(own: Profiled) -> Callable[[Array], Array]:
        return lambda at: value_of(own, *covariance(at, given))

    return in_turn(lambda own: (value(own)(x), gradient(value(own), x)), parameters, like=x)


def _likelihood_covariance(x: Array, given: Any, *, terms: Terms) -> tuple[Factors, Array]:
    return relative_factors(x[:-1], terms), xp.exp(x[-1])


@told_by_origin
def _values_program(terms: Terms) -> Program:
    covariance = functools.partial(_likelihood_covariance, terms=terms)
    return Program("parameter_values", (terms,), functools.partial(values_of, covariance=covariance), lambda *_: 0.05)


@functools.cache
def _density_values_program(density: Any) -> Program:
    return Program("density_values", (density,), functools.partial(values_of, covariance=density.covariance))


@computed
def parameter_values(x: Array, parameters: list[Profiled], terms: Terms) -> tuple[np.ndarray, np.ndarray]:
    """Values (b,) of parameters of the covariances at the search's parameters x (m,), and their derivatives (b, m).

    Both are not finite for a standard deviation of zero and a correlation at its limit.
    """
    values, slopes = _values_program(terms)(x, stacked(parameters), ())
    return np.asarray(values), np.asarray(slopes)


@float64
def density_parameter_values(
    x: Array, parameters: list[Profiled], density: Any, problem: Any
) -> tuple[np.ndarray, np.ndarray]:
    """The same where the search was over the parameters of a posterior density, as in `fit_density`."""
    values, slopes = _density_values_program(density)(x, stacked(parameters), problem)
    return np.asarray(values), np.asarray(slopes)


def stacked(parameters: list[Profiled]) -> Profiled:
    """Parameters side by side, as compiled programs take them."""
    return Profiled(*(np.stack(fields) for fields in zip(*parameters, strict=True)))


def _beyond(own: Profiled, value: Array, sigma: Array) -> Array:
    """How much nearer to its limit than FAR a parameter is; negative where it is not, or has no limit."""
    distance = xp.where(own.kind == LOG_SD, xp.log(sigma) - value, xp.abs(value))
    return xp.where((own.kind == LOG_SD) | (own.kind == ATANH_COR), distance - FAR, -FAR)


class Search(NamedTuple):
    """One bound to be found, outwards to the `side` -1 or 1 from the maximum-likelihood estimates, where -2 log
    likelihood is `lowest` and the parameter is `start` with standard error `se`.

    `begin` (m,): the search's parameters to begin with, and `first` the parameter's value to go to first. `stride`: the
    longest step. `root`: the signed root of the deviance at the bound, without its sign.
    """

    lowest: Any
    begin: Any
    first: Any
    side: Any
    start: Any
    se: Any
    stride: Any
    root: Any


class _Point(NamedTuple):
    """A point of the profile and the search around it; `out` is the value times the side."""

    x: Array
    value: Array
    root: Array
    slope: Array
    target: Array
    low: Array
    high: Array
    flat: Array
    steps: Array


def _bound(own: Profiled, search: Search, cross: CrossProducts, *, terms: Terms) -> tuple[Array, ...]:
    is_fixed = own.kind == FIXED
    stiffness = 2.0 * STIFFNESS / search.se**2

    def covariance(x: Array) -> tuple[Factors, Array]:
        return _likelihood_covariance(x, (), terms=terms)

    def minus_two(x: Array, integrate: Callable[[Factors], Marginal], prior: FixedPrior) -> Array:
        factors, sigma = covariance(x)
        return neg2_log_marginal(integrate(factors), sigma, cross, prior, integrate=False)

    def at(pull: Array, x: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Where the penalty pulls the parameter towards `pull`: x, the value, the deviance and its slope, and by how
        much the value is beyond what is as good as its limit.
        """
        combination = xp.append(own.row, pull)
        prior = FixedPrior(xp.where(is_fixed, 0.5 * stiffness, 0.0) * xp.outer(combination, combination), xp.zeros(()))

        def objective(x: Array, integrate: Callable[[Factors], Marginal]) -> Array:
            distance = xp.where(is_fixed, 0.0, value_of(own, *covariance(x)) - pull)
            return minus_two(x, integrate, prior) + 0.5 * stiffness * distance**2

        found = minimise(evaluator(objective, lambda x: covariance(x)[0], cross), x)
        factors, sigma = covariance(found.x)
        marginal = integrate_groups(factors, cross)
        beta, _ = fixed_effects(fixed_effects_form(marginal, sigma, prior))
        value = xp.where(is_fixed, own.row @ beta, value_of(own, factors, sigma))
        distance = value - pull
        penalty = xp.where(is_fixed, 0.5 * stiffness * distance**2, 0.0)
        deviance = minus_two(found.x, lambda _: marginal, prior) - penalty - search.lowest
        return found.x, value, deviance, -stiffness * distance, _beyond(own, value, sigma)

    def advance(point: _Point) -> _Point:
        slope_there = 2.0 * search.root * point.slope  # of the deviance, where the root is as large as it should be
        x, value, deviance, slope, beyond = at(search.side * (point.target + slope_there / stiffness), point.x)
        out, slope = search.side * value, search.side * slope
        root = xp.sqrt(xp.maximum(deviance, 0.0))
        inside = root < search.root
        low = xp.where(inside, xp.maximum(point.low, out), point.low)
        high = xp.where(inside, point.high, xp.minimum(point.high, out))
        by_root = slope / (2.0 * xp.maximum(root, 1e-12))
        step = (search.root - root) / xp.where(by_root > 0, by_root, 1e-300)
        target = out + xp.clip(step, -search.stride, search.stride)
        middle = xp.where(xp.isfinite(low) & xp.isfinite(high), 0.5 * (low + high), target)
        target = xp.where((target > low) & (target < high), target, middle)
        # towards a limit a profile falls off exponentially, so that no more is left of it than its slope; farther on
        # rounding takes over
        level = (beyond > 0.0) & (deviance + slope < search.root**2) | (beyond > 0.5 * FAR)
        return _Point(
            x=x,
            value=value,
            root=root,
            slope=xp.maximum(by_root, 0.0),
            target=target,
            low=low,
            high=high,
            flat=inside & level,
            steps=point.steps + 1,
        )

    def goes_on(point: _Point) -> Array:
        there = xp.abs(point.root - search.root) < CLOSE + ROUNDING * xp.abs(search.lowest)
        closed = point.high - point.low < CLOSED * (search.se + xp.abs(point.high))
        return ~(there | closed | point.flat) & (point.steps < MAX_STEPS) & ~xp.isnan(point.root)

    begin = _Point(
        x=search.begin,
        value=search.start,
        root=xp.zeros(()),
        slope=1.0 / search.se,
        target=search.side * search.first,
        low=xp.full((), -xp.inf),
        high=xp.full((), xp.inf),
        flat=xp.zeros((), bool),
        steps=xp.zeros((), xp.int32),
    )
    end = while_loop(goes_on, advance, begin)
    return end.value, end.root, end.flat, end.steps


@told_by_origin
def _bound_program(terms: Terms) -> Program:
    return Program("profile_bound", (terms,), functools.partial(_bound, terms=terms), _bound_seconds)


def _bound_seconds(own: Profiled, search: Search, cross: CrossProducts) -> float:
    return OF_A_BOUND * search_seconds(search.begin, cross)


class ProfileEnd(NamedTuple):
    """Where a search for a bound ended: the parameter's `value`, the `root` of the deviance there, whether the profile
    is `flat` there, so that there is no bound before the limit of its range, and the `steps`.
    """

    value: float
    root: float
    flat: bool
    steps: int


@computed
def profile_bound(own: Profiled, search: Search, cross: CrossProducts, terms: Terms) -> ProfileEnd:
    """One bound of a profile-likelihood interval.

    Source: Bates et al. (2015), section 5.1, for the signed root of the profiled deviance.
    """
    search = Search(*(np.asarray(field, np.float64) for field in search))
    value, root, flat, steps = _bound_program(terms)(own, search, cross)
    return ProfileEnd(float(value), float(root), bool(flat), int(steps))
