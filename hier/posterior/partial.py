"""The density with the largest of crossed factors integrated out, and the deviations of the others sampled.

Each sampled level's deviations are its conditional mean plus the root of its conditional covariance, both as if the
other levels were known, times w; and w is z with the few directions stretched in which levels hide behind each other
(all lecturers of a department better, the department worse). So z is nearly standard Normal, whatever the variances.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.kernel.algebra.by_level import EliminatedLevel, factorise, forward_substitute
from hier.kernel.algebra.crossproducts import CrossProducts
from hier.kernel.algebra.dense import block_cholesky, from_left, on_both_sides, solve_lower, solve_upper
from hier.kernel.algebra.deviations import eliminate, group_deviations
from hier.kernel.algebra.integrate import Factors
from hier.kernel.algebra.marginal import fixed_effects, fixed_effects_form
from hier.kernel.algebra.one_factor import Given, given_products, integrate_largest, without_given
from hier.kernel.algebra.scaling import Units, lower_triangular
from hier.kernel.covariance.theta import Terms
from hier.kernel.normal.transport import Transported, of_levels, split_levels, transport_each
from hier.kernel.programs.compiled import Program
from hier.kernel.programs.precision import float64
from hier.model.density import Density, Parameters
from hier.model.problem import Problem

SOFT = 32  # directions that are stretched at most
ROUNDS = 6  # of the iteration that finds them: they need not be exact


class Soft(NamedTuple):
    """Directions in which w has more spread than 1: orthonormal `directions` (r, k), and `excess` (k,) over 1."""

    directions: Any
    excess: Any


class PartialProblem(NamedTuple):
    """The arrays of a model some of whose deviations are sampled.

    `problem`: its cross-products are those of the largest factor alone. `given`: those of the others. `around`: what
    the data say of each of their levels, by itself.
    """

    problem: Problem
    given: Given
    around: tuple[CrossProducts, ...]
    soft: Soft

    @property
    def cross(self) -> CrossProducts:
        return self.problem.cross

    @property
    def units(self) -> Units:
        return self.problem.units

    @property
    def order(self) -> np.ndarray:
        return self.problem.order


@dataclass(frozen=True)
class PartialDensity:
    """The posterior density of the variance parameters, as `density` has them, and of z (r,), `n_sampled` numbers from
    which the sampled deviations are made.
    """

    density: Density
    n_sampled: int

    @property
    def size(self) -> int:
        return self.n_dense + self.n_sampled

    @property
    def n_dense(self) -> int:
        return self.density.size

    @property
    def terms(self) -> Terms:
        return self.density.terms

    def neg2_log_density(self, vector: jax.Array, partial: PartialProblem) -> Any:
        """-2 log posterior density, up to a constant."""
        x, problem = vector[: self.n_dense], partial.problem
        moved = self.sampled(vector, *self.density.covariance(x, problem), partial)
        cross = without_given(problem.cross, partial.given, moved.b)
        rest = self.density.given(x, problem, lambda factors: integrate_largest(factors[0], cross))
        return rest + moved.neg2_log_prior

    def sampled(self, vector: jax.Array, factors: Factors, sigma: jax.Array, partial: PartialProblem) -> Transported:
        """The sampled deviations."""
        z, soft = vector[self.n_dense :], partial.soft
        w = z + soft.directions @ (soft.excess * (soft.directions.T @ z))
        return transport_each(factors[1:], partial.around, sigma, split_levels(w, partial.given.shapes))

    def at(self, vector: jax.Array, partial: PartialProblem) -> tuple[Parameters, CrossProducts, tuple[jax.Array, ...]]:
        """The variance parameters, the cross-products of what is left of the response, and the sampled deviations."""
        parameters, _ = self.density.constrain(vector[: self.n_dense], partial.problem)
        moved = self.sampled(vector, *self.density.in_kernel_units(parameters, partial.problem), partial)
        return parameters, without_given(partial.problem.cross, partial.given, moved.b), moved.b


def partial_density(density: Density, problem: Problem) -> PartialDensity:
    """The density with all factors but the largest sampled."""
    return PartialDensity(density, problem.cross.dense[0].rr.shape[0])


@float64
def unplaced(problem: Problem) -> PartialProblem:
    """The partial problem before anything is known of its mode: z is then the deviations over their prior's spread."""
    given = given_products(problem.cross.dense[0])
    r = given.rx.shape[0]
    k = min(SOFT, r)
    around = tuple(of_levels(own, np.zeros(shape)) for own, shape in zip(given.own, given.shapes, strict=True))
    around = jax.tree.map(lambda leaf: np.zeros(np.shape(leaf)), around)
    alone = problem._replace(cross=problem.cross._replace(dense=()))
    return PartialProblem(alone, given, around, Soft(np.zeros((r, k)), np.zeros(k)))


@float64
def prepare(density: Density, problem: Problem) -> None:
    """Load or compile the program that `place` will ask for."""
    place_program(density).bind(np.zeros(density.size), problem)


@float64
def place(partial: PartialProblem, density: Density, x: jax.Array, problem: Problem) -> PartialProblem:
    """The partial problem with its deviations placed and scaled as the posterior at variance parameters x has them."""
    around, soft = jax.tree.unflatten(
        jax.tree.structure((partial.around, partial.soft)), list(map(np.asarray, place_program(density)(x, problem)))
    )
    return partial._replace(around=around, soft=soft)


@functools.cache
def place_program(density: Density) -> Program:
    """The program that `place` asks for."""

    def placed(x: jax.Array, problem: Problem) -> tuple[Any, ...]:
        return tuple(jax.tree.leaves(_placed(x, problem, density)))

    return Program("place", (density,), placed)


def _placed(x: jax.Array, problem: Problem, density: Density) -> tuple[tuple[CrossProducts, ...], Soft]:
    """What each level's products must be for its conditional mean and covariance at x to be the posterior's.

    The mean is the joint one; the covariance is that given all other levels, from the diagonal blocks of K.
    """
    cross = problem.cross
    factors, sigma = density.covariance(x, problem)
    held = density.held_in_kernel_units(density.constrain(x, problem)[0], problem)
    eliminated = eliminate(factors, cross)
    crossed, others = eliminated.crossed[0], factors[1:]
    sizes = tuple(block.shape[2] for block in cross.dense[0].own)
    form = fixed_effects_form(eliminated.marginal, sigma, problem.fixed, held)
    beta = jnp.concatenate([fixed_effects(form)[0], held])
    b = group_deviations(factors, eliminated, cross, beta)[1:]
    own, right, roots, at = [], [], [], 0
    for factor, size, mean in zip(others, sizes, b, strict=True):
        q = factor.shape[0]
        block = crossed.kept[at : at + q * size, at : at + q * size].reshape(q, size, q, size)
        zz = jnp.diagonal(block, axis1=1, axis2=3)
        # (zz + (L L')^-1) b, whose solution is b again
        back = jax.scipy.linalg.solve_triangular(lower_triangular(factor), jnp.eye(q), lower=True)
        own.append(zz)
        right.append(jnp.sum(zz * mean[None], axis=1) + back.T @ (back @ mean))
        roots.append(factorise(factor, zz, jnp.zeros((q, 0, size)), jnp.ones(size))[0])
        at += q * size
    # the precision of w at x, in which the fixed effects are integrated out where they are in the density
    free = form.shape[0] - 1
    inner = on_both_sides(tuple(other.T for other in others), sizes, crossed.kept) + jnp.eye(at)
    mixed = from_left(tuple(other.T for other in others), sizes, crossed.kept_x[:, :free]) / sigma
    level = crossed.first.reduced[:, :free]
    alone = cross.xx[:free, :free] - jnp.tensordot(level, level, axes=((0, 2), (0, 2)))
    lower = jnp.linalg.cholesky(alone / sigma**2 + problem.fixed.quadratic[:free, :free])
    half = jax.scipy.linalg.solve_triangular(lower, mixed.T, lower=True)
    precision = _from_roots(roots, _from_roots(roots, inner - half.T @ half).T)
    return tuple(map(of_levels, own, right)), _softest(precision)


def _from_roots(roots: list[EliminatedLevel], matrix: jax.Array) -> jax.Array:
    """R^-T matrix, with R the block-diagonal matrix of every factor's levels, for (r, m)."""
    parts, at = [], 0
    for root in roots:
        q, _, size = root.upper.shape
        rows = jnp.moveaxis(matrix[at : at + q * size].reshape(q, size, -1), 1, 2)
        parts.append(jnp.moveaxis(forward_substitute(root.upper, rows), 2, 1).reshape(q * size, -1))
        at += q * size
    return jnp.concatenate(parts)


def _softest(precision: jax.Array) -> Soft:
    """The directions of least precision, by subspace iteration from a fixed start.

    Source: Golub and Van Loan (2013), Matrix Computations, section 8.2.4.
    """
    r = precision.shape[0]
    k = min(SOFT, r)
    lower, _ = block_cholesky(precision)
    basis = jnp.asarray(np.random.default_rng(0).standard_normal((r, k)))

    def improve(k: jax.Array, basis: jax.Array) -> jax.Array:
        for _ in range(2):  # twice, since the first leaves rounding where the columns are nearly parallel
            root = jnp.linalg.cholesky(basis.T @ basis)
            basis = jax.scipy.linalg.solve_triangular(root, basis.T, lower=True).T
        return solve_upper(lower, solve_lower(lower, basis))

    basis = jax.lax.fori_loop(0, ROUNDS, improve, basis)
    root = jnp.linalg.cholesky(basis.T @ basis)
    basis = jax.scipy.linalg.solve_triangular(root, basis.T, lower=True).T
    values, turns = jnp.linalg.eigh(basis.T @ (precision @ basis))
    return Soft(basis @ turns, 1.0 / jnp.sqrt(jnp.clip(values, 1e-6, 1.0)) - 1.0)
