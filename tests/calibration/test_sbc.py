"""Simulation-based calibration of a model with correlated random slopes, and of one with two crossed factors: with
parameters drawn from the prior and data from the model, the rank of the truth among posterior draws is uniform.
Source: Talts et al. (2018), arXiv:1804.06788."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy import stats

import hier
from hier.kernel.programs.precision import float64
from hier.model.density import Density
from hier.model.problem import Problem, posterior_problem
from hier.posterior.draws import Draws, draw_given
from hier.posterior.nuts import program
from hier.posterior.trajectory import Adaptation, chains_at
from hier.posterior.whitening import Whitening, laplace

J, ROWS = 8, 6
H = 5  # levels of the second factor
WARMUP, THIN = 150, 4


class Case(NamedTuple):
    """A model: `simulate` gives a data set and its true parameters, `columns` the same parameters of draws."""

    formula: str
    priors: dict[str, dist.Distribution]
    names: list[str]
    simulate: Callable[[np.random.Generator], tuple[pd.DataFrame, np.ndarray]]
    columns: Callable[[Draws], jax.Array]


def simulate_slopes(rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Parameters: beta, sds, correlation, sigma, and the deviations of two groups."""
    g = np.repeat(np.arange(J), ROWS)
    x = np.linspace(-1.0, 2.0, J * ROWS)[rng.permutation(J * ROWS)]
    beta = np.array([rng.normal(1.0, 1.5), rng.normal(-0.5, 1.0)])
    sd = np.abs(rng.normal(size=2)) * [1.0, 0.7]
    cor = 2.0 * rng.beta(2.0, 2.0) - 1.0  # LKJ(2) of a 2 x 2 matrix
    sigma = abs(rng.normal())
    factor = np.diag(sd) @ np.linalg.cholesky(np.array([[1.0, cor], [cor, 1.0]]))
    b = rng.normal(size=(J, 2)) @ factor.T
    y = beta[0] + b[g, 0] + (beta[1] + b[g, 1]) * x + sigma * rng.normal(size=J * ROWS)
    return pd.DataFrame({"g": g, "x": x, "y": y}), np.array([*beta, *sd, cor, sigma, *b[0], *b[J - 1]])


def simulate_crossed(rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Parameters: the intercept, both sds, sigma, and the deviations of two levels of each factor."""
    places = np.random.default_rng(0)  # where the rows are, the same in every data set; some levels never meet
    g, h = np.repeat(np.arange(J), ROWS), places.integers(0, H, J * ROWS)
    intercept, (sd_g, sd_h, sigma) = rng.normal(1.0, 1.5), np.abs(rng.normal(size=3)) * [1.0, 1.5, 1.0]
    b, c = sd_g * rng.normal(size=J), sd_h * rng.normal(size=H)
    y = intercept + b[g] + c[h] + sigma * rng.normal(size=J * ROWS)
    return pd.DataFrame({"g": g, "h": h, "y": y}), np.array([intercept, sd_g, sd_h, sigma, b[0], b[-1], c[0], c[-1]])


SLOPES = Case(
    formula="y ~ x + (x | g)",
    priors={
        "Intercept": dist.Normal(1.0, 1.5),
        "x": dist.Normal(-0.5, 1.0),
        "sd_g[Intercept]": dist.HalfNormal(1.0),
        "sd_g[x]": dist.HalfNormal(0.7),
        "cor_g": dist.LKJ(2, 2.0),
        "sigma": dist.HalfNormal(1.0),
    },
    names=["Intercept", "x", "sd Intercept", "sd x", "cor", "sigma", "b0 first", "b1 first", "b0 last", "b1 last"],
    simulate=simulate_slopes,
    columns=lambda d: jnp.column_stack(
        [d.beta, d.sd[0], d.cor[0][:, 0], d.sigma, d.b[0][:, 0], d.b[0][:, J - 1]],
    ),
)
CROSSED = Case(
    formula="y ~ 1 + (1 | g) + (1 | h)",
    priors={
        "Intercept": dist.Normal(1.0, 1.5),
        "sd_g": dist.HalfNormal(1.0),
        "sd_h": dist.HalfNormal(1.5),
        "sigma": dist.HalfNormal(1.0),
    },
    names=["Intercept", "sd g", "sd h", "sigma", "b first", "b last", "c first", "c last"],
    simulate=simulate_crossed,
    columns=lambda d: jnp.column_stack(
        [d.beta, *d.sd, d.sigma, d.b[0][:, 0], d.b[0][:, J - 1], d.b[1][:, 0], d.b[1][:, H - 1]]
    ),
)


@float64
def posterior_ranks(case: Case, seed: int, replications: int, kept: int) -> np.ndarray:
    """Ranks (replications, parameters) of the truths among `kept` thinned draws; all replications as one program."""
    rng = np.random.default_rng(seed)
    problems, truths = [], []
    for _ in range(replications):
        frame, truth = case.simulate(rng)
        model = hier.Model(case.formula, frame, priors=case.priors, centred=False)
        problems.append(posterior_problem(model))
        truths.append(truth)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *problems)
    density = Density(model.terms, n_held=0, with_volume=True)
    size, n = density.size, WARMUP + kept * THIN
    adaptation = Adaptation(np.int64(WARMUP), np.float64(0.9), np.int64(10), np.float64(size**-0.25))
    begin = chains_at(np.zeros((1, size)), np.zeros(1, np.uint64), adaptation.first_step)

    def one(problem: Problem, key: jax.Array) -> jax.Array:
        z_key, seed_key, momenta_key, draw_key = jax.random.split(key, 4)
        whitening = Whitening(*laplace(density).function(problem))
        point = begin.point._replace(z=jax.random.normal(z_key, (1, size)))
        chains = begin._replace(point=point, seed=jax.random.bits(seed_key, (1,), jnp.uint64))
        momenta = jax.random.normal(momenta_key, (1, n + 1, size))
        trace, *_ = program(density).function(chains, momenta, np.array([n]), adaptation, problem, whitening)
        x = whitening.apply(trace[0, WARMUP:n:THIN, :size])
        keys = jax.random.split(draw_key, kept)
        return case.columns(jax.vmap(lambda x, key: draw_given(x, key, problem, density))(x, keys))

    draws = jax.jit(jax.vmap(one))(stacked, jax.random.split(jax.random.key(seed), replications))
    return (np.asarray(draws) < np.stack(truths)[:, None, :]).sum(axis=1)


def assert_uniform(ranks: np.ndarray, names: list[str], kept: int) -> None:
    """Chi-squared over 10 bins and Kolmogorov-Smirnov, each parameter; 1 in 10,000 for any of them by chance."""
    for name, column in zip(names, ranks.T, strict=True):
        counts, _ = np.histogram(column, bins=np.linspace(-0.5, kept + 0.5, 11))
        assert stats.chisquare(counts).pvalue > 1e-5, (name, counts)
        assert stats.kstest((column + 0.5) / (kept + 1), "uniform").pvalue > 1e-5, (name, counts)


@pytest.mark.parametrize("case", [SLOPES, pytest.param(CROSSED, marks=pytest.mark.slow)], ids=["slopes", "crossed"])
def test_ranks_are_uniform(case):
    assert_uniform(posterior_ranks(case, seed=1, replications=200, kept=99), case.names, kept=99)


@pytest.mark.slow
@pytest.mark.parametrize("case", [SLOPES, CROSSED], ids=["slopes", "crossed"])
def test_ranks_are_uniform_in_a_thousand_replications(case):
    assert_uniform(posterior_ranks(case, seed=2, replications=1000, kept=99), case.names, kept=99)


def test_the_check_finds_a_posterior_that_is_too_narrow():
    rng = np.random.default_rng(0)
    names = CROSSED.names
    truth = rng.normal(size=(200, len(names)))
    draws = 0.6 * rng.normal(size=(200, 99, len(names))) + 0.8 * rng.normal(size=(200, 1, len(names)))
    with pytest.raises(AssertionError):
        assert_uniform((draws < truth[:, None]).sum(axis=1), names, kept=99)
