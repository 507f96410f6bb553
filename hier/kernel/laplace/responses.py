"""Means and random draws of a response, row by row, as functions of its parameters: the companions of the densities.

Each takes `Observed`, of which only the trials and the cutpoints count here, and the `Linked`s of its family in the
order of its record; `draw_...` a random key before them. All give (n,) floating-point numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hier.kernel.arrays.control import mapped
from hier.kernel.arrays.library import Array, random, xp
from hier.kernel.laplace.links import Linked
from hier.kernel.laplace.log_densities import Observed, cumulative, log_difference

LARGEST_POISSON = 1e8  # beyond it counts are drawn as a rounded Normal, which differs by 1e-4 standard deviations


def mean_mu(rows: Observed, mu: Linked, *others: Linked) -> Any:
    """The parameter mu is the mean; of a bernoulli response, the probability of 1."""
    return mu.value


def mean_lognormal(rows: Observed, mu: Linked, sigma: Linked) -> Any:
    return xp.exp(mu.value + 0.5 * sigma.value**2)


def mean_successes(rows: Observed, mu: Linked, *others: Linked) -> Any:
    """The expected count of successes: the trials times the probability mu."""
    return rows.trials * mu.value


def mean_category(rows: Observed, mu: Linked) -> Any:
    """The expected category, the categories counted 0, 1, ..."""
    probabilities = category_probabilities(rows, mu)
    return probabilities @ np.arange(float(probabilities.shape[-1]))


def mean_zero_inflated(rows: Observed, mu: Linked, *others: Linked) -> Any:
    """The expected count, the additional zeros among it; their share is the last parameter."""
    return xp.exp(others[-1].log_complement) * mu.value


def mean_hurdle_poisson(rows: Observed, mu: Linked, hu: Linked) -> Any:
    """The expected count, zeros among it."""
    return xp.exp(hu.log_complement) * mu.value / -xp.expm1(-mu.value)


def mean_hurdle_negbinomial(rows: Observed, mu: Linked, shape: Linked, hu: Linked) -> Any:
    """The expected count, zeros among it."""
    log_none = -shape.value * xp.log1p(mu.value / shape.value)
    return xp.exp(hu.log_complement) * mu.value / -xp.expm1(log_none)


def category_probabilities(rows: Observed, *parameters: Linked, density: Callable[..., Any] = cumulative) -> Any:
    """The probability (..., n, K) of each category of an ordered response."""
    rows = rows._replace(cutpoints=xp.asarray(rows.cutpoints), ends=())
    n = parameters[0].eta.shape[-1]

    def of(category: Array) -> Any:
        return density(rows._replace(y=xp.full(n, category)), *parameters)

    categories = np.arange(rows.cutpoints.shape[-1] + 1.0)
    return xp.moveaxis(xp.exp(mapped(of, categories, like=parameters[0].eta)), 0, -1)


def draw_gaussian(key: Array, rows: Observed, mu: Linked, sigma: Linked) -> Any:
    return mu.value + sigma.value * random.normal(key, mu.eta.shape, mu.eta.dtype)


def draw_student(key: Array, rows: Observed, mu: Linked, sigma: Linked, nu: Linked) -> Any:
    return mu.value + sigma.value * random.t(key, nu.value, mu.eta.shape, mu.eta.dtype)


def draw_lognormal(key: Array, rows: Observed, mu: Linked, sigma: Linked) -> Any:
    return xp.exp(draw_gaussian(key, rows, mu, sigma))


def draw_gamma(key: Array, rows: Observed, mu: Linked, shape: Linked) -> Any:
    return _positive(_gamma(key, shape.value, mu) * mu.value / shape.value)


def draw_inverse_gaussian(key: Array, rows: Observed, mu: Linked, shape: Linked) -> Any:
    """Source: Michael, Schucany and Haas (1976), Am. Stat. 30, 88."""
    mean, (first, second) = mu.value, random.split(key)
    half = 0.5 * mean * random.normal(first, mu.eta.shape, mu.eta.dtype) ** 2 / shape.value
    # the smaller root of the quadratic, 1 + half - sqrt(half (2 + half)), as one over the larger: their product is 1
    smaller = mean / (1.0 + half + xp.sqrt(half * (2.0 + half)))
    is_smaller = random.uniform(second, mu.eta.shape, mu.eta.dtype) * (mean + smaller) <= mean
    return _positive(xp.where(is_smaller, smaller, mean**2 / smaller))


def draw_bernoulli(key: Array, rows: Observed, mu: Linked) -> Any:
    return (random.uniform(key, mu.eta.shape, mu.eta.dtype) < mu.value).astype(mu.eta.dtype)


def draw_binomial(key: Array, rows: Observed, mu: Linked) -> Any:
    return _binomial(key, rows.trials, mu.value, mu)


def draw_beta_binomial(key: Array, rows: Observed, mu: Linked, phi: Linked) -> Any:
    first, second = random.split(key)
    return _binomial(second, rows.trials, draw_beta(first, rows, mu, phi), mu)


def draw_beta(key: Array, rows: Observed, mu: Linked, phi: Linked) -> Any:
    """Inside the open interval, so that a simulated response can be modelled again."""
    dtype = mu.eta.dtype
    drawn = random.beta(key, mu.value * phi.value, (1.0 - mu.value) * phi.value, mu.eta.shape, dtype)
    return xp.clip(drawn, xp.finfo(dtype).tiny, 1.0 - xp.finfo(dtype).epsneg)


def draw_poisson(key: Array, rows: Observed, mu: Linked) -> Any:
    return _poisson(key, mu.value)


def draw_negbinomial(key: Array, rows: Observed, mu: Linked, shape: Linked) -> Any:
    return _negative_binomial(key, mu.value, shape.value)


def draw_nbinom1(key: Array, rows: Observed, mu: Linked, phi: Linked) -> Any:
    return _negative_binomial(key, mu.value, mu.value / phi.value)


def draw_cumulative(key: Array, rows: Observed, mu: Linked) -> Any:
    below = mu.link.inverse(rows.cutpoints[..., None, :] - mu.eta[..., :, None])
    at = random.uniform(key, mu.eta.shape, mu.eta.dtype)
    return xp.sum(at[..., :, None] > below, axis=-1).astype(mu.eta.dtype)


def draw_zero_inflated_poisson(key: Array, rows: Observed, mu: Linked, zi: Linked) -> Any:
    first, second = random.split(key)
    return xp.where(draw_bernoulli(first, rows, zi) > 0, 0.0, draw_poisson(second, rows, mu))


def draw_zero_inflated_negbinomial(key: Array, rows: Observed, mu: Linked, shape: Linked, zi: Linked) -> Any:
    first, second = random.split(key)
    return xp.where(draw_bernoulli(first, rows, zi) > 0, 0.0, draw_negbinomial(second, rows, mu, shape))


def draw_hurdle_poisson(key: Array, rows: Observed, mu: Linked, hu: Linked) -> Any:
    """A positive count is the first event of a Poisson process, at a time before 1, and those after it."""
    zero, first, rest = random.split(key, 3)
    left = mu.value * (1.0 - _first_event(first, mu.value))
    return xp.where(draw_bernoulli(zero, rows, hu) > 0, 0.0, 1.0 + _poisson(rest, left))


def draw_hurdle_negbinomial(key: Array, rows: Observed, mu: Linked, shape: Linked, hu: Linked) -> Any:
    """A negative binomial count is the events of a Poisson number of clusters, whose sizes are logarithmic; a positive
    one has a first cluster.

    Source: Quenouille (1949), Biometrics 5, 162, for the clusters; Kemp (1981), Appl. Stat. 30, 249, algorithm LK,
    for their sizes.
    """
    zero, first, one, two, rest = random.split(key, 5)
    size = shape.value
    log_odds = xp.log1p(mu.value / size)
    left = size * (1.0 - _first_event(first, size * log_odds))
    u, v = (random.uniform(k, mu.eta.shape, mu.eta.dtype) for k in (one, two))
    spread = -xp.minimum((1.0 - u) * log_odds, 700.0)
    cluster = 1.0 + xp.floor(xp.log1p(-v) / log_difference(xp.zeros_like(spread), spread))
    others = _negative_binomial(rest, mu.value * left / size, left)
    return xp.where(draw_bernoulli(zero, rows, hu) > 0, 0.0, cluster + others)


def _first_event(key: Array, rate: Array) -> Any:
    """The time of a Poisson process' first event, given that it is before 1; `rate`: its events in unit time."""
    u = random.uniform(key, rate.shape, rate.dtype)
    some = xp.maximum(rate, 1e-8)  # a smaller rate has its one event at any time alike
    return xp.clip(-xp.log1p(u * xp.expm1(-some)) / some, 0.0, 1.0)


def _gamma(key: Array, shape: Array, like: Linked) -> Any:
    """Gamma variables of scale 1; by their logarithms, as those of a small shape can be too small for a number."""
    return xp.exp(random.loggamma(key, shape, like.eta.shape, like.eta.dtype))


def _positive(drawn: Array) -> Any:
    """Above zero, so that a simulated response can be modelled again."""
    return xp.maximum(drawn, xp.finfo(drawn.dtype).tiny)


def _poisson(key: Array, rate: Array) -> Any:
    exact = random.poisson(key, xp.clip(rate, 0.0, LARGEST_POISSON), rate.shape).astype(rate.dtype)
    large = xp.round(rate + xp.sqrt(rate) * random.normal(key, rate.shape, rate.dtype))
    return xp.where(rate > LARGEST_POISSON, large, exact)


def _negative_binomial(key: Array, mean: Array, shape: Array) -> Any:
    first, second = random.split(key)
    safe = xp.maximum(shape, xp.finfo(mean.dtype).tiny)
    rate = xp.exp(random.loggamma(first, safe, mean.shape, mean.dtype) + xp.log(mean) - xp.log(safe))
    return _poisson(second, xp.where(shape > 0, rate, 0.0))


def _binomial(key: Array, trials: Array, probability: Array, like: Linked) -> Any:
    trials = xp.broadcast_to(xp.asarray(trials, like.eta.dtype), like.eta.shape)
    return random.binomial(key, trials, probability, like.eta.shape, like.eta.dtype)
