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

import numpy as np

from hier.kernel.algebra.by_level import factorise, summed_by_parent, times, turned
from hier.kernel.algebra.crossproducts import CrossProducts, Level
from hier.kernel.algebra.integrate import Factors
from hier.kernel.arrays.control import mapped
from hier.kernel.arrays.derivatives import second_order
from hier.kernel.arrays.library import Array, put, xp
from hier.kernel.covariance.structures import STRUCTURES
from hier.kernel.covariance.theta import Terms, columns_of, n_columns, relative_factors
from hier.kernel.normal.expansion import expand
from hier.kernel.programs.compiled import Program, told_by_origin
from hier.kernel.programs.precision import computed

Directions = tuple[Array, ...]  # of each factor, the change (m, q, q) of its covariance with each parameter


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

    information: Array  # (p, p)
    log_det_slopes: Array  # (m,)
    slopes: Array  # (m, p, p)
    log_det_curvature: Array  # (m, m)
    curvature: Array  # (m, m, p, p)


def _directions(theta: Array, factors: Factors, terms: Terms) -> Directions:
    """One per parameter: those of the blocks, and as the last the covariances themselves."""
    counts = [STRUCTURES[block.structure].count(block) for blocks in terms for block in blocks]
    pieces = iter(xp.split(theta, np.cumsum(counts)[:-1]))
    found: list[tuple[int, Array]] = []
    for k, blocks in enumerate(terms):
        q = n_columns(blocks)
        for block, (start, stop) in zip(blocks, columns_of(blocks), strict=True):
            own = STRUCTURES[block.structure].changes(next(pieces), block)
            found += [(k, put(np.zeros((q, q)), (slice(start, stop), slice(start, stop)), change)) for change in own]
    return tuple(
        xp.stack([change if own == k else xp.zeros_like(factor) for own, change in found] + [factor @ factor.T])
        for k, factor in enumerate(factors)
    )


def _of_crossed(factors: Factors, directions: Directions, cross: CrossProducts) -> _Derivatives:
    """From the closed form in all entries of the covariances."""
    slopes, curvature = expand(factors, cross)
    m, p = directions[0].shape[0], cross.xx.shape[0] - 1
    flat = xp.concatenate([own.reshape(m, -1) for own in directions], axis=1)
    rows, columns = np.tril_indices(p)
    units = np.zeros((len(rows), p + 1, p + 1))
    units[np.arange(len(rows)), rows, columns] += 0.5
    units[np.arange(len(rows)), columns, rows] += 0.5
    entries = mapped(lambda unit: flat @ curvature(xp.zeros(()), unit) @ flat.T, units, like=flat)
    place = np.zeros((p, p), int)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    return _Derivatives(
        information=slopes.marginal.schur[:p, :p],
        log_det_slopes=sum(xp.einsum("ab,mab->m", s, own) for s, own in zip(slopes.log_det, directions, strict=True)),
        slopes=-sum(
            xp.einsum("aibj,mab->mij", s, own)[:, :p, :p] for s, own in zip(slopes.schur, directions, strict=True)
        ),
        log_det_curvature=flat @ curvature(xp.ones(()), xp.zeros((p + 1, p + 1))) @ flat.T,
        curvature=xp.moveaxis(entries, 0, 2)[:, :, place],
    )


def _of_none(cross: CrossProducts) -> _Derivatives:
    """Without deviations nothing depends on what multiplies Z Sigma Z', the one direction."""
    p = cross.xx.shape[0] - 1
    return _Derivatives(
        information=xp.asarray(cross.xx)[:p, :p],
        log_det_slopes=xp.zeros(1),
        slopes=xp.zeros((1, p, p)),
        log_det_curvature=xp.zeros((1, 1)),
        curvature=xp.zeros((1, 1, p, p)),
    )


def _of_levels(factors: Factors, directions: Directions, cross: CrossProducts) -> _Derivatives:
    """From the elimination of factors nested in each other, differentiated twice."""
    levels = cross.merged or cross.levels
    p = cross.xx.shape[0] - 1

    def at(steps: Array) -> tuple[Array, Array]:
        changes = tuple(xp.tensordot(steps, own, axes=1) for own in directions)
        log_det, explained = _eliminate_changed(factors, changes, levels)
        return log_det, (xp.asarray(cross.xx) - explained)[:p, :p]

    value, slopes, curvatures = second_order(at, xp.zeros_like(directions[0][:, 0, 0]))
    return _Derivatives(
        information=value[1],
        log_det_slopes=slopes[0],
        slopes=slopes[1],
        log_det_curvature=curvatures[0],
        curvature=curvatures[1],
    )


def _eliminate_changed(factors: Factors, changes: Factors, levels: tuple[Level, ...]) -> tuple[Array, Array]:
    """log|M| and what is explained of [X y]'W[X y], with covariances L L' + D, to second order in the changes D.

    With S a level's products, B = (I + L L'S)^-1 and K = B D S, the deviations' gain is W = (I + (L L' + D) S)^-1
    (L L' + D) = (I - K + K^2)(B L L' + B D), and log|I + (L L' + D) S| = log|I + L L'S| + tr K - tr K^2 / 2. Neither
    divides by L, so the expansion holds where variances are zero.
    """
    q = [factor.shape[0] for factor in factors]
    own = [level.zz for level in levels]
    right = [level.right for level in levels]
    log_det, explained = xp.zeros(()), xp.zeros(())
    for k, (factor, change, level) in enumerate(zip(factors, changes, levels, strict=True)):
        J = level.count.shape[0]
        unit = xp.broadcast_to(factor.T[:, :, None], (q[k], q[k], J))
        eliminated, part = factorise(factor, own[k], unit, level.count)
        still = times(turned(eliminated.reduced), eliminated.reduced)  # B L L', the gain without a change
        left = xp.eye(q[k])[:, :, None] - times(still, own[k])
        pushed = xp.einsum("abj,bc->acj", left, change)
        K = times(pushed, own[k])
        K2 = times(K, K)
        start = still + pushed
        gain = start - times(K, start) + times(K2, start)
        log_det = log_det + part + xp.sum(level.count * xp.einsum("aaj->j", K - 0.5 * K2))
        at = 0
        for outer, parent in enumerate(level.parents, start=k + 1):
            size = levels[outer].count.shape[0]
            mine, beyond = right[k][:, at : at + q[outer]], right[k][:, at + q[outer] :]
            passed = times(turned(mine), gain)
            own[outer] = own[outer] - summed_by_parent(times(passed, mine), parent, size)
            right[outer] = right[outer] - summed_by_parent(times(passed, beyond), parent, size)
            at += q[outer]
        rest = right[k][:, at:]
        explained = explained + xp.tensordot(rest, times(gain, rest), axes=((0, 2), (0, 2)))
    return log_det, explained


def _expand_linearly(theta: Array, cross: CrossProducts, *, terms: Terms) -> tuple[Array, ...]:
    factors = relative_factors(theta, terms)
    directions = _directions(theta, factors, terms)
    find = _of_crossed if cross.dense else _of_levels
    found = find(factors, directions, cross) if terms else _of_none(cross)
    # the last direction is Sigma itself, and W^-1 = M - Z Sigma Z'
    once, twice, traces = -found.slopes, 0.5 * found.curvature, -found.log_det_curvature
    last = found.information - once[-1]
    mixed = once[:-1] - twice[:-1, -1]
    corner = found.information - 2.0 * once[-1] + twice[-1, -1]
    cross_traces = found.log_det_slopes[:-1] - traces[:-1, -1]
    corner_trace = cross.nobs - 2.0 * found.log_det_slopes[-1] + traces[-1, -1]
    return (
        found.information,
        put(once, -1, last),
        _bordered(twice, mixed, corner),
        _bordered(traces, cross_traces, corner_trace),
    )


def _bordered(matrix: Array, border: Array, corner: Array) -> Array:
    """The matrix (m, m, ...) with its last row and column, and their corner, replaced."""
    last = slice(-1)
    return put(put(put(matrix, (last, -1), border), (-1, last), border), (-1, -1), corner)


@told_by_origin
def _program(terms: Terms) -> Program:
    return Program("expand_linearly", (terms,), functools.partial(_expand_linearly, terms=terms), lambda *_: 0.05)


@computed
def expand_linearly(theta: Any, cross: CrossProducts, terms: Terms) -> LinearExpansion:
    """The expansion at `theta`, from which the relative factors are made.

    Parameters: the variances and covariances of unstructured blocks, the variance and the covariance of homogeneous
    `diag` and `cs`, in which the response's covariance is linear. In the parameters of other structures it is not, and
    their second derivatives are left out, so that the result does not depend on how such a structure is parametrised.
    The last parameter is the residual variance.
    """
    return LinearExpansion(*map(np.asarray, _program(terms)(theta, cross)))
