"""Posterior modes under priors that end, bend or grow without limit, beside dense algebra and a generic optimiser."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize

import hier

G = np.repeat(np.arange(12), 6)
Z = np.eye(12)[G]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    """Twelve groups of six rows, simulated: slope 0.8, sds 1 and 0.7."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=72)
    y = 2 + 0.8 * x + rng.normal(0, 1, 12)[G] + rng.normal(0, 0.7, 72)
    return pd.DataFrame({"g": G, "x": x, "y": y, "count": rng.poisson(np.exp(0.3 + 0.8 * x))})


def half_t(scale):
    return lambda value: stats.t.logpdf(value, 3, 0, scale)


def dense_mode(data: pd.DataFrame, held, sd, sigma, limits) -> np.ndarray:
    """The mode of sd, sigma and the slope; the intercept at the mean of x, Normal, integrated out by dense algebra.

    `held`, `sd`, `sigma`: log prior densities; `held` None: the slope's default, which is integrated out too.
    """
    x, y = data["x"].to_numpy(), data["y"].to_numpy()
    centred, spread, ones = x - x.mean(), y.std(ddof=1), np.ones((72, 72))

    def value(at: np.ndarray) -> float:
        V = at[0] ** 2 * Z @ Z.T + at[1] ** 2 * np.eye(72) + (2.5 * spread) ** 2 * ones
        rest, own = y - y.mean(), 0.0
        if held is None:
            V += (2.5 * spread / x.std(ddof=1)) ** 2 * np.outer(centred, centred)
        else:
            rest, own = rest - at[2] * centred, held(at[2])
        log_density = -0.5 * (np.linalg.slogdet(V)[1] + rest @ np.linalg.solve(V, rest))
        return -(log_density + own + sd(at[0]) + sigma(at[1]))

    start = [np.clip(v, low + 0.05, high - 0.05) for v, (low, high) in zip([1.2, 0.7, 0.7], limits, strict=False)]
    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 8000, "maxfev": 8000}
    return minimize(value, start, method="Nelder-Mead", bounds=limits, options=options).x


POSITIVE, ANY = (1e-9, 100.0), (-100.0, 100.0)


@pytest.mark.parametrize(
    ("prior", "log_density", "limits"),
    [
        (dist.Uniform(0.0, 0.5), lambda b: 0.0, (0.0, 0.5)),
        (dist.Uniform(1.0, 5.0), lambda b: 0.0, (1.0, 5.0)),
        (dist.TruncatedNormal(0.0, 0.5, low=1.0), stats.norm(0, 0.5).logpdf, (1.0, 100.0)),
        (dist.TruncatedNormal(0.0, 1.0, high=0.0), stats.norm(0, 1.0).logpdf, (-100.0, 0.0)),
        (dist.HalfNormal(0.3), stats.norm(0, 0.3).logpdf, (0.0, 100.0)),
        (dist.Laplace(0.0, 0.05), stats.laplace(0, 0.05).logpdf, ANY),
        (dist.StudentT(3.0, 0.0, 0.1), stats.t(3, 0, 0.1).logpdf, ANY),
    ],
    ids=["uniform", "uniform from above", "truncated", "negative", "half-normal", "laplace", "student"],
)
def test_a_slopes_prior_itself_is_maximised(data, prior, log_density, limits) -> None:
    fit = hier.Model("y ~ x + (1 | g)", data, priors={"x": prior}).estimate("map")
    spread = data["y"].std()
    expected = dense_mode(data, log_density, half_t(2.5 * spread), half_t(2.5 * spread), [POSITIVE, POSITIVE, limits])
    found = [fit.varcorr["sdcor"][0], fit.sigma, fit.fixef["x"]]
    assert fit.converged
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-6)
    assert limits[0] <= fit.fixef["x"] <= limits[1]
    at_end = fit.fixef["x"] in limits
    assert np.isnan(fit.confint().loc["x"].astype(float)).all() == at_end
    assert np.isfinite(fit.coefficients["std_error"]["Intercept"])
    assert np.isnan(fit.coefficients["std_error"]["x"]) == at_end


@pytest.mark.parametrize(
    ("name", "prior", "log_density", "limits"),
    [
        ("sd_g", dist.Uniform(0.0, 0.5), lambda v: 0.0, (1e-9, 0.5)),
        ("sd_g", dist.TruncatedNormal(0.0, 1.0, low=2.0), stats.norm(0, 1).logpdf, (2.0, 100.0)),
        ("sd_g", dist.HalfNormal(0.1), stats.norm(0, 0.1).logpdf, POSITIVE),
        ("sd_g", dist.Exponential(50.0), lambda v: -50.0 * v, POSITIVE),
        ("sigma", dist.Uniform(1.0, 2.0), lambda v: 0.0, (1.0, 2.0)),
        ("sigma", dist.HalfNormal(0.1), stats.norm(0, 0.1).logpdf, POSITIVE),
    ],
)
def test_the_prior_of_a_standard_deviation_itself_is_maximised(data, name, prior, log_density, limits) -> None:
    fit = hier.Model("y ~ x + (1 | g)", data, priors={name: prior}).estimate("map")
    usual = half_t(2.5 * data["y"].std())
    own = (log_density, usual) if name == "sd_g" else (usual, log_density)
    both = [limits, POSITIVE] if name == "sd_g" else [POSITIVE, limits]
    found = np.array([fit.varcorr["sdcor"][0], fit.sigma])
    np.testing.assert_allclose(found, dense_mode(data, None, *own, both), rtol=2e-4)
    stopped = np.isclose(found[int(name == "sigma")], limits, rtol=1e-6, atol=0.0).any()
    interval = fit.confint().loc["sigma" if name == "sigma" else "sd_g[Intercept]"].astype(float)
    assert np.isnan(interval).all() == stopped


def test_the_pigs_grow_no_faster_than_their_prior_allows(pigs) -> None:
    fit = hier.Model("weight ~ week + (1 | id)", pigs, priors={"week": dist.Uniform(0.0, 2.0)}).estimate("map")
    assert fit.fixef["week"] == 2.0
    assert np.isnan(fit.coefficients["std_error"]["week"])


@pytest.mark.parametrize(
    ("priors", "family", "message"),
    [
        ({"x": dist.Laplace(0.0, 0.001)}, "gaussian", "posterior mode of `x` is at a kink of its prior"),
        ({"x": dist.Laplace(0.0, 0.001)}, "poisson", "posterior mode of `x` is at a kink of its prior"),
        ({"sd_g": dist.Gamma(0.5, 1.0)}, "gaussian", r"prior of `sd_g\[Intercept\]` is infinite at 0"),
        ({"sd_g": dist.Gamma(0.5, 1.0)}, "poisson", r"prior of `sd_g\[Intercept\]` is infinite at 0"),
        ({"x": dist.Beta(2.0, 0.5)}, "gaussian", "prior of `x` is infinite at 1"),
    ],
)
def test_modes_that_a_search_cannot_find_are_refused(data, priors, family, message) -> None:
    left = "count" if family == "poisson" else "y"
    with pytest.raises(hier.FitError, match=message):
        hier.Model(f"{left} ~ x + (1 | g)", data, family=family, priors=priors).estimate("map")


def test_correlations_without_a_mode_are_refused(data) -> None:
    with pytest.raises(hier.FitError, match="infinite at a correlation of 1"):
        hier.Model("y ~ x + (x | g)", data, priors={"cor_g": dist.LKJ(2, 0.5)}).estimate("map")


def test_narrow_priors_that_are_finite_are_no_infinite_ones(data) -> None:
    fit = hier.Model("y ~ x + (1 | g)", data, priors={"sd_g": dist.HalfNormal(1e-9)}).estimate("map")
    assert fit.varcorr["sdcor"][0] < 1e-6


def test_a_bound_of_another_response_has_no_interval(data) -> None:
    model = hier.Model("count ~ x + (1 | g)", data, family="poisson", priors={"x": dist.Uniform(0.0, 0.5)})
    fit = model.estimate("map")
    assert fit.fixef["x"] == pytest.approx(0.5, abs=1e-6)
    assert fit.fixef["x"] <= 0.5
    assert np.isnan(fit.confint().loc["x"].astype(float)).all()
