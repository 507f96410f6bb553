"""Elimination of the deviations of one factor level by level, all levels at once.

A level's deviations meet only those of the levels that it belongs to, so each step is a small factorisation per level.
It is unrolled over the few columns of a level and runs elementwise over the levels, on the last axis: batched LAPACK
calls on 2 x 2 matrices would take several times as long.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from hier.kernel.algebra.crossproducts import Level
from hier.kernel.arrays.library import Array, segment_sums, xp


class EliminatedLevel(NamedTuple):
    """A factor's levels with their deviations eliminated.

    `upper` (q, q, J): the Cholesky factors R_j with R_j'R_j = L' S_j L + I, upper triangular, where S_j is Z_j'WZ_j
    less what factors nested in this one explain. `reduced` (q, c, J): R_j^-T L' times the level's other columns.
    """

    upper: Array
    reduced: Array


def left_times(factor: Array, blocks: Array) -> Array:
    """L A_j of every level, for L (k, q) and A (q, c, J)."""
    return functools.reduce(xp.add, (factor[:, k, None, None] * blocks[k] for k in range(len(blocks))))


def times(left: Array, right: Array) -> Array:
    """A_j B_j of every level, for (a, q, J) and (q, b, J)."""
    return functools.reduce(xp.add, (left[:, k, None] * right[k] for k in range(len(right))))


def turned(blocks: Array) -> Array:
    """A_j' of every level."""
    return xp.swapaxes(blocks, 0, 1)


def factorise(factor: Array, zz: Array, right: Array, count: Array) -> tuple[EliminatedLevel, Array]:
    """Eliminate the levels with products `zz` (q, q, J); also the sum of log|R_j'R_j|, each `count` (J,) times.

    `right` (q, c, J): L' times the other columns.
    """
    q = factor.shape[0]
    half = left_times(factor.T, zz)
    inner = turned(left_times(factor.T, turned(half))) + xp.eye(q)[:, :, None]
    rest = xp.concatenate([inner, right], axis=1)
    upper, reduced, log_det = [], [], xp.zeros(())
    for k in range(q):
        pivot = xp.sqrt(rest[0, 0])
        row = rest[0] / pivot
        log_det = log_det + 2.0 * xp.sum(count * xp.log(pivot))
        upper.append(xp.concatenate([xp.zeros_like(rest[0, :1]).repeat(k, axis=0), row[: q - k]]))
        reduced.append(row[q - k :])
        rest = rest[1:, 1:] - row[1 : q - k, None] * row[None, 1:]
    return EliminatedLevel(xp.stack(upper), xp.stack(reduced)), log_det


def gains(factor: Array, zz: Array, right: Array, count: Array) -> tuple[EliminatedLevel, Array, Array]:
    """As `factorise`, of columns `right` (q, c, J) that L' is not on yet, with H_j = R_j^-T L' (q, q, J) between its
    results: H_j'H_j = (Z_j'WZ_j + (L L')^-1)^-1 where L has an inverse.
    """
    q = factor.shape[0]
    unit = xp.broadcast_to(factor.T[:, :, None], zz.shape)
    both = xp.concatenate([unit, left_times(factor.T, right)], axis=1)
    found, log_det = factorise(factor, zz, both, count)
    return EliminatedLevel(found.upper, found.reduced[:, q:]), found.reduced[:, :q], log_det


def back_substitute(upper: Array, right: Array) -> Array:
    """Solve R_j x_j = right_j for every level; (q, q, J) and (q, ..., J)."""
    solved: list[Array] = []
    for k in reversed(range(upper.shape[0])):
        value = right[k]
        for offset, known in enumerate(solved):
            value = value - upper[k, k + 1 + offset] * known
        solved.insert(0, value / upper[k, k])
    return xp.stack(solved)


def forward_substitute(upper: Array, right: Array) -> Array:
    """Solve R_j' x_j = right_j for every level; (q, q, J) and (q, ..., J)."""
    solved: list[Array] = []
    for k in range(upper.shape[0]):
        value = right[k]
        for m, known in enumerate(solved):
            value = value - upper[m, k] * known
        solved.append(value / upper[k, k])
    return xp.stack(solved)


def summed_by_parent(values: Array, parent: Array, size: int) -> Array:
    """Sums of `values` (..., J) over the levels that belong to each of `size` levels of an outer factor."""
    moved = segment_sums(xp.moveaxis(values, -1, 0), parent, size)
    return xp.moveaxis(moved, 0, -1)


def eliminate_chain(factors: Sequence[Array], levels: Sequence[Level]) -> tuple[list[EliminatedLevel], Array, Array]:
    """Eliminate factors that are nested each in the next, from the innermost on.

    Returns the eliminated levels, the sum of log|R_j'R_j|, and what is explained of [X y]'W[X y] (p + 1, p + 1).
    Source: the multifrontal method, Liu (1992), SIAM Review 34, 82, whose tree is that of the levels.
    """
    q = [factor.shape[0] for factor in factors]
    own = [level.zz for level in levels]
    right = [level.right for level in levels]
    found: list[EliminatedLevel] = []
    log_det, explained = xp.zeros(()), xp.zeros(())
    for k, (factor, level) in enumerate(zip(factors, levels, strict=True)):
        eliminated, part = factorise(factor, own[k], left_times(factor.T, right[k]), level.count)
        found.append(eliminated)
        log_det = log_det + part
        at = 0
        for m, parent in enumerate(level.parents, start=k + 1):
            size = levels[m].count.shape[0]
            mine, beyond = eliminated.reduced[:, at : at + q[m]], eliminated.reduced[:, at + q[m] :]
            own[m] = own[m] - summed_by_parent(times(turned(mine), mine), parent, size)
            right[m] = right[m] - summed_by_parent(times(turned(mine), beyond), parent, size)
            at += q[m]
        explained = explained + xp.tensordot(
            eliminated.reduced[:, at:], eliminated.reduced[:, at:], axes=((0, 2), (0, 2))
        )
    return found, log_det, explained
