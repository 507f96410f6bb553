"""How much the posterior depends on the prior and on the data, by raising either to a power near 1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.posterior.cross_validation import kept_log_likelihood
from hier.posterior.left_out_by_quadrature import level_by_quadrature
from hier.posterior.left_out_exactly import marginal_log_likelihood
from hier.posterior.log_prior import log_prior
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.prediction import model_of
from hier.posterior.summary_block import parameter_draws
from hier.settings import TRUTH, check

SENSITIVE = 0.05  # Kallioinen et al., section 4.2
POWERS = (0.99, 1.01)


def power_sensitivity(posterior: PosteriorDraws, integrated: bool) -> pd.DataFrame:
    """What `Posterior.power_sensitivity` says."""
    model_of(posterior)
    integrated = check("integrated", integrated, TRUTH) and bool(posterior.groups)
    whole = _integrated(posterior) if integrated else kept_log_likelihood(posterior).sum(axis=1)
    table, draws = parameter_draws(posterior)
    prior = np.sum([values.ravel() for values in log_prior(posterior).values()], axis=0)
    table["prior"], table["likelihood"] = _sensitivities(draws, prior), _sensitivities(draws, whole)
    table["diagnosis"] = [_words(*row) for row in table[["prior", "likelihood"]].to_numpy()]
    return table


def _sensitivities(draws: np.ndarray, log_density: np.ndarray) -> np.ndarray:
    """The sensitivity of each parameter (C, D, k) to a power of the density with these logarithms (S,)."""
    from arviz_stats.base.array import array_stats

    shape = draws.shape[:2]
    weights = []
    for power in POWERS:
        own = np.exp(array_stats.power_scale_lw(log_density, alpha=power))
        weights.append((own / own.sum()).reshape(shape))
    below, above = weights
    return np.array(
        [
            array_stats.power_scale_sense(own, below, above, *POWERS, chain_axis=0, draw_axis=1)
            for own in np.moveaxis(draws, 2, 0)
        ]
    )


def _integrated(posterior: PosteriorDraws) -> np.ndarray:
    """The log-likelihood (S,) with all group deviations integrated out."""
    if model_of(posterior).has_normal_rows:
        return marginal_log_likelihood(posterior)
    if len(posterior.groups) != 1:
        raise FitError(
            "deviations of several grouping factors are integrated out of Normal responses only",
            found=f'the family "{posterior.family}" with {len(posterior.groups)} grouping factors',
            hint="integrated=False conditions on the deviations",
        )
    return level_by_quadrature(posterior, posterior.groups[0]).sum(axis=1)


def _words(prior: float, likelihood: float) -> str:
    if prior < SENSITIVE:
        return ""
    return "prior-data conflict?" if likelihood >= SENSITIVE else "strong prior or weak likelihood?"
