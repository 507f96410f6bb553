"""Checks of a model: test quantities, residuals, calibration, powers of the prior and of the likelihood."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hier
from hier.posterior.left_out_exactly import marginal_log_likelihood
from hier.posterior.prior_density import prior_curves
from tests.posterior.made_up import of_model
from tests.posterior.test_cross_validation import DATA, NORMAL, dense

SLEEPSTUDY = Path(__file__).parents[1] / "oracle" / "data" / "sleepstudy.csv"


@pytest.fixture(scope="module")
def sleepstudy():
    return hier.Model("Reaction ~ Days + (Days | Subject)", pd.read_csv(SLEEPSTUDY)).sample(seed=1, progress=False)


def of_family(family: str, response: str, shape: tuple[int, int] = (2, 100)):
    return of_model(hier.Model(f"{response} ~ x + (1 | g)", DATA, family=family), shape)


def test_quantities_of_replicated_responses() -> None:
    posterior = of_family("poisson", "count")
    found = posterior.with_predictive(seed=4).data["posterior_predictive"]["count"].to_numpy().reshape(200, -1)
    table = posterior.predictive_check(seed=4)
    assert list(table.index) == ["mean", "sd", "min", "max", "zeros"]
    assert table.loc["zeros", "observed"] == np.mean(DATA["count"] == 0)
    zeros = (found == 0).mean(axis=1)
    assert table.loc["zeros", "replicated"] == pytest.approx(zeros.mean())
    larger, equal = zeros > table.loc["zeros", "observed"], zeros == table.loc["zeros", "observed"]
    assert table.loc["zeros", "p_value"] == pytest.approx(larger.mean() + 0.5 * equal.mean())
    own = posterior.predictive_check({"above 3": lambda y: (y > 3).mean()}, seed=4)
    assert own.loc["above 3", "replicated"] == pytest.approx((found > 3).mean())
    by_level = posterior.predictive_check("mean", group="g", seed=4)
    assert by_level.index.names == ["g", "quantity"]
    rows = DATA["g"].to_numpy() == 2
    assert by_level.loc[(2, "mean"), "observed"] == DATA["count"][rows].mean()
    assert by_level.loc[(2, "mean"), "replicated"] == pytest.approx(found[:, rows].mean())
    assert list(posterior.predictive_check([np.median, "max", lambda y: y[0]]).index) == ["median", "max", "quantity 3"]


def test_quantities_that_are_none() -> None:
    posterior = of_family("gaussian", "y")
    with pytest.raises(hier.FitError, match=r"no test quantity 'maen'(.|\n)*`mean`"):
        posterior.predictive_check("maen")
    with pytest.raises(hier.FitError, match="gives no number"):
        posterior.predictive_check(lambda y: y)
    with pytest.raises(hier.FitError, match="no grouping factor"):
        posterior.predictive_check(group="k")


def simulated(seed: int, family: str) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(25), 12)
    x = rng.normal(size=300)
    eta = 0.2 + 0.6 * x + 0.8 * rng.normal(size=25)[g]
    draw = {"gaussian": lambda: eta + rng.normal(size=300), "poisson": lambda: rng.poisson(np.exp(eta))}
    draw["bernoulli"] = lambda: rng.binomial(1, 1.0 / (1.0 + np.exp(-eta)))
    return pd.DataFrame({"g": g, "x": x, "y": draw[family]()})


@pytest.mark.parametrize("family", ["gaussian", "poisson", "bernoulli"])
def test_residuals_of_the_right_model_are_uniform(family: str) -> None:
    data = simulated(5, family)
    fit = hier.Model("y ~ x + (1 | g)", data, family=family).estimate()
    values = fit.quantile_residuals(seed=2)
    assert values.between(0.0, 1.0, inclusive="neither").all()
    assert stats.kstest(values, "uniform").pvalue > 0.01
    wrong = hier.Model("y ~ 1 + (1 | g)", data.assign(y=data.y * 3 + (data.y > 1)), family="gaussian").estimate()
    if family != "gaussian":
        assert stats.kstest(wrong.quantile_residuals(), "uniform").pvalue < 0.05
    assert fit.quantile_residuals(seed=2).equals(values)


def test_residuals_of_normal_rows_are_their_probabilities(sleepstudy) -> None:
    values = sleepstudy.quantile_residuals(seed=3)
    mean = sleepstudy.predict(draws=True).to_numpy().reshape(-1, 180)
    exact = stats.norm.cdf(sleepstudy.observed, mean, sleepstudy.draws["sigma"].reshape(-1, 1)).mean(axis=0)
    assert np.abs(values - exact).max() < 0.04
    fit = sleepstudy.model.estimate()
    design, (own,) = fit.model.design, fit.model.design.random_effects
    varcorr = fit.varcorr["vcov"].to_numpy()
    G = np.array([[varcorr[0], varcorr[2]], [varcorr[2], varcorr[1]]])
    sd = np.sqrt(np.einsum("ia,ab,ib->i", own.Z, G, own.Z) + fit.sigma**2)
    exact = stats.norm.cdf(design.y, design.X @ fit.fixef.to_numpy(), sd)
    assert np.abs(fit.quantile_residuals(4000) - exact).max() < 0.04


def test_calibration_is_isotonic_regression() -> None:
    data = simulated(6, "bernoulli")
    model = hier.Model("y ~ x + (1 | g)", data, family="bernoulli")
    fit = model.estimate()
    table = fit.calibration()
    assert table["predicted"].is_monotonic_increasing
    assert table["frequency"].is_monotonic_increasing
    # pools of adjacent violators have the mean of their responses
    for value, rows in table.groupby("frequency"):
        assert data.loc[rows.index, "y"].mean() == pytest.approx(value)
    inside = table["frequency"].between(table["lower"] - 0.05, table["upper"] + 0.05)
    assert inside.mean() > 0.8
    posterior = of_model(model, (2, 100))
    np.testing.assert_array_equal(posterior.calibration()["predicted"], np.sort(posterior.predict()["fit"]))
    with pytest.raises(hier.FitError, match="calibration is of probabilities"):
        hier.Model("x ~ 1 + (1 | g)", data).estimate().calibration()


@pytest.mark.parametrize("name", NORMAL)
def test_the_likelihood_without_deviations(name: str) -> None:
    posterior = of_model(NORMAL[name](), (2, 3))
    y, found = posterior.model.design.y, marginal_log_likelihood(posterior)
    for s in range(6):
        assert found[s] == pytest.approx(stats.multivariate_normal(*dense(posterior, s)).logpdf(y), rel=1e-10)


def test_powers_of_prior_and_likelihood(sleepstudy) -> None:
    """Numbers by hand; those of the correlation's prior are of the deviations at the mean day, which are correlated."""
    table = sleepstudy.power_sensitivity().set_index("term")
    assert table.loc["sd__Observation", "likelihood"] == pytest.approx(0.43, abs=0.06)
    assert (table.loc[["Intercept", "Days", "sd__Observation"], "prior"] <= 0.01).all()
    assert (table["prior"] < 0.08).all()
    assert table.loc["Days", "diagnosis"] == ""


def test_powers_of_a_likelihood_that_is_known() -> None:
    """A Normal mean with a flat-like prior: its sd falls with the square root of the power of the marginal density."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(40), 3), "y": rng.normal(size=120)})
    priors = {"Intercept": "normal(0, 0.05)", "sd_g": "half_normal(1)", "sigma": "half_normal(1)"}
    strong = hier.Model("y ~ 1 + (1 | g)", data, priors=priors).sample(seed=1, progress=False)
    table = strong.power_sensitivity(integrated=True).set_index("term")
    assert table.loc["Intercept", "prior"] > 0.05
    assert table.loc["Intercept", "diagnosis"] != ""
    assert table.loc["sd__Observation", "likelihood"] > 0.05
    alone = of_model(hier.Model("y ~ x", DATA), (2, 100))
    assert alone.power_sensitivity(integrated=True).equals(alone.power_sensitivity())
    counts = of_family("poisson", "count").power_sensitivity(integrated=True)
    assert np.isfinite(counts["likelihood"]).all()
    two = of_model(hier.Model("count ~ x + (1 | g) + (1 | h)", DATA, family="poisson"), (2, 50))
    with pytest.raises(hier.FitError, match="integrated=False"):
        two.power_sensitivity(integrated=True)


def test_curves_of_priors_are_densities() -> None:
    model = hier.Model(
        "y ~ x + (x | g)", DATA, priors={"x": "normal(1, 2)", "sigma": "exponential(0.5)", "cor_g": "lkj(3)"}
    )
    curves = {own.name: own for own in prior_curves(model)}
    assert list(curves) == list(model.prior_table()["parameter"])
    x = curves["x"]
    np.testing.assert_allclose(x.density, stats.norm.pdf(x.x, 1.0, 2.0), rtol=1e-6)
    sigma = curves["sigma"]
    np.testing.assert_allclose(sigma.density, stats.expon.pdf(sigma.x, scale=2.0), rtol=1e-6)
    for own in curves.values():
        assert np.trapezoid(own.density, own.x) == pytest.approx(1.0, abs=0.03)
    # of two columns the density of the correlation is (1 - r^2)^(eta - 1)
    cor = curves["cor_g"]
    middle = np.abs(cor.x) < 0.9
    ratio = cor.density[middle] / (1.0 - cor.x[middle] ** 2) ** 2
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-8)
