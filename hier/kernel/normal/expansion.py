"""Second-order expansion of the marginal density in the covariances of the deviations, in closed form.

A search needs the value, slope and curvature of an objective f(log|V|, [X y]'V^-1 [X y], ...). In the covariances
Sigma_k = L_k L_k' these have short derivatives, sums over levels of H = Z'V^-1 Z and g = Z'V^-1 [X y]:

    d log|V| = tr(H dSigma),      d^2 log|V| = -tr(H dSigma H dSigma),
    d schur  = -g' dSigma g,      d^2 schur  = 2 g' dSigma H dSigma g,

so that each is computed once, and the chain rule through the parameters is left to automatic differentiation of a
quadratic function. Source: Harville (1977), J. Am. Stat. Assoc. 72, 320, section 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hier.kernel.algebra.by_level import back_substitute, factorise, left_times, times, turned
from hier.kernel.algebra.crossproducts import CrossProducts, Dense, Level
from hier.kernel.algebra.dense import inverse, on_both_sides, own_products
from hier.kernel.algebra.deviations import Eliminated
from hier.kernel.algebra.integrate import (
    Crossed,
    Factors,
    crossed_scores,
    eliminate_crossed,
    integrate_groups,
    sizes_of,
)
from hier.kernel.algebra.marginal import Marginal
from hier.kernel.algebra.scaling import lower_triangular
from hier.kernel.arrays.control import either, is_traced, tree_map
from hier.kernel.arrays.derivatives import Evaluate, differentiated, gradient_in
from hier.kernel.arrays.library import Array, is_jax, put, xp

LARGE = 512  # rows from which the time of a product matters
WIDE = 40  # columns of [X y]
LEVELS_AT_ONCE = 8192  # a power of two, which divides every larger padded size but the next one
OFF_BOUNDARY = 1e-4  # of a factor's diagonal: from here on dividing by it loses no digits that matter

Objective = Callable[[Array, Callable[[Factors], Marginal]], Array]
FactorsOf = Callable[[Array], Factors]


class Slopes(NamedTuple):
    """The marginal at some factors, and its slopes in each factor's covariance.

    `log_det` (q, q): sums of H over a factor's levels. `schur` (q, p + 1, q, p + 1): sums of the products of g.
    """

    marginal: Marginal
    log_det: tuple[Array, ...]
    schur: tuple[Array, ...]

    def near(self, at: Factors) -> Callable[[Factors], Marginal]:
        """The marginal as a function of the factors, right to first order around the factors `at`."""
        schur_near = self.schur_near(at)

        def marginal(factors: Factors) -> Marginal:
            log_det = self.marginal.log_det
            for change, slope in zip(covariance_changes(factors, at), self.log_det, strict=True):
                log_det = log_det + xp.sum(slope * change)
            return Marginal(log_det, schur_near(factors))

        return marginal

    def schur_near(self, at: Factors) -> Callable[[Factors], Array]:
        """The part of it that is [X y]'V^-1 [X y]."""

        def schur(factors: Factors) -> Array:
            value = self.marginal.schur
            for change, products in zip(covariance_changes(factors, at), self.schur, strict=True):
                value = value - xp.sum(products * change[:, None, :, None], axis=(0, 2))
            return value

        return schur


def covariance_changes(factors: Factors, at: Factors) -> list[Array]:
    """L L' less its value at other factors, for every factor."""

    def square(factor: Array) -> Array:
        return xp.sum(factor[:, None] * factor[None], axis=2)  # which fuses: a product of small matrices does not

    return [square(factor) - square(other) for factor, other in zip(factors, at, strict=True)]


def has_closed_form(cross: CrossProducts) -> bool:
    """Whether the expansion is known: for one factor, and for one with a dense rest."""
    return len(cross.levels) == 1


def _is_too_wide(cross: CrossProducts) -> bool:
    """Whether NumPy should rather differentiate in the few parameters than in the many entries of [X y]'V^-1 [X y]."""
    return not is_jax(cross.xx) and cross.xx.shape[0] > WIDE


def evaluator(objective: Objective, factors_of: FactorsOf, cross: CrossProducts) -> Evaluate:
    """An objective of parameters x (m,) and of the marginal at their factors: its value, gradient and Hessian."""
    if not has_closed_form(cross) or _is_too_wide(cross):
        return differentiated(lambda x: objective(x, lambda factors: integrate_groups(factors, cross)))

    def evaluate(x: Array) -> tuple[Array, Array, Array]:
        at = factors_of(x)
        slopes, curvature = expand(at, cross)
        by_log_det, by_schur = gradient_in(lambda marginal: objective(x, lambda _: marginal), slopes.marginal)
        quadratic = curvature(by_log_det, by_schur)
        near = slopes.near(at)

        def local(point: Array) -> Array:
            changes = covariance_changes(factors_of(point), at)
            flat = xp.concatenate([xp.ravel(change) for change in changes])
            return objective(point, near) + 0.5 * xp.sum(quadratic * flat[:, None] * flat[None])

        return differentiated(local)(x)

    return evaluate


def local_schur(at: Factors, cross: CrossProducts, eliminated: Eliminated) -> Callable[[Factors], Array]:
    """[X y]'V^-1 [X y] as a function of the factors, right to first order around the factors `at`, where the
    deviations have been eliminated already.
    """
    if not has_closed_form(cross):
        return lambda factors: integrate_groups(factors, cross).schur
    if cross.dense:
        scores = crossed_scores(at, cross.levels[0], cross.dense[0], eliminated.crossed[0])
    else:
        level, (upper, reduced) = cross.levels[0], eliminated.levels[0]
        deviations = left_times(at[0], back_substitute(upper, reduced))
        scores = [level.right - times(level.zz, deviations)]
    schur = eliminated.marginal.schur
    slopes = Slopes(Marginal(xp.zeros(()), schur), (), tuple(_products(score) for score in scores))
    return slopes.schur_near(at)


Curvature = Callable[[Array, Array], Array]


def expand(factors: Factors, cross: CrossProducts) -> tuple[Slopes, Curvature]:
    """The slopes at some factors, and a function of the objective's derivatives in log|V| (): and schur (p + 1, p + 1)
    that gives its second derivatives in all entries of the covariances, those of the first factor first.
    """
    if cross.dense:
        return _expand_crossed(factors, cross.levels[0], cross.dense[0], cross.xx)
    return _expand_level(factors[0], (cross.merged or cross.levels)[0], cross.xx)


def _products(scores: Array) -> Array:
    """Sums over the levels of g x g, for scores g (q, p + 1, J)."""
    return xp.einsum("amj,bnj->ambn", scores, scores)


def summed_in_blocks(function: Callable[..., Any], *by_level: Array) -> Any:
    """The sums that a function of arrays with levels on the last axis gives, a block of levels at a time where there
    are many: what it makes on the way then stays in the processor's cache, and the time linear in the levels.
    """
    J = by_level[0].shape[-1]
    if J <= LEVELS_AT_ONCE or J % LEVELS_AT_ONCE or not is_traced(by_level):
        return function(*by_level)
    blocks = [xp.moveaxis(a.reshape(*a.shape[:-1], -1, LEVELS_AT_ONCE), -2, 0) for a in by_level]
    first = function(*(each[0] for each in blocks))

    def add(total: Any, block: Any) -> tuple[Any, None]:
        return tree_map(xp.add, total, function(*block)), None

    import jax

    return jax.lax.scan(add, first, tuple(each[1:] for each in blocks))[0]


def _expand_level(factor: Array, level: Level, xx: Array) -> tuple[Slopes, Curvature]:
    q = factor.shape[0]

    def eliminated(zz: Array, right: Array, count: Array) -> tuple[Array, ...]:
        both = xp.concatenate([zz, right], axis=1)
        found, log_det = factorise(factor, zz, left_times(factor.T, both), count)
        half, reduced = found.reduced[:, :q], found.reduced[:, q:]
        return log_det, reduced, zz - times(turned(half), half), right - times(turned(half), reduced)

    def of_levels(zz: Array, right: Array, count: Array) -> tuple[Array, ...]:
        log_det, reduced, H, scores = eliminated(zz, right, count)
        explained = xp.tensordot(reduced, reduced, axes=((0, 2), (0, 2)))
        return log_det, explained, xp.sum(count * H, axis=2), _products(scores)

    by_level = level.zz, level.right, level.count
    log_det, explained, of_log_det, of_schur = summed_in_blocks(of_levels, *by_level)
    slopes = Slopes(Marginal(log_det, xx - explained), (of_log_det,), (of_schur,))

    def curvature(by_log_det: Array, by_schur: Array) -> Array:
        def entries(zz: Array, right: Array, count: Array) -> Array:
            _, _, H, scores = eliminated(zz, right, count)
            outer = xp.einsum("amj,mn,bnj->abj", scores, by_schur, scores)
            # tr(H A H B) and g'A H B g in the entries of A and B
            mixed = outer - 0.5 * by_log_det * count * H
            # A_ab H_bc B_cd X_da, with X the other matrix, symmetric in exchange of A and B
            return xp.einsum("bcj,daj->abcd", H, mixed)

        found = summed_in_blocks(entries, *by_level)
        return (found + xp.einsum("abcd->cdab", found)).reshape(q * q, q * q)

    return slopes, curvature


def _expand_crossed(factors: Factors, level: Level, dense: Dense, xx: Array) -> tuple[Slopes, Curvature]:
    # all that follows depends on their covariances alone
    factors = (factors[0], *map(lower_triangular, factors[1:]))
    found = eliminate_crossed(factors, level, dense, xx)
    others, sizes, q = factors[1:], sizes_of(dense), factors[0].shape[0]
    G = inverse(found.lower)
    spread = on_both_sides(others, sizes, G)
    left = xp.eye(q)[:, :, None] - times(found.gain, level.zz)  # E = I - W zz
    own = times(level.zz, left)  # H of the first factor, were there no other
    explained = times(turned(left), times(dense.coupling.sandwiched(spread), left))  # what the others take off it
    changes = []
    for a in range(q):
        for b in range(a, q):
            outer = left[:, None, a] * left[None, :, b]
            changes.append(dense.coupling.weighted(-0.5 * (outer + turned(outer))))
    inside = xp.min(xp.abs(xp.concatenate([xp.diag(other) for other in others]))) > OFF_BOUNDARY
    of_dense = either(
        inside,
        lambda: _divided(G, changes, others, sizes),
        lambda: _multiplied(spread, found.kept, changes, others, sizes),
    )
    scores = crossed_scores(factors, level, dense, found)
    slopes = Slopes(
        found.marginal, (xp.sum(own - explained, axis=2), *of_dense.slopes), tuple(_products(s) for s in scores)
    )

    def curvature(by_log_det: Array, by_schur: Array) -> Array:
        of_log_det = _log_det_curvature(own, explained, of_dense)
        of_schur = _schur_curvature(by_schur, scores, _Eliminated(factors, level, dense, found, left, spread))
        return by_log_det * of_log_det + of_schur

    return slopes, curvature


class _Eliminated(NamedTuple):
    """Crossed factors at the covariances of `factors`: their products `level` and `dense`, what was `found` by
    eliminating them, E of the first factor's levels (`left`), and F G F' (`spread`).
    """

    factors: Factors
    level: Level
    dense: Dense
    found: Crossed
    left: Array
    spread: Array


class _OfDense(NamedTuple):
    """Derivatives of log|S| in the covariances of the dense part and, through K, of the first factor.

    With N = F G F', H = K - K N K the dense part's Z'V^-1 Z, and dK the change of K by each pair of entries of the
    first factor's covariance: `slopes` (q, q): own blocks of H summed over the levels. `squares` (q, q, q', q') of
    each pair of factors: tr(H A H B) in the entries of A and B. `first` (s, s): tr(N dK_i N dK_j). `mixed` (s, q, q):
    own blocks of (I - N K)' dK_i (I - N K) summed over the levels.
    """

    slopes: tuple[Array, ...]
    squares: tuple[tuple[Array, ...], ...]
    first: Array
    mixed: tuple[Array, ...]


def _divided(G: Array, changes: list[Array], others: Factors, sizes: tuple[int, ...]) -> _OfDense:
    """By dividing by the factors: from F'KF = S - I follow H = F^-T (I - G) F^-1 and I - N K = F G F^-1."""
    back = [xp.solve_triangular(f, xp.eye(f.shape[0]), lower=True) for f in others]
    core = xp.eye(G.shape[0]) - G
    turned_factors = tuple(other.T for other in others)
    pushed = [_product_for_curvature(on_both_sides(turned_factors, sizes, change), G) for change in changes]
    slopes, squares = _own_and_squares(core, others, sizes)
    mixed = [own_products(G, push, others, sizes) for push in pushed]
    return _OfDense(
        tuple(b.T @ slope @ b for b, slope in zip(back, slopes, strict=True)),
        tuple(
            tuple(xp.einsum("abcd,ae,bf,cg,dh->efgh", entry, b, b, c, c) for entry, c in zip(row, back, strict=True))
            for row, b in zip(squares, back, strict=True)
        ),
        _traces(pushed),
        tuple(xp.stack([b.T @ own[k] @ b for own in mixed]) for k, b in enumerate(back)),
    )


def _product_for_curvature(left: Array, right: Array) -> Array:
    """A product of square matrices of which only traces of products enter the curvature.

    Large ones are multiplied in single precision, in half of the time: six digits of a curvature are more than a Newton
    step or degrees of freedom can use, and value and slope do not depend on it.
    """
    if left.shape[0] < LARGE:
        return left @ right
    single = [matrix.astype(xp.float32) for matrix in (left, right)]
    return xp.matmul(*single, precision="highest").astype(left.dtype)


def _multiplied(spread: Array, kept: Array, changes: list[Array], others: Factors, sizes: tuple[int, ...]) -> _OfDense:
    """The same where a factor is zero in some direction, at the cost of a few products more."""
    share = xp.eye(kept.shape[0]) - spread @ kept
    pushed = [change @ spread for change in changes]
    slopes, squares = _own_and_squares(kept @ share, others, sizes)
    mixed = [
        own_products(share, change - push @ kept, others, sizes) for change, push in zip(changes, pushed, strict=True)
    ]
    return _OfDense(
        tuple(slopes),
        tuple(map(tuple, squares)),
        _traces(pushed),
        tuple(xp.stack([own[k] for own in mixed]) for k in range(len(others))),
    )


def _traces(matrices: list[Array]) -> Array:
    """tr(A_i A_j) of all pairs."""
    return xp.stack([xp.stack([xp.sum(one * other.T) for other in matrices]) for one in matrices])


def _own_and_squares(matrix: Array, factors: Factors, sizes: tuple[int, ...]) -> tuple[list[Array], list[list[Array]]]:
    """Of a symmetric (r, r) matrix: own blocks summed over levels (q, q), and for each pair of factors the sum over
    their levels of the products of its blocks, [a, d] times [b, c] at (a, b, c, d).
    """
    ends = [0]
    for factor, size in zip(factors, sizes, strict=True):
        ends.append(ends[-1] + factor.shape[0] * size)

    def block(k: int, m: int) -> Array:
        shape = (factors[k].shape[0], sizes[k], factors[m].shape[0], sizes[m])
        return matrix[ends[k] : ends[k + 1], ends[m] : ends[m + 1]].reshape(shape)

    every = range(len(factors))
    own = [xp.einsum("ajbj->ab", block(k, k)) for k in every]
    return own, [[xp.einsum("ards,brcs->abcd", block(k, m), block(k, m)) for m in every] for k in every]


def _log_det_curvature(own: Array, explained: Array, of_dense: _OfDense) -> Array:
    """Second derivatives of log|V| in all entries of the covariances, -tr(H A H B).

    For the first factor, whose H is never formed: with K's change dK = -sum C'E A E'C, they are
    -tr(own A own B) + 2 tr(explained A own B) - tr(N dK_A N dK_B), and with another factor tr(share' dK_A share B).
    """
    q = own.shape[0]
    pairs = [(a, b) for a in range(q) for b in range(a, q)]
    place = [pairs.index((min(a, b), max(a, b))) for a in range(q) for b in range(q)]
    entries = xp.einsum("bcj,daj->abcd", own, explained - 0.5 * own)
    entries = entries + xp.einsum("abcd->cdab", entries)
    corner = entries.reshape(q * q, q * q) - of_dense.first[xp.array(place)][:, xp.array(place)]
    mixed = [part[xp.array(place)].reshape(q * q, -1) for part in of_dense.mixed]
    rows = [[corner, *mixed]]
    for row, side in zip(of_dense.squares, mixed, strict=True):
        width = side.shape[1]
        rows.append([side.T, *(-entry.reshape(width, -1) for entry in row)])
    return xp.block(rows)


def _schur_curvature(by_schur: Array, scores: list[Array], at: _Eliminated) -> Array:
    """Second derivatives of the sum of by_schur * schur, 2 f' H f with f = A g for every entry of the covariances.

    H f = Z'V^-1 Z f comes from the same elimination as the scores.
    """
    factors, level, dense, found, left, spread = at
    m = by_schur.shape[0]
    q = [factor.shape[0] for factor in factors]
    weights = 0.5 * (by_schur + by_schur.T)
    entries = [(k, a, b) for k in range(len(factors)) for a in range(q[k]) for b in range(q[k])]

    def columns(k: int, size: int) -> Array:
        """f of all entries in the rows of factor k: (q, entries * m, J)."""
        parts = [
            put(np.zeros((q[k], m, size)), a, scores[k][b]) if k == own else xp.zeros((q[k], m, size))
            for own, a, b in entries
        ]
        return xp.concatenate(parts, axis=1)

    sizes = sizes_of(dense)
    first = columns(0, level.count.shape[0])
    others = xp.concatenate(
        [xp.moveaxis(columns(k, size), 1, 2).reshape(q[k] * size, -1) for k, size in enumerate(sizes, start=1)]
    )
    right = found.kept @ others + dense.coupling.transposed_times(times(left, first))
    solved = spread @ right
    of_first = times(turned(left), times(level.zz, first) + dense.coupling.times(others - solved))
    of_others = right - found.kept @ solved
    products = xp.einsum("aej,afj->ef", first, of_first) + others.T @ of_others
    count = len(entries)
    return 2.0 * xp.einsum("emfn,mn->ef", products.reshape(count, m, count, m), weights)
