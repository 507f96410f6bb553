"""The marginal density of a Normal mixed model with one grouping factor, from its cross-products.

With y = X beta + Z b + e, b_j = L u_j, u_j ~ N(0, s^2 I), e ~ N(0, s^2 W^-1), one elimination over the groups gives
log|V| and the quadratic form of [X y] in V^-1, where s^2 V is the covariance of y given beta. REML, ML, MAP, the
density that NUTS samples and the exact draws are all read off these two; their derivatives in L are in closed form.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from hier.kernel.crossproducts import CrossProducts

LOG_2PI = 1.8378770664093453
UNROLL = 6  # largest matrix whose factorisation is unrolled; beyond it LAPACK costs less than compiling


class Marginal(NamedTuple):
    """What is left of the data when the group deviations are integrated out.

    `log_det` (): sum over groups of log|L' Z_j'WZ_j L + I|, which is log|V| + sum log w.
    `schur` (p + 1, p + 1): [X y]' V^-1 [X y].
    """

    log_det: jax.Array
    schur: jax.Array


class Eliminated(NamedTuple):
    """The groups' own factors, from which their deviations are recovered, beside what is left of the data.

    `upper` (q, q, J): the Cholesky factors R_j with R_j'R_j = L' Z_j'WZ_j L + I, upper triangular.
    `reduced` (q, p + 1, J): R_j^-T L' Z_j'W [X y]_j.
    """

    upper: jax.Array
    reduced: jax.Array
    marginal: Marginal


class FixedPrior(NamedTuple):
    """A Normal prior of the fixed effects as a quadratic form, in the kernel's units; flat where it is zero.

    `quadratic` (p + 1, p + 1): -2 log density at beta is [-beta; 1]' quadratic [-beta; 1] + constant.
    `constant` (): the part of -2 log density that does not depend on beta.
    """

    quadratic: jax.Array
    constant: jax.Array


def flat_prior(p: int) -> FixedPrior:
    """The flat prior of `p` fixed effects, under which the marginal likelihood is the REML likelihood."""
    return FixedPrior(jnp.zeros((p + 1, p + 1)), jnp.zeros(()))


def _transposed_times(factor: jax.Array, blocks: jax.Array) -> jax.Array:
    """L' A_j of every group, for A (q, k, J)."""
    return jnp.sum(factor[:, :, None, None] * blocks[:, None], axis=0)


def _factorise(factor: jax.Array, zz: jax.Array, right: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """R_j (q, q, J) of every group, R_j^-T `right` (q, k, J), and the sum of log|R_j'R_j|.

    The factorisation is unrolled over the few columns of a group and runs elementwise over the groups: batched LAPACK
    calls on 2 x 2 matrices would take several times as long.
    """
    q = factor.shape[0]
    half = _transposed_times(factor, zz)
    inner = jnp.sum(half[:, :, None, :] * factor[None, :, :, None], axis=1) + jnp.eye(q)[:, :, None]
    rest = jnp.concatenate([inner, right], axis=1)
    upper, reduced, log_det = [], [], jnp.zeros(())
    for k in range(q):
        pivot = jnp.sqrt(rest[0, 0])
        row = rest[0] / pivot
        log_det += 2.0 * jnp.sum(jnp.log(pivot))
        upper.append(jnp.concatenate([jnp.zeros_like(rest[0, :1]).repeat(k, axis=0), row[: q - k]]))
        reduced.append(row[q - k :])
        rest = rest[1:, 1:] - row[1 : q - k, None] * row[None, 1:]
    return jnp.stack(upper), jnp.stack(reduced), log_det


def _schur(cross: CrossProducts, reduced: jax.Array) -> Any:
    return cross.xx - jnp.tensordot(reduced, reduced, axes=((0, 2), (0, 2)))


def eliminate(factor: jax.Array, cross: CrossProducts) -> Eliminated:
    """Eliminate the group deviations at the relative covariance factor `factor` (q, q), keeping the groups' factors.

    Source: Bates et al. (2015), equations 24 to 33, with P = I and one block a group.
    """
    upper, reduced, log_det = _factorise(factor, cross.zz, _transposed_times(factor, cross.zx))
    return Eliminated(upper, reduced, Marginal(log_det, _schur(cross, reduced)))


@jax.custom_jvp
def integrate_groups(factor: jax.Array, cross: CrossProducts) -> Marginal:
    """Integrate the group deviations out at the relative covariance factor `factor` (q, q), in which the result can
    be differentiated any number of times; the cross-products are constants.
    """
    return eliminate(factor, cross).marginal


@integrate_groups.defjvp
def _derivative_of_integrate_groups(primals: Any, tangents: Any) -> tuple[Marginal, Marginal]:
    """The derivative, from sums over the groups that need no more than the factors themselves.

    With u_j = M_j^-1 L' Z_j'W [X y]_j and g_j = Z_j' V_j^-1 [X y]_j, which is Z_j'W([X y]_j - Z_j L u_j):
    d log|M_j| = 2 tr(M_j^-1 L' Z_j'WZ_j dL) and d schur = -sum (g_j' dL u_j + u_j' dL' g_j).
    Source: Bates et al. (2015), equations 24 to 33, differentiated; M_j is their L' Z_j'WZ_j L + I.
    """
    factor, cross = primals
    change, q = tangents[0], primals[0].shape[0]
    both = jnp.concatenate([cross.zz, cross.zx], axis=1)
    upper, reduced, log_det = _factorise(factor, cross.zz, _transposed_times(factor, both))
    solved = back_substitute(upper, reduced)
    u = solved[:, q:]
    fitted = jnp.sum(_transposed_times(factor, cross.zz)[:, :, None] * u[:, None], axis=0)
    products = jnp.tensordot(cross.zx - fitted, u, axes=((2,), (2,)))  # (q, p + 1, q, p + 1)
    slope = jnp.einsum("ambn,ab->mn", products, change)
    return (
        Marginal(log_det, _schur(cross, reduced[:, q:])),
        Marginal(2.0 * jnp.sum(jnp.sum(solved[:, :q], axis=2).T * change), -(slope + slope.T)),
    )


def fixed_effects_form(
    marginal: Marginal, sigma: jax.Array, prior: FixedPrior, held: jax.Array | None = None
) -> jax.Array:
    """The quadratic form of -2 log p(y, beta) in [-beta; 1]: the likelihood's part plus the prior's.

    `held` (h,): values of the last h fixed effects, where these are not to be integrated; the form that is returned,
    (p - h + 1, p - h + 1), is that of the others.
    """
    form = marginal.schur / sigma**2 + prior.quadratic
    if held is None or held.shape[0] == 0:
        return form
    free = form.shape[0] - 1 - held.shape[0]
    keep = jnp.concatenate([jnp.eye(free), jnp.zeros((held.shape[0] + 1, free))])
    fold = jnp.concatenate([jnp.zeros(free), -held, jnp.ones(1)])[:, None]
    into = jnp.concatenate([keep, fold], axis=1)
    return into.T @ form @ into


def cholesky(matrix: jax.Array) -> jax.Array:
    """The lower Cholesky factor of one matrix; unrolled where it is small, so that it and its derivatives fuse."""
    size = matrix.shape[0]
    if size > UNROLL:
        return jnp.linalg.cholesky(matrix)
    columns, rest = [], matrix
    for k in range(size):
        column = rest[:, 0] / jnp.sqrt(rest[0, 0])
        columns.append(jnp.pad(column, (k, 0)))
        rest = rest[1:, 1:] - column[1:, None] * column[None, 1:]
    return jnp.stack(columns, axis=1)


def split_form(form: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Cholesky factor of the precision of beta, the factor's solve of its linear part, and the minimum of the form."""
    lower = cholesky(form)
    p = form.shape[0] - 1
    return lower[:p, :p], lower[p, :p], lower[p, p] ** 2


def neg2_log_marginal(
    marginal: Marginal,
    sigma: jax.Array,
    cross: CrossProducts,
    prior: FixedPrior,
    held: jax.Array | None = None,
    *,
    integrate: bool = True,
) -> jax.Array:
    """-2 log density of the response at `sigma`, the fixed effects integrated out (REML, Bayes) or at their best (ML).

    Source: Bates et al. (2015), equations 34 and 41; with a Normal prior, the same integral with its precision added.
    """
    form = fixed_effects_form(marginal, sigma, prior, held)
    precision, _, minimum = split_form(form)
    value = (LOG_2PI + 2.0 * jnp.log(sigma)) * cross.nobs - cross.log_weights + marginal.log_det + minimum
    if integrate:
        value += 2.0 * jnp.sum(jnp.log(jnp.diag(precision))) - precision.shape[0] * LOG_2PI + prior.constant
    return value


def neg2_log_likelihood(marginal: Marginal, sigma: jax.Array, cross: CrossProducts, beta: jax.Array) -> jax.Array:
    """-2 log density of the response given all parameters, the group deviations integrated out."""
    weights = jnp.append(-beta, 1.0)
    squares = weights @ marginal.schur @ weights / sigma**2
    return (LOG_2PI + 2.0 * jnp.log(sigma)) * cross.nobs - cross.log_weights + marginal.log_det + squares


def fixed_effects(form: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean (p,) and covariance (p, p) of the fixed effects given the variance parameters."""
    precision, linear, _ = split_form(form)
    half = jax.scipy.linalg.solve_triangular(precision, jnp.eye(precision.shape[0]), lower=True)
    return half.T @ linear, half.T @ half


def back_substitute(upper: jax.Array, right: jax.Array) -> jax.Array:
    """Solve R_j x_j = right_j for every group; (q, q, J) and (q, ..., J)."""
    solved: list[jax.Array] = []
    for k in reversed(range(upper.shape[0])):
        value = right[k]
        for offset, known in enumerate(solved):
            value = value - upper[k, k + 1 + offset] * known
        solved.insert(0, value / upper[k, k])
    return jnp.stack(solved)


def group_deviations(
    factor: jax.Array, eliminated: Eliminated, beta: jax.Array, noise: jax.Array | float = 0.0
) -> jax.Array:
    """Deviations b (q, J) given beta: their conditional mode, or an exact draw where `noise` is s times N(0, 1).

    Given y and beta, u_j is Normal with mean R_j^-1 (reduced_j [1; -beta]) and covariance s^2 (R_j'R_j)^-1.
    Source: Bates et al. (2015), equations 20 and 58.
    """
    weights = jnp.concatenate([-beta, jnp.ones(1)])
    right = jnp.sum(eliminated.reduced * weights[None, :, None], axis=1)
    return jnp.sum(factor[:, :, None] * back_substitute(eliminated.upper, right + noise)[None], axis=1)


def conditional_covariance(factor: jax.Array, eliminated: Eliminated, sigma: jax.Array) -> jax.Array:
    """Covariance (q, q, J) of each group's deviations given y, beta and the variance parameters.

    Source: Bates et al. (2015), equation 58.
    """
    q, _, groups = eliminated.upper.shape
    inverse = back_substitute(eliminated.upper, jnp.broadcast_to(jnp.eye(q)[:, :, None], (q, q, groups)))
    spread = jnp.sum(factor[:, :, None, None] * inverse[None], axis=1)  # L R_j^-1
    return sigma**2 * jnp.sum(spread[:, None] * spread[None, :], axis=2)


def add_normal_term(
    prior: FixedPrior, row: jax.Array, at: jax.Array, slope: jax.Array, precision: jax.Array
) -> FixedPrior:
    """Add to a prior a log density of `row @ beta` that has the given slope and precision at the value `at`."""
    shift = at * precision + slope
    quadratic = prior.quadratic.at[:-1, :-1].add(precision * jnp.outer(row, row))
    quadratic = quadratic.at[:-1, -1].add(shift * row).at[-1, :-1].add(shift * row)
    # completes the form, so that it stays positive definite; the value of the objective does not use it
    return prior._replace(quadratic=quadratic.at[-1, -1].add(shift**2 / jnp.maximum(jnp.abs(precision), 1e-12)))


def solve_upper(matrix: jax.Array, right: jax.Array) -> jax.Array:
    """Solve an upper-triangular system."""
    return jax.scipy.linalg.solve_triangular(jnp.asarray(matrix), right, lower=False)
