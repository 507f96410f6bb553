"""First estimates of the variances from moments: where a search starts.

Sums of squares of Z'W r, r the least-squares residual, have expectations that are linear in the variances; equating
both gives estimates without a single elimination. They are MINQUE with all prior variances zero: for balanced data
the REML estimates themselves, otherwise unbiased but inefficient, and mostly a few Newton steps from the optimum.
Source: Rao (1972), J. Am. Stat. Assoc. 67, 112, section 4.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hier.kernel.algebra.by_level import gains, times, turned
from hier.kernel.algebra.crossproducts import CrossProducts
from hier.kernel.arrays.library import Array, library_of, xp
from hier.kernel.covariance.theta import Terms, columns_of, has_several_maxima, n_columns, starts, theta_of

SMALLEST = 0.1  # sd relative to sigma: a search must not start where a variance is zero, since it would stay there
LARGEST = 1.0  # sd on the scale of a linear predictor
QUICK = 20_000  # multiply-adds of an elimination that takes some ten microseconds
LEAST_SIGMA = 0.05  # of the residual's spread; less means that the moments contradict each other

_Places = np.ndarray | slice  # of all levels in turn, a slice: nothing has to be picked then


class Moments(NamedTuple):
    """First estimates in the kernel's units: the covariance (q, q) of each factor's deviations, relative to the
    square of `sigma` ().
    """

    covariances: tuple[np.ndarray, ...]
    sigma: np.ndarray


class _Meetings(NamedTuple):
    """Where levels of two factors meet: `products` (q, q', E), entries of Z_k'WZ_m, at levels `row` (E,) of factor k
    and `column` (E,) of factor m; `means` (q, q', E): what n times the fixed effects' projection takes off them.
    """

    products: np.ndarray
    means: np.ndarray
    row: _Places
    column: _Places

    def turned(self) -> _Meetings:
        """The same with the factors exchanged."""
        return _Meetings(self.products.swapaxes(0, 1), self.means.swapaxes(0, 1), self.column, self.row)


class _Factor(NamedTuple):
    """One factor's sums of squares, whose levels j are weighted by matrices T_j: `weight` (q, q, J), or None for I.

    `rx` (q, J, p + 1): Z_j'W [X y]. `total` (q, q): the sum of Z_j'WZ_j. `weighted_rx` and `weighted_total`: the same
    of T_j Z_j'W.
    """

    rx: np.ndarray
    total: np.ndarray
    weight: np.ndarray | None
    weighted_rx: np.ndarray
    weighted_total: np.ndarray


def start_of(first: Moments, terms: Terms) -> np.ndarray:
    """Where searches of theta and log sigma begin (s, m): one at the first estimates, and others where the likelihood
    may well have several maxima.
    """
    return _plain_start(terms) if first is _plain(terms) else _start_at(first, terms)


def _start_at(first: Moments, terms: Terms) -> np.ndarray:
    return starts(np.append(theta_of(first.covariances, terms, SMALLEST), np.log(first.sigma)), terms)


@functools.cache
def _plain(terms: Terms) -> Moments:
    """All relative covariances the identity."""
    return Moments(tuple(np.eye(n_columns(blocks)) for blocks in terms), np.float64(0.5))


@functools.cache
def _plain_start(terms: Terms) -> np.ndarray:
    return _start_at(_plain(terms), terms)


def moments(cross: CrossProducts, terms: Terms) -> Moments:
    """First estimates of the covariances, each of the form that the blocks of its factor allow.

    Where factors cross, so that a search's steps are dear, a second round weights each level by what the first says of
    its precision: T_j = (I + Z_j'WZ_j Sigma)^-1. Where the moments contradict each other, and where a few steps more
    cost less than the moments and lead to the same maximum, all relative covariances are the identity.
    """
    if _is_quick(cross) and not has_several_maxima(terms):
        return _plain(terms)
    return any_moments(cross, terms, LEAST_SIGMA) or _plain(terms)


def any_moments(cross: CrossProducts, terms: Terms, least_sigma: float = 0.0) -> Moments | None:
    """The same however long they take; None where sigma would not be above `least_sigma`."""
    columns = [columns_of(blocks) for blocks in terms]
    factors = _factors(cross, None)
    meetings = [[_meetings(cross, factors, k, m) for m in range(k + 1)] for k in range(len(factors))]
    first = _solved(cross, columns, factors, meetings, least_sigma)
    if first is None or not cross.dense:
        return first
    return _solved(cross, columns, _factors(cross, first), meetings, least_sigma) or first


def moments_of_scores(factor: Array, zz: Array, scores: Array) -> Array:
    """The covariance (q, q) of a factor's deviations in a model that is not Normal, from a fit without deviations.

    `scores` (q, J): slopes of the log density in the deviations of each level, there zero, and `zz` (q, q, J): minus
    its second derivatives. To first order their covariance is A_j + A_j Sigma A_j; each level is weighted by W_j =
    (A_j + Sigma_0^-1)^-1 with Sigma_0 = L L' by a first `factor` L (q, q). The fixed effects count as known.
    Far from zero the first order says too much, so that no standard deviation is larger than `LARGEST`.
    Source: as above, with the scores for Z_j'W r; Lin (1997), Biometrika 84, 309, tests variances by these scores.
    """
    q, J = scores.shape
    eliminated, half, _ = gains(factor, zz, scores[:, None], xp.ones(J))
    weight, modes = times(turned(half), half), times(turned(half), eliminated.reduced)[:, 0]
    shares = times(weight, zz)
    excess = modes @ modes.T - xp.sum(times(shares, weight), axis=2)
    system = xp.einsum("abj,cdj->acbd", shares, shares).reshape(q * q, q * q)
    covariance = xp.lstsq(system, excess.ravel(), rcond=1e-10)[0].reshape(q, q)
    known = xp.all(xp.isfinite(covariance))
    return _inside(xp.where(known, 0.5 * (covariance + covariance.T), factor @ factor.T), LARGEST)


def _is_quick(cross: CrossProducts) -> bool:
    """Whether one factor with few levels is eliminated in less time than the moments take."""
    if len(cross.levels) != 1 or cross.dense:
        return False
    q, c, J = cross.levels[0].right.shape
    return J * q * q * (q + c) < QUICK


def _solved(
    cross: CrossProducts,
    columns: Sequence[Sequence[tuple[int, int]]],
    factors: list[_Factor],
    meetings: list[list[_Meetings]],
    least_sigma: float,
) -> Moments | None:
    """The estimates from sums of squares with these weights; None where sigma would not be above `least_sigma`."""
    p, n = cross.xx.shape[0] - 1, float(cross.nobs)
    blocks = [(k, start, stop) for k, own in enumerate(columns) for start, stop in own]
    entries = [(k, a, b) for k, start, stop in blocks for a in range(start, stop) for b in range(start, a + 1)]
    size = len(entries)
    system, right = np.zeros((size + 1, size + 1)), np.zeros(size + 1)
    system[size, size], right[size] = n - p, n
    every = range(len(factors))
    expected = {
        (k, m): _expected(factors[k], factors[m], meetings[k][m] if k >= m else meetings[m][k].turned(), n)
        for k in every
        for m in every
    }
    for i, (k, a, b) in enumerate(entries):
        factor = factors[k]
        x, y = factor.weighted_rx[:, :, :p], factor.weighted_rx[:, :, p]
        right[i] = y[a] @ y[b]
        system[i, size] = factor.weighted_total[a, b] - np.sum(x[a] * x[b]) / n
        plain = factor.total[a, b] - np.sum(factor.rx[a, :, :p] * factor.rx[b, :, :p]) / n
        system[size, i] = plain * (1.0 if a == b else 2.0)
        for j, (m, c, d) in enumerate(entries):
            tensor = expected[k, m]
            system[i, j] = tensor[a, b, c, d] if c == d else tensor[a, b, c, d] + tensor[a, b, d, c]
    solved = np.linalg.lstsq(system, right, rcond=1e-10)[0]
    if not solved[size] > least_sigma**2:
        return None
    covariances = [np.zeros(factor.total.shape) for factor in factors]
    for value, (k, a, b) in zip(solved, entries, strict=False):
        covariances[k][a, b] = covariances[k][b, a] = value / solved[size]
    return Moments(tuple(map(_inside, covariances)), np.float64(np.sqrt(solved[size])))


def _inside(covariance: Any, largest: float = np.inf) -> Any:
    """The nearest covariance with no standard deviation of any combination below the smallest, or above `largest`."""
    xp = library_of(covariance)
    values, directions = xp.linalg.eigh(covariance)
    return (directions * xp.clip(values, SMALLEST**2, largest**2)) @ directions.T


def _factors(cross: CrossProducts, weights: Moments | None) -> list[_Factor]:
    p = cross.xx.shape[0] - 1
    own = [level.zz for level in cross.levels]
    rx = [np.moveaxis(level.right[:, -(p + 1) :], 1, 2) for level in cross.levels]
    for dense in cross.dense:
        own += dense.own
        ends = np.cumsum([block.shape[0] * block.shape[2] for block in dense.own])
        parts = np.split(dense.rx, ends[:-1])
        rx += [part.reshape(len(block), -1, p + 1) for part, block in zip(parts, dense.own, strict=True)]
    if weights is None:
        return [_Factor(x, zz.sum(axis=2), None, x, zz.sum(axis=2)) for zz, x in zip(own, rx, strict=True)]
    found = []
    for zz, x, covariance in zip(own, rx, weights.covariances, strict=True):
        inner = np.eye(len(zz)) + np.einsum("abj,bc->jac", zz, covariance)
        T = np.moveaxis(np.linalg.inv(inner), 0, 2)
        total = np.einsum("abj,bcj,dcj->ad", T, zz, T, optimize=True)
        found.append(_Factor(x, zz.sum(axis=2), T, np.einsum("abj,bjp->ajp", T, x), total))
    return found


def _expected(factor: _Factor, other: _Factor, meetings: _Meetings, n: float) -> np.ndarray:
    """The sum of (T Z_k'MZ_m)[a, c] times the same at [b, d], M the projection off the fixed effects: (q_k, q_k, q_m,
    q_m).
    """
    products, means, row, _ = meetings
    q, other_q = products.shape[:2]
    if factor.weight is not None:
        T = factor.weight[:, :, row]
        products, means = _from_left(T, products), _from_left(T, means)
    flat, flat_means = products.reshape(q * other_q, -1), means.reshape(q * other_q, -1)
    shape = (q, other_q, q, other_q)
    squares = (flat @ flat.T).reshape(shape).swapaxes(1, 2)
    mixed = (flat @ flat_means.T).reshape(shape).swapaxes(1, 2)
    of_x = [x[:, :, :-1] for x in (factor.weighted_rx, other.rx)]
    own, its = (np.einsum("arp,brq->abpq", x, x, optimize=True) for x in of_x)
    of_means = np.einsum("abpq,cdpq->abcd", own, its)
    return squares - (mixed + mixed.transpose(1, 0, 3, 2)) / n + of_means / n**2


def _from_left(T: np.ndarray, products: np.ndarray) -> np.ndarray:
    """T_j A_j of every level, for (q, q, E) and (q, c, E)."""
    if len(T) == 1:
        return T[0] * products
    return np.stack([sum(T[a, b] * products[b] for b in range(len(T))) for a in range(len(T))])


def _meetings(cross: CrossProducts, factors: list[_Factor], k: int, m: int) -> _Meetings:
    """Of factor k with itself or one before it."""
    products, row, column = _cells(cross, k, m)
    x, other = (np.moveaxis(factors[i].rx[:, :, :-1], 1, 2) for i in (k, m))  # (q, p, J)
    own, its = x[:, :, row], other[:, :, column]
    return _Meetings(products, np.einsum("ape,bpe->abe", own, its), row, column)


def _cells(cross: CrossProducts, k: int, m: int) -> tuple[np.ndarray, _Places, _Places]:
    """Z_k'WZ_m as its entries: values (q_k, q_m, E) at levels (E,) of factor k and (E,) of factor m."""
    n_levels = len(cross.levels)
    if k == m:
        own = cross.levels[k].zz if k < n_levels else cross.dense[0].own[k - n_levels]
        return own, slice(None), slice(None)
    if k < n_levels:  # factor m is nested in factor k
        level = cross.levels[m]
        before = sum(cross.levels[i].zz.shape[0] for i in range(m + 1, k))
        inside = level.right[:, before : before + cross.levels[k].zz.shape[0]]
        return inside.swapaxes(0, 1), level.parents[k - m - 1], slice(None)
    dense = cross.dense[0]
    start, own = _place(dense.own, k - n_levels), dense.own[k - n_levels]
    q, _, J = own.shape
    if m >= n_levels:
        other_start, (other_q, _, other_J) = _place(dense.own, m - n_levels), dense.own[m - n_levels].shape
        block = dense.rr[start : start + q * J, other_start : other_start + other_q * other_J]
        block = block.reshape(q, J, other_q, other_J).swapaxes(1, 2)
        row, column = np.nonzero((block != 0.0).any(axis=(0, 1)))
        return block[:, :, row, column], row, column
    # the entries of each of its columns are the same cells, in the same order
    coupling, edges = dense.coupling, start + J * np.arange(q + 1)
    at = [
        np.flatnonzero((coupling.column >= low) & (coupling.column < high)) for low, high in itertools.pairwise(edges)
    ]
    cells = np.stack([coupling.value[:, one] for one in at])
    return cells, coupling.column[at[0]] - start, coupling.group[at[0]]


def _place(own: Sequence[np.ndarray], k: int) -> int:
    return sum(block.shape[0] * block.shape[2] for block in own[:k])
