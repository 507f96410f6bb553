"""The p-value of variances that are tested at zero, the boundary of what they can be.

Under the null hypothesis the likelihood-ratio statistic is then distributed as a mixture of chi-squared variables. Its
weights are those of the cone of covariances that the larger model allows, in the metric of the information on them.
Source: Self and Liang (1987), J. Am. Stat. Assoc. 82, 605; Shapiro (1988), Int. Stat. Rev. 56, 49, section 3.
"""

from __future__ import annotations

import numpy as np

from hier.design import RandomEffects
from hier.estimate.chi_squared import chi_squared_p
from hier.estimate.fitted import Fitted
from hier.estimate.routes import route_of, working_rows
from hier.kernel.algebra.crossproducts import group_products
from hier.kernel.covariance.theta import Change, changes_at_large, n_theta

DRAWS = 50_000  # for two probabilities, whose errors are then at most two thousandths
MOST = 3  # parameters of a cone whose weights follow from two of them


def boundary_p(statistic: float, smaller: Fitted, larger: Fitted) -> float:
    """The p-value of a likelihood-ratio statistic by the mixture.

    Where the smaller model has no grouping factor and the larger one has one with up to three variances and
    covariances, the weights are exact but for the draws of two probabilities. Otherwise they are a half each on the
    last two numbers of degrees of freedom: right where one column is added, and too large a p-value where several are.
    """
    df = larger.n_parameters - smaller.n_parameters
    terms = larger.model.terms
    added = n_theta(terms) - n_theta(smaller.model.terms)
    if np.isnan(statistic) or added < 1:
        return float(chi_squared_p(np.array([statistic]), np.array([float(df)]))[0])
    weights = np.zeros(added + 1)
    weights[-2:] = 0.5
    if not smaller.model.terms and len(terms) == 1 and 1 < added <= MOST:
        weights = _weights(smaller, larger)
    each = np.arange(df - added, df + 1, dtype=float)
    return float(weights @ chi_squared_p(np.full(added + 1, statistic), each))


def _weights(smaller: Fitted, larger: Fitted) -> np.ndarray:
    """Weights (d + 1,) on 0 to d degrees of freedom, of d = 2 or 3 variances and covariances.

    The last is the probability that an estimate without bounds is a covariance, the first that its score points out of
    all covariances; those with even and those with odd numbers of degrees of freedom are a half in all.
    """
    (random,) = larger.model.design.random_effects
    changes = changes_at_large(random.blocks)
    information = _information(smaller, random, changes)
    d = len(changes)
    normal = np.random.default_rng(0).standard_normal((DRAWS, d))
    lower = np.linalg.cholesky(information)
    scores = normal @ lower.T
    free = np.linalg.solve(lower.T, normal.T).T
    basis = np.stack([own.matrix for own in changes])
    covariance = np.einsum("sk,kab->sab", free, basis)
    last = np.mean(np.linalg.eigvalsh(covariance)[:, 0] >= 0.0)
    # the score as a matrix whose product with each direction is its entry
    lengths = np.einsum("kab,kab->k", basis, basis)
    slopes = np.einsum("sk,kab->sab", scores / lengths, basis)
    first = np.mean(np.linalg.eigvalsh(slopes)[:, -1] <= 0.0)
    if d == 2:
        return np.array([first, 0.5, last]) / (first + 0.5 + last)
    return np.array([first, 0.5 - last, 0.5 - first, last])


def _information(smaller: Fitted, random: RandomEffects, changes: tuple[Change, ...]) -> np.ndarray:
    """The information (d, d) on the directions of the covariance where it is zero, less what the residual variance
    takes off it. Of the fixed effects it is free.
    """
    _, weights = working_rows(smaller)
    own = random.Z if weights is None else random.Z * np.sqrt(weights)[:, None]
    dispersion = route_of(smaller).dispersion(smaller)
    products = np.moveaxis(group_products(own, own, random.codes, random.n_levels), 2, 0) / dispersion
    moved = [products @ change.matrix for change in changes]
    information = 0.5 * np.array([[np.einsum("jab,jba->", a, b) for b in moved] for a in moved])
    if not smaller.has_sigma:
        return information
    with_sigma = 0.5 * np.array([np.einsum("jaa->", a) for a in moved])
    return information - np.outer(with_sigma, with_sigma) / (0.5 * smaller.nobs)
