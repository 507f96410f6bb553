"""Densities of the rows of a group with its deviations integrated out by adaptive Gauss-Hermite quadrature.

Everything else stays as it is in each draw: the fixed effects, the variances, the further parameters, and the
deviations of other grouping factors.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from hier.posterior.grouping import Group
from hier.posterior.log_likelihood import log_density, rows_of_fit
from hier.posterior.new_levels import roots_of
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.prediction import AT_ONCE, predictors

POINTS = {1: 15, 2: 9, 3: 7, 4: 5}  # in each dimension; with more of them one point, Laplace's approximation
STEP = 1e-3  # of the differences that place the points; the integrand at them is exact
MOST_STEPS, FAR, NEAR = 30, 2.0, 1e-4  # of Newton's method, in standard deviations of the deviations


class Integrand(NamedTuple):
    """The rows `some` (m,) of a level in some draws: the linear predictors of all parameters without the level's
    deviations (S, m), and the columns `U` (S, m, q) of independent standard Normal ones.
    """

    posterior: PosteriorDraws
    some: np.ndarray
    draws: slice
    predictors: list[np.ndarray]
    U: np.ndarray

    def rows(self, eta: np.ndarray) -> np.ndarray:
        """The log density (S, m) of each row where the deviations add so much."""
        first, *others = self.predictors
        return log_density(self.posterior, [first + eta, *others], self.some, self.draws)

    def __call__(self, u: np.ndarray) -> np.ndarray:
        """The log density (S,) of all rows and of the deviations u (S, q), but for its constant."""
        eta = np.einsum("smq,sq->sm", self.U, u)
        return self.rows(eta).sum(axis=1) - 0.5 * np.einsum("sq,sq->s", u, u)


def level_by_quadrature(posterior: PosteriorDraws, group: Group, only: np.ndarray | None = None) -> np.ndarray:
    """The joint log density (S, J) of the rows of each level of a grouping factor, or of `only` some of them, given all
    else in each draw but the level's own deviations.

    Source: Pinheiro and Bates (1995), J. Comput. Graph. Stat. 4, 12, equation 11.
    """
    k = posterior.groups.index(group)
    fit = rows_of_fit(posterior)
    included = [own & (place != k) for place, own in enumerate(fit.included)]
    fit, Z, root = fit._replace(included=included), fit.effects[k].Z, roots_of(posterior, group)
    found = np.zeros((len(root), group.n_levels))
    order = np.argsort(group.codes, kind="stable")
    for some in np.split(order, np.flatnonzero(np.diff(group.codes[order])) + 1):
        if only is not None and group.codes[some[0]] not in only:
            continue
        own = predictors(posterior, fit, some)
        step = max(1, AT_ONCE // (len(some) * Z.shape[1]))
        for start in range(0, len(root), step):
            draws = slice(start, start + step)
            U = Z[some] @ root[draws]
            integrand = Integrand(posterior, some, draws, [each[draws] for each in own], U)
            found[draws, group.codes[some[0]]] = _integral(integrand)
    return found


def _integral(integrand: Integrand) -> np.ndarray:
    """The logarithm (S,) of the integral over the deviations, by points about their mode."""
    mode, factor = _mode(integrand)
    q = mode.shape[1]
    spread = np.linalg.inv(factor).transpose(0, 2, 1)
    nodes, weights = np.polynomial.hermite.hermgauss(POINTS.get(q, 1))
    terms = []
    for at in itertools.product(range(len(nodes)), repeat=q):
        t = nodes[list(at)]
        value = integrand(mode + np.sqrt(2.0) * spread @ t)
        terms.append(value + t @ t + np.log(weights[list(at)]).sum())
    log_sum = np.logaddexp.reduce(np.stack(terms), axis=0)
    log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    return log_sum - log_det - 0.5 * q * np.log(np.pi)


def _mode(integrand: Integrand) -> tuple[np.ndarray, np.ndarray]:
    """The deviations (S, q) of highest density and the triangular factor (S, q, q) of the curvature there, by Newton's
    method with derivatives of rows from differences: they say where the points stand, not what is summed up.
    """
    U = integrand.U
    S, _, q = U.shape
    u, factor = np.zeros((S, q)), np.broadcast_to(np.eye(q), (S, q, q))
    for _ in range(MOST_STEPS):
        eta = np.einsum("smq,sq->sm", U, u)
        low, middle, high = (integrand.rows(eta + shift) for shift in (-STEP, 0.0, STEP))
        slope, curvature = (high - low) / (2.0 * STEP), np.maximum(-(high - 2.0 * middle + low) / STEP**2, 0.0)
        factor = np.linalg.cholesky(np.eye(q) + np.einsum("smq,sm,smr->sqr", U, curvature, U, optimize=True))
        gradient = np.einsum("smq,sm->sq", U, slope) - u
        half = np.linalg.solve(factor, gradient[..., None])
        step = np.linalg.solve(factor.transpose(0, 2, 1), half)[..., 0]
        length = np.linalg.norm(step, axis=1, keepdims=True)
        u = u + step * np.minimum(1.0, FAR / np.maximum(length, FAR))
        if length.max() < NEAR:
            break
    return u, factor
