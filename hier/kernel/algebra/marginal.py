"""The marginal density of a Normal mixed model from its cross-products, the group deviations integrated out.

With y = X beta + sum_k Z_k b_k + e, a level's deviations b_kj = L_k u_kj with u_kj ~ N(0, s^2 I), e ~ N(0, s^2 W^-1),
one elimination gives log|V| and the quadratic form of [X y] in V^-1, where s^2 V is the covariance of y given beta.
REML, ML, MAP, the density that NUTS samples and the exact draws are all read off these two.
"""

from __future__ import annotations

from typing import NamedTuple

from hier.kernel.algebra.crossproducts import CrossProducts
from hier.kernel.arrays.library import Array, is_jax, xp

LOG_2PI = 1.8378770664093453
UNROLL = 6  # largest matrix whose factorisation is unrolled; beyond it LAPACK costs less than compiling


class Marginal(NamedTuple):
    """What is left of the data when the group deviations are integrated out.

    `log_det` (): log|V| + sum log w. `schur` (p + 1, p + 1): [X y]' V^-1 [X y].
    """

    log_det: Array
    schur: Array


class FixedPrior(NamedTuple):
    """A Normal prior of the fixed effects as a quadratic form, in the kernel's units; flat where it is zero.

    `quadratic` (p + 1, p + 1): -2 log density at beta is [-beta; 1]' quadratic [-beta; 1] + constant.
    `constant` (): the part of -2 log density that does not depend on beta.
    """

    quadratic: Array
    constant: Array


def flat_prior(p: int) -> FixedPrior:
    """The flat prior of `p` fixed effects, under which the marginal likelihood is the REML likelihood."""
    return FixedPrior(xp.zeros((p + 1, p + 1)), xp.zeros(()))


def fixed_effects_form(marginal: Marginal, sigma: Array, prior: FixedPrior, known: Array | None = None) -> Array:
    """The quadratic form of -2 log p(y, beta) in [-beta; 1]: the likelihood's part plus the prior's.

    `known` (h,): values of the last h fixed effects, where these are not to be integrated; the form that is returned,
    (p - h + 1, p - h + 1), is that of the others.
    """
    form = marginal.schur / sigma**2 + prior.quadratic
    if known is None or known.shape[0] == 0:
        return form
    free = form.shape[0] - 1 - known.shape[0]
    keep = xp.concatenate([xp.eye(free), xp.zeros((known.shape[0] + 1, free))])
    fold = xp.concatenate([xp.zeros(free), -known, xp.ones(1)])[:, None]
    into = xp.concatenate([keep, fold], axis=1)
    return into.T @ form @ into


def cholesky(matrix: Array) -> Array:
    """The lower Cholesky factor of one matrix; unrolled where it is small, so that it and its derivatives fuse."""
    size = matrix.shape[0]
    if size > UNROLL or not is_jax(matrix):
        return xp.cholesky(matrix)
    columns, rest = [], matrix
    for k in range(size):
        column = rest[:, 0] / xp.sqrt(rest[0, 0])
        columns.append(xp.pad(column, (k, 0)))
        rest = rest[1:, 1:] - column[1:, None] * column[None, 1:]
    return xp.stack(columns, axis=1)


def split_form(form: Array) -> tuple[Array, Array, Array]:
    """Cholesky factor of the precision of beta, the factor's solve of its linear part, and the minimum of the form."""
    lower = cholesky(form)
    p = form.shape[0] - 1
    return lower[:p, :p], lower[p, :p], lower[p, p] ** 2


def neg2_log_marginal(
    marginal: Marginal,
    sigma: Array,
    cross: CrossProducts,
    prior: FixedPrior,
    known: Array | None = None,
    *,
    integrate: bool = True,
) -> Array:
    """-2 log density of the response at `sigma`, the fixed effects integrated out (REML, Bayes) or at their best (ML).

    Source: Bates et al. (2015), equations 34 and 41; with a Normal prior, the same integral with its precision added.
    """
    form = fixed_effects_form(marginal, sigma, prior, known)
    precision, _, minimum = split_form(form)
    value = (LOG_2PI + 2.0 * xp.log(sigma)) * cross.nobs - cross.log_weights + marginal.log_det + minimum
    if integrate:
        value = value + 2.0 * xp.sum(xp.log(xp.diag(precision))) - precision.shape[0] * LOG_2PI + prior.constant
    return value


def neg2_log_likelihood(marginal: Marginal, sigma: Array, cross: CrossProducts, beta: Array) -> Array:
    """-2 log density of the response given all parameters, the group deviations integrated out."""
    weights = xp.append(-beta, 1.0)
    squares = weights @ marginal.schur @ weights / sigma**2
    return (LOG_2PI + 2.0 * xp.log(sigma)) * cross.nobs - cross.log_weights + marginal.log_det + squares


def fixed_effects(form: Array) -> tuple[Array, Array]:
    """Mean (p,) and covariance (p, p) of the fixed effects given the variance parameters."""
    precision, linear, _ = split_form(form)
    half = xp.solve_triangular(precision, xp.eye(precision.shape[0]), lower=True)
    return half.T @ linear, half.T @ half


def add_normal_term(prior: FixedPrior, row: Array, at: Array, slope: Array, precision: Array) -> FixedPrior:
    """Add to a prior a log density of `row @ beta` that has the given slope and precision at the value `at`."""
    shift = at * precision + slope
    beside = (shift * row)[:, None]
    # completes the form, so that it stays positive definite; the value of the objective does not use it
    corner = (shift**2 / xp.maximum(xp.abs(precision), 1e-12)).reshape(1, 1)
    top = xp.concatenate([precision * xp.outer(row, row), beside], axis=1)
    added = xp.concatenate([top, xp.concatenate([beside.T, corner], axis=1)])
    return prior._replace(quadratic=prior.quadratic + added)


def solve_upper(matrix: Array, right: Array) -> Array:
    """Solve an upper-triangular system."""
    return xp.solve_triangular(xp.asarray(matrix), right, lower=False)
