"""Priors as numbers: of coefficients as a quadratic form where they are Normal or flat, of any one its density."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hier.model.priors import Priors

if TYPE_CHECKING:
    from numpyro.distributions import Distribution


class QuadraticPrior(NamedTuple):
    """The log prior of the coefficients as -(b'P b - 2 h'b) / 2: `precision` P (p, p) and `linear` h (p,)."""

    precision: np.ndarray
    linear: np.ndarray


def quadratic_prior(priors: Priors, kept: np.ndarray) -> QuadraticPrior | None:
    """The prior of those coefficients that are `kept` (p,), the others zero, if it is Normal or flat in all of them."""
    from numpyro.distributions import ImproperUniform, Normal

    count = int(kept.sum())
    precision, linear = np.zeros((count, count)), np.zeros(count)
    for prior, combination, is_kept in zip(priors.beta.values(), priors.at, kept, strict=True):
        if isinstance(prior, ImproperUniform) or not is_kept:
            continue
        if not isinstance(prior, Normal):
            return None
        own, scale = combination[kept], float(prior.scale)
        precision += np.outer(own, own) / scale**2
        linear += own * float(prior.loc) / scale**2
    return QuadraticPrior(precision, linear)


def log_prior(prior: Distribution, sigma: np.ndarray) -> np.ndarray:
    """The log density of a prior, minus infinity outside of its support, of which NumPyro warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inside = np.asarray(prior.support(sigma), bool)  # pyright: ignore[reportOptionalCall]
        return np.where(inside, np.asarray(prior.log_prob(sigma), float), -np.inf)
