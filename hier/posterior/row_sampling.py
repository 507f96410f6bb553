"""The posterior of a model that is not Normal, as NUTS sees it: all parameters, and the deviations transported.

At the mode of the Laplace approximation each row's log density is replaced by its second-order expansion. Under that
the deviations are Normal given everything else, so they are written as their conditional mean plus a root of their
conditional covariance times z. Whatever the variances are, z is nearly standard Normal and nearly independent of them:
there is no funnel, and nobody has to choose between centring and not centring. The density of z is exact.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.kernel.algebra.crossproducts import CrossProducts
from hier.kernel.algebra.padding import padded_columns, padded_dense_size
from hier.kernel.arrays.control import filled
from hier.kernel.arrays.control import leaves as leaves_of
from hier.kernel.arrays.library import xp
from hier.kernel.laplace.approximation import Approximation
from hier.kernel.laplace.conditional import LEAST_CURVATURE, Conditional, Inner, Outer, no_deviations
from hier.kernel.laplace.row_products import RowArrays, empty_products, padded_rows
from hier.kernel.normal.transport import Transported, transport
from hier.kernel.programs.compiled import Program, cores, told_by_origin, workers
from hier.kernel.programs.precision import float64
from hier.kernel.search.optimise import minimise_with_memory
from hier.model import Specification
from hier.model.row_density import RowDensity, posterior_rows, row_density, row_start
from hier.model.row_problem import RowProblem
from hier.posterior.draws import Draws, pairs_of
from hier.posterior.whitening import Whitening, around_mode, beside

DRAWS_AT_ONCE = 200


class Placed(NamedTuple):
    """The arrays of a model, and `cross`: the products of its expansion at the mode, which place the deviations."""

    problem: RowProblem
    cross: CrossProducts


@dataclass(frozen=True)
class RowSampled:
    """The posterior density of a vector of the parameters of `density` and of z, of which each grouping factor has
    `shapes` (q, J).
    """

    density: RowDensity
    shapes: tuple[tuple[int, int], ...]

    @property
    def n_dense(self) -> int:
        """How many coordinates a sampler treats together: the parameters."""
        return self.density.size

    @property
    def size(self) -> int:
        return self.n_dense + sum(q * J for q, J in self.shapes)

    @property
    def conditional(self) -> Conditional:
        return Conditional(self.density.likelihood)

    def neg2_log_density(self, vector: jax.Array, placed: Placed) -> Any:
        """-2 log posterior density, up to a constant."""
        problem, model = placed.problem, self.conditional
        x = vector[: self.n_dense]
        outer = self.density.outer(x, problem)
        moved = self.transported(vector, outer, placed)
        inner = Inner(moved.spherical, jnp.zeros(0))
        eta = model.mean_predictor(outer, inner, problem.rows)
        rows = jnp.sum(model.log_densities(eta, outer, problem.rows))
        return -2.0 * rows + moved.neg2_log_prior + self.density.neg2_log_prior(x, problem)

    def transported(self, vector: jax.Array, outer: Outer, placed: Placed) -> Transported:
        """The deviations that z makes at these parameters; what is only padding stays at zero."""
        z, at = [], self.n_dense
        for (q, J), like in zip(self.shapes, placed.problem.rows.pattern.like, strict=True):
            own = vector[at : at + q * J].reshape(q, J)
            z.append(jnp.pad(own, ((0, 0), (0, like.shape[0] - J))))
            at += q * J
        return transport(outer.factors, placed.cross, _coefficients(outer), 1.0, z)


def _placing(rows: RowArrays, cutpoints: Any) -> RowArrays:
    """The rows with a column for what the deviations follow beside the fixed effects: where the cutpoints stand."""
    if cutpoints.shape[0] == 0:
        return rows
    ones = xp.ones((rows.X.shape[0], 1))
    offset = rows.offsets[0] + xp.mean(cutpoints)
    return rows._replace(X=xp.concatenate([rows.X, ones], axis=1), offsets=(offset, *rows.offsets[1:]))


def _coefficients(outer: Outer) -> Any:
    """The coefficients of those columns: cutpoints that all move up are an intercept that moves down."""
    if outer.cutpoints.shape[0] == 0:
        return outer.beta
    return xp.append(outer.beta, -xp.mean(outer.cutpoints))


@told_by_origin
def place_program(density: RowDensity) -> Program:
    """The program that finds the Laplace approximation, and the expansion of the rows there."""
    approximation = Approximation(Conditional(density.likelihood), density)

    def place(start: jax.Array, problem: RowProblem) -> tuple[Any, ...]:
        model, rows = approximation.conditional, problem.rows
        start, _ = approximation.started(start, problem)
        search = minimise_with_memory(approximation.evaluator(problem), start, no_deviations(rows, with_fixed=False))
        outer = density.outer(search.x, problem)
        inner, _ = model.newton(outer, model.mode(outer, search.memory, rows), rows)
        eta = model.mean_predictor(outer, inner, rows)
        cross = model.expanded(eta, outer, _placing(rows, outer.cutpoints), LEAST_CURVATURE)
        return tuple(leaves_of((around_mode(search.x, search.hessian), cross)))

    return Program("place_rows", (density,), place, lambda start, problem: approximation.seconds(len(start), problem))


def _natural(vector: jax.Array, placed: Placed, sampled: RowSampled) -> Draws:
    """One draw on the user's scale."""
    density, problem = sampled.density, placed.problem
    natural, _ = density.constrain(vector[: sampled.n_dense], problem)
    outer = density.in_kernel_units(natural, problem)
    moved = sampled.transported(vector, outer, placed)
    return Draws(
        sd=natural.sd,
        cor=tuple(map(pairs_of, natural.cor, density.terms)),
        b=tuple(
            own.deviations(b[:, :J], problem.units.y).T
            for b, own, (_, J) in zip(moved.b, problem.units.random, sampled.shapes, strict=True)
        ),
        others=natural.others,
        cutpoints=natural.cutpoints,
        beta=natural.beta,
    )


@functools.cache
def _draws_program(sampled: RowSampled) -> Program:
    def batch(vectors: jax.Array, placed: Placed) -> tuple[Any, ...]:
        return tuple(jax.tree.leaves(jax.vmap(lambda vector: _natural(vector, placed, sampled))(vectors)))

    return Program("row_draws", (sampled,), batch)


@dataclass(frozen=True)
class LaplaceTransported:
    """The route of a model whose deviations are all sampled (see `hier.posterior.sampling_routes`)."""

    model: Specification
    density: RowSampled
    arrays: Placed
    start: np.ndarray
    of: str = "all parameters and deviations, placed by Laplace's approximation"
    notes: tuple[str, ...] = ()

    def programs(self) -> Sequence[Callable[[], None]]:
        return (self._load,)

    @float64
    def _load(self) -> None:
        density, problem = self.density.density, self.arrays.problem
        place_program(density).ahead(self.start, problem)
        _draws_program(self.density).bind(np.zeros((DRAWS_AT_ONCE, self.density.size)), self.arrays)

    @float64
    def begin(self) -> tuple[Whitening, Placed]:
        sampled, density, problem = self.density, self.density.density, self.arrays.problem
        leaves = [np.asarray(leaf) for leaf in place_program(density)(self.start, problem)]
        n_few = len(Whitening._fields)
        cross = filled(empty_products(problem.rows, 1), leaves[n_few:])
        return beside(Whitening(*leaves[:n_few]), sampled.size - sampled.n_dense), Placed(problem, cross)

    @float64
    def finish(self, x: np.ndarray, arrays: Placed, seed: int, kept: Sequence[bool]) -> Draws:
        """The draws on the user's scale, a batch at a time; nothing is left to be drawn."""
        chains, n, size = x.shape
        total = chains * n
        batches = -(-total // DRAWS_AT_ONCE)
        flat = np.resize(x.reshape(total, size), (batches * DRAWS_AT_ONCE, size))
        program = _draws_program(self.density).bind(flat[:DRAWS_AT_ONCE], arrays)
        data = jax.tree.leaves(arrays)

        q = len(kept)
        dropped = {2 * q + k for k, own in enumerate(kept) if not own}  # among the leaves, behind sds and correlations

        def batch(k: int) -> list[np.ndarray]:
            found = map(np.asarray, program(flat[k * DRAWS_AT_ONCE : (k + 1) * DRAWS_AT_ONCE], *data))
            return [own[:, :0] if at in dropped else own for at, own in enumerate(found)]

        with workers(cores()) as pool:
            parts = list(pool.map(batch, range(batches)))
        leaves = [np.concatenate(own)[:total].reshape(chains, n, *own[0].shape[1:]) for own in zip(*parts, strict=True)]
        k, others = len(self.density.shapes), len(self.density.density.space.n_coefficients)
        like = Draws((0,) * k, (0,) * k, (0,) * k, (0,) * others, 0, 0)  # type: ignore
        draws = jax.tree.unflatten(jax.tree.structure(like), leaves)
        effects = self.model.structure.ordered(self.model.design.random_effects)
        return draws._replace(b=tuple(b[:, :, : own.n_levels] for b, own in zip(draws.b, effects, strict=True)))


def sampled_of(model: Specification) -> tuple[RowSampled, RowProblem]:
    """The density that NUTS samples, its columns and levels rounded up, and its arrays."""
    n_more = padded_columns(len(model.design.names)) - len(model.design.names)
    effects = model.structure.ordered(model.design.random_effects)
    shapes = tuple((len(own.names), padded_dense_size(own.n_levels)) for own in effects)
    return RowSampled(row_density(model, with_volume=True, n_more=n_more), shapes), posterior_rows(model, n_more)


def transported_route(model: Specification) -> LaplaceTransported:
    """The route of a model that is not Normal, with its rows rounded up too."""
    sampled, problem = sampled_of(model)
    start = np.asarray(row_start(model, sampled.density, problem), np.float64)
    placed = _unplaced(sampled, problem._replace(rows=padded_rows(problem.rows)))
    return LaplaceTransported(model, sampled, placed, start)


@float64
def _unplaced(sampled: RowSampled, problem: RowProblem) -> Placed:
    """The arrays before anything is known of the mode: zeros of the shapes of the expansion."""
    has_cutpoints = sampled.density.space.n_cutpoints > 0
    return Placed(problem, empty_products(problem.rows, problem.rows.X.shape[1] + 1 + has_cutpoints))
