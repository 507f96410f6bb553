"""Exact draws of the fixed effects and the group deviations, one for each draw of the variance parameters."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.kernel.marginal import eliminate, fixed_effects_form, group_deviations, split_form
from hier.kernel.precision import float64
from hier.model.density import Density
from hier.model.problem import Problem

DRAWS_AT_ONCE = 1000


class Draws(NamedTuple):
    """Draws of every parameter on the user's scale; chains first, then draws.

    `beta` (C, D, p), `sd` (C, D, q), `cor` (C, D, q, q), `sigma` (C, D), `b` (C, D, J, q).
    """

    beta: np.ndarray
    sd: np.ndarray
    cor: np.ndarray
    sigma: np.ndarray
    b: np.ndarray


def draw_given(x: Any, key: Any, problem: Problem, density: Density) -> Draws:
    """One draw of all parameters given the unconstrained variance parameters x (m,).

    beta is Normal given the variance parameters, and b given these and beta: both are drawn by back-substitution from
    factors that the likelihood needs anyway. Source: Gelman et al., Bayesian Data Analysis (3rd ed.), sections 11.3
    and 15.4.
    """
    parameters, _ = density.constrain(x, problem)
    factor, sigma = density.in_kernel_units(parameters, problem)
    held = density.held_in_kernel_units(parameters, problem)
    eliminated = eliminate(factor, problem.cross)
    lower, linear, _ = split_form(fixed_effects_form(eliminated.marginal, sigma, problem.fixed, held))
    key_beta, key_b = jax.random.split(key)
    noise = jax.random.normal(key_beta, linear.shape)
    free = jax.scipy.linalg.solve_triangular(lower, linear + noise, lower=True, trans=1)
    kernel_beta = jnp.concatenate([free, held])
    b = group_deviations(
        factor, eliminated, kernel_beta, sigma * jax.random.normal(key_b, eliminated.reduced[:, 0].shape)
    )
    units = problem.units
    beta = jnp.zeros_like(kernel_beta).at[jnp.asarray(problem.order)].set(units.centre + units.basis @ kernel_beta)
    shape = factor / jnp.linalg.norm(factor, axis=1, keepdims=True)
    return Draws(beta, parameters.sd, shape @ shape.T, parameters.sigma, (b * (units.y / units.z)[:, None]).T)


@functools.partial(jax.jit, static_argnames=("density",))
def _draw_batch(x: jax.Array, keys: jax.Array, problem: Problem, density: Density) -> Draws:
    return jax.vmap(lambda x, key: draw_given(x, key, problem, density))(x, keys)


@float64
def draw_all(x: np.ndarray, problem: Problem, density: Density, n_levels: int, seed: int) -> Draws:
    """Draws of all parameters for unconstrained draws x (C, D, m); a batch at a time, so that shapes recur."""
    chains, n, m = x.shape
    flat = x.reshape(-1, m)
    extra = -len(flat) % DRAWS_AT_ONCE
    flat = np.concatenate([flat, np.broadcast_to(flat[-1:], (extra, m))])
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 1), len(flat))
    batches = []
    for at in range(0, len(flat), DRAWS_AT_ONCE):
        batch = jax.device_get(
            _draw_batch(flat[at : at + DRAWS_AT_ONCE], keys[at : at + DRAWS_AT_ONCE], problem, density)
        )
        batches.append(batch._replace(b=batch.b[:, :n_levels]))
    return Draws(
        *(
            np.concatenate(parts)[: chains * n].reshape(chains, n, *parts[0].shape[1:])
            for parts in zip(*batches, strict=True)
        )
    )
