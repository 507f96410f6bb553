"""The kernel against the dense algebra of tests/reference/dense.py, at random parameters, weights and structures."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from hier.design import Block
from hier.kernel.covariance import n_columns, n_variance_parameters, relative_factor
from hier.kernel.crossproducts import cross_products, ladder
from hier.kernel.fit import fit_likelihood
from hier.kernel.marginal import (
    FixedPrior,
    conditional_covariance,
    eliminate,
    fixed_effects,
    fixed_effects_form,
    flat_prior,
    group_deviations,
    integrate_groups,
    neg2_log_likelihood,
    neg2_log_marginal,
)
from hier.kernel.optimise import minimise
from hier.kernel.precision import float64
from tests.reference import dense

STRUCTURES = [
    (Block(1),),
    (Block(2),),
    (Block(1), Block(1)),
    (Block(2), Block(1)),
    (Block(3),),
    (Block(3, "cs"),),
    (Block(1), Block(2, "cs")),
]


def problem(seed: int, blocks: tuple[Block, ...], *, p: int = 3, J: int = 7, weighted: bool = True):
    """Unbalanced random data: y, X, Z, codes, weights, a relative factor and sigma."""
    rng = np.random.default_rng(seed)
    q = n_columns(blocks)
    codes = np.sort(np.concatenate([np.arange(J), rng.integers(0, J, size=5 * J)]))
    n = len(codes)
    X = np.column_stack([np.ones(n), 50.0 + 10.0 * rng.normal(size=(n, p - 1))])[:, :p]
    Z = np.column_stack([np.ones(n), 3.0 * rng.normal(size=(n, 3))])[:, :q]
    y = 100.0 * rng.normal() + 7.0 * rng.normal(size=n)
    weights = rng.uniform(0.2, 4.0, size=n) if weighted else np.ones(n)
    theta = rng.normal(size=n_variance_parameters(blocks) - 1)
    return y, X, Z, codes, J, weights, theta, float(np.exp(rng.normal()))


def in_kernel_units(factor, sigma, units):
    """A factor and sigma of the user's units in the kernel's."""
    return factor * (units.z[:, None]), sigma / units.y


def in_users_units(value, units, n, *, reml):
    return value + 2.0 * n * np.log(units.y) - (2.0 * units.log_det_basis if reml else 0.0)


@functools.partial(jax.jit, static_argnames="integrate")
def marginal(factor, sigma, cross, *, integrate):
    flat = flat_prior(cross.xx.shape[0] - 1)
    return neg2_log_marginal(integrate_groups(factor, cross), sigma, cross, flat, integrate=integrate)


@jax.jit
def at_parameters(factor, sigma, cross):
    eliminated = eliminate(factor, cross)
    beta, cov = fixed_effects(fixed_effects_form(eliminated.marginal, sigma, flat_prior(cross.xx.shape[0] - 1)))
    deviations = group_deviations(factor, eliminated, beta)
    spread = conditional_covariance(factor, eliminated, sigma)
    return beta, cov, deviations, spread, neg2_log_likelihood(eliminated.marginal, sigma, cross, beta)


@pytest.mark.parametrize("blocks", STRUCTURES)
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@float64
def test_value_equals_dense_algebra(blocks, reml, weighted):
    for seed in range(5):
        y, X, Z, codes, J, weights, theta, sigma = problem(seed, blocks, weighted=weighted)
        factor = np.asarray(relative_factor(theta, blocks))
        cross, units = cross_products(y, X, Z, codes, ladder(J), weights if weighted else None)
        scaled, sigma_kernel = in_kernel_units(factor, sigma, units)
        value = marginal(scaled, sigma_kernel, cross, integrate=reml)
        V = dense.covariance(Z, codes, J, factor, sigma, weights)
        expected = dense.neg2_log_likelihood(y, X, V, reml=reml)
        assert in_users_units(float(value), units, len(y), reml=reml) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("blocks", STRUCTURES)
@float64
def test_fixed_effects_and_deviations_equal_dense_algebra(blocks):
    y, X, Z, codes, J, weights, theta, sigma = problem(11, blocks)
    factor = np.asarray(relative_factor(theta, blocks))
    cross, units = cross_products(y, X, Z, codes, J, weights)
    scaled, sigma_kernel = in_kernel_units(factor, sigma, units)
    beta, cov, deviations, spread, log_lik = map(np.asarray, at_parameters(scaled, sigma_kernel, cross))
    V = dense.covariance(Z, codes, J, factor, sigma, weights)
    expected_beta, expected_cov, squares = dense.gls(y, X, V)
    np.testing.assert_allclose(units.centre + units.basis @ beta, expected_beta, rtol=1e-8, atol=1e-9)
    # basis @ cov @ basis' is the covariance itself: sigma is in the response's units already
    np.testing.assert_allclose(
        units.basis @ np.asarray(cov) @ units.basis.T, expected_cov, rtol=1e-8, atol=1e-12 * expected_cov.max()
    )
    expected, expected_spread = dense.modes(y, X, Z, codes, J, factor, sigma, weights, expected_beta)
    scale = units.y / units.z
    np.testing.assert_allclose((deviations * scale[:, None]).T, expected, rtol=1e-7, atol=1e-8)
    got = np.moveaxis(spread * np.outer(scale, scale)[:, :, None], 2, 0)
    np.testing.assert_allclose(got, expected_spread, rtol=1e-7, atol=1e-9)
    expected_value = len(y) * dense.LOG_2PI + np.linalg.slogdet(V)[1] + squares
    assert float(log_lik) + 2.0 * len(y) * np.log(units.y) == pytest.approx(expected_value, rel=1e-10)


@pytest.mark.parametrize("held", [0, 1, 2])
@float64
def test_normal_priors_are_integrated_exactly(held):
    """Some fixed effects under Normal priors are integrated out, the others held at a value."""
    y, X, Z, codes, J, weights, theta, sigma = problem(3, (Block(2),))
    n, p = X.shape
    factor = np.asarray(relative_factor(theta, (Block(2),)))
    cross, units = cross_products(y, X, Z, codes, J, weights)
    scaled, sigma_kernel = in_kernel_units(factor, sigma, units)
    mean, sd = np.array([5.0, 0.5, -0.3]), np.array([20.0, 2.0, 1.0])
    free = p - held
    form, constant = np.zeros((p + 1, p + 1)), -2.0 * np.log(np.diag(units.basis)[:free]).sum()
    for k in range(free):
        row = np.append(units.basis[k], mean[k] - units.centre[k]) / sd[k]
        form += np.outer(row, row)
        constant += np.log(2.0 * np.pi * sd[k] ** 2)
    at = np.array([1.0, -2.0, 0.7])[free:]
    held_kernel = np.linalg.solve(units.basis[free:, free:], at - units.centre[free:]) if held else np.zeros(0)
    value = jax.jit(lambda f, s, c, prior, h: neg2_log_marginal(integrate_groups(f, c), s, c, prior, h))(
        scaled, sigma_kernel, cross, FixedPrior(form, constant), held_kernel
    )
    V = dense.covariance(Z, codes, J, factor, sigma, weights)
    rest = y - X[:, free:] @ at
    expected = dense.neg2_log_evidence(rest, X[:, :free], V, mean[:free], np.diag(sd[:free] ** 2))
    assert float(value) + 2.0 * n * np.log(units.y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("blocks", STRUCTURES)
@float64
def test_gradient_and_hessian_equal_finite_differences(blocks):
    y, X, Z, codes, J, weights, theta, _ = problem(5, blocks)
    cross, _ = cross_products(y, X, Z, codes, J, weights)
    flat = flat_prior(X.shape[1])

    @jax.jit
    def objective(x):
        return neg2_log_marginal(
            integrate_groups(relative_factor(x[:-1], blocks), cross), jax.numpy.exp(x[-1]), cross, flat
        )

    x = np.append(theta, -0.3)
    gradient = jax.jit(jax.grad(objective))
    step = 1e-5
    basis = np.eye(len(x)) * step
    slopes = [(float(objective(x + h)) - float(objective(x - h))) / (2 * step) for h in basis]
    np.testing.assert_allclose(gradient(x), slopes, rtol=1e-6, atol=1e-6)
    curvatures = [(np.asarray(gradient(x + h)) - np.asarray(gradient(x - h))) / (2 * step) for h in basis]
    np.testing.assert_allclose(jax.jit(jax.hessian(objective))(x), curvatures, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("blocks", STRUCTURES)
def test_empty_groups_change_nothing(blocks):
    y, X, Z, codes, J, weights, theta, _ = problem(8, blocks)
    start = np.append(theta, 0.0)
    of_groups = (cross_products(y, X, Z, codes, size, weights)[0] for size in (J, ladder(J)))
    plain, padded = (fit_likelihood(start, cross, blocks, reml=True) for cross in of_groups)
    assert padded.value == pytest.approx(plain.value, abs=1e-9)
    np.testing.assert_allclose(padded.deviations[:, :J], plain.deviations, atol=1e-6)
    np.testing.assert_array_equal(padded.deviations[:, J:], 0.0)


def test_ladder_is_never_more_than_half_too_large():
    sizes = [ladder(size) for size in range(1, 5000)]
    assert all(size <= got for size, got in enumerate(sizes, start=1))
    assert all(got <= 1.5 * size for size, got in enumerate(sizes, start=1) if size > 8)
    assert sizes == sorted(sizes)
    assert len(set(sizes)) < 22


@pytest.mark.parametrize("blocks_of_rows", [1, 3])
def test_many_rows_are_factorised_by_blocks(monkeypatch, blocks_of_rows):
    y, X, Z, codes, J, weights, _, _ = problem(4, (Block(2),))
    whole, units = cross_products(y, X, Z, codes, J, weights)
    monkeypatch.setattr("hier.design.rank.ROWS_PER_BLOCK", len(y) // blocks_of_rows)
    monkeypatch.setattr("hier.kernel.crossproducts.ROWS_PER_BLOCK", len(y) // blocks_of_rows)
    parts, other = cross_products(y, X, Z, codes, J, weights)
    np.testing.assert_allclose(parts.zx, whole.zx, atol=1e-9)
    np.testing.assert_allclose(other.basis, units.basis, rtol=1e-9)


@pytest.mark.parametrize(
    ("function", "start", "minimum"),
    [
        (lambda x: (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2, [-1.2, 1.0], [1.0, 1.0]),  # Rosenbrock
        (lambda x: (x[0] ** 2 - 2.0) ** 2 + x[1] ** 2, [0.0, 0.5], [np.sqrt(2.0), 0.0]),  # starts on a saddle's ridge
        (lambda x: jax.numpy.cosh(x[0]) + x[0] * x[1] + x[1] ** 2, [8.0, -3.0], [0.0, 0.0]),
    ],
)
@float64
def test_search_finds_known_minima(function, start, minimum):
    found = jax.jit(lambda x: minimise(function, x))(np.array(start))
    assert bool(found.converged)
    np.testing.assert_allclose(np.abs(found.x), np.abs(minimum), atol=1e-5)
