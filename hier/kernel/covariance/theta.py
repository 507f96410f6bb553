"""How a vector of parameters, theta, fills the relative covariance factors of all deviations.

Theta is that of each block of columns in turn, and each block has its structure, an entry in the table of `blocks`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from hier.design import Block
from hier.kernel.arrays.library import Array, library_of, put, xp
from hier.kernel.covariance.structures import STRUCTURES, Correlation, CovarianceStructure, Pairs
from hier.kernel.programs.precision import computed

Blocks = tuple[Block, ...]
Terms = tuple[Blocks, ...]  # of each grouping factor, in the kernel's order


@functools.cache
def columns_of(blocks: Blocks) -> tuple[tuple[int, int], ...]:
    """Half-open range of the columns of each block."""
    ends = itertools.accumulate((block.size for block in blocks), initial=0)
    return tuple(itertools.pairwise(ends))


def n_columns(blocks: Blocks) -> int:
    """Columns of all blocks together."""
    return sum(block.size for block in blocks)


@functools.cache
def sd_columns(blocks: Blocks) -> tuple[tuple[int, int], ...]:
    """Half-open range of the columns that each standard deviation is of: one, or all of a homogeneous block."""
    found: list[tuple[int, int]] = []
    for block, (start, stop) in zip(blocks, columns_of(blocks), strict=True):
        found += [(start, stop)] if block.homogeneous else [(k, k + 1) for k in range(start, stop)]
    return tuple(found)


@functools.cache
def unstructured_columns(blocks: Blocks) -> tuple[tuple[int, int], ...]:
    """Half-open column ranges of the blocks of several columns whose covariance may be any."""
    both = zip(blocks, columns_of(blocks), strict=True)
    return tuple(columns for block, columns in both if block == Block(block.size) and block.size > 1)


def correlation_of(block: Block) -> Correlation | None:
    """How the columns of a block are correlated; None where they are not."""
    return STRUCTURES[block.structure].correlation if block.size > 1 else None


def correlations(blocks: Blocks) -> list[tuple[Block, Correlation]]:
    """The blocks that have correlations."""
    found = [(block, correlation_of(block)) for block in blocks]
    return [(block, correlation) for block, correlation in found if correlation is not None]


def correlation_blocks(blocks: Blocks) -> tuple[tuple[int, int], ...]:
    """Half-open column ranges of the blocks that have correlations."""
    both = zip(blocks, columns_of(blocks), strict=True)
    return tuple(columns for block, columns in both if correlation_of(block) is not None)


def _count(block: Block) -> int:
    return STRUCTURES[block.structure].count(block)


def n_theta(terms: Terms) -> int:
    """Variances and covariances of all deviations as far as they are free."""
    return sum(_count(block) for blocks in terms for block in blocks)


def n_variance_parameters(terms: Terms) -> int:
    """Variances and covariances of all deviations as far as they are free, and the residual variance."""
    return n_theta(terms) + 1


def _split(theta: Any, terms: Terms) -> list[list[Any]]:
    """Theta of each block of each factor."""
    counts = [_count(block) for blocks in terms for block in blocks]
    parts = iter(xp.split(theta, np.cumsum(counts)[:-1]))
    return [[next(parts) for _ in blocks] for blocks in terms]


def _by_block(theta: Any, terms: Terms, change: Callable[[CovarianceStructure, Any, Block], Array]) -> Array:
    """Theta with the part of each block changed."""
    changed = [
        change(STRUCTURES[block.structure], part, block)
        for blocks, parts in zip(terms, _split(theta, terms), strict=True)
        for block, part in zip(blocks, parts, strict=True)
    ]
    return xp.concatenate(changed) if changed else theta


def relative_factors(theta: Array, terms: Terms) -> tuple[Array, ...]:
    """The lower-triangular factor L (q, q) of each grouping factor, its covariance being s^2 L L', from theta."""
    factors = []
    for blocks, parts in zip(terms, _split(theta, terms), strict=True):
        q = n_columns(blocks)
        factor = np.zeros((q, q))
        for block, part, (start, stop) in zip(blocks, parts, columns_of(blocks), strict=True):
            own = slice(start, stop)
            factor = put(factor, (own, own), STRUCTURES[block.structure].factor(part, block))
        factors.append(factor)
    return tuple(factors)


class Change(NamedTuple):
    """A direction `matrix` (q, q) in which the covariance of one factor's deviations can go, and the `pairs` of columns
    of the standard deviations (a, a) or correlations (a, b) that go with it.
    """

    matrix: np.ndarray
    pairs: Pairs


@functools.cache
@computed
def changes_at_large(blocks: Blocks) -> tuple[Change, ...]:
    """The directions in which a covariance of this structure can go, one per parameter, at one that is like any other:
    with different standard deviations and a correlation inside its range.
    """
    q, found = n_columns(blocks), []
    for block, (start, stop) in zip(blocks, columns_of(blocks), strict=True):
        sd = 1.0 + 0.3 * np.arange(block.size)
        covariance = sd[:, None] * sd * np.where(np.eye(block.size) > 0, 1.0, 0.4)
        structure = STRUCTURES[block.structure]
        changes = structure.changes(structure.nearest(covariance, block, 0.0), block)
        for change, pairs in zip(changes, structure.moved(block), strict=True):
            matrix = np.zeros((q, q))
            matrix[start:stop, start:stop] = change
            found.append(Change(matrix, tuple((start + a, start + b) for a, b in pairs)))
    return tuple(found)


def theta_of(covariances: Sequence[Any], terms: Terms, least: float = 0.0) -> Any:
    """Theta of relative covariances (q, q), one per grouping factor: where a search may begin.

    It is exact where a covariance has the structure of its blocks and, of one correlation, lies well inside the
    range; otherwise it takes the variances, and the mean correlation or the positive part. `least`: standard
    deviations below it are raised to it, since the slope in one of zero is always zero.
    """
    found = []
    for covariance, blocks in zip(covariances, terms, strict=True):
        for block, (start, stop) in zip(blocks, columns_of(blocks), strict=True):
            found.append(STRUCTURES[block.structure].nearest(covariance[start:stop, start:stop], block, least))
    return library_of(found[0]).concatenate(found) if found else np.zeros(0)


@functools.cache
def has_unit(terms: Terms) -> np.ndarray:
    """Which of theta (m,) have the unit of a standard deviation; the others are correlations."""
    alike = [np.eye(n) + 1.0 for n in map(n_columns, terms)]
    return theta_of([4.0 * own for own in alike], terms) != theta_of(alike, terms)


def has_several_maxima(terms: Terms) -> bool:
    """Whether the likelihood may well have several maxima, so that one search is not enough."""
    return any(STRUCTURES[block.structure].others is not None for blocks in terms for block in blocks)


def starts(x: np.ndarray, terms: Terms) -> np.ndarray:
    """Where searches begin (s, m) if the first begins at theta and log sigma `x` (m,): there, and where the likelihood
    may have another maximum.
    """
    found = [x]
    if not has_several_maxima(terms):
        return np.array(found)
    blocks = [block for own in terms for block in own]
    *parts, log_sigma = np.split(x, np.cumsum([_count(block) for block in blocks]))
    for side in (-1.0, 1.0):
        moved = []
        for block, part in zip(blocks, parts, strict=True):
            others = STRUCTURES[block.structure].others
            moved.append(part if others is None else others(part, side))
        found.append(np.concatenate([*moved, log_sigma]))
    return np.array(found)


def canonical(theta: Array, terms: Terms) -> Array:
    """The same covariances with non-negative diagonal entries of their factors."""
    return _by_block(theta, terms, lambda structure, part, block: structure.canonical(part, block))


def settled(theta: Array, terms: Terms, least: float) -> Array:
    """Canonical theta with standard deviations, columns of factors and correlations that are nearer than `least` to
    their limits put there.
    """
    return _by_block(theta, terms, lambda structure, part, block: structure.settled(part, block, least))
