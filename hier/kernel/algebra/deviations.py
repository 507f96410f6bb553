"""The deviations themselves, recovered from the elimination: conditional modes and exact draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hier.kernel.algebra.by_level import (
    EliminatedLevel,
    back_substitute,
    eliminate_chain,
    forward_substitute,
    left_times,
)
from hier.kernel.algebra.crossproducts import CrossProducts
from hier.kernel.algebra.dense import from_left, solve_upper
from hier.kernel.algebra.integrate import Crossed, Factors, eliminate_crossed, sizes_of
from hier.kernel.algebra.marginal import Marginal
from hier.kernel.arrays.library import Array, xp


class Eliminated(NamedTuple):
    """An elimination whose factors were kept: `levels` of the factors eliminated level by level, `crossed` where there
    is a dense part, and what is left of the data.
    """

    levels: tuple[EliminatedLevel, ...]
    crossed: tuple[Crossed, ...]
    marginal: Marginal


def eliminate(factors: Factors, cross: CrossProducts) -> Eliminated:
    """Eliminate the group deviations, keeping what recovers them. Source: Bates et al. (2015), equations 24 to 33."""
    if cross.dense:
        crossed = eliminate_crossed(factors, cross.levels[0], cross.dense[0], cross.xx)
        return Eliminated((crossed.first,), (crossed,), crossed.marginal)
    levels, log_det, explained = eliminate_chain(factors, cross.levels)
    return Eliminated(tuple(levels), (), Marginal(log_det, cross.xx - explained))


class Deviations(NamedTuple):
    """The deviations of every factor (q, J): `spherical` u, and `b` = L u."""

    spherical: tuple[Array, ...]
    b: tuple[Array, ...]


def group_deviations(
    factors: Factors,
    eliminated: Eliminated,
    cross: CrossProducts,
    beta: Array,
    noise: Sequence[Array] | None = None,
) -> tuple[Array, ...]:
    """Deviations b (q, J) of every factor given beta; as `deviations`."""
    return deviations(factors, eliminated, cross, beta, noise).b


def deviations(
    factors: Factors,
    eliminated: Eliminated,
    cross: CrossProducts,
    beta: Array,
    noise: Sequence[Array] | None = None,
) -> Deviations:
    """Deviations of every factor given beta: their conditional modes, or an exact draw where `noise` (q, J) of every
    factor is s times N(0, 1).

    With u the stacked spherical deviations, u given y and beta is Normal with covariance s^2 M^-1 and the mode that
    back-substitution gives, the last eliminated first. Source: Bates et al. (2015), equations 20 and 58.
    """
    weights = xp.append(-beta, 1.0)
    n_levels = len(cross.levels)
    dense: list[Array] = []
    explained: Array | float = 0.0
    if cross.dense:
        crossed, size = eliminated.crossed[0], sizes_of(cross.dense[0])
        right = crossed.reduced @ weights
        if noise is not None:
            right = right + xp.concatenate([xp.ravel(part) for part in noise[n_levels:]])
        u = solve_upper(crossed.lower, right[:, None])
        dense = _by_factor(u[:, 0], factors[n_levels:], size)
        coupled = left_times(factors[0].T, cross.dense[0].coupling.times(from_left(factors[n_levels:], size, u)))
        explained = forward_substitute(eliminated.levels[0].upper, coupled)[:, 0]
    p1 = len(weights)
    found: list[Array] = []
    outer: list[Array] = []
    for k in reversed(range(n_levels)):
        upper, reduced = eliminated.levels[k]
        right = xp.sum(reduced[:, -p1:] * weights[None, :, None], axis=1) - explained
        at = 0
        for parent, b in zip(cross.levels[k].parents, outer, strict=True):
            right = right - xp.sum(reduced[:, at : at + len(b)] * b[None, :, parent], axis=1)
            at += len(b)
        if noise is not None:
            right = right + noise[k]
        found.insert(0, back_substitute(upper, right))
        outer.insert(0, scaled(factors[k], found[0]))
    spherical = (*found, *dense)
    return Deviations(
        spherical, (*outer, *(scaled(factor, u) for factor, u in zip(factors[n_levels:], dense, strict=True)))
    )


def scaled(factor: Array, u: Array) -> Array:
    """L u_j of every level, (q, J)."""
    return xp.sum(factor[:, :, None] * u[None], axis=1)


def _by_factor(stacked: Array, factors: Sequence[Array], sizes: Sequence[int]) -> list[Array]:
    """The deviations of the dense part (r,) as (q, J), one per factor."""
    found, at = [], 0
    for factor, levels in zip(factors, sizes, strict=True):
        q = factor.shape[0]
        found.append(stacked[at : at + q * levels].reshape(q, levels))
        at += q * levels
    return found
