"""Given the variance parameters all else is Normal: draws and density against that Normal distribution, written out."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
import scipy.linalg

import hier
from hier.kernel.covariance.unconstrained import correlated_factor
from hier.kernel.programs.precision import float64
from hier.model.density import Density
from hier.model.problem import Problem, posterior_problem
from hier.posterior.draws import draw_all
from tests.reference import dense

DRAWS = 20_000
FORMULAS = {"crossed": "y ~ x + (x | g) + (1 | h)", "nested": "y ~ x + (1 | h/g) + (0 + x | h)"}
BETA = {"Intercept": dist.Normal(1.0, 3.0), "x": dist.Normal(0.2, 1.0)}


def table() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    g, h, x = rng.integers(0, 6, 60), rng.integers(0, 3, 60), rng.normal(size=60)
    y = 1.0 + rng.normal(size=6)[g] + 2.0 * rng.normal(size=3)[h] + 0.5 * x + rng.normal(size=60)
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": h, "w": rng.uniform(0.5, 2.0, 60), "o": rng.normal(size=60)})


@pytest.fixture(params=FORMULAS)
def model(request) -> hier.Model:
    return hier.Model(FORMULAS[request.param], table(), weights="w", offset="o", priors=BETA)


@float64
def at(model: hier.Model, seed: int) -> tuple[np.ndarray, Problem, Density, dict, float]:
    """A point x, with its covariance matrices and sigma by name, and -2 log density there."""
    problem = posterior_problem(model)
    density = Density(model.terms, 0, with_volume=True)
    x = np.asarray(density.start(problem)) + 0.4 * np.random.default_rng(seed).normal(size=density.size)
    found, volume = density.constrain(x, problem)
    spreads = {}
    for place, k in enumerate(model.structure.order):
        random = model.design.random_effects[k]
        anchored = np.asarray(correlated_factor(found.sd[place], found.cor[place], random.blocks))
        factor = model.priors.groups[k].to_user @ anchored
        spreads[random.group] = factor @ factor.T
    log_prior = float(density.log_prior(found, problem) + volume)
    value = float(density.neg2_log_density(x, problem)) + 2.0 * log_prior
    return x, problem, density, spreads | {"sigma": float(found.sigma)}, value


def joint(model: hier.Model, spreads: dict) -> tuple[np.ndarray, np.ndarray]:
    """Mean and precision of all fixed effects and deviations, the factors in the design's order."""
    design = model.design
    terms = [dense.full_Z(random.Z, random.codes, random.n_levels) for random in design.random_effects]
    columns = np.column_stack([design.X, *terms])
    covariances = [np.kron(np.eye(random.n_levels), spreads[random.group]) for random in design.random_effects]
    prior = scipy.linalg.block_diag(np.diag([1 / 3.0**2, 1.0]), *map(np.linalg.inv, covariances))
    weights = design.weights / spreads["sigma"] ** 2
    precision = (columns.T * weights) @ columns + prior
    prior_mean = np.append([1.0, 0.2], np.zeros(len(prior) - 2))
    right = columns.T @ (weights * (design.y - design.offset)) + prior @ prior_mean
    return np.linalg.solve(precision, right), precision


def test_draws_have_the_mean_and_covariance_of_the_joint_normal(model):
    x, problem, density, spreads, _ = at(model, seed=1)
    order = model.structure.order
    n_levels = [model.design.random_effects[k].n_levels for k in order]
    drawn = draw_all(np.tile(x, (4, DRAWS // 4, 1)), problem, density, n_levels, seed=2)
    parts = [drawn.beta, *(drawn.b[order.index(k)] for k in range(len(order)))]
    draws = np.concatenate([part.reshape(DRAWS, -1) for part in parts], axis=1)
    mean, precision = joint(model, spreads)
    standard = (draws - mean) @ np.linalg.cholesky(precision)
    assert np.abs(standard.mean(axis=0)).max() < 4.5 / np.sqrt(DRAWS)
    spread = standard.T @ standard / DRAWS - np.eye(len(mean))
    assert np.abs(spread).max() < 5.0 * np.sqrt(2.0 / DRAWS)  # a squared standard Normal variable has variance 2


def test_density_is_that_of_the_response_with_all_else_integrated_out(model):
    design = model.design
    values, expected = [], []
    for seed in (3, 4, 5):
        *_, spreads, value = at(model, seed)
        sigma = spreads["sigma"]
        terms = [(random.Z, random.codes, random.n_levels) for random in design.random_effects]
        factors = [np.linalg.cholesky(spreads[random.group]) / sigma for random in design.random_effects]
        V = dense.covariance(terms, factors, sigma, design.weights)
        prior = np.diag([3.0**2, 1.0])
        expected.append(dense.neg2_log_evidence(design.y - design.offset, design.X, V, np.array([1.0, 0.2]), prior))
        values.append(value)
    np.testing.assert_allclose(np.diff(values), np.diff(expected), rtol=1e-9, atol=1e-8)
