"""Fits of many responses on one design, as batches of one program.

The products of X and Z with each other are those of the design; only what meets the response is made anew for each,
and the searches run side by side under `vmap`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from hier.kernel.algebra.crossproducts import CrossProducts, FactorColumns, merge_responses
from hier.kernel.algebra.integrate import integrate_groups
from hier.kernel.algebra.marginal import fixed_effects, fixed_effects_form, flat_prior, neg2_log_marginal
from hier.kernel.algebra.scaling import ColumnUnits, Units
from hier.kernel.arrays.control import leaves
from hier.kernel.arrays.library import Array, xp
from hier.kernel.covariance.theta import Terms, relative_factors
from hier.kernel.normal.point_fit import search_likelihood
from hier.kernel.programs.compiled import Program, cores, workers
from hier.kernel.programs.precision import float64

# fits in one call of the program: the most fill the processor and stay in its cache; of fewer, the next larger number,
# so that another number of fits needs no other program
AT_ONCE = (10, 50, 250)
ENTRIES_AT_ONCE = 20_000_000  # of all products of a batch


class ManyFits(NamedTuple):
    """Point estimates of B responses in the kernel's units: `x` (B, m) variance parameters, `sigma` (B,), `beta` (B, p)
    with covariances `vcov` (B, p, p), `factors` (B, q, q) of each grouping factor, `value` (B,) of the objective,
    `converged` (B,). `y` (B,): the unit of each response, and `centre` (B, p): its least-squares coefficients in the
    kernel's basis.
    """

    x: np.ndarray
    sigma: np.ndarray
    beta: np.ndarray
    vcov: np.ndarray
    factors: tuple[np.ndarray, ...]
    value: np.ndarray
    converged: np.ndarray
    y: np.ndarray
    centre: np.ndarray


class Rows(NamedTuple):
    """What cross-products are made of beside a response: fixed-effects columns `X` (n, p), the `random`-effects columns
    of each factor in the kernel's order, and `weights` (n,), or None where they are equal.
    """

    X: np.ndarray
    random: Sequence[FactorColumns]
    weights: np.ndarray | None


class Searches(NamedTuple):
    """How many fits are searched for: all from `start` (m,), by REML or maximum likelihood. `on_progress` is told how
    many are done.
    """

    start: np.ndarray
    terms: Terms
    reml: bool
    on_progress: Callable[[int], None] = lambda done: None


class Responses(NamedTuple):
    """A batch of responses as the likelihood knows them: Z'W r of each factor in the kernel's order, (B, q, J), r being
    the residuals of least squares with root mean square 1; or `merged` (B, q, p + 1, J'), where levels with equal
    products are taken together.
    """

    zy: tuple[Any, ...]
    merged: tuple[Any, ...]


def _fit_response(
    start: Array,
    zy: tuple[Array, ...],
    merged: tuple[Array, ...],
    cross: CrossProducts,
    *,
    terms: Terms,
    reml: bool,
) -> tuple[Any, ...]:
    return fit_one(start, _with_response(cross, zy, merged), terms=terms, reml=reml)


def fit_one(start: Array, cross: CrossProducts, *, terms: Terms, reml: bool) -> tuple[Any, ...]:
    """One fit of a batch: the fields of `ManyFits` that a search gives, in their order."""
    search = search_likelihood(start, cross, terms, reml=reml)
    factors, sigma = relative_factors(search.x[:-1], terms), xp.exp(search.x[-1])
    marginal = integrate_groups(factors, cross)
    flat = flat_prior(cross.xx.shape[0] - 1)
    beta, vcov = fixed_effects(fixed_effects_form(marginal, sigma, flat))
    value = neg2_log_marginal(marginal, sigma, cross, flat, integrate=reml)
    return (search.x, sigma, beta, vcov, *factors, value, search.converged)


def _with_response(cross: CrossProducts, zy: tuple[Array, ...], merged: tuple[Array, ...]) -> CrossProducts:
    """The cross-products with another response in the place of the last column."""
    if merged:
        level = cross.merged[0]._replace(right=merged[0])
        return cross._replace(merged=(level,))
    n_levels = len(cross.levels)
    levels = tuple(
        level._replace(right=xp.concatenate([level.right[:, :-1], own[:, None]], axis=1))
        for level, own in zip(cross.levels, zy, strict=False)
    )
    dense = cross.dense
    if dense:
        column = xp.concatenate([xp.ravel(own) for own in zy[n_levels:]])
        rx = xp.concatenate([dense[0].rx[:, :-1], column[:, None]], axis=1)
        dense = (dense[0]._replace(rx=rx),)
    return cross._replace(levels=levels, merged=(), dense=dense)


@functools.cache
def _program(terms: Terms, reml: bool) -> Program:
    def batch(starts: Array, responses: Responses, cross: CrossProducts) -> tuple[Any, ...]:
        one = functools.partial(_fit_response, terms=terms, reml=reml)
        import jax

        # the start is the same for all, and stands for the batch where there are no deviations
        return jax.vmap(one, in_axes=(0, 0, 0, None))(starts, responses.zy, responses.merged, cross)

    return Program("fit_many", (terms, reml), batch)


@float64
def fit_many(Y: np.ndarray, rows: Rows, cross: CrossProducts, units: Units, searches: Searches) -> ManyFits:
    """Estimates of every column of `Y` (n, B), whose other columns are the `rows` that `cross` was made of."""
    X, random, weights = rows
    n_responses, p = Y.shape[1], X.shape[1]
    size = sum(term.n_levels * term.Z.shape[1] for term in random) * (p + 1)
    at_once = fits_at_once(n_responses, size)
    start = np.tile(searches.start, (at_once, 1))
    sorted_rows = [_Sorted.of(term, own, weights) for term, own in zip(random, units.random, strict=True)]
    basis = units.columns(X)
    program = _program(searches.terms, searches.reml)

    def batch(chosen: np.ndarray) -> tuple[Any, ...]:
        responses, y, centre = _responses(Y[:, chosen], basis, sorted_rows, weights, cross)
        found = program.bind(start, responses, cross)(*leaves((start, responses, cross)))
        return (*map(np.asarray, found), y, centre)

    program.bind(start, *_like(cross, at_once), cross)
    found = in_batches(batch, n_responses, at_once, searches.on_progress)
    x, sigma, beta, vcov, *factors, value, converged, y, centre = found
    return ManyFits(x, sigma, beta, vcov, tuple(factors), value, converged.astype(bool), y, centre)


def fits_at_once(total: int, entries: int) -> int:
    """How many of so many fits run side by side, each of which has products of `entries` numbers."""
    enough = next((size for size in AT_ONCE if size >= total), AT_ONCE[-1])
    return int(max(1, min(enough, ENTRIES_AT_ONCE // max(1, entries))))


def in_batches(
    batch: Callable[[np.ndarray], tuple[Any, ...]], total: int, at_once: int, on_progress: Callable[[int], None]
) -> list[np.ndarray]:
    """What `batch` gives for all of `total` fits, `at_once` of them in a call: each field joined, the fits first."""
    # the last batch is filled up from the first
    chosen = [np.arange(k, k + at_once) % total for k in range(0, total, at_once)]
    done, parts = 0, []
    with workers(cores()) as pool:
        for part in pool.map(batch, chosen):
            parts.append(part)
            done = min(done + at_once, total)
            on_progress(done)
    return [np.concatenate(pieces)[:total] for pieces in zip(*parts, strict=True)]


def _like(cross: CrossProducts, size: int) -> tuple[Responses]:
    """Zeros of the shapes of a batch."""
    if cross.merged:
        return (Responses((), (np.zeros((size, *cross.merged[0].right.shape)),)),)
    own = [level.zz for level in cross.levels] + [block for dense in cross.dense for block in dense.own]
    return (Responses(tuple(np.zeros((size, *block.shape[1:])) for block in own), ()),)


class _Sorted(NamedTuple):
    """A term's columns in the kernel's units, times the weights, with the rows sorted by level, and where each level
    that has rows begins.
    """

    order: np.ndarray
    Z: np.ndarray
    starts: np.ndarray
    present: np.ndarray

    @classmethod
    def of(cls, term: FactorColumns, units: ColumnUnits, weights: np.ndarray | None) -> _Sorted:
        order = np.argsort(term.codes, kind="stable")
        codes = term.codes[order]
        starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
        Z = units.columns(term.Z if weights is None else term.Z * weights[:, None])
        return cls(order, Z[order], starts, codes[starts])

    def products(self, rest: np.ndarray, size: int) -> np.ndarray:
        """Z'W rest (B, q, size), for `rest` (n, B)."""
        rows = rest[self.order]
        sums = np.zeros((rest.shape[1], self.Z.shape[1], size))
        for a, column in enumerate(self.Z.T):
            sums[:, a, self.present] = np.add.reduceat(rows * column[:, None], self.starts, axis=0).T
        return sums


def _responses(
    Y: np.ndarray,
    basis: np.ndarray,
    random: list[_Sorted],
    weights: np.ndarray | None,
    cross: CrossProducts,
) -> tuple[Responses, np.ndarray, np.ndarray]:
    """A batch of responses, the unit of each, and its least-squares coefficients in the kernel's basis."""
    n = len(Y)
    centre = (basis if weights is None else basis * weights[:, None]).T @ Y / n
    rest = Y - basis @ centre
    squares = np.einsum("nb,nb->b", rest, rest if weights is None else rest * weights[:, None])
    y = np.sqrt(squares / n)
    rest = rest / y
    own = [level.zz for level in cross.levels] + [block for dense in cross.dense for block in dense.own]
    zy = tuple(term.products(rest, block.shape[2]) for term, block in zip(random, own, strict=True))
    if cross.merged:
        return Responses((), (merge_responses(cross.levels[0], zy[0]),)), y, centre.T
    return Responses(zy, ()), y, centre.T
