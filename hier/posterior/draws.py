"""Exact draws of the fixed effects and the group deviations, one for each draw of the variance parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.estimate.tables import correlated_pairs
from hier.kernel.algebra.crossproducts import CrossProducts
from hier.kernel.algebra.deviations import eliminate, group_deviations
from hier.kernel.algebra.marginal import fixed_effects_form, split_form
from hier.kernel.covariance.theta import Blocks, n_columns
from hier.kernel.covariance.unconstrained import correlated_factor
from hier.kernel.programs.compiled import Program, cores, workers
from hier.kernel.programs.precision import float64
from hier.model.density import Density, Parameters
from hier.model.problem import Problem
from hier.posterior.partial import PartialDensity, PartialProblem
from hier.posterior.seeds import key_of, seed_bits

DRAWS_AT_ONCE = 1000
MOST_NUMBERS = 1 << 27  # numbers that the eliminations of draws made side by side may take: a gigabyte


class Draws(NamedTuple):
    """Draws of every parameter on the user's scale; chains first, then draws, the grouping factors in the kernel's
    order.

    `sd` (C, D, q) and `cor` (C, D, m), of the pairs of columns that are correlated, are those of each factor's anchored
    columns; `b` (C, D, J, q) those of the columns as written. `others` (C, D, k): of each further parameter of the
    response's distribution, on its own scale or its coefficients. `cutpoints` (C, D, c), `beta` (C, D, p).
    """

    sd: tuple[np.ndarray, ...]
    cor: tuple[np.ndarray, ...]
    b: tuple[np.ndarray, ...]
    others: tuple[np.ndarray, ...]
    cutpoints: np.ndarray
    beta: np.ndarray

    @property
    def sigma(self) -> np.ndarray:
        """The residual standard deviation (C, D) of a Normal response, its only further parameter."""
        return self.others[0][..., 0]


def draw_given(x: jax.Array, key: jax.Array, problem: Problem, density: Density) -> Draws:
    """One draw of all parameters given the unconstrained variance parameters x (m,).

    beta is Normal given the variance parameters, and b given these and beta: both are drawn by back-substitution from
    factors that the likelihood needs anyway. Source: Gelman et al., Bayesian Data Analysis (3rd ed.), sections 11.3
    and 15.4.
    """
    parameters, _ = density.constrain(x, problem)
    return _draw_rest(parameters, (), problem.cross, key, problem, density)


def draw_given_sampled(vector: jax.Array, key: jax.Array, partial: PartialProblem, density: PartialDensity) -> Draws:
    """One draw of all parameters given the variance parameters and the deviations that were sampled with them."""
    parameters, cross, sampled = density.at(vector, partial)
    return _draw_rest(parameters, sampled, cross, key, partial.problem, density.density)


def _draw_rest(
    parameters: Parameters,
    sampled: Sequence[jax.Array],
    cross: CrossProducts,
    key: jax.Array,
    problem: Problem,
    density: Density,
) -> Draws:
    """A draw of the fixed effects and of the deviations of the factors that `cross` has; `sampled` (q, J), those of the
    other factors, are known.
    """
    units = problem.units
    factors, sigma = density.in_kernel_units(parameters, problem)
    free = factors[: len(factors) - len(sampled)]
    held = density.held_in_kernel_units(parameters, problem)
    eliminated = eliminate(free, cross)
    lower, linear, _ = split_form(fixed_effects_form(eliminated.marginal, sigma, problem.fixed, held))
    key_beta, *keys = jax.random.split(key, 1 + len(free))
    noise = jax.random.normal(key_beta, linear.shape)
    loose = jax.scipy.linalg.solve_triangular(lower, linear + noise, lower=True, trans=1)
    kernel_beta = jnp.concatenate([loose, held])
    own = [level.zz for level in cross.levels] + [block for dense in cross.dense for block in dense.own]
    spread = [sigma * jax.random.normal(k, block.shape[1:]) for k, block in zip(keys, own, strict=True)]
    b = (*group_deviations(free, eliminated, cross, kernel_beta, spread), *sampled)
    beta = jnp.zeros_like(kernel_beta).at[jnp.asarray(problem.order)].set(units.centre + units.basis @ kernel_beta)
    return Draws(
        sd=parameters.sd,
        cor=tuple(map(pairs_of, parameters.cor, density.terms)),
        b=tuple(own.deviations(deviations, units.y).T for deviations, own in zip(b, units.random, strict=True)),
        others=(parameters.sigma[None],),
        cutpoints=jnp.zeros(0),
        beta=beta,
    )


def pairs_of(cor: Sequence[jax.Array], blocks: Blocks) -> jax.Array:
    """The correlations (m,) of all pairs of columns that have one, from the variable of each block's prior."""
    factor = correlated_factor(jnp.ones(n_columns(blocks)), cor, blocks)
    pairs = correlated_pairs(blocks)
    return jnp.array([factor[i] @ factor[j] for i, j in pairs]) if pairs else jnp.zeros(0)


Exact = Density | PartialDensity  # what NUTS moves in where other parameters are drawn exactly
ExactArrays = Problem | PartialProblem
Draw = Callable[..., Draws]  # from a point, a key, the arrays and their density


def side_by_side(problem: ExactArrays) -> int:
    """How many draws are made at once, each with an elimination of its own: as many as there is memory for."""
    given = problem.given if isinstance(problem, PartialProblem) else None
    held = 0 if given is None else 2 * given.coupling.rows.value.size
    cross = problem.cross
    for level in cross.levels:
        q, columns, size = level.right.shape
        held += 4 * size * q * (q + columns)
    for dense in cross.dense:
        r, (q, _, size) = dense.rr.shape[0], cross.levels[0].zz.shape
        held += 6 * r**2 + (4 * r * q * size if dense.coupling.is_dense else 0)
    return int(np.clip(MOST_NUMBERS // max(held, 1), 1, DRAWS_AT_ONCE))


@functools.cache
def _program(density: Exact, draw: Draw) -> Program:
    def batch(x: jax.Array, bits: jax.Array, problem: ExactArrays) -> tuple[jax.Array, ...]:
        keys = jax.random.split(key_of(bits), DRAWS_AT_ONCE)

        def one(given: tuple[jax.Array, jax.Array]) -> list[jax.Array]:
            # JAX cannot map what is empty: fixed effects or correlations that there are none of
            at, key = given
            return [leaf for leaf in jax.tree.leaves(draw(at, key, problem, density)) if leaf.size]

        return tuple(jax.lax.map(one, (x, keys), batch_size=side_by_side(problem)))

    return Program("draws", (density, draw.__name__), batch)


@float64
def prepare(density: Exact, problem: ExactArrays, draw: Draw = draw_given) -> None:
    """Load or compile the program that `draw_all` will ask for."""
    _program(density, draw).bind(np.zeros((DRAWS_AT_ONCE, density.size)), np.zeros(2, np.uint32), problem)


@float64
def draw_all(
    x: np.ndarray,
    problem: ExactArrays,
    density: Exact,
    n_levels: Sequence[int | None],
    seed: int,
    draw: Draw = draw_given,
) -> Draws:
    """Draws of all parameters for unconstrained draws x (C, D, m); a batch at a time, so that shapes recur.

    `n_levels`: of each grouping factor, in the kernel's order, None where its deviations are not kept; they have no
    draws then. `draw`: how one is made from a point.
    """
    chains, n, m = x.shape
    n_draws = chains * n
    n_batches = -(-n_draws // DRAWS_AT_ONCE)
    flat = np.resize(x.reshape(n_draws, m), (n_batches * DRAWS_AT_ONCE, m))
    bits = seed_bits(np.random.default_rng([seed, 1]), n_batches)
    program = _program(density, draw).bind(flat[:DRAWS_AT_ONCE], bits[0], problem)
    data = jax.tree.leaves(problem)
    q, p = [own.size for own in problem.units.random], len(problem.order)
    like = Draws(
        sd=tuple(np.empty((n_draws, k)) for k in q),
        cor=tuple(np.empty((n_draws, len(correlated_pairs(blocks)))) for blocks in density.terms),
        b=tuple(np.empty((n_draws, J, k)) if J else np.empty((0, 1, k)) for J, k in zip(n_levels, q, strict=True)),
        others=(np.empty((n_draws, 1)),),
        cutpoints=np.empty((n_draws, 0)),
        beta=np.empty((n_draws, p)),
    )
    arrays, tree = jax.tree.flatten(like)

    filled = [array for array in arrays if np.prod(array.shape[1:])]

    def batch(k: int) -> None:
        rows = slice(k * DRAWS_AT_ONCE, min((k + 1) * DRAWS_AT_ONCE, n_draws))
        results = program(flat[k * DRAWS_AT_ONCE : (k + 1) * DRAWS_AT_ONCE], bits[k], *data)
        for array, values in zip(filled, results, strict=True):
            if not len(array):
                continue
            found = np.asarray(values)[: rows.stop - rows.start]
            array[rows] = found if found.shape[1:] == array.shape[1:] else found[:, : array.shape[1]]

    with workers(cores()) as pool:
        list(pool.map(batch, range(n_batches)))
    return jax.tree.unflatten(
        tree, [array.reshape(chains, n if len(array) else 0, *array.shape[1:]) for array in arrays]
    )
