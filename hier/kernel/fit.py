"""Programs that find point estimates: each is compiled once for a structure and given data and priors as arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.kernel.covariance import Blocks, canonical, relative_factor, without_small_columns
from hier.kernel.crossproducts import CrossProducts
from hier.kernel.marginal import (
    FixedPrior,
    conditional_covariance,
    eliminate,
    fixed_effects,
    fixed_effects_form,
    flat_prior,
    group_deviations,
    integrate_groups,
    neg2_log_likelihood,
    neg2_log_marginal,
)
from hier.kernel.optimise import Optimum, minimise
from hier.kernel.precision import float64
from hier.kernel.programs import Program

BOUNDARY = 1e-4  # a diagonal entry of the factor below this is a variance on the boundary, as in lme4's isSingular


class PointFit(NamedTuple):
    """A point estimate in the kernel's units.

    `factor` (q, q) relative covariance factor, `sigma`, `value` the objective, `neg2_loglik` -2 log density of the
    response at all of the estimates, `beta` (p,) with covariance `vcov` (p, p),
    `deviations` (q, J) conditional modes with covariances `deviations_cov` (q, q, J).
    `hessian` (m, m) of the objective in the variance parameters, and `vcov_jacobian` (p, p, m), for Satterthwaite's
    degrees of freedom.
    `gradient` (m',), `steps`, `converged` of the search.
    """

    factor: jax.Array
    sigma: jax.Array
    value: jax.Array
    neg2_loglik: jax.Array
    beta: jax.Array
    vcov: jax.Array
    deviations: jax.Array
    deviations_cov: jax.Array
    hessian: jax.Array
    vcov_jacobian: jax.Array
    gradient: jax.Array
    steps: jax.Array
    converged: jax.Array


def _pack(fit: PointFit) -> jax.Array:
    """All fields as one vector: one transfer from the device instead of a dozen."""
    return jnp.concatenate([jnp.ravel(field).astype(float) for field in fit])


def _unpack(flat: jax.Array, p: int, q: int, groups: int, m: int) -> PointFit:
    shapes = {
        "factor": (q, q),
        "beta": (p,),
        "vcov": (p, p),
        "deviations": (q, groups),
        "deviations_cov": (q, q, groups),
        "hessian": (m, m),
        "vcov_jacobian": (p, p, m),
        "gradient": (m,),
    }
    sizes = [int(np.prod(shapes.get(name, ()))) for name in PointFit._fields]
    pieces = np.split(np.asarray(flat), np.cumsum(sizes)[:-1])
    return PointFit(
        *(piece.reshape(shapes.get(name, ())) for name, piece in zip(PointFit._fields, pieces, strict=True))
    )


def _at_optimum(
    covariance: Callable[[jax.Array], tuple[jax.Array, jax.Array]],
    x: jax.Array,
    cross: CrossProducts,
    prior: FixedPrior,
    search: Optimum,
) -> PointFit:
    """Everything that is reported of a fit, at variance parameters `x`; `covariance(x)` is (factor, sigma)."""

    def beta_and_vcov(at: jax.Array) -> tuple[jax.Array, jax.Array]:
        factor, sigma = covariance(at)
        return fixed_effects(fixed_effects_form(integrate_groups(factor, cross), sigma, prior))

    factor, sigma = covariance(x)
    beta, vcov = beta_and_vcov(x)
    eliminated = eliminate(factor, cross)
    return PointFit(
        factor=factor,
        sigma=sigma,
        value=search.value,
        neg2_loglik=neg2_log_likelihood(eliminated.marginal, sigma, cross, beta),
        beta=beta,
        vcov=vcov,
        deviations=group_deviations(factor, eliminated, beta),
        deviations_cov=conditional_covariance(factor, eliminated, sigma),
        hessian=search.hessian,
        vcov_jacobian=jax.jacfwd(lambda at: beta_and_vcov(at)[1])(x),
        gradient=search.gradient,
        steps=search.steps,
        converged=search.converged,
    )


def _fit_likelihood(start: jax.Array, cross: CrossProducts, *, blocks: Blocks, reml: bool) -> tuple[jax.Array]:
    flat = flat_prior(cross.xx.shape[0] - 1)

    def covariance(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return relative_factor(x[:-1], blocks), jnp.exp(x[-1])

    def objective(x: jax.Array) -> jax.Array:
        factor, sigma = covariance(x)
        return neg2_log_marginal(integrate_groups(factor, cross), sigma, cross, flat, integrate=reml)

    search = minimise(objective, start)
    x = search.x.at[:-1].set(canonical(search.x[:-1], blocks))
    x = _settle(objective, x, blocks)
    # the factor's columns may have changed sign, and the Hessian's rows with them
    sign = jnp.where(search.x * x < 0, -1.0, 1.0)
    search = search._replace(hessian=search.hessian * sign[:, None] * sign[None, :])
    return (_pack(_at_optimum(covariance, x, cross, flat, search)),)


def _settle(objective: Callable[[jax.Array], jax.Array], x: jax.Array, blocks: Blocks) -> jax.Array:
    """Put columns of the factor that are zero but for the search's last digits there, where the objective does not
    mind.
    """
    settled = x.at[:-1].set(without_small_columns(x[:-1], blocks, BOUNDARY))
    values = jax.vmap(objective)(jnp.stack([x, settled]))
    return jnp.where(values[1] <= values[0] + 1e-9, settled, x)


@functools.cache
def _likelihood_program(blocks: Blocks, reml: bool) -> Program:
    return Program("fit_likelihood", (blocks, reml), functools.partial(_fit_likelihood, blocks=blocks, reml=reml))


@float64
def fit_likelihood(start: Any, cross: CrossProducts, blocks: Blocks, *, reml: bool) -> PointFit:
    """REML or maximum-likelihood estimates, searched from `start` (m,): the factor's free entries, and log sigma last.

    Source: Bates et al. (2015), sections 3.4 to 3.6; the search is over the entries of the factor without bounds,
    since the objective is even in the sign of each of its columns, so that a zero variance is an interior minimum.
    """
    (flat,) = _likelihood_program(blocks, reml)(start, cross)
    return _unpack(flat, cross.xx.shape[0] - 1, cross.zz.shape[0], cross.zz.shape[2], len(start))


def _fit_density(problem: Any, *, density: Any) -> tuple[jax.Array]:
    def objective(x: jax.Array) -> jax.Array:
        return density.neg2_log_density(x, problem)

    search = minimise(objective, density.start(problem))
    prior = density.fixed_prior_at(search.x, problem)
    return (_pack(_at_optimum(lambda x: density.covariance(x, problem), search.x, problem.cross, prior, search)),)


@functools.cache
def _density_program(density: Any) -> Program:
    return Program("fit_density", (density,), functools.partial(_fit_density, density=density))


@float64
def fit_density(problem: Any, density: Any) -> PointFit:
    """The mode of a posterior density of the variance parameters (MAP), and the fixed effects given it.

    `density` is hashable and has `size`, `start(problem)`, `neg2_log_density(x, problem)`, `covariance(x, problem)`
    and `fixed_prior_at(x, problem)`.
    """
    (flat,), cross = _density_program(density)(problem), problem.cross
    return _unpack(flat, cross.xx.shape[0] - 1, cross.zz.shape[0], cross.zz.shape[2], density.size)
