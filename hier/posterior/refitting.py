"""The posterior of a model that has not seen some of its rows, by sampling again."""

from __future__ import annotations

import dataclasses

import numpy as np

from hier.model.specification import on_rows
from hier.posterior.grouping import Group
from hier.posterior.left_out_by_quadrature import level_by_quadrature
from hier.posterior.log_likelihood import log_density, rows_of_fit
from hier.posterior.pareto_smoothing import log_sum
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.prediction import model_of, predictors
from hier.settings import DEFAULTS, Sampling


def held_out(posterior: PosteriorDraws, units: np.ndarray, group: Group | None) -> np.ndarray:
    """The log density (m,) of rows `units`, or of all rows of these levels of a grouping factor, under a posterior that
    has seen none of them.

    A level's rows are taken jointly, its deviations integrated out as in `logo`; a row's density is given those of its
    level, which are drawn from their distribution where the level has no other rows.
    """
    out = np.isin(np.arange(len(posterior.observed)) if group is None else group.codes, units)
    there = _without(posterior, out)
    if group is None:
        found = log_density(there, predictors(there, rows_of_fit(there), units), units)
    else:
        found = level_by_quadrature(there, group, units)[:, units]
    return log_mean(there, found)


def log_mean(posterior: PosteriorDraws, values: np.ndarray) -> np.ndarray:
    """The logarithm of the posterior mean of exp(values) (S, m): draws of an approximation have weights."""
    weights = posterior.log_weights[:, None]
    return log_sum(values + weights) - log_sum(weights)


def _without(posterior: PosteriorDraws, out: np.ndarray) -> PosteriorDraws:
    """Draws of all parameters and deviations that have not seen the rows `out` (n,), in place of the posterior's."""
    from hier.posterior.drawing import draw  # JAX comes with it

    drawn = draw(on_rows(model_of(posterior), ~out), _settings(posterior))
    if drawn.stopped:
        raise KeyboardInterrupt
    settings = posterior.settings._replace(draws=next(iter(drawn.stats.values())).shape[1])
    return dataclasses.replace(
        posterior, draws=drawn.draws, stats=drawn.stats, settings=settings, added={}, end=None, timing=drawn.timing
    )


def _settings(posterior: PosteriorDraws) -> Sampling:
    """The settings of the posterior, with all deviations kept."""
    if posterior.end is not None:
        return dataclasses.replace(posterior.end.asked, keep="all", progress=False)
    made = posterior.settings
    return dataclasses.replace(
        DEFAULTS, chains=made.chains, draws=made.draws, seed=made.seed, thin=made.thin, progress=False
    )
