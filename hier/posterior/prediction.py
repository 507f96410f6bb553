"""Predictions by a posterior: of linear predictors, expected responses, and the categories of ordered ones."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate.choices import check_choice
from hier.estimate.predict import NEW_LEVELS, check_kind, with_note
from hier.estimate.predicted_rows import PredictedRows, Random, rows_of
from hier.kernel.laplace.likelihood import apply_link, of_draws
from hier.kernel.laplace.responses import category_probabilities
from hier.model.parameter_names import further_variable
from hier.posterior.posterior_draws import PosteriorDraws
from hier.settings import PROBABILITY, TRUTH, check, refuse_beyond_memory

if TYPE_CHECKING:
    import xarray as xr

    from hier.model import Specification

KINDS = ("mean", "link", "probabilities")
AT_ONCE = 2_000_000  # draws of rows that are held together: of a linear predictor 16 MB


def predict(
    posterior: PosteriorDraws, data: Any, kind: str, random: Random, new_levels: str, draws: bool, level: float
) -> pd.DataFrame | xr.DataArray:
    """What `Posterior.predict` says."""
    model = model_of(posterior)
    check_kind(model, kind, KINDS)
    check_choice("new_levels", new_levels, NEW_LEVELS)
    draws, level = check("draws", draws, TRUTH), check("level", level, PROBABILITY)
    of_predictors = _function(model, kind)
    rows = rows_of(model.design, data, random, new_levels)
    n_draws = posterior.settings.chains * posterior.settings.draws
    if draws:
        refuse_beyond_memory(f"{n_draws} draws of {len(rows.X)} rows", float(n_draws) * len(rows.X), "draws=False")
    found = [
        _summed_up(of_predictors(posterior, rows, some), kind, level, as_draws=draws)
        for some in in_blocks(posterior, len(rows.X))
    ]
    values = np.concatenate(found, axis=1 if draws else 0)
    values[(slice(None), ~rows.known) if draws else ~rows.known] = np.nan
    if draws:
        return _array(posterior, values, rows.index)
    columns = _categories(model) if kind == "probabilities" else ["fit", "se", "lower", "upper"]
    return with_note(pd.DataFrame(values, index=rows.index, columns=columns), rows.known)


def in_blocks(posterior: PosteriorDraws, n_rows: int) -> list[slice]:
    """The rows in blocks of which all draws are held together."""
    step = max(1, AT_ONCE // (posterior.settings.chains * posterior.settings.draws))
    return [slice(start, start + step) for start in range(0, max(n_rows, 1), step)]


def model_of(posterior: PosteriorDraws) -> Specification:
    """The model, whose coding of the data predictions need. Raises FitError where the posterior has none."""
    if posterior.model is None:
        raise FitError(
            "this posterior was read from a file, which does not hold the data and their coding",
            expected="the model that it was sampled from",
            hint="hier.load_posterior(path, model=model)",
        )
    return posterior.model


def _categories(model: Specification) -> pd.Index:
    return pd.Index(model.design.categories, name=model.design.response)


Predicted = Callable[[PosteriorDraws, PredictedRows, slice], np.ndarray]


def _function(model: Specification, kind: str) -> Predicted:
    """What makes draws (S, m), or (S, m, K) of probabilities, of some rows. Raises FitError where there is no mean."""
    family = model.family
    if kind == "link" or model.is_linear_normal:
        return linear_predictor
    if not family.has_cutpoints and family.mean is None:
        raise FitError(f"the family `{family.name}` does not say what its mean is", hint='use kind="link"')
    if not family.has_cutpoints:
        return functools.partial(_of_rows, function=family.mean)
    of_categories = functools.partial(category_probabilities, density=model.likelihood.density)
    probabilities = functools.partial(_of_rows, function=of_categories)
    if kind == "probabilities":
        return probabilities
    return lambda posterior, rows, some: probabilities(posterior, rows, some) @ model.design.category_values


def linear_predictor(posterior: PosteriorDraws, rows: PredictedRows, some: slice) -> np.ndarray:
    """Draws (S, m) of the linear predictor of the mean in some rows."""
    beta = posterior.beta.reshape(posterior.settings.chains * posterior.settings.draws, -1)
    found = beta @ rows.X[some].T + (0.0 if rows.offset is None else rows.offset[some])
    for group, own, kept in zip(posterior.groups, rows.effects, rows.included, strict=True):
        if kept.any():
            codes = own.codes[some]
            deviations = posterior.draws[group.variables.b].reshape(len(beta), group.n_levels, -1)
            for k in np.flatnonzero(kept):
                z = np.where(codes >= 0, own.Z[some, k], 0.0)  # a level that the fit has not seen has none
                found += z * deviations[:, codes, k]
    return found


def predictors(posterior: PosteriorDraws, rows: PredictedRows, some: slice) -> list[np.ndarray]:
    """Draws (S, m) of the linear predictor of each of the family's parameters in some rows, that of the mean first."""
    found = [linear_predictor(posterior, rows, some)]
    for own, link in zip(rows.parameters, model_of(posterior).likelihood.links[1:], strict=True):
        draws = posterior.draws[further_variable(own.name, has_formula=own.has_formula)].reshape(-1, len(own.names))
        found.append(own.predictor(draws if own.has_formula else apply_link(link, draws), some))
    return found


def cutpoints_of(posterior: PosteriorDraws) -> np.ndarray:
    """Draws (S, K - 1) of an ordered response's cutpoints; (S, 0) of any other."""
    n_draws = posterior.settings.chains * posterior.settings.draws
    return posterior.draws.get("cutpoints", np.zeros((n_draws, 0))).reshape(n_draws, -1)


def _of_rows(
    posterior: PosteriorDraws, rows: PredictedRows, some: slice, *, function: Callable[..., Any]
) -> np.ndarray:
    """Draws of a function of a family's parameters in some rows."""
    likelihood = model_of(posterior).likelihood
    return of_draws(function, likelihood, cutpoints_of(posterior), predictors(posterior, rows, some))


def _summed_up(draws: np.ndarray, kind: str, level: float, *, as_draws: bool) -> np.ndarray:
    """The draws (S, m, ...) as they are, or of each row their mean, sd and quantiles (m, 4), of probabilities the means
    (m, K).
    """
    if as_draws:
        return draws
    if kind == "probabilities":
        return draws.mean(axis=0)
    ends = np.quantile(draws, [0.5 - 0.5 * level, 0.5 + 0.5 * level], axis=0)
    return np.column_stack([draws.mean(axis=0), draws.std(axis=0, ddof=1), *ends])


def _array(posterior: PosteriorDraws, values: np.ndarray, index: pd.Index) -> xr.DataArray:
    """Draws by chain, draw and row, and of probabilities by category."""
    import xarray as xr

    from hier.posterior.dataset import coordinate, sample_coords

    sampled = sample_coords(posterior.settings.chains, posterior.settings.draws)
    coords = {**sampled, "obs": coordinate(index)}
    dims = ["chain", "draw", "obs"]
    if values.ndim == 3:
        dims, coords = [*dims, "category"], {**coords, "category": coordinate(_categories(model_of(posterior)))}
    whole = values.reshape(posterior.settings.chains, posterior.settings.draws, *values.shape[1:])
    return xr.DataArray(whole, coords=coords, dims=dims, name=posterior.response)
