"""Further groups of a posterior's ArviZ tree, made when they are asked for and kept beside the draws."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.design import coordinate
from hier.estimate.predicted_rows import Prediction, Random
from hier.posterior.dataset import sample_coords
from hier.posterior.log_likelihood import log_likelihood
from hier.posterior.log_prior import log_prior
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.prediction import model_of, predicted_draws
from hier.posterior.tree import response_name

if TYPE_CHECKING:
    import xarray as xr


def with_log_likelihood[P: PosteriorDraws](posterior: P) -> P:
    """What `Posterior.with_log_likelihood` says."""
    found = _by_row(posterior, log_likelihood(posterior), posterior.index)
    return _with(posterior, {"log_likelihood": found})


def with_predictive[P: PosteriorDraws](posterior: P, data: Any, asked: Prediction) -> P:
    """What `Posterior.with_predictive` says."""
    rows, found = predicted_draws(posterior, data, asked.checked(model_of(posterior)))
    name = "posterior_predictive" if data is None else "predictions"
    return _with(posterior, {name: _by_row(posterior, found, coordinate(rows.index))})


def replicated(posterior: PosteriorDraws, seed: int, random: Random = "all") -> np.ndarray:
    """Replicated responses (S, n) of the rows of the fit, as `observed` has them."""
    asked = Prediction("response", random, seed=seed).checked(model_of(posterior))
    return predicted_draws(posterior, None, asked)[1]


def with_prior[P: PosteriorDraws](posterior: P, draws: int, seed: int) -> P:
    """What `Posterior.with_prior` says."""
    import xarray as xr

    from hier.posterior.program import sample_prior

    drawn = sample_prior(model_of(posterior), draws, seed)
    sampled = sample_coords(posterior.settings.chains, posterior.settings.draws)
    densities = {name: (("chain", "draw"), values) for name, values in log_prior(posterior).items()}
    return _with(
        posterior,
        {
            "log_prior": xr.Dataset(densities, sampled),
            "prior": drawn["prior"].to_dataset(),
            "prior_predictive": drawn["prior_predictive"].to_dataset(),
        },
    )


def _with[P: PosteriorDraws](posterior: P, found: Mapping[str, xr.Dataset]) -> P:
    return dataclasses.replace(posterior, added={**posterior.added, **found})


def _by_row(posterior: PosteriorDraws, values: np.ndarray, index: np.ndarray) -> xr.Dataset:
    """Numbers (S, n) by chain, draw and row, under the name that the observed response has in the tree."""
    import xarray as xr

    chains, draws = posterior.settings.chains, posterior.settings.draws
    coords = sample_coords(chains, draws) | {"obs": index}
    whole = values.reshape(chains, draws, values.shape[1])
    return xr.Dataset({response_name(posterior): (("chain", "draw", "obs"), whole)}, coords)
