"""First estimates of the variances from moments: where a search starts.

Sums of squares of Z'W r, r the least-squares residual, have expectations that are linear in the variances; equating
both gives estimates without a single elimination. They are MINQUE with all prior variances zero: for balanced data
the REML estimates themselves, otherwise unbiased but inefficient, and mostly a few Newton steps from the optimum.
Source: Rao (1972), J. Am. Stat. Assoc. 67, 112, section 4.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hier.kernel.crossproducts import CrossProducts

SMALLEST = 0.1  # sd relative to sigma: a search must not start where a variance is zero, since it would stay there
LEAST_SIGMA = 0.05  # of the residual's spread; less means that the moments contradict each other


class Moments(NamedTuple):
    """First estimates in the kernel's units: the covariance (q, q) of each factor's deviations, relative to the
    square of `sigma` ().
    """

    covariances: tuple[np.ndarray, ...]
    sigma: np.ndarray


class _Factor(NamedTuple):
    """Z'W of one factor with [X y] by level (q, J, p + 1), and Z'WZ summed over the levels (q, q)."""

    rx: np.ndarray
    total: np.ndarray


def moments(cross: CrossProducts, columns: Sequence[Sequence[tuple[int, int]]]) -> Moments:
    """First estimates of the covariances; `columns`: for each factor the half-open ranges of columns that are
    correlated among themselves.

    Where the moments contradict each other, all relative covariances are the identity.
    """
    p, n = cross.xx.shape[0] - 1, float(cross.nobs)
    factors = _factors(cross, p)
    entries = [
        (k, a, b)
        for k, blocks in enumerate(columns)
        for start, stop in blocks
        for a in range(start, stop)
        for b in range(start, a + 1)
    ]
    size = len(entries)
    system, right = np.zeros((size + 1, size + 1)), np.zeros(size + 1)
    system[size, size], right[size] = n - p, n
    expected = {(k, m): _expected(cross, factors, k, m, p) for k in range(len(factors)) for m in range(k + 1)}
    for i, (k, a, b) in enumerate(entries):
        x, y = factors[k].rx[:, :, :p], factors[k].rx[:, :, p]
        right[i] = y[a] @ y[b]
        system[i, size] = factors[k].total[a, b] - np.sum(x[a] * x[b]) / n
        system[size, i] = system[i, size] * (1.0 if a == b else 2.0)
        for j, (m, c, d) in enumerate(entries):
            tensor = expected[k, m] if k >= m else expected[m, k].transpose(2, 3, 0, 1)
            system[i, j] = tensor[a, b, c, d] if c == d else tensor[a, b, c, d] + tensor[a, b, d, c]
    solved = np.linalg.lstsq(system, right, rcond=1e-10)[0]
    if not solved[size] > LEAST_SIGMA**2:
        return Moments(tuple(np.eye(len(factor.total)) for factor in factors), np.float64(0.5))
    covariances = [np.zeros(factor.total.shape) for factor in factors]
    for value, (k, a, b) in zip(solved, entries, strict=False):
        covariances[k][a, b] = covariances[k][b, a] = value / solved[size]
    return Moments(tuple(map(_inside, covariances)), np.float64(np.sqrt(solved[size])))


def _inside(covariance: np.ndarray) -> np.ndarray:
    """The nearest covariance with no standard deviation of any combination below the smallest."""
    values, directions = np.linalg.eigh(covariance)
    return (directions * np.maximum(values, SMALLEST**2)) @ directions.T


def _factors(cross: CrossProducts, p: int) -> list[_Factor]:
    found = [_Factor(np.moveaxis(level.right[:, -(p + 1) :], 1, 2), level.zz.sum(axis=2)) for level in cross.levels]
    for dense in cross.dense:
        at = 0
        for own in dense.own:
            q, _, J = own.shape
            found.append(_Factor(dense.rx[at : at + q * J].reshape(q, J, p + 1), own.sum(axis=2)))
            at += q * J
    return found


def _expected(cross: CrossProducts, factors: list[_Factor], k: int, m: int, p: int) -> np.ndarray:
    """tr of (Z_k'MZ_m)[a, c] with (Z_k'MZ_m)[b, d], M the projection off the fixed effects: (q_k, q_k, q_m, q_m)."""
    x, other, n = factors[k].rx[:, :, :p], factors[m].rx[:, :, :p], float(cross.nobs)
    if k >= len(cross.levels) and m >= len(cross.levels):
        products = _dense_block(cross, k, m)
        squares = np.einsum("arcs,brds->abcd", products, products, optimize=True)
        mixed = np.einsum("arcs,brp,dsp->abcd", products, x, other, optimize=True)
    else:
        cells, row, column = _cells(cross, k, m)
        squares = np.einsum("ace,bde->abcd", cells, cells, optimize=True)
        means = np.einsum("bep,dep->bde", x[:, row], other[:, column], optimize=True)
        mixed = np.einsum("ace,bde->abcd", cells, means, optimize=True)
    own, its = np.einsum("arp,brq->abpq", x, x), np.einsum("csp,dsq->cdpq", other, other)
    of_means = np.einsum("abpq,cdpq->abcd", own, its)
    return squares - (mixed + mixed.transpose(1, 0, 3, 2)) / n + of_means / n**2


def _cells(cross: CrossProducts, k: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Z_k'WZ_m as its entries: values (q_k, q_m, E) at levels (E,) of factor k and (E,) of factor m."""
    n_levels = len(cross.levels)
    if k == m:
        every = np.arange(cross.levels[k].zz.shape[2])
        return cross.levels[k].zz, every, every
    if k < n_levels:  # factor m is nested in factor k
        level = cross.levels[m]
        before = sum(cross.levels[i].zz.shape[0] for i in range(m + 1, k))
        inside = level.right[:, before : before + cross.levels[k].zz.shape[0]]
        return inside.swapaxes(0, 1), level.parents[k - m - 1], np.arange(inside.shape[2])
    dense, coupling = cross.dense[0], cross.dense[0].coupling
    start, own = _place(dense.own, k - n_levels), dense.own[k - n_levels]
    q, _, J = own.shape
    # the entries of each of its columns are the same cells, in the same order
    edges = start + J * np.arange(q + 1)
    at = [
        np.flatnonzero((coupling.column >= low) & (coupling.column < high)) for low, high in itertools.pairwise(edges)
    ]
    cells = np.stack([coupling.value[:, one] for one in at])
    return cells, coupling.column[at[0]] - start, coupling.group[at[0]]


def _place(own: Sequence[np.ndarray], k: int) -> int:
    return sum(block.shape[0] * block.shape[2] for block in own[:k])


def _dense_block(cross: CrossProducts, k: int, m: int) -> np.ndarray:
    """Z_k'WZ_m of two factors of the dense part: (q_k, J_k, q_m, J_m)."""
    dense, n_levels = cross.dense[0], len(cross.levels)
    places = []
    for i in (k - n_levels, m - n_levels):
        own = dense.own[i]
        places.append((_place(dense.own, i), own.shape[0], own.shape[2]))
    (row, q, J), (column, other_q, other_J) = places
    return dense.rr[row : row + q * J, column : column + other_q * other_J].reshape(q, J, other_q, other_J)
