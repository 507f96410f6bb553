"""Bayesian R squared: of the draws, and of rows that were left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hier.estimate.predicted_rows import Prediction
from hier.estimate.printing import Table
from hier.posterior.cross_validation import loo
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.prediction import model_of, predict
from hier.settings import PROBABILITY, check

BOOTSTRAPS = 4000


def r2(posterior: PosteriorDraws, level: float) -> pd.DataFrame:
    """What `Posterior.r2` says."""
    level = check("level", level, PROBABILITY)
    observed = model_of(posterior).design.observed
    conditional, marginal = (_means(posterior, random) for random in ("all", "none"))
    found = {
        "conditional": _explained(conditional, observed),
        "marginal": _explained(marginal, observed),
        "loo": _left_out(posterior, conditional, observed),
    }
    tails = [0.5 - 0.5 * level, 0.5 + 0.5 * level]
    rows = [[own.mean(), own.std(ddof=1), *np.quantile(own, tails)] for own in found.values()]
    return Table(rows, index=list(found), columns=["estimate", "std_error", "lower", "upper"])


def _means(posterior: PosteriorDraws, random: Any) -> np.ndarray:
    """Draws (S, n) of the expected responses, as shares where there are trials."""
    found = predict(posterior, None, Prediction(random=random, draws=True))
    return np.asarray(found).reshape(-1, len(posterior.observed))


def _explained(means: np.ndarray, observed: np.ndarray) -> np.ndarray:
    explained, rest = means.var(axis=1), (observed - means).var(axis=1)
    return explained / (explained + rest)


def _left_out(posterior: PosteriorDraws, means: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """R squared (B,) of means that have not seen their rows, rows weighted by Dirichlet weights."""
    log_weights = loo(posterior, integrated=False).arviz.log_weights.transpose("chain", "draw", "obs")
    weights = np.exp(log_weights.to_numpy().reshape(means.shape))
    residuals = observed - (weights * means).sum(axis=0) / weights.sum(axis=0)
    generator = np.random.default_rng(0)

    def of_one(shares: np.ndarray) -> float:
        rest, whole = (own**2 @ shares - (own @ shares) ** 2 for own in (residuals, observed))
        return float(1.0 - rest / whole)

    exponential = (generator.standard_exponential(len(observed)) for _ in range(BOOTSTRAPS))
    return np.array([of_one(own / own.sum()) for own in exponential])
