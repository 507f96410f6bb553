"""Draws of predictions by an estimate: from the Normal distribution of its errors about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hier.design import Design, coordinate
from hier.estimate.drawn_rows import function_of_draws, responses, trials_of
from hier.estimate.fitted import Fitted
from hier.estimate.linear_predictors import drawn_predictors, new_spread
from hier.estimate.predicted_rows import PredictedRows, Prediction
from hier.kernel.laplace.averages import averaged
from hier.settings import refuse_beyond_memory

if TYPE_CHECKING:
    import xarray as xr

DRAWS = 1000


def drawn_table(estimate: Fitted, rows: PredictedRows, data: Any, asked: Prediction) -> xr.DataArray:
    """Draws of what `asked` says, one chain: the variance parameters stay as they are estimated."""
    model, n = estimate.model, len(rows.X)
    refuse_beyond_memory(f"{DRAWS} draws of {n} rows", 3.0 * DRAWS * n, "draws=False")
    generator = np.random.default_rng(asked.seed)
    integrated = asked.new_levels == "integrate" and asked.kind != "response"
    eta = drawn_predictors(estimate, rows, DRAWS, generator, with_new=not integrated)
    predictors = further_predictors(estimate, rows, eta, slice(None))
    cutpoints = cutpoints_of_draws(estimate, DRAWS)
    if asked.kind == "response":
        values = responses(model, cutpoints, predictors, trials_of(model.design, data, n), generator)
    else:
        of = function_of_draws(model, asked.kind)
        spread = estimate.size * new_spread(estimate, rows)
        if integrated and spread.any():
            values = averaged(lambda more: of(cutpoints, [eta + more, *predictors[1:]]), spread)
        else:
            values = of(cutpoints, predictors)
    return by_draw_and_row(values[None], model.design, rows.index)


def further_predictors(estimate: Fitted, rows: PredictedRows, eta: np.ndarray, some: slice) -> list[np.ndarray]:
    """The linear predictors (S, m) of all parameters of some rows, those of the mean being `eta`."""
    others = [own.predictor(values, some) for own, values in zip(rows.parameters, estimate.others, strict=True)]
    return [eta, *(np.broadcast_to(own, eta.shape) for own in others)]


def cutpoints_of_draws(estimate: Fitted, n: int) -> np.ndarray:
    """The cutpoints (n, K - 1) of an ordered response, the same in every draw; (n, 0) of any other."""
    return np.broadcast_to(estimate.further.cutpoints, (n, len(estimate.further.cutpoints)))


def by_draw_and_row(values: np.ndarray, design: Design, index: pd.Index) -> xr.DataArray:
    """Values (chains, draws, n), or of categories (chains, draws, n, K), with their labels."""
    import xarray as xr

    coords: dict[str, Any] = {"chain": np.arange(values.shape[0]), "draw": np.arange(values.shape[1])}
    dims, coords = ["chain", "draw", "obs"], {**coords, "obs": coordinate(index)}
    if values.ndim == 4:
        assert design.categories is not None
        dims, coords = [*dims, "category"], {**coords, "category": coordinate(design.categories)}
    return xr.DataArray(values, coords=coords, dims=dims, name=design.response)
