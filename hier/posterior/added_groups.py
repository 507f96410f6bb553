"""Further groups of a posterior's ArviZ tree, made when they are asked for and kept beside the draws."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.design import Design, numbers_beside
from hier.errors import DataError
from hier.estimate.predicted_rows import PredictedRows, Random, rows_of
from hier.formula.formula import CBIND
from hier.kernel.laplace.likelihood import draw_of_draws
from hier.kernel.laplace.log_densities import Observed
from hier.model.families import drawing
from hier.posterior.dataset import coordinate, sample_coords
from hier.posterior.log_likelihood import LESS, log_likelihood
from hier.posterior.log_prior import log_prior
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.prediction import cutpoints_of, in_blocks, model_of, predictors
from hier.posterior.tree import response_name
from hier.settings import SEED, check, refuse_beyond_memory

if TYPE_CHECKING:
    import xarray as xr


def with_log_likelihood[P: PosteriorDraws](posterior: P) -> P:
    """What `Posterior.with_log_likelihood` says."""
    found = _by_row(posterior, log_likelihood(posterior), posterior.index)
    return _with(posterior, {"log_likelihood": found})


def with_predictive[P: PosteriorDraws](posterior: P, data: Any, random: Random, new_levels: str, seed: int) -> P:
    """What `Posterior.with_predictive` says."""
    rows = rows_of(model_of(posterior).design, data, random, new_levels)
    written = _responses(posterior, data, rows, seed)
    if not rows.known.all():
        written = np.where(rows.known, written, np.nan)
    name = "posterior_predictive" if data is None else "predictions"
    return _with(posterior, {name: _by_row(posterior, written, coordinate(rows.index))})


def replicated(posterior: PosteriorDraws, seed: int, random: Random = "all") -> np.ndarray:
    """Replicated responses (S, n) of the rows of the fit, as `observed` has them."""
    return _responses(posterior, None, rows_of(model_of(posterior).design, None, random, "error"), seed)


def _responses(posterior: PosteriorDraws, data: Any, rows: PredictedRows, seed: int) -> np.ndarray:
    """Replicated responses (S, n) of some rows, as the user's numbers."""
    model, generator = model_of(posterior), np.random.default_rng(check("seed", seed, SEED))
    draw, design = drawing(model.family), model.design
    n, n_draws = len(rows.X), posterior.settings.chains * posterior.settings.draws
    refuse_beyond_memory(f"{n_draws} replicated responses of {n} rows", float(n_draws) * n, LESS)
    trials = _trials(design, data, n)
    found = np.empty((n_draws, n), float if design.outcome.is_continuous else np.int64)
    for some in in_blocks(posterior, n):
        known = Observed(np.ones(len(trials[some])), trials[some], cutpoints_of(posterior))
        own = predictors(posterior, rows, some)
        found[:, some] = draw_of_draws(draw, model.likelihood, known, own, generator)
    return found / trials if design.shares else design.in_numbers(found)


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


def _trials(design: Design, data: Any, n: int) -> np.ndarray:
    """The numbers of trials (n,) of the rows of the fit, or of another table by the formula's column of them. Raises
    DataError where that table cannot say.
    """
    if design.trials is None:
        return np.ones(n)
    if data is None:
        return design.trials
    written = design.formula.trials
    if written is not None and written.factor is None:
        return np.full(n, float(written.number or 1))
    if written is None or written.factor is None or written.form == CBIND or not written.factor.is_column:
        raise DataError(
            "counts of new rows need their numbers of trials, which the table does not say",
            found=f"the response `{design.formula.left}`",
            expected="a column of trials in the formula: `successes | trials(n)` or `successes / n`",
        )
    name = written.factor.variables[0]
    return numbers_beside(design.read(data, name), "trials", name)
