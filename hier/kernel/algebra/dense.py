"""Algebra of the deviations that are eliminated together: one symmetric matrix, its factor and its inverse.

The matrix is as large as there are deviations, so all work goes into products of large blocks, which run at several
times the speed of triangular solves, and, unlike LAPACK's threads, do not wait for each other on a busy machine.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from hier.kernel.arrays.library import Array, xp

BLOCK = 200  # rows that LAPACK factorises at a time, on one core
MOST_BLOCKS = 24  # more would take long to compile


class BlockFactor(NamedTuple):
    """The Cholesky factor L of a matrix by block columns: `inverse` of each block on the diagonal, and what is
    `below` it.
    """

    inverse: tuple[Array, ...]
    below: tuple[Array, ...]


def block_cholesky(matrix: Array) -> tuple[BlockFactor, Array]:
    """L of a positive definite L L' (r, r), and log of its determinant.

    Source: Golub and Van Loan (2013), Matrix Computations, section 4.2 (block Cholesky; this one looks left, so that of
    each product only what is needed is formed).
    """
    size = matrix.shape[0]
    count = min(MOST_BLOCKS, max(1, -(-size // BLOCK)))
    edges = [round(k * size / count) for k in range(count + 1)]
    inverses, panels, log_det = [], [], xp.zeros(())
    left = matrix[:, :0]  # of what remains, the rows of L that are known
    for start, end in itertools.pairwise(edges):
        width = end - start
        column = matrix[start:, start:end] - left @ left[:width].T
        lower = xp.cholesky(column[:width])
        inverses.append(xp.solve_triangular(lower, xp.eye(width), lower=True))
        log_det = log_det + 2.0 * xp.sum(xp.log(xp.diag(lower)))
        panels.append(column[width:] @ inverses[-1].T)
        left = xp.concatenate([left[width:], panels[-1]], axis=1)
    return BlockFactor(tuple(inverses), tuple(panels)), log_det


def solve_lower(factor: BlockFactor, right: Array) -> Array:
    """L^-1 right, for (r, m)."""
    solved = []
    for inverse, below in zip(*factor, strict=True):
        width = inverse.shape[0]
        solved.append(inverse @ right[:width])
        right = right[width:] - below @ solved[-1]
    return xp.concatenate(solved)


def solve_upper(factor: BlockFactor, right: Array) -> Array:
    """L'^-1 right, for (r, m)."""
    end, solved = right.shape[0], right[:0]
    for inverse, below in reversed(list(zip(*factor, strict=True))):
        start = end - inverse.shape[0]
        solved = xp.concatenate([inverse.T @ (right[start:end] - below.T @ solved), solved])
        end = start
    return solved


def inverse(factor: BlockFactor) -> Array:
    """(L L')^-1 (r, r), grown from its last block.

    With X the inverse of the next block on the diagonal and W what is below it times X, an inverse G of what follows
    grows to [[X'X + W'G W, -W'G], [-G W, G]].
    """
    grown: Array | None = None
    for block, below in reversed(list(zip(*factor, strict=True))):
        own = block.T @ block
        if grown is None:
            grown = own
            continue
        left = below @ block
        corner = -(grown @ left)
        top = xp.concatenate([own - left.T @ corner, corner.T], axis=1)
        grown = xp.concatenate([top, xp.concatenate([corner, grown], axis=1)])
    assert grown is not None
    return grown


def from_left(factors: Sequence[Array], sizes: Sequence[int], matrix: Array) -> Array:
    """The block-diagonal matrix of every factor (q, q) times `matrix` (r, m); a factor's levels change fastest.

    `sizes`: the number of levels of each factor.
    """
    parts, at = [], 0
    for factor, size in zip(factors, sizes, strict=True):
        q = factor.shape[0]
        rows = [matrix[at + b * size : at + (b + 1) * size] for b in range(q)]
        # written out, for a product with so small a matrix would not fuse with what is before and after it
        parts += [functools.reduce(xp.add, (factor[a, b] * rows[b] for b in range(q))) for a in range(q)]
        at += q * size
    return parts[0] if len(parts) == 1 else xp.concatenate(parts)


def on_both_sides(factors: Sequence[Array], sizes: Sequence[int], matrix: Array) -> Array:
    """F matrix F' with F the block-diagonal matrix of the factors, for a symmetric `matrix` (r, r)."""
    if all(factor.shape[0] == 1 for factor in factors):
        scale = xp.concatenate([xp.full(size, factor[0, 0]) for factor, size in zip(factors, sizes, strict=True)])
        return matrix * scale[:, None] * scale
    return from_left(factors, sizes, from_left(factors, sizes, matrix).T)


def own_products(left: Array, right: Array, factors: Sequence[Array], sizes: Sequence[int]) -> list[Array]:
    """For each factor, the sum over its levels of the own blocks of left' right: (q, q)."""
    found, at = [], 0
    for factor, size in zip(factors, sizes, strict=True):
        q = factor.shape[0]
        a, b = (matrix[:, at : at + q * size].reshape(-1, q, size) for matrix in (left, right))
        found.append(xp.einsum("raj,rbj->ab", a, b))
        at += q * size
    return found
