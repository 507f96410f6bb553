"""Log densities of a response, row by row, as functions of its parameters' linear predictors.

Each takes `Observed` and the `Linked`s of its family in the order of its record, and gives (n,) log densities with
every constant, so that models of different families can be compared. Ordered responses also take cutpoints.
Every one of them can be differentiated several times.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hier.kernel.arrays.library import Array, xp
from hier.kernel.laplace.gamma_functions import log_beta, log_gamma_power, log_rising
from hier.kernel.laplace.links import Linked

LOG_2PI = float(np.log(2.0 * np.pi))


class Observed(NamedTuple):
    """What is known of each row: the response `y` (n,), the number of `trials` (n,) (1 where there are none), and
    `cutpoints` (..., k), ascending, of an ordered response; empty otherwise. `ends` (..., n): the cutpoints below and
    above the category of each row, where these are known already.
    """

    y: Any
    trials: Any
    cutpoints: Any
    ends: tuple[Any, ...] = ()

    def around(self) -> tuple[Any, ...]:
        """The cutpoints below and above each row's category (n,); of the outermost categories one of them is any."""
        if self.ends or not self.cutpoints.shape[-1]:
            return self.ends
        category, last = self.y.astype(int), self.cutpoints.shape[-1]
        below, above = xp.maximum(category - 1, 0), xp.minimum(category, last - 1)
        return self.cutpoints[..., below], self.cutpoints[..., above]


def gaussian(rows: Observed, mu: Linked, sigma: Linked) -> Any:
    """Normal with mean mu and standard deviation sigma."""
    z = (rows.y - mu.value) / sigma.value
    return -0.5 * (LOG_2PI + z**2) - sigma.log


def student(rows: Observed, mu: Linked, sigma: Linked, nu: Linked) -> Any:
    """Student's t with nu degrees of freedom, location mu and scale sigma."""
    df, z = nu.value, (rows.y - mu.value) / sigma.value
    constant = log_rising(nu.log - np.log(2.0), xp.full_like(df, 0.5)) - 0.5 * (np.log(np.pi) + nu.log)
    return constant - sigma.log - 0.5 * (df + 1.0) * xp.log1p(z**2 / df)


def lognormal(rows: Observed, mu: Linked, sigma: Linked) -> Any:
    """log y is Normal with mean mu and standard deviation sigma."""
    log_y = xp.log(rows.y)
    return gaussian(rows._replace(y=log_y), mu, sigma) - log_y


def gamma(rows: Observed, mu: Linked, shape: Linked) -> Any:
    """Gamma with mean mu and variance mu^2 / shape."""
    beyond = (rows.y - mu.value) / mu.value
    near = xp.abs(beyond) < 0.5
    log_ratio = xp.where(near, xp.log1p(xp.where(near, beyond, 0.0)), xp.log(rows.y) - mu.log)
    return shape.value * (log_ratio - beyond) + log_gamma_power(shape.log) - xp.log(rows.y)


def inverse_gaussian(rows: Observed, mu: Linked, shape: Linked) -> Any:
    """Inverse Gaussian with mean mu and variance mu^3 / shape."""
    mean, y = mu.value, rows.y
    return 0.5 * (shape.log - LOG_2PI - 3.0 * xp.log(y) - shape.value * (y - mean) ** 2 / (mean**2 * y))


def bernoulli(rows: Observed, mu: Linked) -> Any:
    """y is 1 with probability mu, otherwise 0."""
    return xp.where(rows.y > 0.5, mu.log, mu.log_complement)


def log_binomial_coefficient(n: Array, k: Array) -> Any:
    return xp.gammaln(n + 1.0) - xp.gammaln(k + 1.0) - xp.gammaln(n - k + 1.0)


def _times(count: Array, log: Array) -> Any:
    """count * log, and zero with all its derivatives where the count is zero."""
    return xp.where(count > 0, count, 0.0) * xp.where(count > 0, log, 0.0)


def binomial(rows: Observed, mu: Linked) -> Any:
    """y successes in so many trials, each with probability mu."""
    y, n = rows.y, rows.trials
    return log_binomial_coefficient(n, y) + _times(y, mu.log) + _times(n - y, mu.log_complement)


def beta_binomial(rows: Observed, mu: Linked, phi: Linked) -> Any:
    """Binomial whose probability is Beta(mu phi, (1 - mu) phi)."""
    y, n = rows.y, rows.trials
    successes, failures = log_rising(mu.log + phi.log, y), log_rising(mu.log_complement + phi.log, n - y)
    return log_binomial_coefficient(n, y) + successes + failures - log_rising(phi.log, n)


def poisson(rows: Observed, mu: Linked) -> Any:
    """Counts with mean mu."""
    return _times(rows.y, mu.log) - mu.value - xp.gammaln(rows.y + 1.0)


def _negative_binomial(y: Array, log_mu: Array, log_shape: Array) -> Any:
    """Negative binomial by the logarithms of its mean and its shape (size): variance mu + mu^2 / shape."""
    constant = log_rising(log_shape, y) - xp.gammaln(y + 1.0)
    no_event = -xp.exp(log_shape) * xp.logaddexp(0.0, log_mu - log_shape)
    return constant + no_event + _times(y, log_mu - xp.logaddexp(log_mu, log_shape))


def negbinomial(rows: Observed, mu: Linked, shape: Linked) -> Any:
    """Counts with mean mu and variance mu + mu^2 / shape."""
    return _negative_binomial(rows.y, mu.log, shape.log)


def nbinom1(rows: Observed, mu: Linked, phi: Linked) -> Any:
    """Counts with mean mu and variance mu (1 + phi)."""
    return _negative_binomial(rows.y, mu.log, mu.log - phi.log)


def beta(rows: Observed, mu: Linked, phi: Linked) -> Any:
    """Beta with mean mu and precision phi: variance mu (1 - mu) / (1 + phi)."""
    log_a, log_b = mu.log + phi.log, mu.log_complement + phi.log
    shapes = (xp.exp(log_a) - 1.0) * xp.log(rows.y) + (xp.exp(log_b) - 1.0) * xp.log1p(-rows.y)
    return shapes - log_beta(log_a, log_b)


def log_difference(larger: Array, smaller: Array) -> Any:
    """log(exp(larger) - exp(smaller))."""
    gap = xp.maximum(larger - smaller, 1e-300)
    near = xp.log(-xp.expm1(-xp.minimum(gap, 1.0)))
    return larger + xp.where(gap < 0.7, near, xp.log1p(-xp.exp(-xp.maximum(gap, 0.5))))


def cumulative(rows: Observed, mu: Linked) -> Any:
    """An ordered response in categories 0, 1, ...: P(y <= k) = F(cutpoint_k - eta), F the inverse of the link.

    Source: McCullagh (1980), J. R. Stat. Soc. B 42, 109, equation 2.4.
    """
    category, last = rows.y.astype(int), rows.cutpoints.shape[-1]
    lower, upper = (Linked(mu.link, end - mu.eta) for end in rows.around())
    # where both ends are inside, the difference is taken in the tail in which it keeps its digits
    inside = (category > 0) & (category < last)
    low_tail = upper.log < lower.log_complement
    larger = xp.where(inside, xp.where(low_tail, upper.log, lower.log_complement), 0.0)
    smaller = xp.where(inside, xp.where(low_tail, lower.log, upper.log_complement), -1.0)
    between = log_difference(larger, smaller)
    return xp.where(category == 0, upper.log, xp.where(category == last, lower.log_complement, between))


def zero_inflated_poisson(rows: Observed, mu: Linked, zi: Linked) -> Any:
    """Poisson with mean mu, mixed with zeros that have probability zi."""
    return _inflated(rows, poisson(rows, mu), zi)


def zero_inflated_negbinomial(rows: Observed, mu: Linked, shape: Linked, zi: Linked) -> Any:
    """Negative binomial with mean mu and variance mu + mu^2 / shape, mixed with zeros that have probability zi."""
    return _inflated(rows, negbinomial(rows, mu, shape), zi)


def _inflated(rows: Observed, counted: Array, zi: Linked) -> Any:
    return xp.where(rows.y > 0, zi.log_complement + counted, xp.logaddexp(zi.log, zi.log_complement + counted))


def hurdle_poisson(rows: Observed, mu: Linked, hu: Linked) -> Any:
    """Zero with probability hu, otherwise Poisson with mean mu before zeros were cut off."""
    return _hurdle(rows, poisson(rows, mu), -mu.value, hu)


def hurdle_negbinomial(rows: Observed, mu: Linked, shape: Linked, hu: Linked) -> Any:
    """Zero with probability hu, otherwise negative binomial before zeros were cut off."""
    none = shape.value * (shape.log - xp.logaddexp(mu.log, shape.log))
    return _hurdle(rows, negbinomial(rows, mu, shape), none, hu)


def _hurdle(rows: Observed, counted: Array, log_none: Array, hu: Linked) -> Any:
    """`log_none`: the log probability of a zero before the cut."""
    positive = counted - log_difference(xp.zeros_like(log_none), log_none)
    return xp.where(rows.y > 0, hu.log_complement + positive, hu.log)
