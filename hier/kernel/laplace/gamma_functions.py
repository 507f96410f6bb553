"""Ratios of gamma functions that keep their digits for arguments from 1e-300 to 1e300, and so do their derivatives.

A precise family has a large parameter: negative binomial counts with a shape of 1e9 are all but Poisson, and the
difference of two logarithms of size 2e10 says nothing of it. (JAX's own `betaln` is wrong by 1e-6 near 8.)
First derivatives are written out, in a form without branches that differentiates into few operations: those of
`gammaln` become several thousand by the fourth, and minutes of compilation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hier.kernel.arrays.derivatives import CustomDerivative
from hier.kernel.arrays.library import Array, xp

LARGE = 10.0  # from here on six terms of Stirling's series are exact to 1e-15
RANGE = 140.0  # of logarithms on both sides: beyond it derivatives stay as they are there; fourth powers stay numbers
# Source: Abramowitz and Stegun (1964), Handbook of Mathematical Functions, equation 6.1.41
_SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
HALF_LOG_2PI = 0.5 * float(np.log(2.0 * np.pi))


def stirling_rest(a: Array) -> Any:
    """log Gamma(a) less (a - 1/2) log a - a + log(2 pi) / 2, for a from 10 up."""
    inverse = 1.0 / a
    total = 0.0
    for term in reversed(_SERIES):
        total = total * inverse**2 + term
    return total * inverse


def _digamma_rest(a: Array) -> Any:
    """digamma(a) less log a, for a from 10 up. Source: Abramowitz and Stegun (1964), equation 6.3.18."""
    inverse = 1.0 / a
    square, total = inverse * inverse, 0.0
    for k in reversed(range(len(_SERIES))):
        total = (total + (2 * k + 1) * _SERIES[k]) * square
    return -0.5 * inverse - total


def _steps_up(a: Array) -> Any:
    """1, 2, ..., 9 along a new first axis: gamma functions of a by those of a + 10, which is large."""
    return xp.arange(1.0, LARGE).reshape(-1, *[1] * xp.ndim(a))


def _argument(log_a: Array) -> Any:
    return xp.exp(xp.clip(log_a, -RANGE, RANGE))


def _rising_slope(log_a: Array, y: Array) -> Any:
    """The derivative of `log_rising` in log a: a (digamma(a + y) - digamma(a)).

    Source: Abramowitz and Stegun (1964), equation 6.3.6, summed over both.
    """
    a = _argument(log_a)
    j, above = _steps_up(a + y), a + LARGE
    far = a * (xp.log1p(y / above) + _digamma_rest(above + y) - _digamma_rest(above))
    return far + y / (a + y) + xp.sum((y + j) / (a + y + j) - j / (a + j), axis=0)


def _power_slope(log_a: Array) -> Any:
    """The derivative of `log_gamma_power` in log a: a (log a - digamma(a))."""
    a = _argument(log_a)
    far = -a * (xp.log1p(LARGE / a) + _digamma_rest(a + LARGE))
    return far + 1.0 + xp.sum(a / (a + _steps_up(a)), axis=0)


def _on_both_sides(a: Array) -> tuple[Any, Any]:
    """The number, as it enters the formula for small ones and that for large ones."""
    return xp.where(a < LARGE, a, LARGE), xp.where(a < LARGE, LARGE, a)


@CustomDerivative
def log_rising(log_a: Array, y: Array) -> Any:
    """log(Gamma(a + y) / Gamma(a)) for y >= 0, by the logarithm of a; zero with all its derivatives where y is zero.

    y is an observation: nothing is differentiated in it.
    """
    a = xp.exp(log_a)
    some = xp.where(y > 0, y, 1.0)
    low, high = _on_both_sides(a)
    small = log_a + xp.gammaln(low + some) - xp.gammaln(low + 1.0)
    rest = stirling_rest(high + some) - stirling_rest(high)
    large = (high - 0.5) * xp.log1p(some / high) + some * xp.log(high + some) - some + rest
    return xp.where(y > 0, xp.where(a < LARGE, small, large), 0.0)


log_rising.defslopes(lambda log_a, y: (_rising_slope(log_a, y),))


@CustomDerivative
def log_beta(log_a: Array, log_b: Array) -> Any:
    """log(Gamma(a) Gamma(b) / Gamma(a + b)), by the logarithms of a and b.

    Source: for two large arguments the form of R's `lbeta`.
    """
    a_is_small = log_a < log_b
    log_small, log_large = xp.where(a_is_small, log_a, log_b), xp.where(a_is_small, log_b, log_a)
    small = xp.exp(log_small)
    low, p = _on_both_sides(small)
    _, q = _on_both_sides(xp.exp(log_large))
    one_small = xp.gammaln(low + 1.0) - log_small - log_rising(log_large, low)
    rest = stirling_rest(p) + stirling_rest(q) - stirling_rest(p + q)
    both_large = HALF_LOG_2PI - 0.5 * xp.log(q) + rest - (p - 0.5) * xp.log1p(q / p) - q * xp.log1p(p / q)
    return xp.where(small < LARGE, one_small, both_large)


@log_beta.defslopes
def _(log_a: Array, log_b: Array) -> tuple[Any, Any]:
    return -_rising_slope(log_a, _argument(log_b)), -_rising_slope(log_b, _argument(log_a))


@CustomDerivative
def log_gamma_power(log_a: Array) -> Any:
    """a log(a) - a - log Gamma(a), by the logarithm of a."""
    a = xp.exp(log_a)
    low, high = _on_both_sides(a)
    small = low * log_a - low - (xp.gammaln(low + 1.0) - log_a)
    return xp.where(a < LARGE, small, 0.5 * log_a - HALF_LOG_2PI - stirling_rest(high))


log_gamma_power.defslopes(lambda log_a: (_power_slope(log_a),))
