"""Covariance structures of the group deviations: how a vector of parameters fills the relative covariance factor.

Each block of columns has its structure: `us`, every variance and covariance free, or `cs`, compound symmetry: every
variance free and one correlation. A structure is an entry in a table; theta is that of each block in turn.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.design import Block

Blocks = tuple[Block, ...]
Terms = tuple[Blocks, ...]  # of each grouping factor, in the kernel's order
SHORT_OF_ONE = (
    1e-9  # a compound-symmetric correlation stays this far inside its range, where the factor has derivatives
)


class Structure(NamedTuple):
    """One covariance structure, for a block of k columns.

    `count(k)`: its parameters. `start(k)`: those of the identity. `factor(theta, k)`: the lower-triangular factor
    (k, k). `canonical(theta, k)`: parameters of the same covariance with a non-negative diagonal of the factor.
    `columns(k)`: the factor's column that each parameter belongs to alone, or None where that is none.
    """

    count: Callable[[int], int]
    start: Callable[[int], np.ndarray]
    factor: Callable[[Any, int], jax.Array]
    canonical: Callable[[Any, int], jax.Array]
    columns: Callable[[int], np.ndarray | None]


@functools.cache
def _lower(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a lower triangle by columns, as lme4 orders theta."""
    columns = np.repeat(np.arange(size), np.arange(size, 0, -1))
    rows = np.concatenate([np.arange(column, size) for column in range(size)])
    return rows, columns


def _unstructured_factor(theta: Any, size: int) -> jax.Array:
    return jnp.zeros((size, size), theta.dtype).at[_lower(size)].set(theta)


def _unstructured_canonical(theta: Any, size: int) -> jax.Array:
    """The likelihood is even in the sign of each column of the factor."""
    diagonal = jnp.diag(_unstructured_factor(theta, size))
    return theta * jnp.where(diagonal < 0, -1.0, 1.0)[_lower(size)[1]]


def _symmetric_start(size: int) -> np.ndarray:
    low = lowest_correlation(size)
    return np.append(np.zeros(size), np.log(-low))  # standard deviations of 1 and no correlation


def _symmetric_factor(theta: Any, size: int) -> jax.Array:
    """Parameters: log standard deviations, and the correlation's place in its range on the logistic scale."""
    low = lowest_correlation(size)
    inside = SHORT_OF_ONE + (1.0 - 2.0 * SHORT_OF_ONE) * jax.nn.sigmoid(theta[size])
    return jnp.exp(theta[:size])[:, None] * symmetric_correlation(low + (1.0 - low) * inside, size)


STRUCTURES: dict[str, Structure] = {
    "us": Structure(
        count=lambda size: size * (size + 1) // 2,
        start=lambda size: np.equal(*_lower(size)).astype(np.float64),
        factor=_unstructured_factor,
        canonical=_unstructured_canonical,
        columns=lambda size: _lower(size)[1],
    ),
    "cs": Structure(
        count=lambda size: size + 1,
        start=_symmetric_start,
        factor=_symmetric_factor,
        canonical=lambda theta, size: theta,
        columns=lambda size: None,
    ),
}


def lowest_correlation(size: int) -> float:
    """The lower limit of a correlation that all pairs of `size` variables share."""
    return -1.0 / (size - 1)


def symmetric_correlation(correlation: Any, size: int) -> jax.Array:
    """The lower-triangular factor (k, k) of the correlation matrix in which all correlations are equal.

    With r the correlation, column j from 0 has the diagonal entry sqrt((1 - r)(1 + jr) / (1 + (j - 1)r)), and below it
    r sqrt((1 - r) / ((1 + (j - 1)r)(1 + jr))); in the first column 1 and r.
    """
    r, columns = correlation, []
    for j in range(size):
        before, at = 1.0 + (j - 1) * r, 1.0 + j * r
        diagonal = jnp.sqrt((1.0 - r) * at / before) if j else jnp.ones_like(r)
        below = r * jnp.sqrt((1.0 - r) / (before * at)) if j else r
        columns.append(jnp.concatenate([jnp.zeros(j), diagonal[None], jnp.full(size - j - 1, below)]))
    return jnp.stack(columns, axis=1)


def columns_of(blocks: Blocks) -> list[tuple[int, int]]:
    """Half-open range of the columns of each block."""
    ends = np.cumsum([block.size for block in blocks])
    return [(int(end - block.size), int(end)) for block, end in zip(blocks, ends, strict=True)]


def n_columns(blocks: Blocks) -> int:
    """Columns of all blocks together."""
    return sum(block.size for block in blocks)


def n_variance_parameters(terms: Terms) -> int:
    """Variances and covariances of all deviations, and the residual variance."""
    return sum(STRUCTURES[block.structure].count(block.size) for blocks in terms for block in blocks) + 1


def _split(theta: Any, terms: Terms) -> list[list[Any]]:
    """Theta of each block of each factor."""
    counts = [STRUCTURES[block.structure].count(block.size) for blocks in terms for block in blocks]
    parts = iter(jnp.split(theta, np.cumsum(counts)[:-1]))
    return [[next(parts) for _ in blocks] for blocks in terms]


def relative_factors(theta: jax.Array, terms: Terms) -> tuple[jax.Array, ...]:
    """The lower-triangular factor L (q, q) of each grouping factor, its covariance being s^2 L L', from theta."""
    factors = []
    for blocks, parts in zip(terms, _split(theta, terms), strict=True):
        q = n_columns(blocks)
        factor = jnp.zeros((q, q), theta.dtype)
        for block, part, (start, stop) in zip(blocks, parts, columns_of(blocks), strict=True):
            factor = factor.at[start:stop, start:stop].set(STRUCTURES[block.structure].factor(part, block.size))
        factors.append(factor)
    return tuple(factors)


def start(terms: Terms) -> np.ndarray:
    """Where a search begins: theta of the identity, and log sigma of half the spread; columns have root mean square 1
    there.
    """
    own = [STRUCTURES[block.structure].start(block.size) for blocks in terms for block in blocks]
    return np.append(np.concatenate(own), np.log(0.5))


def canonical(theta: jax.Array, terms: Terms) -> jax.Array:
    """The same covariances with non-negative diagonal entries of their factors."""
    return jnp.concatenate(
        [
            STRUCTURES[block.structure].canonical(part, block.size)
            for blocks, parts in zip(terms, _split(theta, terms), strict=True)
            for block, part in zip(blocks, parts, strict=True)
        ]
    )


def without_small_columns(theta: jax.Array, terms: Terms, least: float) -> jax.Array:
    """Theta with zeros for those columns of the factors that have no entry as large as `least`."""
    found = []
    for blocks, parts in zip(terms, _split(theta, terms), strict=True):
        for block, part in zip(blocks, parts, strict=True):
            columns = STRUCTURES[block.structure].columns(block.size)
            if columns is None:
                found.append(part)
                continue
            size = jnp.zeros(block.size).at[columns].max(jnp.abs(part))
            found.append(jnp.where(size[columns] < least, 0.0, part))
    return jnp.concatenate(found)


def correlation_blocks(blocks: Blocks) -> tuple[tuple[int, int], ...]:
    """Half-open column ranges of the blocks that have correlations."""
    return tuple((start, stop) for start, stop in columns_of(blocks) if stop - start > 1)
