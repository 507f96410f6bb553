"""One table with a response for every family."""

from __future__ import annotations

import numpy as np
import pandas as pd

LEFT = {
    "gaussian": "y",
    "student": "y",
    "lognormal": "positive",
    "gamma": "positive",
    "inverse_gaussian": "positive",
    "bernoulli": "yes",
    "binomial": "cbind(s, n - s)",
    "beta_binomial": "s | trials(n)",
    "poisson": "count",
    "negbinomial": "count",
    "nbinom1": "count",
    "beta": "share",
    "cumulative": "rating",
    "zero_inflated_poisson": "count",
    "zero_inflated_negbinomial": "count",
    "hurdle_poisson": "count",
    "hurdle_negbinomial": "count",
}


def table(n: int = 48) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    trials = rng.integers(3, 9, n)
    rating = pd.Categorical(rng.choice(["low", "mid", "high"], n), ["low", "mid", "high"], ordered=True)
    return pd.DataFrame(
        {
            "x": 5.0 + 2.0 * rng.normal(size=n),
            "f": np.resize(["a", "b", "c"], n),
            "g": np.resize(np.arange(8), n),
            "h": np.resize(np.arange(5), n),
            "w": rng.integers(1, 5, n),
            "e": rng.uniform(1.0, 3.0, n),
            "y": 10.0 + 3.0 * rng.normal(size=n),
            "positive": rng.gamma(3.0, 2.0, n),
            "share": rng.beta(2.0, 3.0, n),
            "count": rng.poisson(2.0, n),
            "yes": np.where(rng.random(n) < 0.4, "yes", "no"),
            "rating": rating,
            "s": rng.binomial(trials, 0.4),
            "n": trials,
        }
    )
