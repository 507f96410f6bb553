"""Correlation matrices: those of a single correlation, as lower-triangular factors that are smooth up to its limits.

A correlation r between its limits low and 1 is an angle: r is low at -pi/2 and 1 at pi/2, and follows a sine between
and beyond. So every angle is a correlation, and a best fit at a limit is an ordinary minimum in the angle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hier.kernel.arrays.library import Array, library_of, put, xp


class Place(NamedTuple):
    """A correlation `r` and the roots of its distances to the limits: `to_low`^2 = r - low and `to_one`^2 = 1 - r.

    Either root may be negative: that only changes signs of the factor's columns.
    """

    r: Array
    to_low: Array
    to_one: Array


def place_of(r: Array, low: float) -> Place:
    """The place of a correlation inside its limits."""
    r = xp.asarray(r)
    return Place(r, xp.sqrt(r - low), xp.sqrt(1.0 - r))


def place_at(angle: Array, low: float) -> Place:
    """The place of an angle: (1 + sin a) / 2 = sin^2(pi/4 + a/2) is the share of the way from low to 1."""
    to_low, to_one = (np.sqrt(1.0 - low) * xp.sin(np.pi / 4 + side * angle / 2) for side in (1.0, -1.0))
    return Place(1.0 - to_one**2, to_low, to_one)


def angle_of(r: Array, low: float) -> Any:
    """The angle of a correlation, by NumPy or JAX as the correlation is."""
    xp = library_of(r)
    return xp.arcsin(xp.clip((2.0 * r - 1.0 - low) / (1.0 - low), -1.0, 1.0))


def folded(angle: Array) -> Array:
    """The angle of the same correlation from -pi/2 to pi/2."""
    turned = angle - 2.0 * np.pi * xp.round(angle / (2.0 * np.pi))
    return xp.where(turned > np.pi / 2, np.pi - turned, xp.where(turned < -np.pi / 2, -np.pi - turned, turned))


def lowest_equal(size: int) -> float:
    """The lower limit of a correlation that all pairs of `size` variables share."""
    return -1.0 / (size - 1)


def equal_factor(place: Place, size: int) -> Array:
    """The lower-triangular factor (k, k) of the matrix in which all correlations are r.

    Column j from 0 has the diagonal entry sqrt((1 - r)(1 + jr) / (1 + (j - 1)r)), and below it
    r sqrt((1 - r) / ((1 + (j - 1)r)(1 + jr))); the first column has 1 and r. In the last, 1 + jr is j(r - low).
    """
    r = place.r
    columns = [put(xp.full(size, r), 0, 1.0)]
    for j in range(1, size):
        before = xp.sqrt(1.0 + (j - 1) * r)
        last = j == size - 1
        at = np.sqrt(j) * place.to_low if last else xp.sqrt(1.0 + j * r)
        entries = [xp.zeros(j), (place.to_one * at / before)[None]]
        if not last:
            entries.append(xp.full(size - j - 1, r * place.to_one / (before * at)))
        columns.append(xp.concatenate(entries))
    return xp.stack(columns, axis=1)


def fading_factor(place: Place, times: Sequence[int]) -> Array:
    """The lower-triangular factor (k, k) of the matrix of correlations r^|t_i - t_j|, a first-order autoregression at
    the ascending whole `times` t (k,).

    Below the diagonal a column falls off as r^(t_i - t_j), from 1 in the first and from sqrt(1 - r^(2g)) in another, g
    being the time since the one before: sqrt(1 - r^2) times the root of 1 + r^2 + ... + r^(2g - 2).
    """
    t, gaps = np.asarray(times), np.diff(times)
    powers = [xp.ones_like(place.r)]
    for _ in range(t[-1] - t[0]):
        powers.append(powers[-1] * place.r)
    lag = np.subtract.outer(t, t)
    falling = xp.where(lag >= 0, xp.stack(powers)[np.maximum(lag, 0)], 0.0)
    new = xp.full(len(gaps), place.to_low * place.to_one)
    if (gaps > 1).any():
        squares = xp.cumsum(xp.stack(powers[: gaps.max()]) ** 2)
        new = new * xp.sqrt(squares[gaps - 1])
    return falling * put(np.ones(len(t)), slice(1, None), new)


def log_volume(factor: Array) -> Array:
    """Log Jacobian determinant of the map from a correlation matrix's Cholesky factor to the matrix.

    Source: Lewandowski, Kurowicka and Joe (2009), section 2.4: row k (from 0) of a K x K factor enters with power K -
    k - 1.
    """
    size = factor.shape[-1]
    return xp.sum((size - 1 - xp.arange(size)) * xp.log(xp.diag(factor)))
