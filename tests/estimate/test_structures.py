"""Covariance structures other than the unstructured: against dense algebra, and where two of them are one model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy import optimize

import hier
from tests.reference import dense

MACHINES = Path(__file__).parents[1] / "oracle" / "data" / "Machines.csv"


@pytest.fixture(scope="module")
def machines() -> pd.DataFrame:
    return pd.read_csv(MACHINES, dtype={"Worker": str})


def symmetric(log_sd, correlation):
    sd = np.exp(log_sd)
    size = len(sd)
    return sd[:, None] * sd * (np.eye(size) + correlation * (1 - np.eye(size)))


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_compound_symmetry_is_at_the_optimum_of_the_dense_likelihood(machines, method):
    model = hier.Model("score ~ Machine + cs(0 + Machine | Worker)", machines)
    fit = model.estimate(method)
    design, random = model.design, model.design.random

    def objective(x):
        factor = np.linalg.cholesky(symmetric(x[:3], -0.5 + 1.5 / (1 + np.exp(-x[3])))) / np.exp(x[4])
        V = dense.covariance(random.Z, random.codes, random.n_levels, factor, np.exp(x[4]), np.ones(design.nobs))
        return dense.neg2_log_likelihood(design.y, design.X, V, reml=method == "reml")

    found = optimize.minimize(objective, np.array([1.0, 2.0, 1.0, 0.5, 0.0]), method="BFGS", tol=1e-10)
    assert fit.converged
    assert fit.objective == pytest.approx(found.fun, abs=1e-7)
    table = fit.varcorr
    sd = table["sdcor"][:3].to_numpy(dtype=float)
    np.testing.assert_allclose(sd, np.exp(found.x[:3]), rtol=1e-4)
    correlations = table["sdcor"][3:6].to_numpy(dtype=float)
    np.testing.assert_allclose(correlations, -0.5 + 1.5 / (1 + np.exp(-found.x[3])), rtol=1e-4)
    assert fit.sigma == pytest.approx(np.exp(found.x[4]), rel=1e-4)
    # three sds, one correlation, sigma and three coefficients
    assert fit.aic == pytest.approx(fit.objective + 2 * 8, abs=1e-9)


def test_one_correlation_of_two_columns_is_the_unstructured_model(pigs):
    one = hier.Model("weight ~ week + cs(week | id)", pigs).estimate()
    other = hier.Model("weight ~ week + us(week | id)", pigs).estimate()
    assert one.objective == pytest.approx(other.objective, abs=1e-8)
    np.testing.assert_allclose(
        one.varcorr["vcov"].to_numpy(dtype=float), other.varcorr["vcov"].to_numpy(dtype=float), rtol=1e-5
    )
    np.testing.assert_allclose(one.coefficients, other.coefficients, rtol=1e-5)


def test_diag_is_the_double_bar_for_factors_too(machines):
    for inside in ("Machine", "0 + Machine"):
        one = hier.Model(f"score ~ Machine + diag({inside} | Worker)", machines).estimate()
        other = hier.Model(f"score ~ Machine + ({inside} || Worker)", machines).estimate()
        assert one.objective == other.objective
        assert [block.size for block in one.model.design.random.blocks] == [1, 1, 1]
        assert len(one.varcorr) == 4


def test_several_bars_on_one_factor_are_blocks_of_their_own(machines):
    data = machines.assign(x=np.linspace(-1, 1, len(machines)))
    fit = hier.Model("score ~ Machine + (0 + Machine | Worker) + (0 + x | Worker)", data).estimate()
    assert [block.size for block in fit.model.design.random.blocks] == [3, 1]
    assert len(fit.varcorr) == 3 + 1 + 3 + 1


def test_the_posterior_of_compound_symmetry(machines):
    """One correlation for all pairs, under its own prior; the full program's density is that of the marginal route."""
    model = hier.Model("score ~ Machine + cs(0 + Machine | Worker)", machines)
    assert dict(model.priors.rows())["cor_Worker"] == "Uniform(-0.5, 1)"
    post = model.sample(draws=500, seed=2, progress=False)
    assert float(post.stats["diverging"].mean()) < 0.01
    cor = post.draws["cor_Worker"]
    np.testing.assert_allclose(cor[..., 0, 1], cor[..., 1, 2], rtol=1e-9)
    assert -0.5 < cor[..., 0, 1].min() < cor[..., 0, 1].max() < 1.0
    with pytest.raises(hier.ModelError, match="one correlation of 3 columns"):
        model.with_priors({"cor_Worker": dist.Uniform(-1, 1)})
    tight = model.with_priors({"cor_Worker": dist.Uniform(0.2, 0.3)}).sample(draws=100, progress=False)
    assert 0.2 < tight.draws["cor_Worker"][..., 0, 2].min() < tight.draws["cor_Worker"][..., 0, 2].max() < 0.3
