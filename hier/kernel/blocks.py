"""Covariance structures of a block of columns, as a table: all that differs between them stands here.

`us`: every variance and covariance free. `diag`: no correlations. `cs`: compound symmetry, one correlation for all
pairs. `ar1`: correlations r^|i - j| of columns i and j. A homogeneous block has one variance for all of its columns.
Source: lme4's vignette "Covariance structures".
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.design import Block
from hier.kernel.correlation import (
    Place,
    angle_of,
    equal_factor,
    fading_factor,
    folded,
    log_volume,
    lowest_equal,
    place_at,
    place_of,
)
from hier.kernel.library import library_of

INSIDE = 0.01  # of its range: a correlation at which a search begins is as far from either limit
NEAR = 1.2  # the angle of a correlation near either limit, where a further search begins


class Correlation(NamedTuple):
    """The correlations of k columns as the variable that their prior is of.

    `limits(k)`: the range of the one correlation that is the variable; where `limits` is None, the variable is the
    lower-triangular factor (k, k) of the correlation matrix, and the prior that of such a matrix.
    `count(k)`: how many numbers without bounds it stands for. `none(k)`: its value where nothing is correlated.
    `factor(value, k)`: the lower-triangular factor of the correlation matrix. `log_volume(value)`: log Jacobian
    determinant of the map from the variable to what its density should be of.
    """

    limits: Callable[[int], tuple[float, float]] | None
    count: Callable[[int], int]
    none: Callable[[int], np.ndarray]
    factor: Callable[[Any, int], jax.Array]
    log_volume: Callable[[jax.Array], Any]


class Structure(NamedTuple):
    """One covariance structure, for a block of k columns.

    `words`: its name in a sentence. `correlation`: None where there is none.
    `count(block)`: its parameters. `factor(theta, block)`: the lower-triangular factor (k, k).
    `canonical(theta, block)`: parameters of the same covariance with a non-negative diagonal of the factor, each with
    a slope of 1 or -1 in its own. `settled(theta, block, least)`: those, with what is nearer than `least` to its limit
    put there. `nearest(covariance, block, least)`: parameters of a covariance matrix, or of one like it, with no
    standard deviation below `least`, by NumPy or JAX as the matrix is. `others(theta, side)`: where else a search
    should begin, on either side (-1, 1), since the likelihood may have another maximum there; None where it hardly has.
    """

    words: str
    correlation: Correlation | None
    count: Callable[[Block], int]
    factor: Callable[[Any, Block], jax.Array]
    canonical: Callable[[Any, Block], jax.Array]
    settled: Callable[[Any, Block, float], jax.Array]
    nearest: Callable[[Any, Block, float], Any]
    others: Callable[[np.ndarray, float], np.ndarray] | None


@functools.cache
def _lower(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a lower triangle by columns, as lme4 orders theta."""
    columns = np.repeat(np.arange(size), np.arange(size, 0, -1))
    rows = np.concatenate([np.arange(column, size) for column in range(size)])
    return rows, columns


def _unstructured() -> Structure:
    """Parameters: the entries of the factor, whose columns' signs the likelihood does not depend on."""

    def factor(theta: Any, block: Block) -> jax.Array:
        return jnp.zeros((block.size, block.size), theta.dtype).at[_lower(block.size)].set(theta)

    def canonical(theta: Any, block: Block) -> jax.Array:
        diagonal = jnp.diag(factor(theta, block))
        return theta * jnp.where(diagonal < 0, -1.0, 1.0)[_lower(block.size)[1]]

    def settled(theta: Any, block: Block, least: float) -> jax.Array:
        columns = _lower(block.size)[1]
        largest = jnp.zeros(block.size).at[columns].max(jnp.abs(theta))
        return jnp.where(largest[columns] < least, 0.0, theta)

    def nearest(covariance: Any, block: Block, least: float) -> Any:
        xp = library_of(covariance)
        values, vectors = xp.linalg.eigh(covariance)
        root = vectors * xp.sqrt(xp.maximum(values, least**2))
        lower = xp.linalg.qr(root.T, mode="r").T  # a Cholesky factor that may be singular
        return (lower * xp.where(xp.diag(lower) < 0, -1.0, 1.0))[_lower(block.size)]

    return Structure(
        words="unstructured",
        correlation=Correlation(
            limits=None,
            count=lambda size: size * (size - 1) // 2,
            none=np.eye,
            factor=lambda value, size: value,
            log_volume=log_volume,
        ),
        count=lambda block: block.size * (block.size + 1) // 2,
        factor=factor,
        canonical=canonical,
        settled=settled,
        nearest=nearest,
        others=None,
    )


class _Single(NamedTuple):
    """A correlation matrix of one correlation: its lower limit, its factor, and how far apart two columns are at most
    whose correlation is that one.
    """

    lowest: Callable[[int], float]
    factor: Callable[[Place, int], jax.Array]
    reach: Callable[[int], int]


def _by_sds(words: str, single: _Single | None) -> Structure:
    """Parameters: one for each standard deviation, and the correlation's angle if there is a correlation.

    One standard deviation for all columns is its own parameter, since the likelihood does not depend on its sign; one
    of several is the square of its parameter, since it may have no sign where there is a correlation. A variance of
    zero is an ordinary point either way.
    """
    n_angles = 0 if single is None else 1

    def n_sds(block: Block) -> int:
        return 1 if block.homogeneous else block.size

    def sds(roots: Any, block: Block) -> Any:
        return roots if block.homogeneous else roots**2

    def factor(theta: Any, block: Block) -> jax.Array:
        k = block.size
        shape = jnp.eye(k) if single is None else single.factor(place_at(theta[-1], single.lowest(k)), k)
        return sds(theta[: n_sds(block)], block)[:, None] * shape

    def canonical(theta: Any, block: Block) -> jax.Array:
        roots, angles = theta[: n_sds(block)], theta[n_sds(block) :]
        return jnp.concatenate([jnp.where(roots < 0, -roots, roots), folded(angles)])

    def settled(theta: Any, block: Block, least: float) -> jax.Array:
        roots, angles = theta[: n_sds(block)], theta[n_sds(block) :]
        limit = jnp.sign(angles) * np.pi / 2
        return jnp.concatenate(
            [
                jnp.where(jnp.abs(sds(roots, block)) < least, 0.0, roots),
                jnp.where(jnp.abs(limit - angles) < least, limit, angles),
            ]
        )

    def nearest(covariance: Any, block: Block, least: float) -> Any:
        xp = library_of(covariance)
        variances = xp.maximum(xp.diag(covariance), least**2)
        sd = xp.sqrt(variances.mean(keepdims=True) if block.homogeneous else variances)
        roots = sd if block.homogeneous else xp.sqrt(sd)
        if single is None:
            return roots
        low = single.lowest(block.size)
        inside = INSIDE * (1.0 - low)
        mean = xp.clip(_mean_correlation(covariance, single.reach(block.size)), low + inside, 1.0 - inside)
        return xp.append(roots, angle_of(mean, low))

    def others(theta: np.ndarray, side: float) -> np.ndarray:
        # a variance that reaches zero where the correlation has the wrong sign stays there
        return np.append(theta[:-1], side * NEAR)

    return Structure(
        words=words,
        correlation=None if single is None else _one_correlation(single),
        count=lambda block: n_sds(block) + n_angles,
        factor=factor,
        canonical=canonical,
        settled=settled,
        nearest=nearest,
        others=None if single is None else others,
    )


def _one_correlation(single: _Single) -> Correlation:
    return Correlation(
        limits=lambda size: (single.lowest(size), 1.0),
        count=lambda size: 1,
        none=lambda size: np.zeros(()),
        factor=lambda value, size: single.factor(place_of(value, single.lowest(size)), size),
        log_volume=lambda value: 0.0,
    )


def _mean_correlation(covariance: Any, reach: int) -> Any:
    """The mean correlation of columns up to `reach` apart, of those that have a variance; 0 where none have."""
    xp = library_of(covariance)
    sd = xp.sqrt(xp.maximum(xp.diag(covariance), 0.0))
    rows, columns = np.triu_indices(len(sd), 1)
    near = columns - rows <= reach
    rows, columns = rows[near], columns[near]
    product = sd[rows] * sd[columns]
    known = product > 0
    correlation = xp.where(known, covariance[rows, columns], 0.0) / xp.where(known, product, 1.0)
    return correlation.sum() / xp.maximum(known.sum(), 1)


STRUCTURES: dict[str, Structure] = {
    "us": _unstructured(),
    "diag": _by_sds("uncorrelated", None),
    "cs": _by_sds("compound symmetry", _Single(lowest_equal, equal_factor, reach=lambda size: size)),
    "ar1": _by_sds("first-order autoregressive", _Single(lambda size: -1.0, fading_factor, reach=lambda size: 1)),
}


def in_words(block: Block) -> str:
    """A block's structure as a phrase; empty where it is the usual one, or a single column."""
    if block.size == 1 or block == Block(block.size):
        return ""
    return STRUCTURES[block.structure].words + (", equal variances" if block.homogeneous else "")
