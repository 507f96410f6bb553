"""Densities of left-out rows of Normal models given the others, the group deviations integrated out in closed form.

Given the fixed effects and the variance parameters of a draw the rows are jointly Normal, and only rows that share
levels, directly or through others, are dependent: a component of them at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from hier.errors import FitError
from hier.estimate.predicted_rows import PredictedRows
from hier.kernel.laplace.log_densities import LOG_2PI
from hier.posterior.grouping import Group
from hier.posterior.log_likelihood import rows_of_fit
from hier.posterior.new_levels import roots_of
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.prediction import AT_ONCE, model_of, predictors

MOST_DEVIATIONS = 1500  # of one component: each draw factorises a matrix of this size


class Component(NamedTuple):
    """Dependent rows (m,), and the columns (m, k) by which they follow from the deviations of the component, of factor
    `of` (k,), level by level.
    """

    rows: np.ndarray
    Z: np.ndarray
    of: list[tuple[int, int]]  # (factor, number of its levels)


class Whitened(NamedTuple):
    """Some draws of a component: residuals over their sd `e` (S, m), the columns `U` (S, m, k) of independent standard
    Normal deviations, `inner` I + U'U (S, k, k) and `log_sd` (S, m).
    """

    e: np.ndarray
    U: np.ndarray
    inner: np.ndarray
    log_sd: np.ndarray


def row_given_others(posterior: PosteriorDraws) -> np.ndarray:
    """The log density (S, n) of each row given all other rows, the fixed effects and the variances of each draw.

    With P the inverse of the covariance of the residuals e, row i given the others is Normal about e_i - (P e)_i / P_ii
    with variance 1 / P_ii. Source: Sundararajan and Keerthi (2001), Neural Comput. 13, 1103, equations 20 and 21.
    """
    roots, fixed = [roots_of(posterior, own) for own in posterior.groups], _without_deviations(posterior)
    found = np.empty((posterior.settings.chains * posterior.settings.draws, len(posterior.observed)))
    for component in components(posterior):
        for draws, own in _whitened(posterior, component, roots, fixed):
            T = _half_solved(own)
            leverage = np.einsum("smk,smk->sm", T, T)
            Pe = own.e - np.einsum("smk,sk->sm", T, np.einsum("smk,sm->sk", T, own.e))
            P = 1.0 - leverage
            found[draws, component.rows] = 0.5 * (np.log(P) - LOG_2PI - Pe**2 / P) - own.log_sd
    return found


def level_given_others(posterior: PosteriorDraws, group: Group) -> np.ndarray:
    """The joint log density (S, J) of the rows of each level of a grouping factor given all rows of the other levels,
    the fixed effects and the variances of each draw.
    """
    roots, fixed = [roots_of(posterior, own) for own in posterior.groups], _without_deviations(posterior)
    found = np.zeros((posterior.settings.chains * posterior.settings.draws, group.n_levels))
    for component in components(posterior):
        codes = group.codes[component.rows]
        for draws, own in _whitened(posterior, component, roots, fixed):
            whole = _log_marginal(own, slice(None), own.inner)
            levels = np.unique(codes)
            for j in levels:
                rest = 0.0 if len(levels) == 1 else _log_marginal(own, codes != j, _inner_without(own, codes == j))
                found[draws, j] = whole - rest
    return found


def marginal_log_likelihood(posterior: PosteriorDraws) -> np.ndarray:
    """The log density (S,) of all rows given the fixed effects and the variances of each draw."""
    roots, fixed = [roots_of(posterior, own) for own in posterior.groups], _without_deviations(posterior)
    found = np.zeros(posterior.settings.chains * posterior.settings.draws)
    for component in components(posterior):
        for draws, own in _whitened(posterior, component, roots, fixed):
            found[draws] += _log_marginal(own, slice(None), own.inner)
    return found


def _without_deviations(posterior: PosteriorDraws) -> PredictedRows:
    fit = rows_of_fit(posterior)
    return fit._replace(included=[np.zeros_like(own) for own in fit.included])


def components(posterior: PosteriorDraws) -> Iterator[Component]:
    """The sets of rows that share levels. Raises FitError for one with too many deviations."""
    design = model_of(posterior).design
    starts = np.cumsum([0, *(own.n_levels for own in design.random_effects)])
    label = _connected([own.codes + start for own, start in zip(design.random_effects, starts, strict=False)], starts)
    order = np.argsort(label, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(label[order])) + 1):
        columns, of = [], []
        for own in design.random_effects:
            levels, places = np.unique(own.codes[rows], return_inverse=True)
            q = own.Z.shape[1]
            Z = np.zeros((len(rows), len(levels), q))
            Z[np.arange(len(rows)), places] = own.Z[rows]
            columns.append(Z.reshape(len(rows), -1))
            of.append((len(of), len(levels)))
        whole = np.concatenate(columns, axis=1)
        if whole.shape[1] > MOST_DEVIATIONS:
            raise FitError(
                "these deviations are too many to be integrated out of every draw",
                found=f"{whole.shape[1]} deviations whose rows are connected by crossed factors",
                expected=f"at most {MOST_DEVIATIONS}",
                hint="loo() conditions on the deviations",
            )
        yield Component(rows, whole, of)


def _connected(nodes: Sequence[np.ndarray], starts: np.ndarray) -> np.ndarray:
    """The component (n,) of each row, whose levels `nodes` are one for each factor."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    first = np.concatenate([nodes[0]] * len(nodes))
    edges = coo_matrix((np.ones(len(first)), (first, np.concatenate(list(nodes)))), shape=(starts[-1], starts[-1]))
    return connected_components(edges, directed=False)[1][nodes[0]]


def _whitened(
    posterior: PosteriorDraws, component: Component, roots: Sequence[np.ndarray], fixed: PredictedRows
) -> Iterator[tuple[slice, Whitened]]:
    """A component in blocks of draws; `fixed`: the rows of the fit without deviations."""
    rows, Z, model = component.rows, component.Z, model_of(posterior)
    eta, log_sd = predictors(posterior, fixed, rows)
    residuals = model.design.y[rows] - eta
    step = max(1, AT_ONCE // Z.size)
    for start in range(0, len(eta), step):
        draws, parts, at = slice(start, start + step), [], 0
        for k, n_levels in component.of:
            root = roots[k][draws]
            q = root.shape[1]
            own = Z[:, at : at + n_levels * q].reshape(len(rows), n_levels, q)
            parts.append(np.einsum("mlq,sqr->smlr", own, root, optimize=True).reshape(len(root), len(rows), -1))
            at += n_levels * q
        sd = np.exp(log_sd[draws])
        U = (parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)) / sd[..., None]
        inner = np.eye(U.shape[2]) + U.transpose(0, 2, 1) @ U
        yield draws, Whitened(residuals[draws] / sd, U, inner, log_sd[draws])


def _half_solved(own: Whitened) -> np.ndarray:
    """U C^-T (S, m, k) with C the triangular factor of `inner`, so that its product with itself is U inner^-1 U'."""
    return own.U @ np.linalg.inv(np.linalg.cholesky(own.inner)).transpose(0, 2, 1)


def _inner_without(own: Whitened, gone: np.ndarray) -> np.ndarray:
    """The inner matrix (S, k, k) of all rows but some."""
    U = own.U[:, gone]
    return own.inner - U.transpose(0, 2, 1) @ U


def _log_marginal(own: Whitened, kept: np.ndarray | slice, inner: np.ndarray) -> np.ndarray:
    """The joint log density (S,) of some of the rows, by the inner matrix of these."""
    e, log_sd, factor = own.e[:, kept], own.log_sd[:, kept], np.linalg.cholesky(inner)
    right = (e[:, None, :] @ own.U[:, kept])[:, 0]
    solved = np.linalg.solve(factor, right[..., None])[..., 0]
    log_det = 2.0 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    square = np.einsum("sm,sm->s", e, e) - np.einsum("sk,sk->s", solved, solved)
    return -0.5 * (e.shape[1] * LOG_2PI + square + log_det) - log_sd.sum(axis=1)
