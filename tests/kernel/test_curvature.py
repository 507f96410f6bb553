"""What a Hessian says: covariances, flat directions, and what is left to gain."""

from __future__ import annotations

import numpy as np
import pytest

from hier.kernel.search.curvature import curvature_of, decrease_left


def test_the_covariance_is_twice_the_inverse():
    hessian = np.array([[4.0, 1.0], [1.0, 3.0]])
    found = curvature_of(np.zeros(2), hessian, np.array([1.0, 2.0]))
    np.testing.assert_allclose(found.covariance, 2.0 * np.linalg.inv(hessian))
    assert found.flat.shape == (2, 0)
    assert not found.moves(np.eye(2)).any()


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0, 1e6])
def test_it_does_not_depend_on_a_parameters_unit(unit):
    """Variances of very different size are all known; an absolute threshold would drop the smallest."""
    hessian = np.array([[4.0, 1.0 / unit], [1.0 / unit, 3.0 / unit**2]])
    for scale in (np.array([1.0, unit]), None):
        found = curvature_of(np.zeros(2), hessian, scale)
        np.testing.assert_allclose(found.covariance, 2.0 * np.linalg.inv(hessian), rtol=1e-9)


def test_a_flat_direction_is_kept_apart():
    """A function of a + b and c alone: of a - b nothing is known."""
    both = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    hessian = both.T @ np.diag([2.0, 8.0]) @ both
    for scale in (np.ones(3), None):
        found = curvature_of(np.zeros(3), hessian, scale)
        assert found.flat.shape == (3, 1)
        slopes = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0, 1.0, 0], [1.0, 1.0, 5.0]])
        assert found.moves(slopes).tolist() == [True, True, False, False, False]
        np.testing.assert_allclose(both @ found.covariance @ both.T, np.diag([1.0, 0.25]), atol=1e-12)


def test_a_parameter_along_which_the_curvature_runs_out_is_flat():
    """As the logarithm of a shape that goes to infinity."""
    found = curvature_of(np.array([0.0, -2e-9]), np.diag([5.0, 2e-9]), np.ones(2))
    assert found.moves(np.eye(2)).tolist() == [False, True]
    assert found.covariance[0, 0] == pytest.approx(0.4)


def test_what_is_left_is_half_of_a_newton_step():
    hessian, gradient = np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([0.3, -0.2])
    expected = 0.5 * gradient @ np.linalg.solve(hessian, gradient)
    assert decrease_left(gradient, hessian) == pytest.approx(expected)
    units = np.array([1.0, 1e-6])  # whatever the units: a slope of 1e-6 may be a long way from the minimum
    assert decrease_left(gradient * units, hessian * units[:, None] * units) == pytest.approx(expected)


def test_no_slope_and_no_curvature_is_nothing_left():
    assert decrease_left(np.array([0.0, 1e-9]), np.diag([0.0, 4.0])) == pytest.approx(1.25e-19)
