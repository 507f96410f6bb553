"""The density with some deviations sampled, against dense algebra; its draws against those with none sampled."""

from __future__ import annotations

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import hier
from hier.kernel.covariance.unconstrained import correlated_factor
from hier.kernel.programs.precision import float64
from hier.model.density import Density
from hier.model.problem import posterior_problem
from hier.posterior.partial import partial_density, place, unplaced
from tests.posterior.test_agreement import HALF_NORMAL, assert_same_distribution, long_run, two_factors
from tests.reference import dense

BETA = {"Intercept": dist.Normal(1.0, 3.0), "x": dist.Normal(0.2, 1.0)}
FORMULA = "y ~ x + (x | g) + (x | h) + (1 | k)"


def table() -> pd.DataFrame:
    """Three crossed factors, of nine, four and three levels, with weights and an offset."""
    rng = np.random.default_rng(8)
    g, h, k, x = rng.integers(0, 9, 90), rng.integers(0, 4, 90), rng.integers(0, 3, 90), rng.normal(size=90)
    y = 1.0 + rng.normal(size=9)[g] + 1.5 * rng.normal(size=4)[h] + (0.5 + 0.4 * h) * x + rng.normal(size=90)
    w, o = rng.uniform(0.5, 2.0, 90), rng.normal(size=90)
    return pd.DataFrame({"y": y + o, "x": x, "g": g, "h": h, "k": k, "w": w, "o": o})


@float64
@pytest.mark.parametrize("x_prior", [BETA["x"], pytest.param(dist.StudentT(3.0, 0.2, 1.0), marks=pytest.mark.slow)])
def test_density_is_that_of_the_response_and_the_sampled_deviations(x_prior):
    """With the first factor and the fixed effects integrated out by dense algebra; a prior that is not Normal leaves
    its coefficient among what is sampled.
    """
    model = hier.Model(FORMULA, table(), weights="w", offset="o", priors=BETA | {"x": x_prior})
    design, order = model.design, model.structure.order
    problem = posterior_problem(model)
    n_held = int(not isinstance(x_prior, dist.Normal))
    density = Density(model.terms, n_held, with_volume=True)
    sampled = partial_density(density, problem)
    start = np.asarray(density.start(problem))
    partial = place(unplaced(problem), density, start, problem)
    value = jax.jit(lambda vector: sampled.neg2_log_density(vector, partial))
    first, *others = (design.random_effects[k] for k in order)
    values, expected = [], []
    for seed in range(3):
        vector = 0.4 * np.random.default_rng(seed).normal(size=sampled.size)
        vector[: density.size] += start
        values.append(float(value(vector)))
        parameters, volume = density.constrain(vector[: density.size], problem)
        factors = [
            model.priors.groups[k].to_user @ np.asarray(correlated_factor(sd, cor, design.random_effects[k].blocks))
            for sd, cor, k in zip(parameters.sd, parameters.cor, order, strict=True)
        ]
        sigma = float(parameters.sigma)

        def deviations(z, x=vector[: density.size]):
            moved = jax.jit(lambda both: sampled.at(both, partial)[2])
            return moved(jax.numpy.concatenate([x, z]))

        y, prior = design.y - design.offset, 0.0
        for random, factor, b, columns in zip(
            others, factors[1:], deviations(vector[density.size :]), problem.units.random[1:], strict=True
        ):
            own = columns.deviations(np.asarray(b)[:, : random.n_levels], problem.units.y)
            y = y - np.sum(random.Z * own.T[random.codes], axis=1)
            precision = np.linalg.inv(factor @ factor.T)
            prior += np.einsum("aj,ab,bj->", own, precision, own) - random.n_levels * np.linalg.slogdet(precision)[1]
            filler = np.asarray(b)[:, random.n_levels :]  # levels that are none have a prior too
            kernel = np.linalg.inv(columns.kernel_factor(factor, problem.units.y))
            prior += np.sum((kernel @ filler) ** 2) - 2.0 * filler.shape[1] * np.linalg.slogdet(kernel)[1]
        jacobian = jax.jacrev(lambda z: jax.numpy.concatenate([b.ravel() for b in deviations(z)]))(
            vector[density.size :]
        )
        V = dense.covariance([(first.Z, first.codes, first.n_levels)], [factors[0] / sigma], sigma, design.weights)
        X, mean, spread = design.X, np.array([1.0, 0.2]), np.diag([9.0, 1.0])
        if n_held:
            y, X, mean, spread = y - X[:, 1] * float(parameters.beta[0]), X[:, :1], mean[:1], spread[:1, :1]
        evidence = dense.neg2_log_evidence(y, X, V, mean, spread)
        rest = -2.0 * float(density.log_prior(parameters, problem) + volume)
        expected.append(evidence + prior + rest - 2.0 * np.linalg.slogdet(np.asarray(jacobian))[1])
    np.testing.assert_allclose(np.diff(values), np.diff(expected), rtol=1e-9, atol=1e-8)


@float64
def test_deviations_at_the_mode_are_nearly_standard():
    """With the variance parameters at their mode the Hessian in z is near the identity, where levels are alike."""
    rng = np.random.default_rng(2)
    g, h = np.divmod(np.arange(240), 12)
    y = rng.normal(size=20)[g] + rng.normal(size=12)[h] + rng.normal(size=240)
    model = hier.Model("y ~ 1 + (1 | g) + (1 | h)", pd.DataFrame({"y": y, "g": g, "h": h}))
    problem = posterior_problem(model)
    density = Density(model.terms, 0, with_volume=True)
    sampled, x = partial_density(density, problem), np.asarray(density.start(problem))
    partial = place(unplaced(problem), density, x, problem)
    zero = np.zeros(sampled.n_sampled)

    def height(z):
        return 0.5 * sampled.neg2_log_density(jax.numpy.concatenate([x, z]), partial)

    np.testing.assert_allclose(jax.jit(jax.grad(height))(zero), 0.0, atol=1e-7)
    values = np.linalg.eigvalsh(np.asarray(jax.jit(jax.jacrev(jax.grad(height)))(zero)))
    assert 0.9 < values.min() <= values.max() < 1.5


def crossed(n_g: int, n_h: int, n: int) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    g, h, x = rng.integers(0, n_g, n), rng.integers(0, n_h, n), rng.normal(size=n)
    b = rng.multivariate_normal([0, 0], [[1.0, 0.2], [0.2, 0.3]], size=n_h)[h]
    y = 2.0 + rng.normal(size=n_g)[g] + b[:, 0] + b[:, 1] * x + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": h})


@pytest.mark.slow
def test_both_ways_draw_from_the_same_posterior():
    model = hier.Model("y ~ x + (1 | g) + (x | h)", crossed(40, 14, 500))
    largest = model.sample(draws=1500, seed=1, integrate="largest", progress=False)
    every = model.sample(draws=1500, seed=2, integrate="all", progress=False)
    assert largest.method == "NUTS on the exact density with the deviations of h"
    assert every.method == "NUTS on the exact marginal density"
    assert_same_distribution(largest, every.draws, sds=0.12)
    assert largest.diagnose().ok, str(largest.diagnose())
    assert "density with the deviations of h: 0 divergences" in largest.summary()
    assert "those of h (28) are sampled" in largest.summary()


@pytest.mark.slow
def test_against_the_full_program():
    model = hier.Model("y ~ x + (1 | g) + (1 | h)", two_factors(nested=False), priors=HALF_NORMAL)
    post = model.sample(chains=4, draws=20_000, seed=1, integrate="largest", progress=False)
    assert_same_distribution(post, long_run(model, noncentred=True, draws=20_000))
