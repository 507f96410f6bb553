"""Randomised quantile residuals: where each response stands among responses that the model draws."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hier.estimate.fitted import Fitted
from hier.estimate.simulate import simulate_responses


def quantile_residuals(estimate: Fitted, n: int, conditional: bool, seed: int) -> pd.Series:
    """What `Estimate.quantile_residuals` says."""
    design = estimate.model.design
    simulated = simulate_responses(estimate, n, seed, conditional=conditional).T
    return residuals_among(simulated, design.y, design.index, seed)


def residuals_among(
    simulated: np.ndarray,
    y: np.ndarray,
    index: pd.Index | np.ndarray,
    seed: int,
    weights: np.ndarray | float = 1.0,
) -> pd.Series:
    """The share of simulated responses (S, n) that lie below each observed one (n,), and a random share of those that
    equal it: uniform where the observed ones come from the same distribution. `weights` (S, n): of the simulated ones.

    The observed response counts as one of its equals, so that no residual is 0 or 1. Source: Dunn and Smyth (1996), J.
    Comput. Graph. Stat. 5, 236; by simulation as in Hartig's R package DHARMa.
    """
    shares = weights / np.sum(np.broadcast_to(weights, simulated.shape), axis=0) * len(simulated)
    below, equal = (np.sum(shares * own, axis=0) for own in (simulated < y, simulated == y))
    part = np.random.default_rng([seed, 1]).random(len(y))
    return pd.Series((below + part * (equal + 1.0)) / (len(simulated) + 1.0), index=index, name="quantile_residual")
