"""Simulated responses from a fit: new group deviations and residuals, or new residuals alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hier.settings import COUNT, SEED, TRUTH, check, refuse_beyond_memory

if TYPE_CHECKING:
    from hier.estimate.result import Estimate


def simulate(estimate: Estimate, n: int, seed: int, conditional: bool) -> pd.DataFrame:
    """What `Estimate.simulate` says."""
    values = simulate_responses(estimate, n, seed, conditional)
    names = [f"sim_{k}" for k in range(1, values.shape[1] + 1)]
    return pd.DataFrame(values, index=estimate.model.design.index, columns=names)


def simulate_responses(estimate: Estimate, n: int, seed: int, conditional: bool = False) -> np.ndarray:
    """Simulated responses as an array (rows, n).

    The deviations of each factor are drawn in the model's order, then the residuals.
    """
    n, seed = check_simulation(estimate, n, seed)
    conditional = check("conditional", conditional, TRUTH)
    design, rng = estimate.model.design, np.random.default_rng(seed)
    mean = design.X @ estimate.arrays.beta + (0.0 if design.offset is None else design.offset)
    if conditional:
        mean = estimate.fitted.to_numpy()
    values = np.broadcast_to(mean[:, None], (design.nobs, n)).copy()
    if not conditional:
        values += simulated_deviations(estimate, n, rng)
    sd = estimate.sigma if design.weights is None else estimate.sigma / np.sqrt(design.weights)[:, None]
    values += sd * rng.standard_normal(values.shape)
    return values


def check_simulation(estimate: Estimate, n: int, seed: int) -> tuple[int, int]:
    """The number of simulated responses and the seed. Raises FitError for what cannot be these, and for more responses
    than there is memory for.
    """
    n, seed = check("n", n, COUNT), check("seed", seed, SEED)
    rows = estimate.model.design.nobs
    refuse_beyond_memory(f"{n} simulated responses of {rows} rows", 2.0 * n * rows, "simulate fewer at a time")
    return n, seed


def simulated_deviations(estimate: Estimate, n: int, rng: np.random.Generator) -> np.ndarray:
    """What new deviations of every group add to each row's linear predictor: (rows, n)."""
    values = np.zeros((estimate.model.design.nobs, n))
    for random, own in zip(estimate.model.design.random_effects, estimate.arrays.terms, strict=True):
        spherical = rng.standard_normal((len(random.names), random.n_levels, n))
        deviations = np.einsum("ab,bjn->ajn", own.factor, spherical)
        for column, part in zip(random.Z.T, deviations, strict=True):
            values += column[:, None] * part[random.codes]
    return values
