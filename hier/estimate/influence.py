"""Leave-one-group-out: how the fixed effects change without each level of a grouping factor.

The variance parameters stay at their estimates, so that each deletion is linear algebra. Where the levels are
independent of each other, that is for one grouping factor or the outermost of nested ones, a level's part of X'V^-1X
and X'V^-1y is known from its cross-products. Otherwise, the deleted rows are taken out of V by a low-rank update.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate.expected import residuals
from hier.estimate.fitted import Fitted
from hier.estimate.mixed_model_equations import combinations, unexplained, vcov_in_basis
from hier.estimate.printing import Table
from hier.estimate.routes import refuse_unless_offered, solved
from hier.estimate.satterthwaite import in_basis
from hier.kernel.algebra.crossproducts import group_products
from hier.kernel.normal.prediction_errors import error_covariance
from hier.model.specification import refuse_without_groups
from hier.settings import as_given, nearest_choice

MOST_ROWS = 5_000  # of one level that is deleted by a low-rank update
RANK_LOST = 1e-10  # relative to X'V^-1X: less information than this in some direction is none


@dataclass(frozen=True)
class Influence:
    """The fixed effects without each level of the grouping factor `group`, the variance parameters held.

    Rows are levels. `fixef`: the estimates without the level; `std_error`: their standard errors. `dfbetas`: estimate
    less estimate without the level, over the latter's standard error. `cooks_distance`: (change)' vcov^-1 (change) / p.
    `covratio`: det(vcov without the level) / det(vcov). NaN where the other levels do not determine the fixed effects.
    Source: Belsley, Kuh and Welsch (1980), Regression Diagnostics, chapter 2, with a group in place of a row; Demidenko
    and Stukel (2005), Stat. Med. 24, 893.
    """

    group: str
    fixef: pd.DataFrame
    std_error: pd.DataFrame
    dfbetas: pd.DataFrame
    cooks_distance: pd.Series
    covratio: pd.Series


def influence(estimate: Fitted, group: str | None) -> Influence:
    """What `Estimate.influence` says."""
    refuse_unless_offered(estimate, "influence()")
    model = estimate.model
    refuse_without_groups("influence()", model.formula, model.design.random_effects)
    effects = model.design.random_effects
    at = _place(group, [own.group for own in effects], [own.n_levels for own in effects])
    if not model.design.names:
        raise FitError("there are no fixed effects for a group to have influence on")
    outermost = not model.structure.dense and model.structure.order[-1] == at
    pieces = _of_independent(estimate, at) if outermost else _of_rows(estimate, at)
    whole = vcov_in_basis(estimate, solved(estimate))
    change, vcov = _without(pieces, np.linalg.inv(whole))
    return _measures(estimate, at, change, vcov, whole)


def _place(group: str | None, groups: list[str], n_levels: list[int]) -> int:
    if group is None:
        return int(np.argmax(n_levels))
    if not isinstance(group, str) or group not in groups:
        raise FitError(
            f"there is no grouping factor {as_given(group)} in the model",
            expected=", ".join(f"`{name}`" for name in groups),
            hint=nearest_choice(group, groups),
        )
    return groups.index(group)


def _of_independent(estimate: Fitted, at: int) -> np.ndarray:
    """Each level's part of [X r]'V^-1[X r] over sigma^2 (J, p + 1, p + 1), X in the kernel's basis and r = y - X beta.

    It is [X r]_j'W[X r]_j less what the deviations of the level, and of the levels inside it, explain.
    """
    design, (cross, units, errors, *_) = estimate.model.design, solved(estimate)
    random, p = design.random_effects[at], len(units.centre)
    offset = 0.0 if design.offset is None else design.offset
    rows = np.column_stack([design.X @ units.basis, design.y - offset - design.X @ estimate.arrays.beta])
    rows /= estimate.sigma
    if design.weights is not None:
        rows *= np.sqrt(design.weights)[:, None]
    found = group_products(rows, rows, random.codes, random.n_levels)
    beta = np.linalg.solve(units.basis, estimate.arrays.beta - units.centre)
    for level, reduced in zip(cross.levels, errors.reduced, strict=True):
        explained = units.y / estimate.sigma * reduced[:, -p - 1 :]
        explained[:, p] -= np.einsum("aij,i->aj", explained[:, :p], beta)
        parent = level.parents[-1] if level.parents else np.arange(level.count.shape[0])
        for half in explained:
            # what padding added to the levels is zero, wherever it is counted
            found -= group_products(half.T, half.T, np.minimum(parent, random.n_levels - 1), random.n_levels)
    return np.moveaxis(found, 2, 0)


def _of_rows(estimate: Fitted, at: int) -> np.ndarray:
    """By how much [X r]'V^-1[X r] over sigma^2 falls without the rows of each level: (J, p + 1, p + 1).

    With S the deleted rows and Q = V^-1, it is Q_S' (Q_SS)^-1 Q_S, and Q_SS = W - W Z C Z'W of these rows.
    """
    design, equations = estimate.model.design, solved(estimate)
    random = design.random_effects[at]
    _refuse_large(random.group, int(random.rows_per_level.max()))
    rows = combinations(equations, design.random_effects, [np.ones(len(r.names), bool) for r in design.random_effects])
    left = np.column_stack([unexplained(equations, design.X, rows), residuals(estimate).to_numpy()]) / estimate.sigma
    root = np.ones(design.nobs) if design.weights is None else np.sqrt(design.weights)
    left *= root[:, None]
    order = np.argsort(random.codes, kind="stable")
    ends = np.cumsum(random.rows_per_level)
    found = np.zeros((random.n_levels, left.shape[1], left.shape[1]))
    for j, end in enumerate(ends):
        own = order[end - random.rows_per_level[j] : end]
        covariance = error_covariance(equations.errors, rows.at(own)) * np.outer(root[own], root[own])
        found[j] = left[own].T @ np.linalg.solve(np.eye(len(own)) - covariance, left[own])
    return found


def _refuse_large(group: str, rows: int) -> None:
    if rows > MOST_ROWS:
        raise FitError(
            f"a level of `{group}` has too many rows to be deleted from crossed grouping factors",
            found=f"{rows} rows",
            expected=f"at most {MOST_ROWS}",
            hint="fit the model again without the rows of one level at a time",
        )


def _without(pieces: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Changes of beta (J, p) and covariances (J, p, p) without each level; NaN where the rest does not determine beta.

    At the estimates X'V^-1 r is zero (or, for MAP, the priors' slope takes it up), so that deleting a level's part
    a_j moves beta by -(A - A_j)^-1 a_j.
    """
    p = len(total)
    own, slope = pieces[:, :p, :p], pieces[:, :p, p]
    lower = np.linalg.cholesky(total)
    half = np.linalg.solve(lower, own)
    share = np.linalg.solve(lower, np.swapaxes(half, 1, 2))
    left = 1.0 - np.linalg.eigvalsh(0.5 * (share + np.swapaxes(share, 1, 2)))[:, -1]
    known = left > RANK_LOST
    change, vcov = np.full(slope.shape, np.nan), np.full(own.shape, np.nan)
    vcov[known] = np.linalg.inv(total - own[known])
    change[known] = -np.einsum("jab,jb->ja", vcov[known], slope[known])
    return change, vcov


def _measures(estimate: Fitted, at: int, change: np.ndarray, vcov: np.ndarray, whole: np.ndarray) -> Influence:
    """From changes (J, p) and covariances (J, p, p) without each level, and that with all, in the kernel's basis."""
    design = estimate.model.design
    random, names, p = design.random_effects[at], list(design.names), len(design.names)
    index = random.levels.rename(random.group)
    basis = solved(estimate).units.basis
    own, size = in_basis(np.eye(p), basis)
    std_error = size * np.sqrt(np.einsum("ka,jab,kb->jk", own, vcov, own))
    squares = np.einsum("ja,ja->j", change, np.linalg.solve(whole, change.T).T)
    known = np.isfinite(change).all(axis=1)
    covratio = np.full(len(change), np.nan)
    covratio[known] = np.exp(np.linalg.slogdet(vcov[known])[1] - np.linalg.slogdet(whole)[1])
    change = change @ basis.T
    return Influence(
        group=random.group,
        fixef=Table(estimate.arrays.beta + change, index=index, columns=names),
        std_error=Table(std_error, index=index, columns=names),
        dfbetas=Table(-change / std_error, index=index, columns=names),
        cooks_distance=pd.Series(squares / p, index=index, name="cooks_distance"),
        covratio=pd.Series(covratio, index=index, name="covratio"),
    )
