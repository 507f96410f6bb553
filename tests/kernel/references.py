"""Distributions of scipy.stats for the families' tests, by parameters on their own scale."""

from __future__ import annotations

import numpy as np
from scipy import stats

TRIALS = 7.0
CUTPOINTS = np.array([-1.0, 0.2, 1.7])


def _mixed_with_zeros(counts, zi):
    """Log probabilities of counts mixed with further zeros."""
    return lambda y: np.log(np.where(y == 0, zi, 0.0) + (1 - zi) * counts.pmf(y))


def _after_hurdle(counts, hu):
    """Log probabilities of zero or a positive count."""
    return lambda y: np.where(y == 0, np.log(hu), np.log1p(-hu) + counts.logpmf(np.maximum(y, 1)) - counts.logsf(0))


def _nbinom(mu, shape):
    return stats.nbinom(shape, shape / (shape + mu))


LOG_DENSITY = {
    "gaussian": lambda mu, sigma: stats.norm(mu, sigma).logpdf,
    "student": lambda mu, sigma, nu: stats.t(nu, mu, sigma).logpdf,
    "lognormal": lambda mu, sigma: stats.lognorm(sigma, scale=np.exp(mu)).logpdf,
    "gamma": lambda mu, shape: stats.gamma(shape, scale=mu / shape).logpdf,
    "inverse_gaussian": lambda mu, shape: stats.invgauss(mu / shape, scale=shape).logpdf,
    "bernoulli": lambda mu: stats.bernoulli(mu).logpmf,
    "binomial": lambda mu: stats.binom(TRIALS, mu).logpmf,
    "beta_binomial": lambda mu, phi: stats.betabinom(TRIALS, mu * phi, (1 - mu) * phi).logpmf,
    "poisson": lambda mu: stats.poisson(mu).logpmf,
    "negbinomial": lambda mu, shape: _nbinom(mu, shape).logpmf,
    "nbinom1": lambda mu, phi: _nbinom(mu, mu / phi).logpmf,
    "beta": lambda mu, phi: stats.beta(mu * phi, (1 - mu) * phi).logpdf,
    "zero_inflated_poisson": lambda mu, zi: _mixed_with_zeros(stats.poisson(mu), zi),
    "zero_inflated_negbinomial": lambda mu, shape, zi: _mixed_with_zeros(_nbinom(mu, shape), zi),
    "hurdle_poisson": lambda mu, hu: _after_hurdle(stats.poisson(mu), hu),
    "hurdle_negbinomial": lambda mu, shape, hu: _after_hurdle(_nbinom(mu, shape), hu),
}

# the distribution whose probabilities below a linear predictor are the values, by link
DISTRIBUTION = {"logit": stats.logistic, "probit": stats.norm, "cloglog": stats.gumbel_l, "cauchit": stats.cauchy}

VALUE = {
    "identity": lambda eta: eta,
    "log": np.exp,
    "inverse": lambda eta: 1.0 / eta,
    "sqrt": np.square,
    **{link: distribution.cdf for link, distribution in DISTRIBUTION.items()},
}

# linear predictors of a mean where it is an ordinary number
ORDINARY = {
    "identity": (0.4, 1.1, 3.0),
    "inverse": (0.4, 1.1, 3.0),
    "sqrt": (0.4, 1.1, 2.0),
    "log": (-1.2, 0.3, 1.4),
}


def ordinary(link: str) -> np.ndarray:
    return np.array(ORDINARY.get(link, (-1.5, -0.2, 0.9)))


# responses of each kind; those of counts reach far enough that what lies beyond has a probability of nearly 0
SOME = {
    "real": np.array([-2.3, 0.0, 0.7, 5.1]),
    "positive": np.array([0.01, 0.7, 5.1, 12.0]),
    "unit": np.array([0.003, 0.4, 0.98]),
    "count": np.array([0.0, 1.0, 2.0, 7.0, 30.0]),
    "binary": np.array([0.0, 1.0]),
    "successes": np.arange(TRIALS + 1),
    "ordered": np.arange(4.0),
}
