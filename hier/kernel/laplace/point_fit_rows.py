"""Programs that estimate models that are not Normal: compiled once for a structure, data and priors as arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hier.kernel.algebra.crossproducts import CrossProducts
from hier.kernel.arrays.control import either, filled, leaves, tree_map
from hier.kernel.arrays.derivatives import jacobian
from hier.kernel.arrays.library import Array, put, xp
from hier.kernel.covariance.theta import Terms, has_several_maxima, has_unit, n_theta, relative_factors, theta_of
from hier.kernel.laplace.approximation import Approximation
from hier.kernel.laplace.conditional import Inner, Outer, no_deviations
from hier.kernel.laplace.row_products import empty_products, weighted_products
from hier.kernel.normal.point_fit import canonical_search
from hier.kernel.normal.profile import Profiled, stacked, values_of
from hier.kernel.programs.compiled import Program, told_by_origin
from hier.kernel.programs.precision import computed
from hier.kernel.search.moments import moments_of_scores
from hier.kernel.search.optimise import Optimum, minimise_with_memory
from hier.kernel.search.restarts import (
    LARGE_SD,
    SAME,
    SMALL_SD,
    are_rows_doubtful,
    best_minimum,
    is_at_minimum,
    with_spread,
)


class RowFit(NamedTuple):
    """A point estimate in the kernel's units, its grouping factors in the kernel's order.

    `factors` (q, q): covariance factors. `coefficients` (c,): the coefficients of each further parameter, the
    cutpoints, and the fixed effects, one after another, and `slopes` (c, m) their derivatives in `x`.
    `conditional_cov` (p, p): covariance of fixed effects that were integrated out, given x; otherwise zero.
    `value`: the objective. `neg2_loglik`: -2 log-likelihood, by the same approximation.
    `deviations` (q, J): conditional modes, and `u` (q, J) the spherical ones. `eta` (n,): linear predictor of the mean.
    `x` (m,), `gradient` (m,), `hessian` (m, m), `steps`, `converged` of the search. `begin` (m,): where it began, and
    `alone`: the objective without deviations, all other parameters near their best; infinite where it is not known.
    """

    factors: tuple[Any, ...]
    coefficients: Any
    slopes: Any
    conditional_cov: Any
    value: Any
    neg2_loglik: Any
    deviations: tuple[Any, ...]
    u: tuple[Any, ...]
    eta: Any
    x: Any
    gradient: Any
    hessian: Any
    steps: Any
    converged: Any
    begin: Any
    alone: Any


class SearchKind(NamedTuple):
    """How a search goes. `begins_there`: just where it is told; otherwise the parameters that do not concern the
    deviations are first brought to their best without these, and theta to moments. `keeps_theta`: theta stays as it is.
    """

    begins_there: Any
    keeps_theta: Any


USUAL, FROM_START, FIXED_THETA = SearchKind(False, False), SearchKind(True, False), SearchKind(True, True)


class Begin(NamedTuple):
    """Where a search begins: the parameters `x` (m,), in `units` (m,), the first being that of the mean's linear
    predictor, and the spherical deviations `u` (q, J).
    """

    x: Any
    units: Any
    u: tuple[Any, ...]


def _fit(
    at: Begin, kind: SearchKind, problem: Any, *, approximation: Approximation, terms: Terms | None
) -> tuple[Any, ...]:
    model, parameters, rows = approximation.conditional, approximation.parameters, problem.rows
    kind = SearchKind(*kind)
    start, memory = at.x, no_deviations(rows, with_fixed=model.with_fixed)._replace(u=at.u)

    def brought_near() -> tuple[Any, Any]:
        x, alone = approximation.started(start, problem, at.units)
        spread = x if terms is None else _spread(x, at.units[0], problem, approximation, terms)
        return spread, xp.asarray(alone, float)

    begin, alone = either(kind.begins_there, lambda: (start, xp.asarray(np.inf)), brought_near)
    n_spreads = 0 if terms is None else n_theta(terms)
    evaluate = approximation.evaluator(problem)
    is_free = ~(kind.keeps_theta & (xp.arange(start.shape[0]) < n_spreads))

    def evaluate_free(x: Array, memory: Inner) -> tuple[Any, Any, Any, Inner]:
        value, gradient, hessian, memory = evaluate(x, memory)
        kept = xp.where(is_free[:, None] & is_free, hessian, xp.where(xp.eye(len(x)) > 0, 1.0, 0.0))
        return value, xp.where(is_free, gradient, 0.0), kept, memory

    search = minimise_with_memory(evaluate_free, begin, memory, n_spreads=n_spreads, units=at.units)

    def mode_at(x: Array) -> tuple[Outer, Inner]:
        outer = parameters.outer(x, problem)
        return outer, model.newton(outer, model.mode(outer, search.memory, rows), rows)[0]

    if terms is not None:
        search = canonical_search(lambda x: approximation.value_at(*mode_at(x), rows), search, terms)
    fit = _at_optimum(search.x, search, problem, approximation, mode_at)
    return tuple(leaves(fit._replace(begin=begin, alone=alone)))


def _spread(x: Array, unit: Array, problem: Any, approximation: Approximation, terms: Terms) -> Any:
    """x (m,) with theta from moments of the scores, at all other parameters' best without deviations; `unit` of the
    predictor.

    Without deviations x stays; of several factors each would claim the variation of all, and of several starts there
    would be one, so there it stays too.
    """
    model, rows = approximation.conditional, problem.rows
    if len(terms) != 1 or has_several_maxima(terms) or model.with_fixed:
        return x
    outer = approximation.parameters.outer(x, problem)
    eta = model.mean_predictor(outer, no_deviations(rows, with_fixed=False), rows)
    score, weights = model.slopes(eta, outer, rows)
    (level,) = weighted_products(rows, weights, score[None]).levels
    (factor,) = outer.factors
    theta = x[: n_theta(terms)]
    for _ in range(2):
        covariance = moments_of_scores(factor / unit, unit**2 * level.zz, unit * level.right[:, 0])
        theta = theta_of([unit**2 * covariance], terms)
        (factor,) = relative_factors(theta, terms)
    return put(x, slice(n_theta(terms)), theta)


def _at_optimum(
    x: Array, search: Optimum, problem: Any, approximation: Approximation, mode_at: Callable[[Array], Any]
) -> RowFit:
    """Everything that is reported of a fit at x."""
    model, parameters, rows = approximation.conditional, approximation.parameters, problem.rows
    outer, inner = mode_at(x)
    inner = tree_map(xp.stop_gradient, inner)

    def coefficients(point: Array) -> Any:
        there = parameters.outer(point, problem)
        beta = model.newton(there, inner, rows)[0].beta if model.with_fixed else there.beta
        return xp.concatenate([*there.others, there.cutpoints, beta])

    eta = model.mean_predictor(outer, inner, rows)
    _, weights = model.slopes(eta, outer, rows)
    found, _ = model.eliminated(outer, weights, xp.zeros_like(eta), rows)
    loglik = approximation.value_at(outer, inner, rows)
    p = inner.beta.shape[0]
    return RowFit(
        factors=outer.factors,
        coefficients=coefficients(x),
        slopes=jacobian(coefficients, x),
        conditional_cov=xp.inv(found.marginal.schur[:p, :p]) if p else xp.zeros((0, 0)),
        value=loglik + parameters.neg2_log_prior(x, problem),
        neg2_loglik=loglik,
        deviations=model.deviations_of(outer.factors, inner.u),
        u=inner.u,
        eta=eta,
        x=x,
        gradient=search.gradient,
        hessian=search.hessian,
        steps=search.steps,
        converged=search.converged,
        begin=search.x,
        alone=xp.inf,
    )


@told_by_origin
def _program(approximation: Approximation, terms: Terms | None) -> Program:
    function = functools.partial(_fit, approximation=approximation, terms=terms)
    return Program(
        "fit_rows",
        (approximation, terms),
        function,
        lambda at, kind, problem: approximation.seconds(len(at.x), problem),
    )


@computed
def fit_rows(
    start: Array,
    problem: Any,
    approximation: Approximation,
    terms: Terms | None,
    unit: float = 1.0,
    kind: SearchKind = USUAL,
    u: tuple[Any, ...] | None = None,
) -> RowFit:
    """The optimum of an approximate marginal density, searched from `start` (m,); of several starts (s, m), the best.

    `terms`: the covariance structures where x begins with theta, so that its signs are made canonical; None otherwise.
    `unit`: the scale of the mean's linear predictor. `u` (q, J): where the search for the deviations begins.
    """
    program, rows = _program(approximation, terms), problem.rows
    k = len(rows.z)
    like = RowFit(*[tuple([0] * k) if name in _BY_FACTOR else 0 for name in RowFit._fields])
    starts = [np.asarray(x, np.float64) for x in np.atleast_2d(start)]
    units = np.ones(len(starts[0]))
    if terms is not None:
        units[: n_theta(terms)] = np.where(has_unit(terms), unit, 1.0)
        units[len(units) - approximation.parameters.sizes(rows)[-1] :] = unit
    if u is None:
        u = tuple(np.zeros((z.shape[0], own.shape[0])) for z, own in zip(rows.z, rows.pattern.like, strict=True))
    ends = [program(Begin(x, units, u), np.array(kind), problem) for x in starts]
    return best_minimum([filled(like, map(np.asarray, end)) for end in ends])


def fit_best_rows(start: Begin, problem: Any, approximation: Approximation, terms: Terms, unit: float) -> RowFit:
    """The maximum of a likelihood as `fit_rows` finds it, searched from other starts too where `doubt` says so;
    `converged` only where the best of all ended at a minimum, no worse than the model without deviations.
    """
    found = fit_rows(start, problem, approximation, terms, unit)
    if not are_rows_doubtful(found, terms, unit):
        return found
    begin, alone = found.begin, float(found.alone)
    for sd in (SMALL_SD, LARGE_SD):
        # with deviations so large the other parameters are at other places than without
        fixed = fit_rows(with_spread(begin, terms, sd * unit), problem, approximation, terms, unit, FIXED_THETA)
        found = best_minimum([found, fit_rows(fixed.x, problem, approximation, terms, unit, FROM_START, fixed.u)])
    if found.value > alone + SAME or not np.isfinite(found.value):
        nothing = np.where(np.arange(len(begin)) < n_theta(terms), 0.0, begin)
        found = best_minimum([found, fit_rows(nothing, problem, approximation, terms, unit, FROM_START)])
    return found._replace(converged=np.bool_(is_at_minimum(found)))


_BY_FACTOR = ("factors", "deviations", "u")


def _few_seconds(approximation: Approximation) -> Callable[..., float]:
    """Of what needs the rows a few times; the problem is the last argument."""
    return lambda *given: approximation.seconds(0, given[-1])


@told_by_origin
def _expansion_program(approximation: Approximation) -> Program:
    def expand(x: Array, eta: Array, problem: Any) -> tuple[Any, ...]:
        outer = approximation.parameters.outer(x, problem)
        return tuple(leaves(approximation.conditional.expanded(eta, outer, problem.rows)))

    return Program("expand_rows", (approximation,), expand, _few_seconds(approximation))


@computed
def expansion_at(x: np.ndarray, eta: np.ndarray, problem: Any, approximation: Approximation) -> CrossProducts:
    """The cross-products of the weighted Normal model that a fit is near its optimum x (m,), `eta` (n,)."""
    found = map(np.asarray, _expansion_program(approximation)(x, eta, problem))
    return filled(empty_products(problem.rows, problem.rows.X.shape[1] + 1), found)


@told_by_origin
def _slopes_program(approximation: Approximation) -> Program:
    def slopes(x: Array, eta: Array, problem: Any) -> tuple[Any, ...]:
        return approximation.conditional.slopes(eta, approximation.parameters.outer(x, problem), problem.rows)

    return Program("row_slopes", (approximation,), slopes, _few_seconds(approximation))


@computed
def slopes_at(
    x: np.ndarray, eta: np.ndarray, problem: Any, approximation: Approximation
) -> tuple[np.ndarray, np.ndarray]:
    """Slope of every row's log density in its linear predictor `eta` (n,), and minus its curvature, at x (m,)."""
    score, weights = _slopes_program(approximation)(x, eta, problem)
    return np.asarray(score), np.asarray(weights)


@told_by_origin
def _spreads_program(approximation: Approximation) -> Program:
    def covariance(x: Array, problem: Any) -> tuple[Any, Any]:
        return approximation.parameters.outer(x, problem).factors, xp.ones(())

    function = functools.partial(values_of, covariance=covariance)
    return Program("row_spreads", (approximation,), function, _few_seconds(approximation))


@computed
def spreads_at(
    x: np.ndarray, parameters: list[Profiled], problem: Any, approximation: Approximation
) -> tuple[np.ndarray, np.ndarray]:
    """Values (b,) of parameters of the covariances, and their derivatives (b, m) in x (m,)."""
    values, slopes = _spreads_program(approximation)(x, stacked(parameters), problem)
    return np.asarray(values), np.asarray(slopes)
