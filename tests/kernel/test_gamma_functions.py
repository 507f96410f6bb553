"""Ratios of gamma functions, against sums of logarithms in exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import jax
import numpy as np
import pytest
from scipy import special

from hier.kernel.laplace.gamma_functions import log_beta, log_gamma_power, log_rising
from hier.kernel.programs.precision import float64

SIZES = [1e-200, 1e-8, 0.3, 1.0, 7.9, 8.1, 9.999999, 10.0, 33.0, 1e4, 1e9, 1e15]


@pytest.mark.parametrize("a", SIZES)
def test_rising_factorials(a: float) -> None:
    """a (a + 1) ... (a + y - 1), of which the logarithm is a sum."""
    for y in (0, 1, 2, 9, 60):
        expected = math.fsum(math.log(Fraction(a) + k) for k in range(y))
        found = float(float64(log_rising)(np.log(a), np.float64(y)))
        assert found == pytest.approx(expected, rel=4e-15, abs=1e-13), y


@pytest.mark.parametrize("a", SIZES)
@pytest.mark.parametrize("b", SIZES)
def test_log_beta(a: float, b: float) -> None:
    found = float(float64(log_beta)(np.log(a), np.log(b)))
    assert found == pytest.approx(special.betaln(a, b), rel=1e-9, abs=1e-12)  # scipy's own error with large arguments
    assert found == float(float64(log_beta)(np.log(b), np.log(a)))


def test_log_gamma_power_goes_over_smoothly() -> None:
    for a in (1e-5, 0.5, 3.0, 9.999, 10.0, 10.001, 200.0):
        expected = a * math.log(a) - a - math.lgamma(a)
        assert float(float64(log_gamma_power)(np.log(a))) == pytest.approx(expected, abs=1e-12 * max(a, 1.0))


def test_log_beta_of_whole_numbers() -> None:
    for a, b in ((3, 4), (12, 9), (400, 15), (10**9, 3)):
        expected = math.fsum(math.log(k) for k in range(1, b)) - math.fsum(math.log(a + k) for k in range(b))
        assert float(float64(log_beta)(np.log(a), np.log(b))) == pytest.approx(expected, rel=2e-14)


def test_derivatives_on_both_sides_of_the_series() -> None:
    @float64
    def checked() -> None:
        slope = jax.grad(log_rising, argnums=0)
        for a in (0.2, 9.99, 10.0, 10.01, 1e3):
            expected = a * (special.digamma(a + 3.0) - special.digamma(a))
            assert float(slope(np.log(a), 3.0)) == pytest.approx(expected, rel=1e-11)
            assert float(slope(np.log(a), 0.0)) == 0.0
        for a in (0.4, 10.0, 25.0):  # two equal arguments
            trigamma = [special.polygamma(1, each) for each in (a, 2.0 * a)]
            digamma = special.digamma(a) - special.digamma(2.0 * a)
            own, cross = a * digamma + a**2 * (trigamma[0] - trigamma[1]), -(a**2) * trigamma[1]
            found = jax.hessian(lambda both: log_beta(both[0], both[1]))(np.log([a, a]))
            np.testing.assert_allclose(found, [[own, cross], [cross, own]], rtol=1e-10)

    checked()


def derivatives(function, count):
    """The function of the first argument and its derivatives, by automatic differentiation."""
    found = [function]
    for _ in range(count):
        found.append(jax.grad(found[-1], argnums=0))
    return found


@pytest.mark.parametrize("a", [1e-200, 1e-8, 0.3, 1.0, 9.999999, 10.0, 33.0, 1e4, 1e9, 1e200])
def test_four_derivatives_of_rising_factorials(a: float) -> None:
    """Those of log(a + k) in log a, summed in exact arithmetic."""
    exact = Fraction(a)
    functions = derivatives(log_rising, 4)
    for y in (1, 2, 9, 60):
        terms = [(exact, k, exact + k) for k in range(y)]
        expected = [
            sum(a / s for a, _, s in terms),
            sum(a * k / s**2 for a, k, s in terms),
            sum(a * k * (k - a) / s**3 for a, k, s in terms),
            sum(a * k * (k * k - 4 * a * k + a * a) / s**4 for a, k, s in terms),
        ]
        found = [float(float64(function)(np.log(a), np.float64(y))) for function in functions[1:]]
        np.testing.assert_allclose(found, [float(each) for each in expected], rtol=1e-11, atol=2e-14 * y)


@pytest.mark.parametrize("a", [1e-9, 0.3, 1.0, 7.0, 10.0, 40.0])
def test_four_derivatives_of_a_gamma_power(a: float) -> None:
    psi = [special.digamma(a), *(special.polygamma(k, a) for k in (1, 2, 3))]
    powers = [a**k for k in range(5)]
    # of a log(a) - a - log Gamma(a), by powers of a d/da
    in_a = [np.log(a) - psi[0], 1 / a - psi[1], -1 / a**2 - psi[2], 2 / a**3 - psi[3]]
    stirling = [(1,), (1, 1), (1, 3, 1), (1, 7, 6, 1)]
    expected = [sum(c * powers[k + 1] * in_a[k] for k, c in enumerate(row)) for row in stirling]
    found = [float(float64(function)(np.log(a))) for function in derivatives(log_gamma_power, 4)[1:]]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


def test_third_derivatives_of_log_beta() -> None:
    for a, b in ((0.4, 3.0), (12.0, 9.0), (250.0, 1.5)):

        def slope(both):
            return jax.grad(log_beta, 0)(*both)

        third = float64(jax.hessian(slope))(np.log([a, b]))
        inside = -special.polygamma(1, a + b), -special.polygamma(2, a + b)
        # d/dlog a d/dlog b of -log Gamma(a + b), and once more in log b
        expected = a * b * inside[0] + a * b**2 * inside[1]
        assert float(third[1, 1]) == pytest.approx(expected, rel=1e-9)
