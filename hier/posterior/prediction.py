"""Predictions by a posterior: of linear predictors, expected responses, categories and responses, draw by draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate.drawn_rows import function_of_draws, responses, trials_of
from hier.estimate.predict import with_note
from hier.estimate.predicted_draws import by_draw_and_row
from hier.estimate.predicted_rows import PredictedRows, Prediction, rows_of
from hier.kernel.laplace.averages import averaged
from hier.kernel.laplace.likelihood import apply_link
from hier.model.parameter_names import further_variable
from hier.posterior.new_levels import Unseen, unseen
from hier.posterior.posterior_draws import PosteriorDraws
from hier.settings import refuse_beyond_memory

if TYPE_CHECKING:
    import xarray as xr

    from hier.model import Specification

AT_ONCE = 2_000_000  # draws of rows that are held together: of a linear predictor 16 MB
BLOCKS = 10  # into which these are parted where rows are independent: a block fits a processor's cache


def predict(posterior: PosteriorDraws, data: Any, asked: Prediction) -> pd.DataFrame | xr.DataArray:
    """What `Posterior.predict` says."""
    model = model_of(posterior)
    asked = asked.checked(model)
    if asked.draws:
        rows, values = predicted_draws(posterior, data, asked)
        chains, draws = posterior.settings.chains, posterior.settings.draws
        return by_draw_and_row(values.reshape(chains, draws, *values.shape[1:]), model.design, rows.index)
    rows = rows_of(model.design, data, asked.random, asked.new_levels)
    values_of = values_by_rows(posterior, rows, data, asked)
    blocks = [_summed_up(values_of(some), asked) for some in in_blocks(posterior, len(rows.X))]
    values = np.concatenate(blocks)
    values[~rows.known] = np.nan
    is_table = asked.kind == "probabilities"
    columns = pd.Index(model.design.categories, name=model.design.response) if is_table else SUMMARY
    return with_note(pd.DataFrame(values, index=rows.index, columns=columns), rows)


SUMMARY = ["fit", "se", "lower", "upper"]


def predicted_draws(posterior: PosteriorDraws, data: Any, asked: Prediction) -> tuple[PredictedRows, np.ndarray]:
    """The rows that were asked for, and draws (S, n) or (S, n, K) of what was asked of them."""
    rows = rows_of(model_of(posterior).design, data, asked.random, asked.new_levels)
    n, n_draws = len(rows.X), posterior.settings.chains * posterior.settings.draws
    refuse_beyond_memory(f"{n_draws} draws of {n} rows", float(n_draws) * n, "fewer rows, or a table in place of draws")
    values_of = values_by_rows(posterior, rows, data, asked)
    found: np.ndarray | None = None
    for some in in_blocks(posterior, n):
        values = values_of(some)
        if found is None:
            found = np.empty((n_draws, n, *values.shape[2:]), values.dtype)
        found[:, some] = values
    assert found is not None
    if not rows.known.all():
        found = found.astype(np.float64)
        found[:, ~rows.known] = np.nan
    return rows, found


def in_blocks(posterior: PosteriorDraws, n_rows: int) -> list[slice]:
    """The rows in blocks of which all draws are held together."""
    step = max(1, AT_ONCE // (BLOCKS * posterior.settings.chains * posterior.settings.draws))
    return [slice(start, start + step) for start in range(0, max(n_rows, 1), step)]


def model_of(posterior: PosteriorDraws) -> Specification:
    """The model, whose coding of the data predictions need. Raises FitError where the posterior has none."""
    if posterior.model is None:
        raise FitError(
            "this posterior was read from a file that does not hold the data and their coding",
            found=f"a file of an earlier version, or of a family that is not registered (`{posterior.family}`)",
            expected="the model that it was sampled from",
            hint="hier.load_posterior(path, model=model)",
        )
    return posterior.model


def values_by_rows(
    posterior: PosteriorDraws, rows: PredictedRows, data: Any, asked: Prediction
) -> Callable[[slice], np.ndarray]:
    """What makes draws (S, m), or (S, m, K) of probabilities, of some rows."""
    model, cutpoints = model_of(posterior), cutpoints_of(posterior)
    own = unseen(posterior, asked.seed) if rows.is_new.any() else None
    if asked.new_levels == "sample":
        rows = rows._replace(deviations=own)
    averages = own if asked.new_levels == "integrate" else None
    if asked.kind == "response":
        trials = trials_of(model.design, data, len(rows.X))
        generator = np.random.default_rng(asked.seed)

        def drawn(some: slice) -> np.ndarray:
            found = predictors(posterior, rows, some)
            if averages is not None:
                found[0] = found[0] + averages.spread(rows, some) * generator.standard_normal(found[0].shape)
            return responses(model, cutpoints, found, trials[some], generator)

        return drawn
    of = function_of_draws(model, asked.kind)
    if asked.kind == "link" or model.mean_is_predictor:
        return lambda some: linear_predictor(posterior, rows, some)

    def expected(some: slice) -> np.ndarray:
        found = predictors(posterior, rows, some)
        values = of(cutpoints, found)
        if averages is not None:
            _average_new(values, found, averages, rows, some, lambda these: of(cutpoints, these))
        return values

    return expected


def _average_new(
    values: np.ndarray,
    found: list[np.ndarray],
    averages: Unseen,
    rows: PredictedRows,
    some: slice,
    of: Callable[[list[np.ndarray]], np.ndarray],
) -> None:
    """Put averages over the deviations of new levels in the place of the values of rows that have such levels."""
    at = np.flatnonzero(rows.is_new[some])
    if not len(at):
        return
    spread = averages.spread(rows, some)[:, at]
    first, *others = (own[:, at] for own in found)
    values[:, at] = averaged(lambda more: of([first + more, *others]), spread)


def linear_predictor(posterior: PosteriorDraws, rows: PredictedRows, some: slice) -> np.ndarray:
    """Draws (S, m) of the linear predictor of the mean in some rows, the draws of a row side by side in memory. Levels
    that the fit has not seen have deviations of zero, unless `rows` has draws of them.
    """
    beta = posterior.beta.reshape(posterior.settings.chains * posterior.settings.draws, -1)
    found = rows.X[some] @ beta.T + (0.0 if rows.offset is None else rows.offset[some, None])
    for place, (group, own, kept) in enumerate(zip(posterior.groups, rows.effects, rows.included, strict=True)):
        if not kept.any():
            continue
        Z, new = own.Z[some], np.flatnonzero(rows.new[place][some] >= 0)
        levels, at = np.unique(np.maximum(own.codes[some], 0), return_inverse=True)
        deviations = posterior.draws[group.variables.b].reshape(len(beta), group.n_levels, -1)
        drawn = None if rows.deviations is None or not len(new) else rows.deviations(place, rows.new[place][some][new])
        for k in np.flatnonzero(kept):
            z = np.where(own.codes[some] >= 0, Z[:, k], 0.0)
            found += z[:, None] * np.ascontiguousarray(deviations[:, levels, k].T)[at]
            if drawn is not None:
                found[new] += Z[new, k, None] * drawn[:, k]
    return found.T


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


def _summed_up(draws: np.ndarray, asked: Prediction) -> np.ndarray:
    """Of each row the mean, sd and quantiles (m, 4) of the draws (S, m), of probabilities the means (m, K)."""
    if asked.kind == "probabilities":
        return draws.mean(axis=0)
    own = np.ascontiguousarray(draws.T)  # as they mostly are already
    ends = np.quantile(own, [0.5 - 0.5 * asked.level, 0.5 + 0.5 * asked.level], axis=1)
    return np.column_stack([own.mean(axis=1), own.std(axis=1, ddof=1), *ends])
