"""The marginal density's second-order expansion in parameters in which the covariance of the response is linear.

With M = Z Sigma Z' + W^-1, the covariance of y over sigma^2, and M_i its derivative in parameter i, the expected
information and the bias of the fixed effects' covariance are made of

    X'M^-1 X,    X'M^-1 M_i M^-1 X,    X'M^-1 M_i M^-1 M_k M^-1 X,    tr(M^-1 M_i M^-1 M_k),

the first and second derivatives of X'M^-1 X and of log|M|. The last parameter multiplies W^-1.
Source: Kenward and Roger (1997), Biometrics 53, 983, section 2; Harville (1977), J. Am. Stat. Assoc. 72, 320.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hier.kernel.algebra.by_level import factorise, summed_by_parent, times, turned
from hier.kernel.algebra.crossproducts import CrossProducts, Level
from hier.kernel.algebra.integrate import Factors
from hier.kernel.covariance.structures import STRUCTURES
from hier.kernel.covariance.theta import Terms, columns_of, n_columns, relative_factors
from hier.kernel.normal.expansion import expand
from hier.kernel.programs.compiled import Program
from hier.kernel.programs.precision import float64

Directions = tuple[jax.Array, ...]  # of each factor, the change (m, q, q) of its covariance with each parameter


class LinearExpansion(NamedTuple):
    """In the kernel's units, of p fixed effects and m parameters, the last of which multiplies W^-1.

    `information` (p, p): X'M^-1 X. `once` (m, p, p): X'M^-1 M_i M^-1 X. `twice` (m, m, p, p): X'M^-1 M_i M^-1 M_k M^-1
    X, its symmetric part. `traces` (m, m): tr(M^-1 M_i M^-1 M_k).
    """

    information: np.ndarray
    once: np.ndarray
    twice: np.ndarray
    traces: np.ndarray


class _Derivatives(NamedTuple):
    """Value, slopes and second derivatives of log|M| and of X'M^-1 X in the parameters of the covariances."""

    information: jax.Array  # (p, p)
    log_det_slopes: jax.Array  # (m,)
    slopes: jax.Array  # (m, p, p)
    log_det_curvature: jax.Array  # (m, m)
    curvature: jax.Array  # (m, m, p, p)


def _directions(theta: jax.Array, factors: Factors, terms: Terms) -> Directions:
    """One per parameter: those of the blocks, and as the last the covariances themselves."""
    counts = [STRUCTURES[block.structure].count(block) for blocks in terms for block in blocks]
    pieces = iter(jnp.split(theta, np.cumsum(counts)[:-1]))
    found: list[tuple[int, jax.Array]] = []
    for k, blocks in enumerate(terms):
        q = n_columns(blocks)
        for block, (start, stop) in zip(blocks, columns_of(blocks), strict=True):
            own = STRUCTURES[block.structure].changes(next(pieces), block)
            found += [(k, jnp.zeros((q, q)).at[start:stop, start:stop].set(change)) for change in own]
    return tuple(
        jnp.stack([change if own == k else jnp.zeros_like(factor) for own, change in found] + [factor @ factor.T])
        for k, factor in enumerate(factors)
    )


def _of_crossed(factors: Factors, directions: Directions, cross: CrossProducts) -> _Derivatives:
    """From the closed form in all entries of the covariances."""
    slopes, curvature = expand(factors, cross)
    m, p = directions[0].shape[0], cross.xx.shape[0] - 1
    flat = jnp.concatenate([own.reshape(m, -1) for own in directions], axis=1)
    rows, columns = np.tril_indices(p)
    units = np.zeros((len(rows), p + 1, p + 1))
    units[np.arange(len(rows)), rows, columns] += 0.5
    units[np.arange(len(rows)), columns, rows] += 0.5
    entries = jax.vmap(lambda unit: flat @ curvature(jnp.zeros(()), unit) @ flat.T)(units)
    place = np.zeros((p, p), int)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    return _Derivatives(
        information=slopes.marginal.schur[:p, :p],
        log_det_slopes=sum(jnp.einsum("ab,mab->m", s, own) for s, own in zip(slopes.log_det, directions, strict=True)),
        slopes=-sum(
            jnp.einsum("aibj,mab->mij", s, own)[:, :p, :p] for s, own in zip(slopes.schur, directions, strict=True)
        ),
        log_det_curvature=flat @ curvature(jnp.ones(()), jnp.zeros((p + 1, p + 1))) @ flat.T,
        curvature=jnp.moveaxis(entries, 0, 2)[:, :, place],
    )


def _of_levels(factors: Factors, directions: Directions, cross: CrossProducts) -> _Derivatives:
    """From the elimination of factors nested in each other, differentiated twice."""
    levels = cross.merged or cross.levels
    m, p = directions[0].shape[0], cross.xx.shape[0] - 1

    def at(steps: jax.Array) -> tuple[jax.Array, jax.Array]:
        changes = tuple(jnp.tensordot(steps, own, axes=1) for own in directions)
        log_det, explained = _eliminate_changed(factors, changes, levels)
        return log_det, (jnp.asarray(cross.xx) - explained)[:p, :p]

    def along(direction: jax.Array) -> tuple[Any, Any]:
        """The slopes in all parameters, and their change in one direction."""
        return jax.jvp(jax.jacfwd(at), (jnp.zeros(m),), (direction,))

    # one direction after the other, so that what is held for all levels is m times the elimination and not m^2 times
    slopes, curvatures = jax.lax.map(along, jnp.eye(m))
    return _Derivatives(
        information=at(jnp.zeros(m))[1],
        log_det_slopes=slopes[0][0],
        slopes=jnp.moveaxis(slopes[1][0], -1, 0),
        log_det_curvature=curvatures[0],
        curvature=jnp.moveaxis(curvatures[1], -1, 1),
    )


def _eliminate_changed(factors: Factors, changes: Factors, levels: tuple[Level, ...]) -> tuple[jax.Array, jax.Array]:
    """log|M| and what is explained of [X y]'W[X y], with covariances L L' + D, to second order in the changes D.

    With S a level's products, B = (I + L L'S)^-1 and K = B D S, the deviations' gain is W = (I + (L L' + D) S)^-1
    (L L' + D) = (I - K + K^2)(B L L' + B D), and log|I + (L L' + D) S| = log|I + L L'S| + tr K - tr K^2 / 2. Neither
    divides by L, so the expansion holds where variances are zero.
    """
    q = [factor.shape[0] for factor in factors]
    own = [level.zz for level in levels]
    right = [level.right for level in levels]
    log_det, explained = jnp.zeros(()), jnp.zeros(())
    for k, (factor, change, level) in enumerate(zip(factors, changes, levels, strict=True)):
        J = level.count.shape[0]
        unit = jnp.broadcast_to(factor.T[:, :, None], (q[k], q[k], J))
        eliminated, part = factorise(factor, own[k], unit, level.count)
        still = times(turned(eliminated.reduced), eliminated.reduced)  # B L L', the gain without a change
        left = jnp.eye(q[k])[:, :, None] - times(still, own[k])
        pushed = jnp.einsum("abj,bc->acj", left, change)
        K = times(pushed, own[k])
        K2 = times(K, K)
        start = still + pushed
        gain = start - times(K, start) + times(K2, start)
        log_det += part + jnp.sum(level.count * jnp.einsum("aaj->j", K - 0.5 * K2))
        at = 0
        for outer, parent in enumerate(level.parents, start=k + 1):
            size = levels[outer].count.shape[0]
            mine, beyond = right[k][:, at : at + q[outer]], right[k][:, at + q[outer] :]
            passed = times(turned(mine), gain)
            own[outer] = own[outer] - summed_by_parent(times(passed, mine), parent, size)
            right[outer] = right[outer] - summed_by_parent(times(passed, beyond), parent, size)
            at += q[outer]
        rest = right[k][:, at:]
        explained += jnp.tensordot(rest, times(gain, rest), axes=((0, 2), (0, 2)))
    return log_det, explained


def _expand_linearly(theta: jax.Array, cross: CrossProducts, *, terms: Terms) -> tuple[jax.Array, ...]:
    factors = relative_factors(theta, terms)
    directions = _directions(theta, factors, terms)
    found = (_of_crossed if cross.dense else _of_levels)(factors, directions, cross)
    # the last direction is Sigma itself, and W^-1 = M - Z Sigma Z'
    once, twice, traces = -found.slopes, 0.5 * found.curvature, -found.log_det_curvature
    last = found.information - once[-1]
    mixed = once[:-1] - twice[:-1, -1]
    corner = found.information - 2.0 * once[-1] + twice[-1, -1]
    cross_traces = found.log_det_slopes[:-1] - traces[:-1, -1]
    corner_trace = cross.nobs - 2.0 * found.log_det_slopes[-1] + traces[-1, -1]
    return (
        found.information,
        once.at[-1].set(last),
        twice.at[:-1, -1].set(mixed).at[-1, :-1].set(mixed).at[-1, -1].set(corner),
        traces.at[:-1, -1].set(cross_traces).at[-1, :-1].set(cross_traces).at[-1, -1].set(corner_trace),
    )


@functools.cache
def _program(terms: Terms) -> Program:
    return Program("expand_linearly", (terms,), functools.partial(_expand_linearly, terms=terms))


@float64
def expand_linearly(theta: Any, cross: CrossProducts, terms: Terms) -> LinearExpansion:
    """The expansion at `theta`, from which the relative factors are made.

    Parameters: the variances and covariances of unstructured blocks, the variance and the covariance of homogeneous
    `diag` and `cs`, in which the response's covariance is linear. In the parameters of other structures it is not, and
    their second derivatives are left out, so that the result does not depend on how such a structure is parametrised.
    The last parameter is the residual variance.
    """
    return LinearExpansion(*map(np.asarray, _program(terms)(theta, cross)))
