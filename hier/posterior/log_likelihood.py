"""The log-likelihood of every row for every draw, and of linear predictors that are like those of draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hier.estimate.predicted_rows import PredictedRows, rows_of
from hier.kernel.laplace.likelihood import of_draws
from hier.kernel.laplace.log_densities import Observed
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.prediction import cutpoints_of, in_blocks, model_of, predictors
from hier.settings import refuse_beyond_memory

LESS = "sample fewer draws"


def log_likelihood(posterior: PosteriorDraws) -> np.ndarray:
    """The log density (S, n) of each row's response given the parameters and deviations of each draw, with every
    constant; times the row's weight where weights are not precisions.

    Raises FitError for a posterior without its model, and for more numbers than there is memory for.
    """
    rows = rows_of_fit(posterior)
    n, n_draws = len(rows.X), posterior.settings.chains * posterior.settings.draws
    refuse_beyond_memory(f"the log-likelihood of {n_draws} draws of {n} rows", float(n_draws) * n, LESS)
    found = np.empty((n_draws, n))
    for some in in_blocks(posterior, n):
        found[:, some] = log_density(posterior, predictors(posterior, rows, some), some)
    return found


def rows_of_fit(posterior: PosteriorDraws) -> PredictedRows:
    """The rows that the posterior is of, with all random terms."""
    return rows_of(model_of(posterior).design, None, "all", "error")


def log_density(
    posterior: PosteriorDraws, own: Sequence[np.ndarray], some: Any, draws: slice = slice(None)
) -> np.ndarray:
    """Log densities (S, m) of the responses of some rows at the linear predictors (S, m) of each parameter, of some
    draws of the cutpoints.
    """
    model = model_of(posterior)
    design, likelihood = model.design, model.likelihood
    y = design.y[some].astype(float)
    trials = np.ones(len(y)) if design.trials is None else design.trials[some]

    def density(known: Observed, *parameters: Any) -> Any:
        return likelihood.density(Observed(y, trials, known.cutpoints), *parameters)

    found = of_draws(density, likelihood, cutpoints_of(posterior)[draws], own)
    return found if model.row_weights is None else found * model.row_weights[some]
