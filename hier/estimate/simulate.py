"""Simulated responses from a fit: new group deviations and residuals, or new residuals alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate.fitted import Fitted
from hier.kernel.laplace.likelihood import draw_rows
from hier.kernel.laplace.log_densities import Observed
from hier.settings import COUNT, SEED, TRUTH, check, refuse_beyond_memory


def simulate(estimate: Fitted, n: int, seed: int, conditional: bool) -> pd.DataFrame:
    """What `Estimate.simulate` says."""
    design = estimate.model.design
    columns = simulate_responses(estimate, n, seed, conditional=conditional)
    written = {f"sim_{k}": design.as_written(column) for k, column in enumerate(columns.T, 1)}
    return pd.DataFrame(written, index=design.index)


def simulate_responses(estimate: Fitted, n: int, seed: int, *, conditional: bool = False) -> np.ndarray:
    """Simulated responses as the model has them (rows, n): the deviations of each factor are drawn in the model's
    order, then the responses.
    """
    n, seed = check_simulation(estimate, n, seed)
    conditional = check("conditional", conditional, TRUTH)
    respond = _normal_responses if estimate.model.is_linear_normal else _responses_of_family
    if respond is _responses_of_family and estimate.model.family.draw is None:
        raise FitError(
            f"the family `{estimate.model.family.name}` does not say how responses are drawn",
            hint="register it with a function `draw`",
        )
    design, rng = estimate.model.design, np.random.default_rng(seed)
    if conditional:
        eta = np.broadcast_to(estimate.eta[:, None], (design.nobs, n)).copy()
    else:
        fixed = design.X @ estimate.arrays.beta + (0.0 if design.offset is None else design.offset)
        eta = fixed[:, None] + simulated_deviations(estimate, n, rng)
    return respond(estimate, eta, rng)


def _normal_responses(estimate: Fitted, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    weights = estimate.model.design.weights
    sd = estimate.sigma if weights is None else estimate.sigma / np.sqrt(weights)[:, None]
    return eta + sd * rng.standard_normal(eta.shape)


def _responses_of_family(estimate: Fitted, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    model, design = estimate.model, estimate.model.design
    assert model.family.draw is not None
    trials = np.ones(design.nobs) if design.trials is None else design.trials
    observed = Observed(design.y, trials, estimate.further.cutpoints)
    others, bits = estimate.predictors()[1:], rng.integers(0, 2**31 - 1, eta.shape[1])
    drawn = [
        draw_rows(model.family.draw, model.likelihood, observed, [column, *others], int(own))
        for column, own in zip(eta.T, bits, strict=True)
    ]
    return np.column_stack(drawn)


def check_simulation(estimate: Fitted, n: int, seed: int) -> tuple[int, int]:
    """The number of simulated responses and the seed. Raises FitError for what cannot be these, and for more responses
    than there is memory for.
    """
    n, seed = check("n", n, COUNT), check("seed", seed, SEED)
    rows = estimate.model.design.nobs
    refuse_beyond_memory(f"{n} simulated responses of {rows} rows", 2.0 * n * rows, "simulate fewer at a time")
    return n, seed


def simulated_deviations(estimate: Fitted, n: int, rng: np.random.Generator) -> np.ndarray:
    """What new deviations of every group add to each row's linear predictor: (rows, n)."""
    values = np.zeros((estimate.model.design.nobs, n))
    for random, own in zip(estimate.model.design.random_effects, estimate.arrays.terms, strict=True):
        spherical = rng.standard_normal((len(random.names), random.n_levels, n))
        deviations = np.einsum("ab,bjn->ajn", own.factor, spherical)
        for column, part in zip(random.Z.T, deviations, strict=True):
            values += column[:, None] * part[random.codes]
    return values
