"""Simulated responses from a fit: new group deviations and residuals, or new residuals alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hier.errors import FitError

if TYPE_CHECKING:
    from hier.estimate.result import Estimate


def simulate(estimate: Estimate, n: int, seed: int, conditional: bool) -> pd.DataFrame:
    """What `Estimate.simulate` says."""
    values = simulate_responses(estimate, n, seed, conditional)
    return pd.DataFrame(values, index=estimate.model.design.index, columns=[f"sim_{k}" for k in range(1, n + 1)])


def simulate_responses(estimate: Estimate, n: int, seed: int, conditional: bool = False) -> np.ndarray:
    """Simulated responses as an array (rows, n).

    The deviations of each factor are drawn in the model's order, then the residuals.
    """
    check_count(n)
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


def check_count(n: int) -> None:
    """Raise FitError unless this is a number of simulations."""
    if not (isinstance(n, int | np.integer) and n >= 1):
        raise FitError("`n` is the number of simulated responses", found=repr(n), expected="a whole number from 1 up")


def simulated_deviations(estimate: Estimate, n: int, rng: np.random.Generator) -> np.ndarray:
    """What new deviations of every group add to each row's linear predictor: (rows, n)."""
    values = np.zeros((estimate.model.design.nobs, n))
    for random, own in zip(estimate.model.design.random_effects, estimate.arrays.terms, strict=True):
        spherical = rng.standard_normal((len(random.names), random.n_levels, n))
        deviations = np.einsum("ab,bjn->ajn", own.factor, spherical)
        for column, part in zip(random.Z.T, deviations, strict=True):
            values += column[:, None] * part[random.codes]
    return values
