"""Exact draws of the fixed effects and the group deviations, one for each draw of the variance parameters."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.kernel.marginal import eliminate, fixed_effects_form, group_deviations, split_form
from hier.kernel.precision import float64
from hier.kernel.programs import Program
from hier.model.density import Density
from hier.model.problem import Problem
from hier.posterior.devices import cores
from hier.posterior.seeds import key_of, seed_bits

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


@functools.cache
def _program(density: Density) -> Program:
    def batch(x: jax.Array, bits: jax.Array, problem: Problem) -> Draws:
        keys = jax.random.split(key_of(bits), DRAWS_AT_ONCE)
        return jax.vmap(lambda x, key: draw_given(x, key, problem, density))(x, keys)

    return Program("draws", (density,), batch)


@float64
def prepare(density: Density, problem: Problem) -> None:
    """Load or compile the program that `draw_all` will ask for."""
    _program(density).bind(np.zeros((DRAWS_AT_ONCE, density.size)), np.zeros(2, np.uint32), problem)


@float64
def draw_all(x: np.ndarray, problem: Problem, density: Density, n_levels: int, seed: int) -> Draws:
    """Draws of all parameters for unconstrained draws x (C, D, m); a batch at a time, so that shapes recur."""
    chains, n, m = x.shape
    n_draws = chains * n
    n_batches = -(-n_draws // DRAWS_AT_ONCE)
    flat = np.resize(x.reshape(n_draws, m), (n_batches * DRAWS_AT_ONCE, m))
    bits = seed_bits(np.random.default_rng([seed, 1]), n_batches)
    program = _program(density).bind(flat[:DRAWS_AT_ONCE], bits[0], problem)
    data = jax.tree.leaves(problem)
    q, p = len(problem.units.z), len(problem.order)
    shapes = Draws((p,), (q,), (q, q), (), (n_levels, q))
    drawn = Draws(*(np.empty((n_draws, *shape)) for shape in shapes))

    def batch(k: int) -> None:
        rows = slice(k * DRAWS_AT_ONCE, min((k + 1) * DRAWS_AT_ONCE, n_draws))
        results = Draws(*map(np.asarray, program(flat[k * DRAWS_AT_ONCE : (k + 1) * DRAWS_AT_ONCE], bits[k], *data)))
        for room, values in zip(drawn, results._replace(b=results.b[:, :n_levels]), strict=True):
            room[rows] = values[: rows.stop - rows.start]

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(batch, range(n_batches)))
    return Draws(*(values.reshape(chains, n, *values.shape[1:]) for values in drawn))
