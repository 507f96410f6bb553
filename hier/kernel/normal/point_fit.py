"""Programs that find point estimates: each is compiled once for a structure and given data and priors as arguments."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hier.kernel.algebra.crossproducts import CrossProducts, Dense
from hier.kernel.algebra.deviations import eliminate, group_deviations
from hier.kernel.algebra.integrate import Factors, integrate_groups
from hier.kernel.algebra.marginal import (
    FixedPrior,
    Marginal,
    fixed_effects,
    fixed_effects_form,
    flat_prior,
    neg2_log_likelihood,
    neg2_log_marginal,
)
from hier.kernel.arrays.control import either, leaves, tree_map
from hier.kernel.arrays.derivatives import Evaluate, gradient, jacobian
from hier.kernel.arrays.library import Array, put, xp
from hier.kernel.covariance.theta import Terms, canonical, n_theta, n_variance_parameters, relative_factors, settled
from hier.kernel.normal.expansion import Objective, evaluator, has_closed_form, local_schur
from hier.kernel.programs.compiled import Program, fetched, told_by_origin
from hier.kernel.programs.precision import computed
from hier.kernel.search.optimise import Optimum, minimise
from hier.kernel.search.restarts import (
    BOUNDARY,
    SAME,
    best_of,
    further_starts,
    is_at_minimum,
    is_doubtful,
    neg2_without_deviations,
)

OF_A_SEARCH = 10  # evaluations
PER_CALL = 3e-3  # seconds of an evaluation's calls of NumPy, whatever the sizes
A_PAIR = 1e-8  # seconds of all that is done with one pair of entries
A_NUMBER = 1e-7  # seconds of all that is done with one number of a level's products
AN_OPERATION = 1.2e-11  # seconds, in products of large matrices on one core
DEAR = 128  # deviations of crossed factors: a step with fewer takes no time that matters


class PointFit(NamedTuple):
    """A point estimate in the kernel's units, its grouping factors in the kernel's order.

    `factors` (q, q) relative covariance factors, `sigma`, `value` the objective, `neg2_loglik` -2 log density of the
    response at all of the estimates, `beta` (p,) with covariance `vcov` (p, p),
    `deviations` (q, J) conditional modes.
    `x` (m,) the variance parameters, and `vcov_jacobian` (p, p, m), for Satterthwaite's degrees of freedom.
    `gradient` (m,), `hessian` (m, m), `steps`, `converged` of the search.
    """

    factors: tuple[Array, ...]
    sigma: Array
    value: Array
    neg2_loglik: Array
    beta: Array
    vcov: Array
    deviations: tuple[Array, ...]
    x: Array
    vcov_jacobian: Array
    gradient: Array
    hessian: Array
    steps: Array
    converged: Array


def _pack(fit: PointFit) -> Array:
    """All fields as one vector: one transfer from the device instead of a dozen."""
    return xp.concatenate([xp.asarray(xp.ravel(field), dtype=float) for field in leaves(fit)])


@functools.cache
def _layout(p: int, own: tuple[tuple[int, int, int], ...], m: int) -> tuple[PointFit, list[slice]]:
    """How a packed fit with `p` fixed effects, the factors' products `own` (q, q, J) and `m` parameters is laid out:
    a fit of zeros in the shapes of its fields, and the place of each field.
    """

    def zeros(*shape: int) -> np.ndarray:
        return np.broadcast_to(0.0, shape)

    like = PointFit(
        factors=tuple(zeros(q, q) for q, _, _ in own),
        sigma=zeros(),
        value=zeros(),
        neg2_loglik=zeros(),
        beta=zeros(p),
        vcov=zeros(p, p),
        deviations=tuple(zeros(q, J) for q, _, J in own),
        x=zeros(m),
        vcov_jacobian=zeros(p, p, m),
        gradient=zeros(m),
        hessian=zeros(m, m),
        steps=zeros(),
        converged=zeros(),
    )
    ends = np.cumsum([0, *(field.size for field in leaves(like))]).tolist()
    return like, [slice(start, end) for start, end in itertools.pairwise(ends)]


def _unpack(flat: Array, cross: CrossProducts, m: int) -> PointFit:
    """The fields of a packed fit (n,)."""
    own = [level.zz.shape for level in cross.levels] + [block.shape for dense in cross.dense for block in dense.own]
    like, places = _layout(cross.xx.shape[-1] - 1, tuple(own), m)
    values, rest = fetched(flat), iter(places)
    return tree_map(lambda field: values[next(rest)].reshape(field.shape), like)


def _at_optimum(
    objective: Objective,
    covariance: Callable[[Array], tuple[Factors, Array]],
    x: Array,
    cross: CrossProducts,
    prior: FixedPrior,
    search: Optimum,
    searched: tuple[FixedPrior, Array] | None = None,
) -> PointFit:
    """Everything that is reported of a fit, at variance parameters `x`; `covariance(x)` is (factors, sigma).

    `searched`: where the last fixed effects were searched for, these, and the prior of the others alone; `prior` then
    has their curvature.
    """
    factors, sigma = covariance(x)
    eliminated = eliminate(factors, cross)
    schur = local_schur(factors, cross, eliminated)

    def vcov_at(x: Array) -> Array:
        factors, sigma = covariance(x)
        near = eliminated.marginal._replace(schur=schur(factors))
        return fixed_effects(fixed_effects_form(near, sigma, prior))[1]

    beta, vcov = fixed_effects(fixed_effects_form(eliminated.marginal, sigma, prior))
    if searched is not None and searched[1].shape[0]:
        loose, _ = fixed_effects(fixed_effects_form(eliminated.marginal, sigma, *searched))
        beta = xp.concatenate([loose, searched[1]])
    return PointFit(
        factors=factors,
        sigma=sigma,
        value=objective(x, lambda _: eliminated.marginal),
        neg2_loglik=neg2_log_likelihood(eliminated.marginal, sigma, cross, beta),
        beta=beta,
        vcov=vcov,
        deviations=group_deviations(factors, eliminated, cross, beta),
        x=x,
        vcov_jacobian=jacobian(vcov_at, x),
        gradient=search.gradient,
        hessian=search.hessian,
        steps=search.steps,
        converged=search.converged,
    )


def left_behind(cross: CrossProducts) -> float:
    """The decrease of the objective that a search may leave: nothing, or a few hundred-thousandths of a standard error
    of each parameter where crossed factors make a step dear.
    """
    return 3e-10 if any(dense.rr.shape[0] > DEAR for dense in cross.dense) else 0.0


def _covariance(x: Array, terms: Terms) -> tuple[Factors, Array]:
    return relative_factors(x[:-1], terms), xp.exp(x[-1])


def _likelihood(
    x: Array, integrate: Callable[[Factors], Marginal], cross: CrossProducts, terms: Terms, *, reml: bool
) -> Array:
    """The REML criterion or -2 log-likelihood at theta and log sigma."""
    factors, sigma = _covariance(x, terms)
    flat = flat_prior(cross.xx.shape[0] - 1)
    return neg2_log_marginal(integrate(factors), sigma, cross, flat, integrate=reml)


def likelihood_evaluator(cross: CrossProducts, terms: Terms, *, reml: bool) -> Evaluate:
    """The REML criterion or -2 log-likelihood of theta and log sigma (m,): its value, gradient and Hessian."""

    def objective(x: Array, integrate: Callable[[Factors], Marginal]) -> Array:
        return _likelihood(x, integrate, cross, terms, reml=reml)

    return evaluator(objective, lambda x: _covariance(x, terms)[0], cross)


def search_likelihood(start: Array, cross: CrossProducts, terms: Terms, *, reml: bool) -> Optimum:
    """The search for REML or maximum-likelihood estimates; `x` is canonical, and on the boundary where it is near."""

    def value(x: Array) -> Array:
        return _likelihood(x, lambda factors: integrate_groups(factors, cross), cross, terms, reml=reml)

    evaluate = likelihood_evaluator(cross, terms, reml=reml)
    search = minimise(evaluate, start, left_behind(cross), n_theta(terms))
    return canonical_search(value, search, terms)


def canonical_search(objective: Callable[[Array], Array], search: Optimum, terms: Terms) -> Optimum:
    """The end of a search with theta, which stands first, in its canonical form, and on the boundary where it is near
    and `objective` does not mind.
    """
    count = n_theta(terms)
    x = put(search.x, slice(count), canonical(search.x[:count], terms))
    # theta may have changed direction, and gradient and Hessian with it
    sign = put(xp.ones_like(x), slice(count), gradient(lambda theta: xp.sum(canonical(theta, terms)), search.x[:count]))
    return search._replace(
        x=_settle(objective, x, terms),
        gradient=search.gradient * sign,
        hessian=search.hessian * sign[:, None] * sign[None, :],
    )


def _fit_likelihood(start: Array, cross: CrossProducts, *, terms: Terms, reml: bool) -> tuple[Array]:
    search = search_likelihood(start, cross, terms, reml=reml)
    fit = _at_optimum(
        objective=lambda x, integrate: _likelihood(x, integrate, cross, terms, reml=reml),
        covariance=lambda x: _covariance(x, terms),
        x=search.x,
        cross=cross,
        prior=flat_prior(cross.xx.shape[0] - 1),
        search=search,
    )
    return (_pack(fit),)


def _settle(objective: Callable[[Array], Array], x: Array, terms: Terms) -> Array:
    """Put what is at its limit but for the search's last digits there, where the objective does not mind."""
    count = n_theta(terms)
    there = put(x, slice(count), settled(x[:count], terms, BOUNDARY))

    def decided() -> Array:
        return xp.where(objective(there) <= objective(x) + 1e-9, there, x)

    return either(xp.all(there == x), lambda: x, decided)


def search_seconds(start: np.ndarray, cross: CrossProducts) -> float:
    """About how long a search takes by NumPy."""
    numbers = sum(level.right.size * level.right.shape[0] for level in cross.levels)
    if not has_closed_form(cross):  # every number is a series of so many coefficients
        numbers *= (len(start) + 1) * (len(start) + 2) // 2
    return OF_A_SEARCH * (PER_CALL + numbers * A_NUMBER + sum(map(_dense_seconds, cross.dense)))


def _dense_seconds(dense: Dense) -> float:
    """Of the dense part: its factor, its inverse and some products, and its pairs of entries."""
    return 12.0 * len(dense.rr) ** 3 * AN_OPERATION + dense.coupling.pairs.product.size * A_PAIR


@told_by_origin
def _likelihood_program(terms: Terms, reml: bool) -> Program:
    function = functools.partial(_fit_likelihood, terms=terms, reml=reml)
    return Program("fit_likelihood", (terms, reml), function, search_seconds)


@computed
def fit_likelihood(start: np.ndarray, cross: CrossProducts, terms: Terms, *, reml: bool) -> PointFit:
    """REML or maximum-likelihood estimates, searched from `start` (m,): theta, and log sigma last; of several starts
    (s, m), the best that a search finds.

    Source: Bates et al. (2015), sections 3.4 to 3.6; the search is without bounds, since theta is such that a variance
    of zero and a correlation at its limit are interior minima.
    """
    program, m = _likelihood_program(terms, reml), n_variance_parameters(terms)
    return best_of([_unpack(program(x, cross)[0], cross, m) for x in np.atleast_2d(start)])


def fit_best(start: np.ndarray, cross: CrossProducts, terms: Terms, *, reml: bool) -> PointFit:
    """REML or maximum-likelihood estimates as `fit_likelihood` finds them, searched from other starts too where `doubt`
    says so; `converged` only where the best of all ended at a minimum, no worse than the model without deviations.
    """
    found = fit_likelihood(start, cross, terms, reml=reml)
    alone = neg2_without_deviations(cross, reml=reml)
    if not is_doubtful(found, alone):
        return found
    found = best_of([found, fit_likelihood(further_starts(cross, terms), cross, terms, reml=reml)])
    if found.value > alone + SAME or not np.isfinite(found.value):
        nothing = np.zeros(n_variance_parameters(terms))
        found = best_of([found, fit_likelihood(nothing, cross, terms, reml=reml)])
    return found._replace(converged=np.bool_(is_at_minimum(found)))


def _fit_density(problem: Any, *, density: Any) -> tuple[Array]:
    search = minimise(density.evaluator(problem), density.start(problem), left_behind(problem.cross))
    x = search.x
    fit = _at_optimum(
        objective=lambda x, integrate: density.given(x, problem, integrate),
        covariance=lambda x: density.covariance(x, problem),
        x=x,
        cross=problem.cross,
        prior=density.fixed_prior_at(x, problem),
        search=search,
        searched=(problem.fixed, density.held_at(x, problem)),
    )
    return (_pack(fit),)


@told_by_origin
def _density_program(density: Any) -> Program:
    return Program("fit_density", (density,), functools.partial(_fit_density, density=density), density.seconds)


@computed
def fit_density(problem: Any, density: Any) -> PointFit:
    """The mode of a posterior density of the variance parameters (MAP), and the fixed effects given it.

    `density` is hashable and has `size`, `start(problem)`, `evaluator(problem)`, `given(x, problem, integrate)`,
    `covariance(x, problem)`, `held_at(x, problem)`, `fixed_prior_at(x, problem)`, and `seconds(problem)`, about how
    long NumPy takes to search it.
    """
    (flat,) = _density_program(density)(problem)
    return _unpack(flat, problem.cross, density.size)
