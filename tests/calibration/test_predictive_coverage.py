"""Predictive intervals for new groups cover as they say: with parameters drawn from the prior and data from the model,
a response of a group that the fit has not seen lies in 50, 80 and 95 percent intervals in so many data sets.
Source: Talts et al. (2018), arXiv:1804.06788; the predictive distribution is a function of the posterior.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy import stats

import hier

J, ROWS = 8, 6
LEVELS = (0.5, 0.8, 0.95)
REPLICATIONS = 500
RARE = 1e-4  # a count so far out in the binomial distribution is no chance


class Case(NamedTuple):
    """A family whose response is continuous, so that intervals can cover exactly, and its further parameter."""

    family: str
    further: str
    prior: dist.Distribution


CASES = {
    "gaussian": Case("gaussian", "sigma", dist.HalfNormal(1.0)),
    "gamma": Case("gamma", "shape", dist.Gamma(6.0, 2.0)),
}
PRIORS = {
    "Intercept": dist.Normal(0.5, 1.0),
    "x": dist.Normal(-0.3, 0.7),
    "sd_g[Intercept]": dist.HalfNormal(0.8),
    "sd_g[x]": dist.HalfNormal(0.5),
    "cor_g": dist.LKJ(2, 2.0),
}


def simulated(case: Case, rng: np.random.Generator) -> pd.DataFrame:
    """J groups and one more, whose rows come last."""
    g = np.repeat(np.arange(J + 1), ROWS)
    x = rng.uniform(-1.0, 1.5, len(g))
    beta = np.array([rng.normal(0.5, 1.0), rng.normal(-0.3, 0.7)])
    sd, cor = np.abs(rng.normal(size=2)) * [0.8, 0.5], 2.0 * rng.beta(2.0, 2.0) - 1.0
    factor = np.diag(sd) @ np.linalg.cholesky(np.array([[1.0, cor], [cor, 1.0]]))
    b = (rng.normal(size=(J + 1, 2)) @ factor.T)[g]
    eta = beta[0] + b[:, 0] + (beta[1] + b[:, 1]) * x
    if case.family == "gaussian":
        y = eta + abs(rng.normal()) * rng.normal(size=len(g))
    else:
        shape = rng.gamma(6.0, 0.5)
        y = np.exp(eta) * rng.gamma(shape, 1.0 / shape, len(g))
    return pd.DataFrame({"g": g, "x": x, "y": y})


@functools.cache
def covered(name: str) -> dict[tuple[str, float], int]:
    """How often the first response of the new group lay in each interval, with its deviations drawn and integrated."""
    case, rng = CASES[name], np.random.default_rng(8)
    counts = dict.fromkeys([(how, level) for how in ("sample", "integrate") for level in LEVELS], 0)
    for k in range(REPLICATIONS):
        table = simulated(case, rng)
        seen, new = table[table["g"] < J], table[table["g"] == J].head(1)
        model = hier.Model(
            "y ~ x + (x | g)", seen, family=case.family, priors=PRIORS | {case.further: case.prior}, centred=False
        )
        posterior = model.sample(draws=250, warmup=200, seed=k, progress=False)
        for how in ("sample", "integrate"):
            drawn = posterior.predict(new, kind="response", new_levels=how, draws=True, seed=k).to_numpy().ravel()
            place = np.mean(drawn < new["y"].to_numpy()[0])
            for level in LEVELS:
                counts[how, level] += abs(2.0 * place - 1.0) < level
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("how", ["sample", "integrate"])
@pytest.mark.parametrize("name", CASES)
def test_intervals_for_new_groups_cover_as_they_say(name, how):
    counts = covered(name)
    for level in LEVELS:
        found = counts[how, level]
        assert stats.binomtest(found, REPLICATIONS, level).pvalue > RARE, f"{found} of {REPLICATIONS} at {level}"
