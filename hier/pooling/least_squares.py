"""No pooling: each level's own least-squares coefficients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hier.design import Design
from hier.kernel.algebra.crossproducts import group_products

LARGEST_CONDITION = 1e12


def own_least_squares(
    design: Design,
    k: int,
    beta: np.ndarray,
    deviations: Sequence[np.ndarray],
    working: tuple[np.ndarray, np.ndarray | None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (J, q) of each level's own regression on the random-effects columns of grouping factor `k`, and the
    information Z_j'WZ_j (J, q, q).

    What the fixed effects `beta` (p,) of columns that do not vary between its levels explain is taken off the response
    first, and so are the `deviations` (J, q) of all other grouping factors: this is no pooling of the one factor,
    given the others. A level whose rows do not determine its coefficients has NaN.
    `working`: response (n,) and weights (n,), or None for equal ones, where these are not the design's own: of a
    response that is not Normal those of an estimate's `working_rows`.
    """
    response, weights = (design.y, design.weights) if working is None else working
    random = design.random_effects[k]
    others = [column for column, name in enumerate(design.names) if name not in random.names]
    rest = response - design.X[:, others] @ beta[others] - explained_by_others(design, k, deviations)
    if design.offset is not None:
        rest = rest - design.offset
    Z, root = random.Z, 1.0 if weights is None else np.sqrt(weights)[:, None]
    weighted = Z * root
    information = np.moveaxis(group_products(weighted, weighted, random.codes, random.n_levels), 2, 0)
    right = group_products(weighted, rest[:, None] * root, random.codes, random.n_levels)[:, 0].T
    # columns are brought to one length first, so that the condition does not depend on their units
    length = np.sqrt(np.einsum("jkk->jk", information))
    length[length == 0.0] = 1.0
    scaled = information / (length[:, :, None] * length[:, None, :])
    determined = np.linalg.cond(scaled) < LARGEST_CONDITION
    coefficients = np.full(right.shape, np.nan)
    solved = np.linalg.solve(scaled[determined], (right / length)[determined][:, :, None])[:, :, 0]
    coefficients[determined] = solved / length[determined]
    return coefficients, information


def explained_by_others(design: Design, k: int, deviations: Sequence[np.ndarray]) -> np.ndarray:
    """What the deviations (J, q) of all grouping factors but `k` add to each row (n,)."""
    total = np.zeros(design.nobs)
    for at, (random, own) in enumerate(zip(design.random_effects, deviations, strict=True)):
        if at != k:
            total += np.einsum("ij,ij->i", random.Z, own[random.codes])
    return total


def shrinkage(information: np.ndarray, covariance: np.ndarray, sigma2: np.ndarray) -> np.ndarray:
    """How far each level's own coefficient is drawn to the population's: 0 not at all, 1 all the way.

    `information` (J, q, q); `covariance` (..., q, q) of the deviations and `sigma2` (...): the result is (..., J, q).
    Given these, and the deviations of other grouping factors, a level's deviations have mean (I - B_j) times their
    least-squares estimates with B_j = (covariance Z_j'WZ_j / sigma2 + I)^-1; this is the diagonal of B_j.
    Source: Gelman and Pardoe (2006), Technometrics 48, 241 (pooling factors); Robinson (1991), Stat. Sci. 6, 15.
    """
    q = information.shape[-1]
    gain = covariance[..., None, :, :] @ information / np.asarray(sigma2)[..., None, None, None]
    return np.einsum("...kk->...k", np.linalg.inv(gain + np.eye(q)))
