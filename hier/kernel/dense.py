"""Algebra of the deviations that are eliminated together: one symmetric matrix, its factor and its inverse.

The matrix is as large as there are deviations, so all work goes into products of large blocks, which run at several
times the speed of triangular solves.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

SPLIT = 384  # rows from which halves are worth their copies


def inverse(lower: jax.Array) -> jax.Array:
    """(L L')^-1 of a lower triangular L (r, r).

    By halves where it is large, since products run faster than triangular solves: with X = L^-1, the lower left block
    of X is -X_22 L_21 X_11, and the inverse is X'X. Source: Golub and Van Loan (2013), Matrix Computations, section
    3.1.
    """
    size = lower.shape[0]
    if size < SPLIT:
        return jax.scipy.linalg.cho_solve((lower, True), jnp.eye(size))
    half = size // 2
    first = jax.scipy.linalg.solve_triangular(lower[:half, :half], jnp.eye(half), lower=True)
    second = jax.scipy.linalg.solve_triangular(lower[half:, half:], jnp.eye(size - half), lower=True)
    corner = -(second @ (lower[half:, :half] @ first))
    below = second.T @ corner
    return jnp.concatenate(
        [
            jnp.concatenate([first.T @ first + corner.T @ corner, below.T], axis=1),
            jnp.concatenate([below, second.T @ second], axis=1),
        ]
    )


def from_left(factors: Sequence[jax.Array], sizes: Sequence[int], matrix: jax.Array) -> jax.Array:
    """The block-diagonal matrix of every factor (q, q) times `matrix` (r, m); a factor's levels change fastest.

    `sizes`: the number of levels of each factor.
    """
    parts, at = [], 0
    for factor, size in zip(factors, sizes, strict=True):
        q = factor.shape[0]
        rows = matrix[at : at + q * size]
        if q == 1:
            parts.append(factor[0, 0] * rows)
        else:
            parts.append(jnp.einsum("ab,bjm->ajm", factor, rows.reshape(q, size, -1)).reshape(rows.shape))
        at += q * size
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts)


def on_both_sides(factors: Sequence[jax.Array], sizes: Sequence[int], matrix: jax.Array) -> jax.Array:
    """F matrix F' with F the block-diagonal matrix of the factors, for a symmetric `matrix` (r, r)."""
    return from_left(factors, sizes, from_left(factors, sizes, matrix).T)


def own_products(
    left: jax.Array, right: jax.Array, factors: Sequence[jax.Array], sizes: Sequence[int]
) -> list[jax.Array]:
    """For each factor, the sum over its levels of the own blocks of left' right: (q, q)."""
    found, at = [], 0
    for factor, size in zip(factors, sizes, strict=True):
        q = factor.shape[0]
        a, b = (matrix[:, at : at + q * size].reshape(-1, q, size) for matrix in (left, right))
        found.append(jnp.einsum("raj,rbj->ab", a, b))
        at += q * size
    return found
