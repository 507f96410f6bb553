"""Covariance structures of a block of columns, as a table: all that differs between them stands here.

`us`: every variance and covariance free. `diag`: no correlations. `cs`: compound symmetry, one correlation for all
pairs. `ar1`: correlations r^d of columns d steps apart. A homogeneous block has one variance for all of its columns.
Source: lme4's vignette "Covariance structures".
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from hier.design import Block
from hier.kernel.arrays.derivatives import jacobian
from hier.kernel.arrays.library import Array, library_of, put, xp
from hier.kernel.covariance.correlation import (
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

INSIDE = 0.01  # of its range: a correlation at which a search begins is as far from either limit
NEAR = 1.2  # the angle of a correlation near either limit, where a further search begins


Pairs = tuple[tuple[int, int], ...]  # of columns


class Correlation(NamedTuple):
    """The correlations of k columns as the variable that their prior is of.

    `limits(k)`: the range of the one correlation that is the variable; where `limits` is None, the variable is the
    lower-triangular factor (k, k) of the correlation matrix, and the prior that of such a matrix.
    `count(k)`: how many numbers without bounds it stands for. `none(k)`: its value where nothing is correlated.
    `factor(value, block)`: the lower-triangular factor of the correlation matrix. `log_volume(value)`: log Jacobian
    determinant of the map from the variable to what its density should be of.
    """

    limits: Callable[[int], tuple[float, float]] | None
    count: Callable[[int], int]
    none: Callable[[int], np.ndarray]
    factor: Callable[[Any, Block], Array]
    log_volume: Callable[[Array], Any]


class CovarianceStructure(NamedTuple):
    """One covariance structure, for a block of k columns.

    `words`: its name in a sentence. `correlation`: None where there is none.
    `count(block)`: its parameters. `factor(theta, block)`: the lower-triangular factor (k, k).
    `canonical(theta, block)`: parameters of the same covariance with a non-negative diagonal of the factor, each with
    a slope of 1 or -1 in its own. `settled(theta, block, least)`: those, with what is nearer than `least` to its limit
    put there. `nearest(covariance, block, least)`: parameters of a covariance matrix, or of one like it, with no
    standard deviation below `least`, by NumPy or JAX as the matrix is. `others(theta, side)`: where else a search
    should begin, on either side (-1, 1), since the likelihood may have another maximum there; None where it hardly has.
    `changes(theta, block)`: the symmetric matrices (k, k) in whose direction the covariance can go, one per parameter:
    its entries where it is linear in these, otherwise derivatives in theta. `moved(block)`: of each change the standard
    deviations (a, a) or correlations (a, b), a < b, that it belongs to.
    """

    words: str
    correlation: Correlation | None
    count: Callable[[Block], int]
    factor: Callable[[Any, Block], Array]
    canonical: Callable[[Any, Block], Array]
    settled: Callable[[Any, Block, float], Array]
    nearest: Callable[[Any, Block, float], Any]
    others: Callable[[np.ndarray, float], np.ndarray] | None
    changes: Callable[[Any, Block], Sequence[Any]]
    moved: Callable[[Block], Sequence[Pairs]]


@functools.cache
def _lower(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a lower triangle by columns, as lme4 orders theta."""
    columns = np.repeat(np.arange(size), np.arange(size, 0, -1))
    rows = np.concatenate([np.arange(column, size) for column in range(size)])
    return rows, columns


def _unstructured() -> CovarianceStructure:
    """Parameters: the entries of the factor, whose columns' signs the likelihood does not depend on."""

    def factor(theta: Array, block: Block) -> Array:
        return put(np.zeros((block.size, block.size)), _lower(block.size), theta)

    def canonical(theta: Array, block: Block) -> Array:
        diagonal = xp.diag(factor(theta, block))
        return theta * xp.where(diagonal < 0, -1.0, 1.0)[_lower(block.size)[1]]

    def settled(theta: Array, block: Block, least: float) -> Array:
        columns = _lower(block.size)[1]
        alike = columns[:, None] == columns
        largest = xp.where(alike, xp.abs(theta), 0.0).max(axis=1)  # of each entry's own column
        return xp.where(largest < least, 0.0, theta)

    def nearest(covariance: Array, block: Block, least: float) -> Any:
        xp = library_of(covariance)
        values, vectors = xp.linalg.eigh(covariance)
        root = vectors * xp.sqrt(xp.maximum(values, least**2))
        lower = xp.linalg.qr(root.T, mode="r").T  # a Cholesky factor that may be singular
        return (lower * xp.where(xp.diag(lower) < 0, -1.0, 1.0))[_lower(block.size)]

    return CovarianceStructure(
        words="unstructured",
        correlation=Correlation(
            limits=None,
            count=lambda size: size * (size - 1) // 2,
            none=np.eye,
            factor=lambda value, block: value,
            log_volume=log_volume,
        ),
        count=lambda block: block.size * (block.size + 1) // 2,
        factor=factor,
        canonical=canonical,
        settled=settled,
        nearest=nearest,
        others=None,
        changes=lambda theta, block: [_between(a, b, block.size) for a, b in _entries(block.size)],
        moved=lambda block: [((a, b),) for a, b in _entries(block.size)],
    )


def _entries(size: int) -> list[tuple[int, int]]:
    """The places of a symmetric matrix's free entries."""
    return [(a, b) for a in range(size) for b in range(a, size)]


def _between(a: int, b: int, size: int) -> np.ndarray:
    """The symmetric matrix with ones at the places (a, b) and (b, a)."""
    matrix = np.zeros((size, size))
    matrix[a, b] = matrix[b, a] = 1.0
    return matrix


class _Single(NamedTuple):
    """A correlation matrix of one correlation: its lower limit, its factor, and the pairs of columns whose correlation
    is a power of that one, from the upper triangle: rows, columns and the power. `is_linear`: whether the matrix is.
    """

    lowest: Callable[[int], float]
    factor: Callable[[Place, Block], Array]
    pairs: Callable[[Block], tuple[np.ndarray, np.ndarray, int]]
    is_linear: bool


def _by_sds(words: str, single: _Single | None) -> CovarianceStructure:
    """Parameters: one for each standard deviation, and the correlation's angle if there is a correlation.

    One standard deviation for all columns is its own parameter, since the likelihood does not depend on its sign; one
    of several is the square of its parameter, since it may have no sign where there is a correlation. A variance of
    zero is an ordinary point either way.
    """
    n_angles = 0 if single is None else 1

    def n_sds(block: Block) -> int:
        return 1 if block.homogeneous else block.size

    def sds(roots: Array, block: Block) -> Any:
        return roots if block.homogeneous else roots**2

    def factor(theta: Array, block: Block) -> Array:
        k = block.size
        shape = xp.eye(k) if single is None else single.factor(place_at(theta[-1], single.lowest(k)), block)
        return sds(theta[: n_sds(block)], block)[:, None] * shape

    def canonical(theta: Array, block: Block) -> Array:
        roots, angles = theta[: n_sds(block)], theta[n_sds(block) :]
        return xp.concatenate([xp.where(roots < 0, -roots, roots), folded(angles)])

    def settled(theta: Array, block: Block, least: float) -> Array:
        roots, angles = theta[: n_sds(block)], theta[n_sds(block) :]
        limit = xp.sign(angles) * np.pi / 2
        return xp.concatenate(
            [
                xp.where(xp.abs(sds(roots, block)) < least, 0.0, roots),
                xp.where(xp.abs(limit - angles) < least, limit, angles),
            ]
        )

    def nearest(covariance: Array, block: Block, least: float) -> Any:
        xp = library_of(covariance)
        variances = xp.maximum(xp.diag(covariance), least**2)
        sd = xp.sqrt(variances.mean(keepdims=True) if block.homogeneous else variances)
        roots = sd if block.homogeneous else xp.sqrt(sd)
        if single is None:
            return roots
        low = single.lowest(block.size)
        inside = INSIDE * (1.0 - low)
        mean = xp.clip(_mean_correlation(covariance, *single.pairs(block)), low + inside, 1.0 - inside)
        return xp.append(roots, angle_of(mean, low))

    def others(theta: np.ndarray, side: float) -> np.ndarray:
        # a variance that reaches zero where the correlation has the wrong sign stays there
        return np.append(theta[:-1], side * NEAR)

    def changes(theta: Array, block: Block) -> Sequence[Any]:
        if block.homogeneous and (single is None or single.is_linear):
            unit = np.eye(block.size)
            return [unit, 1.0 - unit][: 1 + n_angles]

        def covariance(at: Array) -> Any:
            lower = factor(at, block)
            return lower @ lower.T

        return list(xp.moveaxis(jacobian(covariance, theta), -1, 0))

    def moved(block: Block) -> Sequence[Pairs]:
        each = [((a, a),) for a in range(block.size)]
        own = [tuple(pair for (pair,) in each)] if block.homogeneous else each
        return own + [tuple((a, b) for a, b in _entries(block.size) if a < b)] * n_angles

    return CovarianceStructure(
        words=words,
        correlation=None if single is None else _one_correlation(single),
        count=lambda block: n_sds(block) + n_angles,
        factor=factor,
        canonical=canonical,
        settled=settled,
        nearest=nearest,
        others=None if single is None else others,
        changes=changes,
        moved=moved,
    )


def _one_correlation(single: _Single) -> Correlation:
    return Correlation(
        limits=lambda size: (single.lowest(size), 1.0),
        count=lambda size: 1,
        none=lambda size: np.zeros(()),
        factor=lambda value, block: single.factor(place_of(value, single.lowest(block.size)), block),
        log_volume=lambda value: 0.0,
    )


def _mean_correlation(covariance: Array, rows: np.ndarray, columns: np.ndarray, power: int) -> Any:
    """The root of the mean correlation of these pairs of columns, of those that have a variance; 0 where none have."""
    xp = library_of(covariance)
    sd = xp.sqrt(xp.maximum(xp.diag(covariance), 0.0))
    product = sd[rows] * sd[columns]
    known = product > 0
    correlation = xp.where(known, covariance[rows, columns], 0.0) / xp.where(known, product, 1.0)
    mean = correlation.sum() / xp.maximum(known.sum(), 1)
    return xp.sign(mean) * abs(mean) ** (1.0 / power)


def _all_pairs(block: Block) -> tuple[np.ndarray, np.ndarray, int]:
    return (*np.triu_indices(block.size, 1), 1)


def _nearest_pairs(block: Block) -> tuple[np.ndarray, np.ndarray, int]:
    rows, columns = np.triu_indices(block.size, 1)
    steps = np.asarray(block.times)[columns] - np.asarray(block.times)[rows]
    near = steps == steps.min()
    return rows[near], columns[near], int(steps.min())


def _equal(place: Place, block: Block) -> Array:
    return equal_factor(place, block.size)


def _fading(place: Place, block: Block) -> Array:
    return fading_factor(place, block.times)


STRUCTURES: dict[str, CovarianceStructure] = {
    "us": _unstructured(),
    "diag": _by_sds("uncorrelated", None),
    "cs": _by_sds("compound symmetry", _Single(lowest_equal, _equal, _all_pairs, is_linear=True)),
    "ar1": _by_sds("first-order autoregressive", _Single(lambda size: -1.0, _fading, _nearest_pairs, is_linear=False)),
}


def in_words(block: Block) -> str:
    """A block's structure as a phrase; empty where it is the usual one, or a single column."""
    if block.size == 1 or block == Block(block.size):
        return ""
    words = STRUCTURES[block.structure].words + (", equal variances" if block.homogeneous else "")
    return f"{words}, at steps {', '.join(map(str, block.places))}" if block.places else words
