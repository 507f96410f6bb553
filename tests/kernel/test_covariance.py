"""The table of covariance structures: factors against the matrices that they are of, and what theta may do."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpyro.distributions import LKJ, LKJCholesky
from scipy.linalg import toeplitz

from hier.design import Block
from hier.formula import bars
from hier.kernel.covariance.correlation import equal_factor, fading_factor, lowest_equal, place_at, place_of
from hier.kernel.covariance.structures import STRUCTURES
from hier.kernel.covariance.theta import (
    canonical,
    correlation_of,
    n_variance_parameters,
    relative_factors,
    sd_columns,
    settled,
    starts,
    theta_of,
)
from hier.kernel.programs.precision import float64

BLOCKS = [
    Block(1),
    Block(3),
    *(Block(size, name, hom) for size in (2, 4) for name in ("cs", "ar1", "diag") for hom in (True, False)),
    *(Block(len(places), "ar1", hom, places) for places in ((0, 2, 3), (0, 3, 6, 8)) for hom in (True, False)),
]
NUMBERS = st.floats(-4.0, 4.0)


def equal(r, size):
    return np.where(np.eye(size) > 0, 1.0, r)


def fading(r, size):
    return toeplitz(r ** np.arange(size))


def in_turn(place, size):
    return fading_factor(place, range(size))


def with_gaps(place, size):
    return fading_factor(place, [0, 1, 4, 6][:size])


def covariance(theta, block):
    (factor,) = relative_factors(jnp.asarray(theta), ((block,),))
    np.testing.assert_array_equal(np.triu(factor, 1), 0.0)
    return np.asarray(factor @ factor.T)


def test_every_structure_of_a_formula_is_in_the_table():
    assert set(STRUCTURES) == set(bars.STRUCTURES)


@pytest.mark.parametrize("size", [2, 3, 6])
@pytest.mark.parametrize(("factor", "matrix", "low"), [(equal_factor, equal, None), (in_turn, fading, -1.0)])
@float64
def test_a_correlation_factor_is_that_of_its_matrix(size, factor, matrix, low):
    low = lowest_equal(size) if low is None else low
    for share in (0.0, 1e-6, 0.2, 0.7, 1.0 - 1e-6, 1.0):
        r = low + share * (1.0 - low)
        found = np.asarray(factor(place_of(r, low), size))
        np.testing.assert_array_equal(np.triu(found, 1), 0.0)
        np.testing.assert_allclose(found @ found.T, matrix(r, size), atol=1e-12)
        angle = np.arcsin(2.0 * share - 1.0)
        np.testing.assert_allclose(np.asarray(factor(place_at(angle, low), size)), found, atol=1e-9)


@pytest.mark.parametrize("times", [(0, 2), (0, 1, 3), (0, 3, 4, 9)])
@float64
def test_a_fading_correlation_goes_by_the_steps_between(times):
    for r in (-1.0, -0.9, -1e-3, 0.0, 0.4, 1.0 - 1e-6, 1.0):
        found = np.asarray(fading_factor(place_of(r, -1.0), times))
        np.testing.assert_array_equal(np.triu(found, 1), 0.0)
        expected = np.float64(r) ** np.abs(np.subtract.outer(times, times))
        np.testing.assert_allclose(found @ found.T, expected, atol=1e-12)


@pytest.mark.parametrize("factor", [equal_factor, in_turn, with_gaps])
@float64
def test_a_correlation_factor_is_smooth_up_to_its_limits_and_beyond(factor):
    low = lowest_equal(4) if factor is equal_factor else -1.0

    def at(angle):
        return factor(place_at(angle, low), 4)

    for angle in (-np.pi / 2, 0.3, np.pi / 2, 2.0):
        slope = np.asarray(jax.jacfwd(at)(angle))
        np.testing.assert_allclose(slope, (at(angle + 1e-6) - at(angle - 1e-6)) / 2e-6, atol=1e-8)
    # a limit is a turning point: the angle leads back on the other side
    beyond, before = at(np.pi / 2 + 0.1), at(np.pi / 2 - 0.1)
    np.testing.assert_allclose(beyond @ beyond.T, before @ before.T, atol=1e-12)


@pytest.mark.parametrize("block", BLOCKS)
@settings(max_examples=8, deadline=None)
@given(drawn=st.data())
@float64
def test_canonical_theta_is_of_the_same_covariance(block, drawn):
    count = STRUCTURES[block.structure].count(block)
    theta = np.array(drawn.draw(st.lists(NUMBERS, min_size=count, max_size=count)))
    terms = ((block,),)
    found = canonical(jnp.asarray(theta), terms)
    np.testing.assert_allclose(covariance(found, block), covariance(theta, block), atol=1e-9)
    (factor,) = relative_factors(found, terms)
    assert np.diag(factor).min() >= -1e-12
    slopes = np.asarray(jax.jacfwd(lambda x: canonical(x, terms))(jnp.asarray(theta)))
    np.testing.assert_array_equal(np.abs(slopes), np.eye(count))


@pytest.mark.parametrize("block", BLOCKS)
@float64
def test_theta_of_a_covariance_gives_it_back(block):
    rng = np.random.default_rng(3)
    count = STRUCTURES[block.structure].count(block)
    assert n_variance_parameters(((block,),)) == count + 1
    for _ in range(5):
        theta = rng.uniform(0.4, 1.4, size=count)
        theta[-1:] = rng.uniform(0.2, 1.0)
        expected = covariance(theta, block)
        np.testing.assert_allclose(covariance(theta_of([expected], ((block,),)), block), expected, atol=1e-12)


@pytest.mark.parametrize("block", BLOCKS)
@float64
def test_theta_of_a_covariance_is_the_same_inside_a_program(block):
    rng = np.random.default_rng(5)
    root = rng.normal(size=(block.size, block.size))
    for matrix in (root @ root.T, np.zeros((block.size, block.size))):
        outside = theta_of([matrix], ((block,),), 0.1)
        inside = jax.jit(lambda own: theta_of([own], ((block,),), 0.1))(jnp.asarray(matrix))
        np.testing.assert_allclose(covariance(inside, block), covariance(outside, block), atol=1e-12)


@float64
def test_theta_of_several_factors_stands_in_their_order():
    terms = ((Block(2), Block(2, "ar1", True)), (Block(1),))
    first = np.array([[1.0, 0.3, 0, 0], [0.3, 0.5, 0, 0], [0, 0, 2.0, 0.8], [0, 0, 0.8, 2.0]])
    found = relative_factors(jnp.asarray(theta_of([first, np.array([[9.0]])], terms)), terms)
    np.testing.assert_allclose(found[0] @ found[0].T, first, atol=1e-12)
    np.testing.assert_allclose(found[1], [[3.0]])


@pytest.mark.parametrize("block", BLOCKS)
@float64
def test_theta_of_a_bad_covariance_is_inside(block):
    """Moments may give a matrix that is no covariance; a search must not begin on the boundary."""
    bad = np.full((block.size, block.size), 2.0) - np.eye(block.size)
    bad[0, 0] = -0.1
    theta = theta_of([bad], ((block,),), 0.1)
    (factor,) = relative_factors(jnp.asarray(theta), ((block,),))
    assert np.isfinite(theta).all()
    assert np.linalg.eigvalsh(np.asarray(factor @ factor.T)).min() > 1e-4


@float64
def test_the_mean_correlation_is_that_of_neighbours_where_it_fades():
    matrix = np.array([[1.0, 0.6, 0.0], [0.6, 1.0, 0.4], [0.0, 0.4, 1.0]])
    assert covariance(theta_of([matrix], ((Block(3, "ar1", True),),)), Block(3, "ar1", True))[0, 1] == pytest.approx(
        0.5
    )
    assert covariance(theta_of([matrix], ((Block(3, "cs"),),)), Block(3, "cs"))[0, 1] == pytest.approx(1 / 3)


@float64
def test_what_is_almost_at_its_limit_is_put_there():
    terms = ((Block(2), Block(3, "ar1", True)), (Block(2, "cs"),))
    near = np.pi / 2 - 1e-7
    theta = jnp.array([0.7, 0.1, 3e-6, 2e-5, near, 0.004, 0.9, -near])
    found = np.asarray(settled(theta, terms, 1e-4))
    np.testing.assert_array_equal(found, [0.7, 0.1, 0.0, 0.0, np.pi / 2, 0.0, 0.9, -np.pi / 2])
    unmoved = jnp.array([0.7, 0.1, 0.02, 0.3, 1.5, 0.5, 0.9, -1.5])
    np.testing.assert_array_equal(settled(unmoved, terms, 1e-4), unmoved)


def test_only_a_single_correlation_is_searched_from_several_starts():
    plain = ((Block(3), Block(2, "diag", True)), (Block(1),))
    x = np.arange(1.0, n_variance_parameters(plain) + 1)
    np.testing.assert_array_equal(starts(x, plain), [x])
    mixed = ((Block(2),), (Block(2, "cs"),))
    x = np.arange(1.0, n_variance_parameters(mixed) + 1)
    found = starts(x, mixed)
    np.testing.assert_array_equal(np.delete(found, 5, axis=1), np.delete([x, x, x], 5, axis=1))
    assert found[:, 5].tolist() == [6.0, -1.2, 1.2]


def test_columns_share_a_standard_deviation_where_they_are_homogeneous():
    blocks = (Block(2), Block(3, "diag", True), Block(1))
    assert sd_columns(blocks) == ((0, 1), (1, 2), (2, 5), (5, 6))


@pytest.mark.parametrize("size", [2, 3, 4])
@float64
def test_the_volume_makes_a_density_of_factors_one_of_matrices(size):
    """LKJCholesky is the density of the factor that belongs to LKJ's of the matrix."""
    correlation = correlation_of(Block(size))
    assert correlation is not None
    rng = np.random.default_rng(size)
    found = []
    for _, concentration in itertools.product(range(3), (0.7, 2.0)):
        matrix = np.corrcoef(rng.normal(size=(size, 8)))
        factor = jnp.asarray(np.linalg.cholesky(matrix))
        of_factor = LKJCholesky(size, concentration).log_prob(factor) - correlation.log_volume(factor)
        found.append(float(of_factor - LKJ(size, concentration).log_prob(jnp.asarray(matrix))))
    np.testing.assert_allclose(found, 0.0, atol=1e-9)
