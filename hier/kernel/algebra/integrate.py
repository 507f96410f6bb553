"""The group deviations integrated out: the marginal density's two ingredients, and their first derivatives.

The derivatives are in closed form wherever one factor, or one with a dense rest, is eliminated; factors nested in each
other are differentiated through their few unrolled operations.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hier.kernel.algebra.by_level import (
    EliminatedLevel,
    back_substitute,
    eliminate_chain,
    factorise,
    gains,
    left_times,
    times,
    turned,
)
from hier.kernel.algebra.crossproducts import CrossProducts, Dense, Level
from hier.kernel.algebra.dense import (
    BlockFactor,
    block_cholesky,
    from_left,
    inverse,
    on_both_sides,
    own_products,
    solve_lower,
    solve_upper,
)
from hier.kernel.algebra.marginal import Marginal
from hier.kernel.arrays.derivatives import CustomDerivative
from hier.kernel.arrays.library import Array, xp

Factors = tuple[Array, ...]


def integrate_groups(factors: Factors, cross: CrossProducts) -> Marginal:
    """Integrate the group deviations out at the relative covariance factors (q, q), one per grouping factor in the
    kernel's order; the result can be differentiated in them, the cross-products are constants.
    """
    if cross.dense:
        return _integrate_crossed(factors, cross.levels[0], cross.dense[0], cross.xx)
    if len(cross.levels) == 1:
        return _integrate_level(factors[0], (cross.merged or cross.levels)[0], cross.xx)
    _, log_det, explained = eliminate_chain(factors, cross.levels)
    return Marginal(log_det, cross.xx - explained)


@CustomDerivative
def _integrate_level(factor: Array, level: Level, xx: Array) -> Marginal:
    _, log_det, explained = eliminate_chain((factor,), (level,))
    return Marginal(log_det, xx - explained)


@_integrate_level.defjvp
def _derivative_of_integrate_level(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Marginal, Marginal]:
    """The derivative, from sums over the levels that need no more than the factors themselves.

    With u_j = M_j^-1 L' Z_j'W [X y]_j and g_j = Z_j' V_j^-1 [X y]_j, which is Z_j'W([X y]_j - Z_j L u_j):
    d log|M_j| = 2 tr(M_j^-1 L' Z_j'WZ_j dL) and d schur = -sum (g_j' dL u_j + u_j' dL' g_j).
    Source: Bates et al. (2015), equations 24 to 33, differentiated; M_j is their L' Z_j'WZ_j L + I.
    """
    factor, level, xx = primals
    change, q = tangents[0], primals[0].shape[0]
    both = xp.concatenate([level.zz, level.right], axis=1)
    eliminated, log_det = factorise(factor, level.zz, left_times(factor.T, both), level.count)
    solved = back_substitute(eliminated.upper, eliminated.reduced)
    u, reduced = solved[:, q:], eliminated.reduced[:, q:]
    fitted = times(turned(left_times(factor.T, level.zz)), u)
    products = xp.tensordot(level.right - fitted, u, axes=((2,), (2,)))  # (q, p + 1, q, p + 1)
    slope = xp.einsum("ambn,ab->mn", products, change)
    return (
        Marginal(log_det, xx - xp.tensordot(reduced, reduced, axes=((0, 2), (0, 2)))),
        Marginal(2.0 * xp.sum(xp.sum(level.count * solved[:, :q], axis=2).T * change), -(slope + slope.T)),
    )


class Crossed(NamedTuple):
    """One factor eliminated level by level, and the dense part that is left of the others.

    `first`: the eliminated levels, with [X y] as their other columns. `gain` (q, q, J): W_j = L M_j^-1 L'.
    `kept` (r, r): K, the products of the dense part less what the first factor explains; `kept_x` (r, p + 1) with
    [X y]. `lower`: the Cholesky factor of S = F'KF + I, F the block diagonal of the other factors, and `reduced` (r,
    p + 1): its solve of F' kept_x. `marginal`: what is left of [X y] in the end.
    """

    first: EliminatedLevel
    gain: Array
    kept: Array
    kept_x: Array
    lower: BlockFactor
    reduced: Array
    marginal: Marginal


def sizes_of(dense: Dense) -> tuple[int, ...]:
    """The number of levels of each factor of the dense part."""
    return tuple(block.shape[2] for block in dense.own)


def eliminate_crossed(factors: Factors, level: Level, dense: Dense, xx: Array) -> Crossed:
    """Eliminate the first factor level by level and the others together.

    Source: Bates et al. (2015), section 5.4, with the first factor's part of the sparse Cholesky factor written out.
    """
    factor, others = factors[0], factors[1:]
    size = sizes_of(dense)
    eliminated, half, log_det = gains(factor, level.zz, level.right, level.count)
    gain, reduced = times(turned(half), half), eliminated.reduced
    kept = dense.rr - dense.coupling.weighted(gain)
    kept_x = dense.rx - dense.coupling.transposed_times(times(turned(half), reduced))
    turned_factors = tuple(other.T for other in others)
    inner = on_both_sides(turned_factors, size, kept) + xp.eye(kept.shape[0])
    lower, log_det_dense = block_cholesky(inner)
    reduced_x = solve_lower(lower, from_left(turned_factors, size, kept_x))
    schur = xx - xp.tensordot(reduced, reduced, axes=((0, 2), (0, 2))) - reduced_x.T @ reduced_x
    return Crossed(
        eliminated,
        gain,
        kept,
        kept_x,
        lower,
        reduced_x,
        Marginal(log_det + log_det_dense, schur),
    )


@CustomDerivative
def _integrate_crossed(factors: Factors, level: Level, dense: Dense, xx: Array) -> Marginal:
    return eliminate_crossed(factors, level, dense, xx).marginal


@_integrate_crossed.defjvp
def _derivative_of_integrate_crossed(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Marginal, Marginal]:
    """The derivative from the inverse of the dense part, of which only products along its columns are needed.

    With G = S^-1: d log|S| = 2 tr(G F'K dF) + tr(F G F' dK), dK = -sum C_j' dW_j C_j, and
    d schur = -sum over factors of g' d(L L') g with g = Z' V^-1 [X y].
    """
    factors, level, dense, xx = primals
    changes = tangents[0]
    found = eliminate_crossed(factors, level, dense, xx)
    size = sizes_of(dense)
    others = factors[1:]
    G = inverse(found.lower)
    spread = on_both_sides(others, size, G)
    first = first_slopes(factors[0], level, found.gain, dense, spread)
    spread_changes = [factor @ change.T + change @ factor.T for factor, change in zip(factors, changes, strict=True)]
    log_det = xp.sum(first * spread_changes[0])
    right = from_left(tuple(other.T for other in others), size, found.kept)
    for own, change in zip(own_products(right, G, others, size), changes[1:], strict=True):
        log_det = log_det + 2.0 * xp.sum(own * change)
    scores = crossed_scores(factors, level, dense, found)
    schur = xp.zeros_like(xx)
    for score, change in zip(scores, spread_changes, strict=True):
        schur = schur - xp.einsum("amj,ab,bnj->mn", score, change, score)
    return found.marginal, Marginal(log_det, schur)


def first_slopes(factor: Array, level: Level, gain: Array, dense: Dense, spread: Array) -> Array:
    """The sum over levels of Z_j' V^-1 Z_j of the first factor (q, q), `spread` (r, r) being F S^-1 F'.

    It is the slope of log|V| in that factor's covariance: H_j - E_j' C_j N C_j' E_j with H_j = Z_j'WZ_j - Z_j'WZ_j W_j
    Z_j'WZ_j and E_j = I - W_j Z_j'WZ_j.
    """
    left = xp.eye(factor.shape[0])[:, :, None] - times(gain, level.zz)
    own = times(level.zz, left) - times(turned(left), times(dense.coupling.sandwiched(spread), left))
    return xp.sum(own, axis=2)


def crossed_scores(factors: Factors, level: Level, dense: Dense, found: Crossed) -> list[Array]:
    """Z' V^-1 [X y] of every factor: (q, p + 1, J)."""
    size, others = sizes_of(dense), factors[1:]
    deviations = from_left(others, size, solve_upper(found.lower, found.reduced))  # of the dense part: F S^-1 F' K_x
    rest = level.right - dense.coupling.times(deviations)
    scores = [xp.subtract(rest, times(level.zz, times(found.gain, rest)))]
    dense_scores = found.kept_x - found.kept @ deviations
    at = 0
    for factor, levels in zip(others, size, strict=True):
        q = factor.shape[0]
        scores.append(xp.moveaxis(dense_scores[at : at + q * levels].reshape(q, levels, -1), 1, 2))
        at += q * levels
    return scores
