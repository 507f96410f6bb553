"""Power series against JAX's automatic differentiation, function by function."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hier.kernel.arrays import series
from hier.kernel.arrays.derivatives import (
    CustomDerivative,
    differentiated,
    gradient_in,
    jacobian,
    row_derivatives,
    second_order,
    with_slope,
)
from hier.kernel.arrays.functions import FUNCTIONS
from hier.kernel.arrays.library import add_at, clipped, put, segment_sums, taken, xp
from hier.kernel.laplace.gamma_functions import log_beta, log_gamma_power, log_rising
from hier.kernel.laplace.links import LINKS

X = np.array([0.3, -0.7, 1.2])
ROWS = np.array([-2.5, -0.4, 0.1, 0.9, 3.0])

# of a positive number, and of any
POSITIVE = ("log", "sqrt", "gammaln")
ANY = ("exp", "expm1", "sin", "cos", "tan", "sigmoid", "softplus", "ndtr", "log_ndtr", "square", "abs")


def derivatives_of_jax(function, at, order):
    """A function's derivatives (order + 1, n) at each number."""
    found = [function]
    for _ in range(order):
        found.append(jax.grad(found[-1]))
    with jax.enable_x64(True):
        return np.array([jax.jit(jax.vmap(own))(jnp.asarray(at)) for own in found])


@pytest.mark.parametrize("name", [*POSITIVE, *ANY, "log1p"])
def test_derivatives_to_the_fourth_order(name):
    at = np.abs(ROWS) if name in (*POSITIVE, "log1p") else ROWS
    (x,) = series.rows_of_variables([at], 4)
    found = getattr(xp, name)(x).c * np.array([1.0, 1.0, 2.0, 6.0, 24.0])[:, None]
    expected = derivatives_of_jax(getattr(xp, name), at, 4)
    np.testing.assert_allclose(found, expected, rtol=2e-10, atol=1e-12)


@pytest.mark.parametrize("name", sorted(LINKS))
def test_derivatives_of_links(name):
    at = ROWS if LINKS[name].onto == "unit" else np.abs(ROWS)
    (x,) = series.rows_of_variables([at], 4)
    found = LINKS[name].inverse(x).c * np.array([1.0, 1.0, 2.0, 6.0, 24.0])[:, None]
    np.testing.assert_allclose(found, derivatives_of_jax(LINKS[name].inverse, at, 4), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("log_a", [-20.0, -1.0, 2.2, 2.31, 9.0, 30.0])
@pytest.mark.parametrize("function", [lambda x: log_rising(x, x * 0 + 3.0), log_gamma_power, lambda x: log_beta(x, -x)])
def test_derivatives_of_gamma_functions(function, log_a):
    at = np.array([log_a])
    (x,) = series.rows_of_variables([at], 4)
    found = function(x).c * np.array([1.0, 1.0, 2.0, 6.0, 24.0])[:, None]
    np.testing.assert_allclose(found, derivatives_of_jax(function, at, 4), rtol=1e-7, atol=1e-9)


def matrix_of(x):
    """A symmetric positive definite matrix (3, 3) that depends on x (3,) in every entry."""
    one = xp.stack([x[0] * 0.5 + 1.0, x[1], x[2] * 0.3])
    two = xp.stack([xp.exp(x[1]), x[0] * x[2], 1.0 + x[1] * x[1]])
    return xp.outer(one, one) + xp.outer(two, two) + np.eye(3)


FUNCTIONS_OF_X = {
    "cholesky": lambda x: xp.sum(xp.cholesky(matrix_of(x)) * np.arange(9.0).reshape(3, 3)),
    "inverse": lambda x: xp.sum(xp.inv(matrix_of(x)) * np.arange(9.0).reshape(3, 3)),
    "triangle": lambda x: xp.sum(xp.solve_triangular(xp.cholesky(matrix_of(x)), x[:, None] * x[None], lower=True)),
    "transposed triangle": lambda x: xp.sum(xp.solve_triangular(xp.cholesky(matrix_of(x)).T, x, lower=False)),
    "products": lambda x: (matrix_of(x) @ x) @ (matrix_of(x).T @ np.ones((3, 2)))[:, 1],
    "einsum of three": lambda x: xp.einsum("a,ab,bc->", x, matrix_of(x), np.ones((3, 2))),
    "tensordot": lambda x: xp.tensordot(matrix_of(x), matrix_of(x), axes=((0, 1), (1, 0))),
    "quotient": lambda x: xp.sum(1.0 / (2.0 + x * x) + x / (3.0 - x)) + 2.0 / xp.exp(x[0]),
    "power": lambda x: xp.sum((1.0 + x * x) ** 1.5) + x[0] ** 3,
    "angle": lambda x: xp.arctan2(1.0 + x[0], x[1] - x[2]),
    "log of sums": lambda x: xp.logaddexp(x[0], 2.0 * x[1]) + xp.logsumexp(matrix_of(x), axis=0)[2],
    "places": lambda x: xp.sum(put(np.zeros((2, 3)), (0, slice(None)), x) * put(xp.ones_like(x), 1, x[0])),
    "sums by place": lambda x: xp.sum(add_at(2, np.array([0, 1, 5]), x * x) * np.array([1.0, 3.0])),
    "sums of segments": lambda x: xp.sum(segment_sums(x[:, None] * x, np.array([1, 0, 1]), 2)[1]),
    "taken": lambda x: xp.sum(taken(x, np.array([0, 0, 2])) * clipped(x * x, np.array([1, 2, 2]))),
    "shapes": lambda x: xp.sum(
        xp.pad(xp.moveaxis(xp.stack([x, x * x], axis=1), 0, 1), ((0, 0), (1, 0)))[1] * xp.append(x, x[0])
    ),
    "corners": lambda x: xp.sum(xp.maximum(x, x[0]) * xp.minimum(x * x, 1.0) + xp.clip(x, -0.5, 1.0) * xp.abs(x)),
    "parts": lambda x: xp.sum(xp.cumsum(xp.split(x, [1])[1]) * xp.diag(matrix_of(x))[1:]),
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS_OF_X))
def test_values_gradients_and_hessians(name):
    function = FUNCTIONS_OF_X[name]
    own = differentiated(function)(X)
    with jax.enable_x64(True):
        expected = jax.jit(differentiated(function))(jnp.asarray(X))
    for part, other in zip(own, expected, strict=True):
        np.testing.assert_allclose(part, other, rtol=1e-11, atol=1e-12)


def test_derivatives_of_arrays():
    value, slopes, curvatures = second_order(lambda x: (matrix_of(x), x[0]), X)
    with jax.enable_x64(True):
        expected = second_order(lambda x: (matrix_of(x), x[0]), jnp.asarray(X))
    for part, other in zip((value, slopes, curvatures), expected, strict=True):
        for own, its in zip(part, other, strict=True):
            np.testing.assert_allclose(own, its, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(jacobian(matrix_of, X), np.moveaxis(slopes[0], 0, -1), rtol=1e-14)
    assert (jacobian(lambda x: np.ones(2), X) == 0.0).all()


def test_gradient_in_a_tree():
    own = gradient_in(lambda tree: xp.sum(tree[0] * tree[1][0]) * tree[2], (X, np.ones((2, 3)), np.float64(2.0)))
    np.testing.assert_allclose(own[0], 2.0 * np.ones(3))
    np.testing.assert_allclose(own[1], [2.0 * X, np.zeros(3)])
    np.testing.assert_allclose(own[2], X.sum())


def test_functions_of_rows_are_put_together_with_their_arguments():
    def density(eta, other):
        return xp.exp(eta) * other - xp.log(1.0 + other * other) * eta

    def of_parameters(x):
        return row_derivatives(density, [x[0] * ROWS, x[1] + x[2] * ROWS], 2)

    for k in range(3):
        own = differentiated(lambda x, k=k: xp.sum(of_parameters(x)[k] * ROWS))(X)
        with jax.enable_x64(True):
            if k == 0:
                function = lambda x: xp.sum(density(x[0] * ROWS, x[1] + x[2] * ROWS) * ROWS)  # noqa: E731
            else:
                function = lambda x, k=k: xp.sum(of_parameters(x)[k] * ROWS)  # noqa: E731
            expected = differentiated(function)(jnp.asarray(X))
        for part, other in zip(own, expected, strict=True):
            np.testing.assert_allclose(part, other, rtol=1e-11)
    value, slope = with_slope(lambda eta: eta * eta, ROWS)
    np.testing.assert_allclose(value, ROWS**2)
    np.testing.assert_allclose(slope, 2.0 * ROWS)


def test_a_known_derivative_is_used():
    @CustomDerivative
    def cube(x, unit):
        return x**3 * unit

    cube.defslopes(lambda x, unit: (5.0 * x**2 * unit,))  # not the true one, to be recognised
    np.testing.assert_allclose(with_slope(lambda x: cube(x, 2.0), ROWS)[1], 10.0 * ROWS**2)
    with jax.enable_x64(True):
        np.testing.assert_allclose(with_slope(lambda x: cube(x, 2.0), jnp.asarray(ROWS))[1], 10.0 * ROWS**2)


def test_every_function_of_series_is_one_of_numpy_or_says_so():
    for name in FUNCTIONS:
        assert callable(getattr(xp, name))
    with pytest.raises(NotImplementedError, match="lstsq"):
        xp.lstsq(series.variables(X, 1), X)


@pytest.mark.parametrize(("m", "order"), [(1, 4), (2, 4), (3, 2), (5, 2)])
def test_products_are_those_of_polynomials(m, order):
    rng = np.random.default_rng(m)
    of = series.monomials(m, order)
    a, b = (series.Series(rng.normal(size=(of.size, 2)), of) for _ in range(2))
    point = rng.normal(size=m) * 1e-3

    def at(own):
        powers = [np.prod(point[list(each)]) for each in everything]
        return np.tensordot(powers, own.c, axes=1)

    everything = [own for k in range(order + 1) for own in itertools.combinations_with_replacement(range(m), k)]
    np.testing.assert_allclose(at(a * b), at(a) * at(b), atol=50.0 * np.abs(point).max() ** (order + 1) * of.size)
    np.testing.assert_allclose(((a + 9.0) * (a + 9.0).reciprocal()).c[1:], 0.0, atol=1e-12)
