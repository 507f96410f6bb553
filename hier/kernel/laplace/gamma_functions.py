"""Ratios of gamma functions that keep their digits for arguments from 1e-300 to 1e300, and so do their derivatives.

A precise family has a large parameter: negative binomial counts with a shape of 1e9 are all but Poisson, and the
difference of two logarithms of size 2e10 says nothing of it. (JAX's own `betaln` is wrong by 1e-6 near 8.)
First derivatives are written out, in a form without branches that differentiates into few operations: those of
`gammaln` become several thousand by the fourth, and minutes of compilation.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

LARGE = 10.0  # from here on six terms of Stirling's series are exact to 1e-15
RANGE = 140.0  # of logarithms on both sides: beyond it derivatives stay as they are there; fourth powers stay numbers
# Source: Abramowitz and Stegun (1964), Handbook of Mathematical Functions, equation 6.1.41
_SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
HALF_LOG_2PI = 0.5 * float(np.log(2.0 * np.pi))


def stirling_rest(a: jax.Array) -> Any:
    """log Gamma(a) less (a - 1/2) log a - a + log(2 pi) / 2, for a from 10 up."""
    inverse = 1.0 / a
    total = 0.0
    for term in reversed(_SERIES):
        total = total * inverse**2 + term
    return total * inverse


def _digamma_rest(a: jax.Array) -> Any:
    """digamma(a) less log a, for a from 10 up. Source: Abramowitz and Stegun (1964), equation 6.3.18."""
    inverse = 1.0 / a
    square, total = inverse * inverse, 0.0
    for k in reversed(range(len(_SERIES))):
        total = (total + (2 * k + 1) * _SERIES[k]) * square
    return -0.5 * inverse - total


def _steps_up(a: jax.Array) -> Any:
    """1, 2, ..., 9 along a new first axis: gamma functions of a by those of a + 10, which is large."""
    return jnp.arange(1.0, LARGE).reshape(-1, *[1] * jnp.ndim(a))


def _argument(log_a: jax.Array) -> Any:
    return jnp.exp(jnp.clip(log_a, -RANGE, RANGE))


def _rising_slope(log_a: jax.Array, y: jax.Array) -> Any:
    """The derivative of `log_rising` in log a: a (digamma(a + y) - digamma(a)).

    Source: Abramowitz and Stegun (1964), equation 6.3.6, summed over both.
    """
    a = _argument(log_a)
    j, above = _steps_up(a + y), a + LARGE
    far = a * (jnp.log1p(y / above) + _digamma_rest(above + y) - _digamma_rest(above))
    return far + y / (a + y) + jnp.sum((y + j) / (a + y + j) - j / (a + j), axis=0)


def _power_slope(log_a: jax.Array) -> Any:
    """The derivative of `log_gamma_power` in log a: a (log a - digamma(a))."""
    a = _argument(log_a)
    far = -a * (jnp.log1p(LARGE / a) + _digamma_rest(a + LARGE))
    return far + 1.0 + jnp.sum(a / (a + _steps_up(a)), axis=0)


def _on_both_sides(a: jax.Array) -> tuple[Any, Any]:
    """The number, as it enters the formula for small ones and that for large ones."""
    return jnp.where(a < LARGE, a, LARGE), jnp.where(a < LARGE, LARGE, a)


@jax.custom_jvp
def log_rising(log_a: jax.Array, y: jax.Array) -> Any:
    """log(Gamma(a + y) / Gamma(a)) for y >= 0, by the logarithm of a; zero with all its derivatives where y is zero.

    y is an observation: nothing is differentiated in it.
    """
    a = jnp.exp(log_a)
    some = jnp.where(y > 0, y, 1.0)
    low, high = _on_both_sides(a)
    small = log_a + gammaln(low + some) - gammaln(low + 1.0)
    rest = stirling_rest(high + some) - stirling_rest(high)
    large = (high - 0.5) * jnp.log1p(some / high) + some * jnp.log(high + some) - some + rest
    return jnp.where(y > 0, jnp.where(a < LARGE, small, large), 0.0)


@log_rising.defjvp
def _(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    log_a, y = primals
    return log_rising(log_a, y), _rising_slope(log_a, y) * tangents[0]


@jax.custom_jvp
def log_beta(log_a: jax.Array, log_b: jax.Array) -> Any:
    """log(Gamma(a) Gamma(b) / Gamma(a + b)), by the logarithms of a and b.

    Source: for two large arguments the form of R's `lbeta`.
    """
    a_is_small = log_a < log_b
    log_small, log_large = jnp.where(a_is_small, log_a, log_b), jnp.where(a_is_small, log_b, log_a)
    small = jnp.exp(log_small)
    low, p = _on_both_sides(small)
    _, q = _on_both_sides(jnp.exp(log_large))
    one_small = gammaln(low + 1.0) - log_small - log_rising(log_large, low)
    rest = stirling_rest(p) + stirling_rest(q) - stirling_rest(p + q)
    both_large = HALF_LOG_2PI - 0.5 * jnp.log(q) + rest - (p - 0.5) * jnp.log1p(q / p) - q * jnp.log1p(p / q)
    return jnp.where(small < LARGE, one_small, both_large)


@log_beta.defjvp
def _(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    log_a, log_b = primals
    in_a, in_b = _rising_slope(log_a, _argument(log_b)), _rising_slope(log_b, _argument(log_a))
    return log_beta(log_a, log_b), -in_a * tangents[0] - in_b * tangents[1]


@jax.custom_jvp
def log_gamma_power(log_a: jax.Array) -> Any:
    """a log(a) - a - log Gamma(a), by the logarithm of a."""
    a = jnp.exp(log_a)
    low, high = _on_both_sides(a)
    small = low * log_a - low - (gammaln(low + 1.0) - log_a)
    return jnp.where(a < LARGE, small, 0.5 * log_a - HALF_LOG_2PI - stirling_rest(high))


@log_gamma_power.defjvp
def _(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (log_a,) = primals
    return log_gamma_power(log_a), _power_slope(log_a) * tangents[0]
