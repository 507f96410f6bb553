"""Deviations as functions of independent standard Normal variables: what a sampler moves in their place.

Given all other parameters, deviations under a Normal likelihood are Normal. Written as their conditional mean plus a
square root of their conditional covariance times z, they leave to z a standard Normal distribution that does not
depend on the other parameters: no funnel, and no question of centring. Where the likelihood is Normal only nearly, or
what is known of each level is taken without what is known of the others, z is nearly that, and the density of z, which
follows exactly, makes up for the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hier.kernel.algebra.crossproducts import CrossProducts, Level
from hier.kernel.algebra.deviations import deviations, eliminate
from hier.kernel.algebra.integrate import Factors
from hier.kernel.arrays.library import Array, xp


class Transported(NamedTuple):
    """Deviations made of standard Normal variables.

    `spherical` and `b` (q, J) of every factor, b = L u. `neg2_log_prior` (): -2 log density of z that their prior and
    the volume of the map make together, up to a constant.
    """

    spherical: tuple[Array, ...]
    b: tuple[Array, ...]
    neg2_log_prior: Array


def transport(
    factors: Factors, cross: CrossProducts, beta: Array, sigma: Array | float, z: Sequence[Array]
) -> Transported:
    """Deviations of every factor whose conditional mean and covariance given `beta` are those that `cross` says.

    `factors` (q, q): the covariance of b is sigma^2 L L'. `z` (q, J) of every factor. With R'R = L'Z'WZ L + I and
    r = R^-T L'Z'W(y - X beta), u = R^-1 (r + sigma z), so that -2 log p(u) - 2 log|du/dz| is |u|^2 / sigma^2 +
    log|R'R| and a constant. It is finite where a variance is zero.
    """
    eliminated = eliminate(factors, cross)
    moved = deviations(factors, eliminated, cross, beta, [sigma * part for part in z])
    squares = sum(xp.sum(u**2) for u in moved.spherical) / sigma**2
    return Transported(moved.spherical, moved.b, squares + eliminated.marginal.log_det)


def of_levels(zz: Array, right: Array) -> CrossProducts:
    """Cross-products of one factor without fixed effects: Z_j'WZ_j (q, q, J) and Z_j'Wy (q, J)."""
    level = Level(zz, right[:, None], xp.ones(zz.shape[2]), ())
    return CrossProducts((level,), (), (), xp.zeros((1, 1)), xp.zeros(()), xp.zeros(()))


def transport_each(
    factors: Factors, around: Sequence[CrossProducts], sigma: Array | float, z: Sequence[Array]
) -> Transported:
    """The same of several factors, each with cross-products of its own, as if it were alone."""
    found = [
        transport((factor,), cross, xp.zeros(0), sigma, (part,))
        for factor, cross, part in zip(factors, around, z, strict=True)
    ]
    spherical, b, values = zip(*found, strict=True)
    return Transported(tuple(u for (u,) in spherical), tuple(own for (own,) in b), sum(values, xp.zeros(())))


def split_levels(stacked: Array, shapes: Sequence[tuple[int, int]]) -> tuple[Array, ...]:
    """A vector of all deviations as (q, J) of every factor; a factor's levels change fastest."""
    found, at = [], 0
    for q, size in shapes:
        found.append(stacked[at : at + q * size].reshape(q, size))
        at += q * size
    return tuple(found)
