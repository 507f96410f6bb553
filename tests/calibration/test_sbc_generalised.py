"""Simulation-based calibration of models that are not Normal, through `Model.sample()` itself: with parameters drawn
from the prior and data from the model, the rank of the truth among posterior draws is uniform.
Source: Talts et al. (2018), arXiv:1804.06788."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import hier
from tests.calibration.test_sbc import assert_uniform

J, ROWS, H = 8, 6, 5
N = J * ROWS
G = np.repeat(np.arange(J), ROWS)
CROSSING = np.random.default_rng(0).integers(0, H, N)  # where the rows are, the same in every data set
X = np.linspace(-1.0, 1.5, N)[np.random.default_rng(1).permutation(N)]
WARMUP, THIN, KEPT = 200, 3, 79
SEED = 1

SLOPE, SD = dist.Normal(-0.3, 0.7), dist.HalfNormal(0.8)


class Truth(NamedTuple):
    """A data set and the parameters that it was drawn with, by variable of the posterior."""

    y: np.ndarray
    parameters: dict[str, np.ndarray]


class Case(NamedTuple):
    """A model, and how its data come about from the priors; data with fewer than `n_values` values are drawn again."""

    formula: str
    family: str
    priors: dict[str, dist.Distribution]
    simulate: Callable[[np.random.Generator], Truth]
    n_values: int = 2

    def drawn(self, rng: np.random.Generator) -> Truth:
        """What is refused, or makes another model, is drawn again: a rule that looks at the response alone leaves the
        posterior of all others as it is.
        """
        while True:
            truth = self.simulate(rng)
            if len(np.unique(truth.y)) >= self.n_values:
                return truth


def predictor(rng: np.random.Generator, intercept: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The linear predictor without its intercept, and what it is made of."""
    slope, sd = rng.normal(-0.3, 0.7), 0.8 * abs(rng.normal())
    b = sd * rng.normal(size=J)
    return intercept + slope * X + b[G], {"beta": np.array([intercept, slope]), "sd_g": np.array([sd]), "b_g": b}


def bernoulli(rng: np.random.Generator) -> Truth:
    eta, truth = predictor(rng, rng.normal(0.3, 1.0))
    return Truth((rng.random(N) < 1.0 / (1.0 + np.exp(-eta))).astype(int), truth)


def poisson(rng: np.random.Generator) -> Truth:
    eta, truth = predictor(rng, rng.normal(0.3, 1.0))
    return Truth(rng.poisson(np.exp(eta)), truth)


def negbinomial(rng: np.random.Generator) -> Truth:
    eta, truth = predictor(rng, rng.normal(0.3, 1.0))
    shape = rng.gamma(3.0, 1.0 / 1.5)
    return Truth(rng.poisson(np.exp(eta) * rng.gamma(shape, 1.0 / shape, N)), truth | {"shape": np.array([shape])})


def cumulative(rng: np.random.Generator) -> Truth:
    """Cutpoints that do not ascend are drawn again, as their prior says."""
    cutpoints = np.zeros(2)
    while cutpoints[0] >= cutpoints[1]:
        cutpoints = np.array([rng.normal(-0.7, 1.0), rng.normal(0.7, 1.0)])
    eta, truth = predictor(rng, 0.0)
    latent = eta + rng.logistic(size=N)
    y = (latent[:, None] > cutpoints).sum(axis=1)
    return Truth(y, truth | {"beta": truth["beta"][1:], "cutpoints": cutpoints})


def crossed(rng: np.random.Generator) -> Truth:
    eta, truth = predictor(rng, rng.normal(0.3, 1.0))
    sd = 1.2 * abs(rng.normal())
    c = sd * rng.normal(size=H)
    y = (rng.random(N) < 1.0 / (1.0 + np.exp(-eta - c[CROSSING]))).astype(int)
    return Truth(y, truth | {"sd_h": np.array([sd]), "b_h": c})


GIVEN = {"Intercept": dist.Normal(0.3, 1.0), "x": SLOPE, "sd_g": SD}
CUTPOINTS = {"Intercept[1]": dist.Normal(-0.7, 1.0), "Intercept[2]": dist.Normal(0.7, 1.0)}
ONE = "y ~ x + (1 | g)"
CASES = {
    "bernoulli": Case(ONE, "bernoulli", GIVEN, bernoulli),
    "poisson": Case(ONE, "poisson", GIVEN, poisson),
    "negbinomial": Case(ONE, "negbinomial", GIVEN | {"shape": dist.Gamma(3.0, 1.5)}, negbinomial),
    "cumulative": Case(ONE, "cumulative", {"x": SLOPE, "sd_g": SD} | CUTPOINTS, cumulative, n_values=3),
    "crossed": Case(f"{ONE} + (1 | h)", "bernoulli", GIVEN | {"sd_h": dist.HalfNormal(1.2)}, crossed),
}


class Calibration(NamedTuple):
    """`truths` (R, m) and `draws` (R, KEPT, m) of R data sets, and the parameters' names."""

    truths: np.ndarray
    draws: np.ndarray
    names: list[str]

    def ranks(self) -> np.ndarray:
        return (self.draws < self.truths[:, None]).sum(axis=1)

    def narrowed(self, factor: float) -> Calibration:
        """As if the posteriors had been so much narrower."""
        means = self.draws.mean(axis=1, keepdims=True)
        return self._replace(draws=means + factor * (self.draws - means))


@functools.cache
def calibration(name: str, seed: int, replications: int) -> Calibration:
    """All data sets have equal shapes, so that the sampler is compiled once."""
    case, rng = CASES[name], np.random.default_rng(seed)
    truths, draws = [], []
    for k in range(replications):
        truth = case.drawn(rng)
        frame = pd.DataFrame({"y": truth.y, "x": X, "g": G, "h": CROSSING})
        model = hier.Model(case.formula, frame, family=case.family, priors=case.priors)
        post = model.sample(
            chains=1, draws=KEPT * THIN, warmup=WARMUP, seed=seed + k, target_accept=0.9, progress=False
        )
        kept = {key: post.draws[key][0, ::THIN].reshape(KEPT, -1) for key in truth.parameters}
        truths.append(np.concatenate(list(truth.parameters.values())))
        draws.append(np.concatenate(list(kept.values()), axis=1))
    names = [f"{key} {k}" for key, values in truth.parameters.items() for k in range(len(values))]
    return Calibration(np.stack(truths), np.stack(draws), names)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "poisson" else pytest.mark.slow) for name in CASES]
)
def test_ranks_are_uniform(name):
    found = calibration(name, SEED, 80)
    assert_uniform(found.ranks(), found.names, KEPT)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_ranks_are_uniform_in_five_hundred_replications(name):
    found = calibration(name, SEED + 1000, 500)
    assert_uniform(found.ranks(), found.names, KEPT)


def test_the_check_finds_a_posterior_that_is_too_narrow():
    found = calibration("poisson", SEED, 80)
    with pytest.raises(AssertionError):
        assert_uniform(found.narrowed(0.6).ranks(), found.names, KEPT)
