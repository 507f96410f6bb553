"""Covariance structures of the group deviations: how a vector of parameters fills the relative covariance factor.

A structure is a tuple of block sizes: `(2,)` is one unstructured 2 x 2 block, `(1, 1)` two independent columns.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

Blocks = tuple[int, ...]


@functools.cache
def template(blocks: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the free entries of the factor, each block's lower triangle by columns, as lme4 orders
    theta.
    """
    rows, columns, start = [], [], 0
    for size in blocks:
        for column in range(size):
            rows += range(start + column, start + size)
            columns += [start + column] * (size - column)
        start += size
    return np.array(rows), np.array(columns)


def n_variance_parameters(blocks: Blocks) -> int:
    """Variances and covariances of the deviations, and the residual variance."""
    return len(template(blocks)[0]) + 1


def relative_factor(theta: jax.Array, blocks: Blocks) -> jax.Array:
    """The lower-triangular factor L (q, q) with covariance s^2 L L' from its free entries `theta`."""
    rows, columns = template(blocks)
    q = sum(blocks)
    return jnp.zeros((q, q), theta.dtype).at[rows, columns].set(theta)


def start(blocks: Blocks) -> np.ndarray:
    """Where a search begins: theta of the identity, and log sigma of half the spread; columns have root mean square 1
    there.
    """
    rows, columns = template(blocks)
    return np.append(np.where(rows == columns, 1.0, 0.0), np.log(0.5))


def canonical(theta: jax.Array, blocks: Blocks) -> jax.Array:
    """The same covariance with non-negative diagonal entries: the likelihood is even in the sign of each column."""
    _, columns = template(blocks)
    diagonal = jnp.diag(relative_factor(theta, blocks))
    return theta * jnp.where(diagonal < 0, -1.0, 1.0)[columns]


def correlation_blocks(blocks: Blocks) -> tuple[tuple[int, int], ...]:
    """Half-open column ranges of the blocks that have correlations."""
    ends = np.cumsum(blocks)
    return tuple((int(end - size), int(end)) for size, end in zip(blocks, ends, strict=True) if size > 1)
