"""Deviations made of standard Normal variables, against dense algebra."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from hier.kernel.algebra.crossproducts import CrossProducts, Level
from hier.kernel.algebra.sparse import both_ways, gathered_times
from hier.kernel.normal.transport import of_levels, split_levels, transport, transport_each
from hier.kernel.programs.precision import float64

Q, J, SIGMA = 2, 5, 0.7


def made(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A covariance factor (q, q), positive definite products (q, q, J), right sides (q, 2, J) and z (q, J)."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(J, 4, Q))
    zz = np.einsum("jna,jnb->abj", roots, roots)
    return np.array([[0.8, 0.0], [-0.3, 0.5]]), zz, rng.normal(size=(Q, 2, J)), rng.normal(size=(Q, J))


@float64
def test_deviations_have_the_conditional_mean_and_covariance():
    factor, zz, right, z = made(1)
    cross = CrossProducts((Level(zz, right, np.ones(J)),), (), (), np.eye(2), np.float64(9.0), np.float64(0.0))
    beta = np.array([0.4])

    def b(z):
        return transport((factor,), cross, jnp.asarray(beta), SIGMA, (z,)).b[0]

    jacobian = np.asarray(jax.jacfwd(b)(z))
    covariance = factor @ factor.T
    for j in range(J):
        precision = (zz[:, :, j] + np.linalg.inv(covariance)) / SIGMA**2
        root = jacobian[:, j, :, j]
        np.testing.assert_allclose(root @ root.T, np.linalg.inv(precision), rtol=1e-10)
        mean = np.linalg.solve(precision, (right[:, 1, j] - right[:, 0, j] * beta[0]) / SIGMA**2)
        np.testing.assert_allclose(np.asarray(b(np.zeros((Q, J))))[:, j], mean, rtol=1e-10)
    assert np.abs(jacobian[:, 0, :, 1]).max() == 0.0


@float64
def test_density_of_z_counts_the_prior_and_the_volume():
    factor, zz, right, z = made(2)
    values, expected = [], []
    for scale in (0.5, 1.0, 2.0):  # other variances: constants fall out of the differences, all else must be there
        own = scale * factor
        around = (of_levels(jnp.asarray(zz), jnp.asarray(right[:, 1])),)
        found = transport_each((own,), around, SIGMA, (z,))
        jacobian = np.asarray(
            jax.jacfwd(lambda z, own=own, around=around: transport_each((own,), around, SIGMA, (z,)).b[0])(z)
        )
        b = np.asarray(found.b[0])
        covariance = SIGMA**2 * own @ own.T
        prior = np.sum(b * np.linalg.solve(covariance, b)) + J * np.linalg.slogdet(covariance)[1]
        expected.append(prior - 2.0 * np.linalg.slogdet(jacobian.reshape(Q * J, Q * J))[1])
        values.append(float(found.neg2_log_prior))
        np.testing.assert_allclose(own @ np.asarray(found.spherical[0]), b, rtol=1e-12)
    np.testing.assert_allclose(np.diff(values), np.diff(expected), rtol=1e-10)


@float64
def test_a_variance_of_zero_leaves_a_finite_density():
    _, zz, right, z = made(3)
    zero, around = np.zeros((Q, Q)), (of_levels(jnp.asarray(zz), jnp.asarray(right[:, 0])),)
    found = transport_each((zero,), around, SIGMA, (z,))
    assert float(found.neg2_log_prior) == np.sum(z**2)
    assert np.abs(np.asarray(found.b[0])).max() == 0.0


def test_stacked_deviations_come_apart_factor_by_factor():
    first, second = split_levels(jnp.arange(10.0), [(2, 3), (1, 4)])
    np.testing.assert_array_equal(first, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(second, [[6, 7, 8, 9]])


@float64
def test_gathered_products_and_their_derivatives_are_those_of_the_matrix():
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(Q, 30, 40)) * (rng.random((30, 40)) < 0.2)
    matrix[:, 3], matrix[:, :, 5], matrix[:, 7] = 0.0, 0.0, rng.normal(size=(Q, 40))  # an empty row, a full one
    row, column = np.nonzero(matrix[0])
    both = both_ways(matrix[:, row, column], row.astype(np.int32), column.astype(np.int32), (30, 40))
    vector, change = rng.normal(size=40), rng.normal(size=(Q, 30))
    found, back = jax.vjp(lambda v: gathered_times(both, v), vector)
    np.testing.assert_allclose(found, matrix @ vector, atol=1e-12)
    np.testing.assert_allclose(back(jnp.asarray(change))[0], np.einsum("aij,ai->j", matrix, change), atol=1e-12)
    many = rng.normal(size=(3, 40))
    slopes = jax.vmap(jax.grad(lambda v: jnp.sum(gathered_times(both, v) ** 2)))(many)
    np.testing.assert_allclose(slopes, 2 * np.einsum("aij,aik,nk->nj", matrix, matrix, many), atol=1e-10)
