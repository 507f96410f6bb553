"""An estimate taken back to the kernel's units, for what is computed after the fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hier.design import RandomEffects
from hier.estimate.fitted import Fitted
from hier.kernel.algebra.crossproducts import CrossProducts
from hier.kernel.algebra.scaling import Units
from hier.kernel.normal.prediction_errors import (
    Combinations,
    Errors,
    each_deviation,
    error_variances,
    mode_slopes,
)


class Solved(NamedTuple):
    """The equations of a fit solved at its variance parameters: cross-products, units, and prediction errors, whose
    variances are times the square of `scale`, in the response's unit.
    """

    cross: CrossProducts
    units: Units
    errors: Errors
    order: tuple[int, ...]
    scale: float


def relative_factors(estimate: Fitted, units: Units) -> list[np.ndarray]:
    """The relative covariance factors (q, q) in the kernel's order and units."""
    terms = estimate.model.structure.ordered(estimate.arrays.terms)
    return [units.kernel_factor(own.factor, estimate.sigma) for own, units in zip(terms, units.random, strict=True)]


def combinations(solved: Solved, random: Sequence[RandomEffects], included: Sequence[np.ndarray]) -> Combinations:
    """Rows of random effects in the kernel's order and units, without the columns that are not `included` (q,) and the
    levels that the fit has not seen.
    """
    codes, columns = [], []
    for k, units in zip(solved.order, solved.units.random, strict=True):
        own = random[k]
        known = own.codes >= 0
        codes.append(np.where(known, own.codes, 0))
        columns.append(units.columns(np.where(known[:, None] & included[k], own.Z, 0.0)))
    return Combinations(tuple(codes), tuple(columns))


def unexplained(solved: Solved, X: np.ndarray, rows: Combinations) -> np.ndarray:
    """The columns of X less what the modes of these combinations take up of them: (m, p), in the kernel's basis."""
    return X @ solved.units.basis - solved.units.y * mode_slopes(solved.errors, rows)


def vcov_in_basis(estimate: Fitted, solved: Solved) -> np.ndarray:
    """The covariance of the fixed effects (p, p) in the basis of the solved equations: a posterior mode has another,
    where priors move columns from their places.
    """
    if estimate.method != "map":
        return estimate.arrays.basis_vcov
    between = np.linalg.solve(solved.units.basis, estimate.arrays.basis)
    return between @ estimate.arrays.basis_vcov @ between.T


def mode_errors(estimate: Fitted, solved: Solved) -> list[np.ndarray]:
    """Standard deviations (J, q) of the deviations about their modes, given beta and the variance parameters, in the
    design's order of the factors.
    """
    structure, found = estimate.model.structure, []
    effects = structure.ordered(estimate.model.design.random_effects)
    for at, (random, units) in enumerate(zip(effects, solved.units.random, strict=True)):
        directions, lengths = zip(*map(units.direction, range(units.size)), strict=True)
        each = each_deviation(solved.errors, at, np.stack(directions))
        own = np.sqrt(error_variances(solved.errors, each)).reshape(units.size, -1).T
        found.append(solved.scale * np.array(lengths) * own[: random.n_levels])
    return list(structure.restored(found))


def total_variances(estimate: Fitted, solved: Solved, X: np.ndarray, rows: Combinations) -> np.ndarray:
    """Variance of x'(beta^ - beta) + z'(b^ - b) of each row (m,), given the variance parameters, over the square of
    `estimate.size`.

    The errors of the modes given beta, and on top of them that of beta, which shifts the modes too.
    """
    shifted = unexplained(solved, X, rows) / estimate.size
    of_beta = np.einsum("ij,jk,ik->i", shifted, vcov_in_basis(estimate, solved), shifted)
    return of_beta + (solved.scale / estimate.size) ** 2 * error_variances(solved.errors, rows)
