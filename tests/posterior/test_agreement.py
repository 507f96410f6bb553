"""The marginal route against a long run of the full NumPyro program on the same priors, for every parameter."""

from __future__ import annotations

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro.infer import MCMC, NUTS

import hier
from hier.kernel.programs.precision import float64
from hier.posterior.diagnostics import ess_bulk, rhat


@float64
def long_run(model, *, noncentred, draws, warmup=1000):
    # with longer steps a chain can stay for thousands of draws where the density is most curved
    kernel = NUTS(model.numpyro_model(noncentred=noncentred), dense_mass=False, target_accept_prob=0.98)
    mcmc = MCMC(
        kernel, num_warmup=warmup, num_samples=draws, num_chains=4, chain_method="vectorized", progress_bar=False
    )
    mcmc.run(jax.random.key(5), y=model.design.y)
    return {name: np.asarray(values) for name, values in mcmc.get_samples(group_by_chain=True).items()}


def assert_same_distribution(post, reference, sds=0.05):
    """Means within 4 Monte Carlo standard errors; sds within 5 percent, or as much as `sds` says."""
    for name, draws in post.draws.items():
        other = reference[name]
        varies = draws.std(axis=(0, 1)) > 1e-9
        a, b = draws[:, :, varies], other[:, :, varies]
        a, b = a.reshape(*a.shape[:2], -1), b.reshape(*b.shape[:2], -1)
        assert rhat(b).max() < 1.02, f"the chains of the reference disagree about {name}"
        sd_a, sd_b = a.std(axis=(0, 1)), b.std(axis=(0, 1))
        error = np.sqrt(sd_a**2 / ess_bulk(a) + sd_b**2 / ess_bulk(b))
        assert (np.abs(a.mean(axis=(0, 1)) - b.mean(axis=(0, 1))) / error).max() < 4.0, name
        assert np.abs(sd_a / sd_b - 1.0).max() < sds, name


def few_groups() -> pd.DataFrame:
    """Five unbalanced groups of 3 to 11 rows, simulated."""
    rng = np.random.default_rng(20)
    sizes = [3, 11, 5, 8, 4]
    g = np.repeat(list("abcde"), sizes)
    x = rng.uniform(0, 4, size=sum(sizes))
    b = rng.multivariate_normal([0, 0], [[1.5, 0.3], [0.3, 0.4]], size=5)[np.repeat(range(5), sizes)]
    return pd.DataFrame({"g": g, "x": x, "y": 2.0 + x + b[:, 0] + b[:, 1] * x + rng.normal(size=sum(sizes))})


@pytest.mark.slow
def test_few_unbalanced_groups():
    # with five groups the default half-Student-t(3) leaves the sds' posterior too heavy a tail for its sd to be known
    # to 5 percent in any run of this length; half-Normal priors do not
    priors = {"sd_g": dist.HalfNormal(2.0), "sigma": dist.HalfNormal(2.0)}
    model = hier.Model("y ~ x + (x | g)", few_groups(), priors=priors)
    post = model.sample(chains=4, draws=40_000, warmup=1000, seed=1, progress=False)
    assert_same_distribution(post, long_run(model, noncentred=True, draws=40_000))


def two_factors(nested: bool) -> pd.DataFrame:
    """Seven levels of g; four of h that cross them, or three that hold them; unbalanced, simulated."""
    rng = np.random.default_rng(11)
    g = np.repeat(np.arange(7), [5, 9, 4, 7, 6, 8, 3])
    h = g % 3 if nested else rng.integers(0, 4, len(g))
    x, b, c = rng.normal(size=len(g)), 1.2 * rng.normal(size=7), 0.8 * rng.normal(size=4)
    return pd.DataFrame({"g": g, "h": h, "x": x, "y": 1.0 + 0.5 * x + b[g] + c[h] + rng.normal(size=len(g))})


HALF_NORMAL = {"sd_g": dist.HalfNormal(1.5), "sd_h": dist.HalfNormal(1.5), "sigma": dist.HalfNormal(2.0)}


@pytest.mark.slow
def test_two_crossed_factors():
    model = hier.Model("y ~ x + (1 | g) + (1 | h)", two_factors(nested=False), priors=HALF_NORMAL)
    assert model.structure.dense
    post = model.sample(chains=4, draws=20_000, seed=1, progress=False)
    assert_same_distribution(post, long_run(model, noncentred=True, draws=20_000))


@pytest.mark.slow
def test_two_nested_factors():
    model = hier.Model("y ~ x + (1 | g) + (1 | h)", two_factors(nested=True), priors=HALF_NORMAL)
    assert not model.structure.dense
    post = model.sample(chains=4, draws=40_000, seed=1, progress=False)
    assert_same_distribution(post, long_run(model, noncentred=True, draws=40_000))


@pytest.mark.slow
def test_slopes_of_two_crossed_factors():
    data = two_factors(nested=False).assign(y=lambda d: d["y"] + (0.5 * (d["g"] % 3) - 0.3 * d["h"]) * d["x"])
    priors = {name: dist.HalfNormal(1.0) for name in ("sd_g", "sd_h", "sigma")}
    model = hier.Model("y ~ x + (x | g) + (x || h)", data, priors=priors)
    post = model.sample(chains=4, draws=40_000, seed=1, progress=False)
    assert_same_distribution(post, long_run(model, noncentred=True, draws=40_000))


@pytest.mark.slow
def test_pigs(pigs_model):
    post = pigs_model.sample(chains=4, draws=10_000, seed=3, progress=False)
    assert_same_distribution(post, long_run(pigs_model, noncentred=False, draws=12_000))


@pytest.mark.slow
def test_compound_symmetry():
    rng = np.random.default_rng(4)
    g, f = np.repeat(np.arange(12), 9), np.tile(np.repeat(list("abc"), 3), 12)
    b = rng.multivariate_normal(np.zeros(3), 0.6 + 0.4 * np.eye(3), size=12)[g, np.searchsorted(list("abc"), f)]
    data = pd.DataFrame({"g": g, "f": f, "y": 1.0 + b + 0.7 * rng.normal(size=len(g))})
    priors = {"sd_g": dist.HalfNormal(2.0), "sigma": dist.HalfNormal(2.0)}
    model = hier.Model("y ~ f + cs(0 + f | g)", data, priors=priors)
    post = model.sample(chains=4, draws=20_000, warmup=1000, seed=1, progress=False)
    assert_same_distribution(post, long_run(model, noncentred=True, draws=20_000))
