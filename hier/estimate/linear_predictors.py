"""Linear predictors of rows by an estimate, and how far they may be from the true ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from hier.estimate.fitted import Fitted
from hier.estimate.mixed_model_equations import combinations, total_variances, unexplained, vcov_in_basis
from hier.estimate.predicted_rows import PredictedRows
from hier.estimate.routes import solved
from hier.kernel.normal.prediction_errors import error_factors


def linear_predictor(estimate: Fitted, rows: PredictedRows) -> np.ndarray:
    """That of each row's mean (n,), deviations of new levels zero; NaN where the data do not determine it."""
    fit = rows.X @ estimate.arrays.beta + (0.0 if rows.offset is None else rows.offset)
    for own, kept, term in zip(rows.effects, rows.included, estimate.arrays.terms, strict=True):
        if kept.any():
            deviations = np.where((own.codes >= 0)[:, None], term.deviations[own.codes], 0.0)
            fit = fit + np.einsum("ij,ij->i", own.Z * kept, deviations)
    return np.where(rows.known, fit, np.nan)


def new_spread(estimate: Fitted, rows: PredictedRows) -> np.ndarray:
    """The standard deviation (n,) of what the deviations of levels that the fit has not seen add to each row, over
    `estimate.size`.
    """
    found = np.zeros(len(rows.X))
    for own, kept, term, new in zip(rows.effects, rows.included, estimate.arrays.terms, rows.new, strict=True):
        at = new >= 0
        if at.any():  # nothing is known of a new level's deviations but their covariance
            half = (own.Z[at] * kept) @ (term.factor / estimate.size)
            found[at] = np.hypot(found[at], np.linalg.norm(half, axis=1))
    return found


def variances(estimate: Fitted, rows: PredictedRows) -> np.ndarray:
    """Variances (n,) of linear predictors about the true ones, over the square of `estimate.size`, without those of new
    levels.
    """
    if not any(kept.any() for kept in rows.included):
        return (estimate.arrays.standard_errors(rows.X) / estimate.size) ** 2
    equations = solved(estimate)
    return total_variances(estimate, equations, rows.X, combinations(equations, rows.effects, rows.included))


def error_parts(estimate: Fitted, rows: PredictedRows) -> list[tuple[Any, np.ndarray | None]]:
    """Independent parts of the errors of the linear predictors of all rows together, those of fixed effects and of
    deviations: pairs of a matrix M (m, k) and a root R (k, k), None for the identity, so that M R e, with e standard
    Normal, is a draw of the part, and the sum of M R R'M' the covariance.
    """
    parts: list[tuple[Any, np.ndarray | None]] = []
    if any(kept.any() for kept in rows.included):
        equations = solved(estimate)
        own = combinations(equations, rows.effects, rows.included)
        vcov, shifted = vcov_in_basis(estimate, equations), unexplained(equations, rows.X, own)
        parts += [(equations.scale * matrix, root) for matrix, root in error_factors(equations.errors, own)]
    else:
        vcov, shifted = estimate.arrays.basis_vcov, rows.X @ estimate.arrays.basis
    values, vectors = np.linalg.eigh(vcov)
    return [(shifted, vectors * np.sqrt(np.maximum(values, 0.0))), *parts]


def drawn_predictors(
    estimate: Fitted, rows: PredictedRows, n: int, generator: np.random.Generator, *, with_new: bool
) -> np.ndarray:
    """Draws (n, m) of the linear predictors of all rows together, Normal about the estimates: errors of the fixed
    effects and of the deviations, and `with_new` the deviations of new levels, one draw for all rows of a level.
    """
    found = np.repeat(linear_predictor(estimate, rows)[None], n, axis=0)
    for matrix, root in error_parts(estimate, rows):
        drawn = generator.standard_normal((matrix.shape[1], n))
        found += (matrix @ (drawn if root is None else root @ drawn)).T
    for own, kept, term, new in zip(rows.effects, rows.included, estimate.arrays.terms, rows.new, strict=True):
        at = np.flatnonzero(new >= 0)
        if with_new and len(at):
            fresh = generator.standard_normal((n, int(new.max()) + 1, len(kept))) @ term.factor.T
            found[:, at] += np.einsum("nmq,mq->nm", fresh[:, new[at]], own.Z[at] * kept)
    return found
