"""The kernel against the dense algebra of tests/reference/dense.py, at random parameters, weights and structures."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hier.design import Block
from hier.design.rank import triangular_factor
from hier.kernel.algebra.crossproducts import FactorColumns, cross_products
from hier.kernel.algebra.deviations import eliminate, group_deviations
from hier.kernel.algebra.elimination import choose_structure
from hier.kernel.algebra.integrate import integrate_groups
from hier.kernel.algebra.marginal import (
    FixedPrior,
    fixed_effects,
    fixed_effects_form,
    flat_prior,
    neg2_log_likelihood,
    neg2_log_marginal,
)
from hier.kernel.algebra.padding import padded_dense_size, padded_size
from hier.kernel.arrays.derivatives import differentiated
from hier.kernel.covariance.theta import (
    Terms,
    n_columns,
    n_variance_parameters,
    relative_factors,
    unstructured_columns,
)
from hier.kernel.normal.expansion import evaluator
from hier.kernel.normal.point_fit import fit_likelihood
from hier.kernel.normal.prediction_errors import each_deviation, error_covariance, error_variances, prediction_errors
from hier.kernel.programs.precision import float64
from hier.kernel.search.optimise import minimise
from tests.reference import dense

ONE_FACTOR = [
    (Block(1),),
    (Block(2),),
    (Block(1), Block(1)),
    (Block(2), Block(1)),
    (Block(3),),
    (Block(3, "cs"),),
    (Block(1), Block(2, "cs")),
]
ARRANGEMENTS = ("one", "nested", "crossed", "nested twice", "crossed thrice")
N_FACTORS = {"one": 1, "nested": 2, "crossed": 2, "nested twice": 3, "crossed thrice": 3}


class Data(NamedTuple):
    """Unbalanced random data, its terms in the kernel's order with a relative factor each, and sigma."""

    y: Any
    X: Any
    terms: list[FactorColumns]
    structure: Any
    weights: Any
    blocks: Terms
    theta: Any
    sigma: float

    @property
    def factors(self):
        return [np.asarray(f) for f in relative_factors(self.theta, self.blocks)]

    @property
    def ordered(self):
        return [self.terms[k] for k in self.structure.order]

    def cross(self, *, weighted: bool = True):
        weights = self.weights if weighted else None
        R = triangular_factor(self.X, self.y, weights=weights)
        return cross_products(self.y, self.X, R, self.terms, self.structure, weights)


def data(seed: int, blocks: Terms, arrangement: str = "one", *, p: int = 3, weighted: bool = True) -> Data:
    """Every arrangement has the same numbers of rows and levels, so that one program serves all seeds."""
    rng = np.random.default_rng(seed)
    codes = _codes(rng, arrangement)
    n = len(codes[0])
    X = np.column_stack([np.ones(n), 50.0 + 10.0 * rng.normal(size=(n, p - 1))])[:, :p]
    slopes = 3.0 * rng.normal(size=(n, 3))
    terms = [
        FactorColumns(
            np.column_stack([np.ones(n), 20.0 + slopes])[:, : n_columns(own)],
            c,
            int(c.max()) + 1,
            unstructured=unstructured_columns(own),
        )
        for own, c in zip(blocks, codes, strict=True)
    ]
    structure = choose_structure(codes, [t.n_levels for t in terms], [t.Z.shape[1] for t in terms])
    ordered = tuple(blocks[k] for k in structure.order)
    theta = rng.normal(size=n_variance_parameters(blocks) - 1)
    y = 100.0 * rng.normal() + 7.0 * rng.normal(size=n)
    weights = rng.uniform(0.2, 4.0, size=n) if weighted else np.ones(n)
    return Data(y, X, terms, structure, weights, ordered, theta, float(np.exp(rng.normal())))


def _codes(rng, arrangement: str) -> list[np.ndarray]:
    if arrangement == "one":
        return [np.sort(np.concatenate([np.arange(7), rng.integers(0, 7, size=35)]))]
    if arrangement.startswith("nested"):
        inner = np.concatenate([np.arange(12), rng.integers(0, 12, size=36)])
        middle = np.append(np.arange(5), rng.integers(0, 5, size=7))[rng.permutation(12)]
        outer = np.append(np.arange(3), rng.integers(0, 3, size=2))[rng.permutation(5)]
        found = [middle[inner], inner]  # the inner factor second: the kernel has to find the order
        return [outer[middle[inner]], *found] if arrangement == "nested twice" else found
    first = np.concatenate([np.arange(9), rng.integers(0, 9, size=41)])
    second = rng.permutation(np.concatenate([np.arange(6), rng.integers(0, 6, size=44)]))
    third = rng.permutation(np.concatenate([np.arange(4), rng.integers(0, 4, size=46)]))
    return [second, first, third] if arrangement == "crossed thrice" else [second, first]


def in_kernel_units(drawn: Data, units):
    """The factors and sigma of the user's units in the kernel's."""
    return tuple(
        own.kernel_factor(f) for f, own in zip(drawn.factors, units.random, strict=True)
    ), drawn.sigma / units.y


def in_users_units(value, units, n, *, reml):
    return value + 2.0 * n * np.log(units.y) - (2.0 * units.log_det_basis if reml else 0.0)


@functools.partial(jax.jit, static_argnames="integrate")
def marginal(factors, sigma, cross, *, integrate):
    flat = flat_prior(cross.xx.shape[0] - 1)
    return neg2_log_marginal(integrate_groups(factors, cross), sigma, cross, flat, integrate=integrate)


@jax.jit
def at_parameters(factors, sigma, cross):
    eliminated = eliminate(factors, cross)
    beta, cov = fixed_effects(fixed_effects_form(eliminated.marginal, sigma, flat_prior(cross.xx.shape[0] - 1)))
    deviations = group_deviations(factors, eliminated, cross, beta)
    return beta, cov, deviations, neg2_log_likelihood(eliminated.marginal, sigma, cross, beta)


def check_value(drawn: Data, *, reml: bool, weighted: bool = True) -> None:
    cross, units = drawn.cross(weighted=weighted)
    value = marginal(*in_kernel_units(drawn, units), cross, integrate=reml)
    V = dense.covariance(drawn.ordered, drawn.factors, drawn.sigma, drawn.weights)
    expected = dense.neg2_log_likelihood(drawn.y, drawn.X, V, reml=reml)
    assert in_users_units(float(value), units, len(drawn.y), reml=reml) == pytest.approx(expected, rel=1e-10)


def check_parts(drawn: Data) -> None:
    cross, units = drawn.cross()
    factors, sigma = in_kernel_units(drawn, units)
    beta, cov, deviations, log_lik = jax.tree.map(np.asarray, at_parameters(factors, sigma, cross))
    errors = prediction_errors(factors, cross)
    V = dense.covariance(drawn.ordered, drawn.factors, drawn.sigma, drawn.weights)
    expected_beta, expected_cov, squares = dense.gls(drawn.y, drawn.X, V)
    np.testing.assert_allclose(units.centre + units.basis @ beta, expected_beta, rtol=1e-8, atol=1e-9)
    # basis @ cov @ basis' is the covariance itself: sigma is in the response's units already
    np.testing.assert_allclose(
        units.basis @ cov @ units.basis.T, expected_cov, rtol=1e-8, atol=1e-12 * expected_cov.max()
    )
    modes = dense.modes(drawn.y, drawn.X, drawn.ordered, drawn.factors, drawn.sigma, drawn.weights, expected_beta)
    for k, (own, columns, (b, cond)) in enumerate(zip(deviations, units.random, modes, strict=True)):
        q, J = columns.size, len(b)
        each = each_deviation(errors, k, columns.to_user)
        spread = error_covariance(errors, each).reshape(q, -1, q, own.shape[1])[:, :J, :, :J]
        np.testing.assert_allclose(
            error_variances(errors, each).reshape(q, -1)[:, :J], np.einsum("ajaj->aj", spread), rtol=1e-10
        )
        np.testing.assert_allclose(columns.deviations(own[:, :J], units.y).T, b, rtol=1e-7, atol=1e-8)
        got = np.einsum("ajbj->jab", spread) * (sigma * units.y) ** 2
        np.testing.assert_allclose(got, cond, rtol=1e-7, atol=1e-9)
    n = len(drawn.y)
    expected_value = n * dense.LOG_2PI + np.linalg.slogdet(V)[1] + squares
    assert float(log_lik) + 2.0 * n * np.log(units.y) == pytest.approx(expected_value, rel=1e-10)


@pytest.mark.parametrize("blocks", ONE_FACTOR)
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@float64
def test_value_equals_dense_algebra(blocks, reml, weighted):
    for seed in range(5):
        check_value(data(seed, (blocks,), weighted=weighted), reml=reml, weighted=weighted)


@pytest.mark.parametrize("blocks", ONE_FACTOR)
@float64
def test_fixed_effects_and_deviations_equal_dense_algebra(blocks):
    check_parts(data(11, (blocks,)))


SEVERAL = [
    ("nested", ((Block(1),), (Block(1),))),
    ("nested", ((Block(2),), (Block(2),))),
    ("nested twice", ((Block(1),), (Block(1), Block(1)), (Block(2),))),
    ("crossed", ((Block(1),), (Block(1),))),
    ("crossed", ((Block(2),), (Block(3),))),
    ("crossed thrice", ((Block(1), Block(1)), (Block(2),), (Block(1),))),
]


@given(
    structure=st.sampled_from(SEVERAL),
    seed=st.integers(0, 2**32 - 1),
    reml=st.booleans(),
    weighted=st.booleans(),
    by_pairs=st.booleans(),
)
@settings(max_examples=60, deadline=None)
@float64
def test_several_factors_equal_dense_algebra(structure, seed, reml, weighted, by_pairs):
    arrangement, blocks = structure
    with pytest.MonkeyPatch.context() as patch:
        if by_pairs:  # problems as small as these would always be summed densely
            patch.setattr("hier.kernel.algebra.coupling.SECONDS_A_PAIR", 0.0)
        drawn = data(seed, blocks, arrangement, weighted=weighted)
        assert len(drawn.structure.levels) == (N_FACTORS[arrangement] if arrangement.startswith("nested") else 1)
        check_value(drawn, reml=reml, weighted=weighted)


@pytest.mark.parametrize(("arrangement", "blocks"), SEVERAL)
@float64
def test_deviations_of_several_factors_equal_dense_algebra(arrangement, blocks):
    check_parts(data(12, blocks, arrangement))
    check_parts(data(13, blocks, arrangement))


def by_differences(function, x, step=1e-5):
    basis = np.eye(len(x)) * step
    return np.array([(np.asarray(function(x + h)) - np.asarray(function(x - h))) / (2 * step) for h in basis])


def check_derivatives(drawn: Data, cross, x, *, reml: bool = True) -> None:
    """The closed-form value, gradient and Hessian, and the gradient that NUTS follows, against differences."""
    flat = flat_prior(drawn.X.shape[1])
    terms = drawn.blocks

    def objective(x, integrate):
        return neg2_log_marginal(
            integrate(relative_factors(x[:-1], terms)), jax.numpy.exp(x[-1]), cross, flat, integrate=reml
        )

    value = jax.jit(lambda x: objective(x, lambda factors: integrate_groups(factors, cross)))
    gradient = jax.jit(jax.grad(value))
    closed = jax.jit(evaluator(objective, lambda x: relative_factors(x[:-1], terms), cross))
    found, slope, curvature = closed(x)
    assert float(found) == pytest.approx(float(value(x)), rel=1e-12)
    np.testing.assert_allclose(gradient(x), by_differences(value, x), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(slope, gradient(x), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(curvature, by_differences(gradient, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("blocks", ONE_FACTOR)
@float64
def test_gradient_and_hessian_equal_finite_differences(blocks):
    drawn = data(5, (blocks,))
    check_derivatives(drawn, drawn.cross()[0], np.append(drawn.theta, -0.3))


@pytest.mark.parametrize(
    ("arrangement", "blocks"),
    [pytest.param(*own, marks=() if k in (0, 4) else pytest.mark.slow) for k, own in enumerate(SEVERAL)],
)
@pytest.mark.parametrize("by_pairs", [True, False])
@float64
def test_derivatives_of_several_factors_equal_finite_differences(arrangement, blocks, by_pairs, monkeypatch):
    if by_pairs:
        if arrangement.startswith("nested"):
            pytest.skip("nested factors have no products to be summed by pairs")
        monkeypatch.setattr("hier.kernel.algebra.coupling.SECONDS_A_PAIR", 0.0)
    drawn = data(6, blocks, arrangement)
    check_derivatives(drawn, drawn.cross()[0], np.append(drawn.theta, -0.3), reml=by_pairs)


@pytest.mark.parametrize("arrangement", ["one", pytest.param("crossed", marks=pytest.mark.slow)])
@float64
def test_derivatives_on_the_boundary_equal_finite_differences(arrangement):
    """A column of a factor is zero: there the closed form may not divide by it."""
    blocks = ((Block(2),), (Block(2),))[: N_FACTORS[arrangement]]
    drawn = data(7, blocks, arrangement)
    theta = drawn.theta.copy()
    theta[-1] = 0.0
    check_derivatives(drawn, drawn.cross()[0], np.append(theta, 0.2))
    check_derivatives(drawn, drawn.cross()[0], np.append(np.zeros_like(theta), 0.2))


@float64
def test_derivatives_of_merged_levels_equal_finite_differences():
    rng = np.random.default_rng(3)
    codes, x = np.repeat(np.arange(40), 6), np.tile(np.linspace(-1.0, 2.0, 6), 40)
    X = np.column_stack([np.ones(240), x])
    y = X @ [3.0, 1.0] + rng.normal(size=40)[codes] + rng.normal(size=240)
    drawn = Data(y, X, [FactorColumns(X, codes, 40)], choose_structure([codes], [40], [2]), np.ones(240),
                 ((Block(2),),),
                 np.array([0.7, 0.2, -0.4]), 1.3)  # fmt: skip
    cross, _ = drawn.cross(weighted=False)
    assert len(cross.merged) == 1
    assert cross.merged[0].count.shape[0] <= 8
    assert cross.merged[0].count.sum() == 40
    check_value(drawn, reml=True, weighted=False)
    check_derivatives(drawn, cross, np.append(drawn.theta, -0.3))


@pytest.mark.parametrize("held", [0, 1, 2])
@float64
def test_normal_priors_are_integrated_exactly(held):
    """Some fixed effects under Normal priors are integrated out, the others held at a value."""
    drawn = data(3, ((Block(2),),))
    y, X = drawn.y, drawn.X
    n, p = X.shape
    cross, units = drawn.cross()
    scaled, sigma_kernel = in_kernel_units(drawn, units)
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
    V = dense.covariance(drawn.ordered, drawn.factors, drawn.sigma, drawn.weights)
    rest = y - X[:, free:] @ at
    expected = dense.neg2_log_evidence(rest, X[:, :free], V, mean[:free], np.diag(sd[:free] ** 2))
    assert float(value) + 2.0 * n * np.log(units.y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("arrangement", "blocks"),
    [("one", ((Block(2),),)), *(pytest.param(*SEVERAL[k], marks=pytest.mark.slow) for k in (1, 4))],
    ids=["one", "nested", "crossed"],
)
def test_empty_groups_change_nothing(arrangement, blocks, monkeypatch):
    drawn = data(8, blocks, arrangement)
    start = np.append(drawn.theta, 0.0)
    padded = fit_likelihood(start, drawn.cross()[0], drawn.blocks, reml=True)
    for name in ("padded_size", "padded_dense_size"):
        monkeypatch.setattr(f"hier.kernel.algebra.crossproducts.{name}", lambda size: size)
    plain = fit_likelihood(start, drawn.cross()[0], drawn.blocks, reml=True)
    assert padded.value == pytest.approx(plain.value, abs=1e-9)
    sizes = [(own.shape[1], less.shape[1]) for own, less in zip(padded.deviations, plain.deviations, strict=True)]
    assert sum(size for size, _ in sizes) > sum(J for _, J in sizes)
    for own, less in zip(padded.deviations, plain.deviations, strict=True):
        J = less.shape[1]
        np.testing.assert_allclose(own[:, :J], less, atol=1e-6)
        np.testing.assert_array_equal(own[:, J:], 0.0)


def test_ladder_is_never_more_than_half_too_large():
    sizes = [padded_size(size) for size in range(1, 5000)]
    assert all(size <= got for size, got in enumerate(sizes, start=1))
    assert all(got <= 1.5 * size for size, got in enumerate(sizes, start=1) if size > 8)
    assert sizes == sorted(sizes)
    assert len(set(sizes)) < 22


def test_padded_dense_size_is_never_more_than_an_eighth_too_large():
    sizes = [padded_dense_size(size) for size in range(1, 5000)]
    assert all(size <= got for size, got in enumerate(sizes, start=1))
    assert all(got <= 1.125 * size for size, got in enumerate(sizes, start=1) if size > 30)
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(("arrangement", "blocks"), SEVERAL)
@float64
def test_rows_summed_in_blocks_and_two_threads_are_all_of_them(arrangement, blocks, monkeypatch):
    drawn = data(8, blocks, arrangement)
    expected = jax.tree.leaves(drawn.cross())
    monkeypatch.setattr("hier.kernel.algebra.crossproducts.ROWS_PER_BLOCK", 7)
    found = jax.tree.leaves(drawn.cross())
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("blocks_of_rows", [1, 3])
def test_many_rows_are_factorised_by_blocks(monkeypatch, blocks_of_rows):
    drawn = data(4, ((Block(2),), (Block(1),)), "crossed")
    whole, units = drawn.cross()
    monkeypatch.setattr("hier.design.rank.ROWS_PER_BLOCK", len(drawn.y) // blocks_of_rows)
    monkeypatch.setattr("hier.kernel.algebra.crossproducts.ROWS_PER_BLOCK", len(drawn.y) // blocks_of_rows)
    parts, other = drawn.cross()
    np.testing.assert_allclose(parts.levels[0].right, whole.levels[0].right, atol=1e-9)
    np.testing.assert_allclose(parts.dense[0].rx, whole.dense[0].rx, atol=1e-9)
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
    found = jax.jit(lambda x: minimise(differentiated(function), x))(np.array(start))
    assert bool(found.converged)
    np.testing.assert_allclose(np.abs(found.x), np.abs(minimum), atol=1e-5)
