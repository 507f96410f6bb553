"""Programs that estimate models that are not Normal: compiled once for a structure, data and priors as arguments."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.kernel.conditional import Inner, Outer, no_deviations
from hier.kernel.covariance import Terms, has_several_maxima, n_theta, relative_factors, theta_of
from hier.kernel.crossproducts import CrossProducts
from hier.kernel.fit import canonical_search
from hier.kernel.laplace import Approximation
from hier.kernel.moments import moments_of_scores
from hier.kernel.optimise import minimise_with_memory
from hier.kernel.precision import float64
from hier.kernel.profile import Parameter, stacked, values_of
from hier.kernel.programs import Program
from hier.kernel.rows import products_tree, weighted_products


class RowFit(NamedTuple):
    """A point estimate in the kernel's units, its grouping factors in the kernel's order.

    `factors` (q, q): covariance factors. `coefficients` (c,): the coefficients of each further parameter, the
    cutpoints, and the fixed effects, one after another, and `slopes` (c, m) their derivatives in `x`.
    `conditional_cov` (p, p): covariance of fixed effects that were integrated out, given x; otherwise zero.
    `value`: the objective. `neg2_loglik`: -2 log-likelihood, by the same approximation.
    `deviations` (q, J): conditional modes. `eta` (n,): linear predictor of the mean.
    `x` (m,), `gradient` (m,), `hessian` (m, m), `steps`, `converged` of the search.
    """

    factors: tuple[Any, ...]
    coefficients: Any
    slopes: Any
    conditional_cov: Any
    value: Any
    neg2_loglik: Any
    deviations: tuple[Any, ...]
    eta: Any
    x: Any
    gradient: Any
    hessian: Any
    steps: Any
    converged: Any


def _fit(start: Any, problem: Any, *, approximation: Approximation, terms: Terms | None) -> tuple[Any, ...]:
    model, parameters, rows = approximation.conditional, approximation.parameters, problem.rows
    nothing = no_deviations(rows, with_fixed=model.with_fixed)
    start = approximation.started(start, problem)
    if terms is not None:
        start = _spread(start, problem, approximation, terms)
    search = minimise_with_memory(approximation.evaluator(problem), start, nothing)

    def mode_at(x: Any) -> tuple[Outer, Inner]:
        outer = parameters.outer(x, problem)
        return outer, model.newton(outer, model.mode(outer, search.memory, rows), rows)[0]

    if terms is not None:
        search = canonical_search(lambda x: approximation.value_at(*mode_at(x), rows), search, terms)
    return tuple(jax.tree.leaves(_at_optimum(search.x, search, problem, approximation, mode_at)))


def _spread(x: Any, problem: Any, approximation: Approximation, terms: Terms) -> Any:
    """x (m,) with theta from moments of the scores, at all other parameters' best without deviations.

    Of several factors each would claim the variation of all, and of several starts there would be one: there x stays.
    """
    model, rows = approximation.conditional, problem.rows
    if len(terms) > 1 or has_several_maxima(terms) or model.with_fixed:
        return x
    outer = approximation.parameters.outer(x, problem)
    eta = model.mean_predictor(outer, no_deviations(rows, with_fixed=False), rows)
    score, weights = model.slopes(eta, outer, rows)
    (level,) = weighted_products(rows, weights, score[None]).levels
    (factor,) = outer.factors
    theta = x[: n_theta(terms)]
    for _ in range(2):
        theta = theta_of([moments_of_scores(factor, level.zz, level.right[:, 0])], terms)
        (factor,) = relative_factors(theta, terms)
    return x.at[: n_theta(terms)].set(theta)


def _at_optimum(x: Any, search: Any, problem: Any, approximation: Approximation, mode_at: Any) -> RowFit:
    """Everything that is reported of a fit at x."""
    model, parameters, rows = approximation.conditional, approximation.parameters, problem.rows
    outer, inner = mode_at(x)
    inner = jax.lax.stop_gradient(inner)

    def coefficients(point: Any) -> Any:
        there = parameters.outer(point, problem)
        beta = model.newton(there, inner, rows)[0].beta if model.with_fixed else there.beta
        return jnp.concatenate([*there.others, there.cutpoints, beta])

    eta = model.mean_predictor(outer, inner, rows)
    _, weights = model.slopes(eta, outer, rows)
    found, _ = model.eliminated(outer, weights, jnp.zeros_like(eta), rows)
    loglik = approximation.value_at(outer, inner, rows)
    p = inner.beta.shape[0]
    return RowFit(
        factors=outer.factors,
        coefficients=coefficients(x),
        slopes=jax.jacfwd(coefficients)(x),
        conditional_cov=jnp.linalg.inv(found.marginal.schur[:p, :p]) if p else jnp.zeros((0, 0)),
        value=loglik + parameters.neg2_log_prior(x, problem),
        neg2_loglik=loglik,
        deviations=model.deviations_of(outer.factors, inner.u),
        eta=eta,
        x=x,
        gradient=search.gradient,
        hessian=search.hessian,
        steps=search.steps,
        converged=search.converged,
    )


@functools.cache
def _program(approximation: Approximation, terms: Terms | None) -> Program:
    function = functools.partial(_fit, approximation=approximation, terms=terms)
    return Program("fit_rows", (approximation, terms), function)


@float64
def fit_rows(start: Any, problem: Any, approximation: Approximation, terms: Terms | None) -> RowFit:
    """The optimum of an approximate marginal density, searched from `start` (m,); of several starts (s, m), the best.

    `terms`: the covariance structures where x begins with theta, so that its signs are made canonical; None otherwise.
    """
    program = _program(approximation, terms)
    k = len(problem.rows.z)
    like = RowFit(*[tuple([0] * k) if name in _BY_FACTOR else 0 for name in RowFit._fields])
    tree = jax.tree.structure(like)
    starts = [np.asarray(x, np.float64) for x in np.atleast_2d(start)]
    fits = [jax.tree.unflatten(tree, map(np.asarray, program(x, problem))) for x in starts]
    return min(fits, key=lambda fit: float(fit.value) if np.isfinite(fit.value) else np.inf)


_BY_FACTOR = ("factors", "deviations")


@functools.cache
def _expansion_program(approximation: Approximation) -> Program:
    def expand(x: Any, eta: Any, problem: Any) -> tuple[Any, ...]:
        outer = approximation.parameters.outer(x, problem)
        return tuple(jax.tree.leaves(approximation.conditional.expanded(eta, outer, problem.rows)))

    return Program("expand_rows", (approximation,), expand)


@float64
def expansion_at(x: np.ndarray, eta: np.ndarray, problem: Any, approximation: Approximation) -> CrossProducts:
    """The cross-products of the weighted Normal model that a fit is near its optimum x (m,), `eta` (n,)."""
    leaves = map(np.asarray, _expansion_program(approximation)(x, eta, problem))
    return jax.tree.unflatten(products_tree(problem.rows), leaves)


@functools.cache
def _slopes_program(approximation: Approximation) -> Program:
    def slopes(x: Any, eta: Any, problem: Any) -> tuple[Any, ...]:
        return approximation.conditional.slopes(eta, approximation.parameters.outer(x, problem), problem.rows)

    return Program("row_slopes", (approximation,), slopes)


@float64
def slopes_at(
    x: np.ndarray, eta: np.ndarray, problem: Any, approximation: Approximation
) -> tuple[np.ndarray, np.ndarray]:
    """Slope of every row's log density in its linear predictor `eta` (n,), and minus its curvature, at x (m,)."""
    score, weights = _slopes_program(approximation)(x, eta, problem)
    return np.asarray(score), np.asarray(weights)


@functools.cache
def _spreads_program(approximation: Approximation) -> Program:
    def covariance(x: Any, problem: Any) -> tuple[Any, Any]:
        return approximation.parameters.outer(x, problem).factors, jnp.ones(())

    return Program("row_spreads", (approximation,), functools.partial(values_of, covariance=covariance))


@float64
def spreads_at(
    x: np.ndarray, parameters: list[Parameter], problem: Any, approximation: Approximation
) -> tuple[np.ndarray, np.ndarray]:
    """Values (b,) of parameters of the covariances, and their derivatives (b, m) in x (m,)."""
    values, slopes = _spreads_program(approximation)(x, stacked(parameters), problem)
    return np.asarray(values), np.asarray(slopes)
