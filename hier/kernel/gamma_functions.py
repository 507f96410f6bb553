"""Ratios of gamma functions that keep their digits for arguments from 1e-300 to 1e300.

A precise family has a large parameter: negative binomial counts with a shape of 1e9 are all but Poisson, and the
difference of two logarithms of size 2e10 says nothing of it. (JAX's own `betaln` is wrong by 1e-6 near 8.)
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

LARGE = 10.0  # from here on six terms of Stirling's series are exact to 1e-15
# Source: Abramowitz and Stegun (1964), Handbook of Mathematical Functions, equation 6.1.41
_SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
HALF_LOG_2PI = 0.5 * float(np.log(2.0 * np.pi))


def stirling_rest(a: Any) -> Any:
    """log Gamma(a) less (a - 1/2) log a - a + log(2 pi) / 2, for a from 10 up."""
    inverse = 1.0 / a
    total = 0.0
    for term in reversed(_SERIES):
        total = total * inverse**2 + term
    return total * inverse


def _on_both_sides(a: Any) -> tuple[Any, Any]:
    """The number, as it enters the formula for small ones and that for large ones.

    By `where`, since at a tie `minimum` has half the slope.
    """
    return jnp.where(a < LARGE, a, LARGE), jnp.where(a < LARGE, LARGE, a)


def log_rising(log_a: Any, y: Any) -> Any:
    """log(Gamma(a + y) / Gamma(a)) for y >= 0, by the logarithm of a; zero with all its derivatives where y is zero."""
    a = jnp.exp(log_a)
    some = jnp.where(y > 0, y, 1.0)
    low, high = _on_both_sides(a)
    small = log_a + gammaln(low + some) - gammaln(low + 1.0)
    rest = stirling_rest(high + some) - stirling_rest(high)
    large = (high - 0.5) * jnp.log1p(some / high) + some * jnp.log(high + some) - some + rest
    return jnp.where(y > 0, jnp.where(a < LARGE, small, large), 0.0)


def log_beta(log_a: Any, log_b: Any) -> Any:
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


def log_gamma_power(log_a: Any) -> Any:
    """a log(a) - a - log Gamma(a), by the logarithm of a."""
    a = jnp.exp(log_a)
    low, high = _on_both_sides(a)
    small = low * log_a - low - (gammaln(low + 1.0) - log_a)
    return jnp.where(a < LARGE, small, 0.5 * log_a - HALF_LOG_2PI - stirling_rest(high))
