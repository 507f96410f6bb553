"""Searches of generalised models: the better of two optima, no claim away from one, and causes instead of limits."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import hier
from hier.estimate import laplace_fit
from tests.estimate.test_generalised_fit import table


def one_success(at: int) -> pd.DataFrame:
    return table().assign(y=(np.arange(200) == at).astype(int))


def laplace(x, data, density, step=1e-4):
    """Laplace's log-likelihood of a model with an intercept for each level, written out, by differences of its rows'
    log density `density(y, eta, *further)`; x: two fixed effects, the standard deviation, and what is further.
    """
    g, y, theta, u = data["g"].to_numpy(), data["y"].to_numpy(), x[2], np.zeros(data["g"].nunique())
    fixed = x[0] + x[1] * data["x"].to_numpy()

    def rows(u):
        eta = fixed + theta * u[g]
        below, at, above = (density(y, eta + away, *x[3:]) for away in (-step, 0.0, step))
        score = theta * np.bincount(g, (above - below) / (2.0 * step)) - u
        return at.sum() - 0.5 * u @ u, score, 1.0 - theta**2 * np.bincount(g, (above - 2.0 * at + below) / step**2)

    for _ in range(100):
        _, score, curvature = rows(u)
        move = np.clip(score / np.maximum(np.abs(curvature), 0.1), -0.5, 0.5)
        u = u + move
        if np.abs(move).max() < 1e-6:
            break
    height, _, curvature = rows(u)
    return height - 0.5 * np.log(np.maximum(curvature, 1e-12)).sum()


def best(objective, starts) -> list[float]:
    """Where Nelder and Mead's search of a log-likelihood ends, from each start."""
    options = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000, "maxfev": 4000}
    with np.errstate(all="ignore"):
        value = lambda x: np.nan_to_num(-objective(x), nan=1e10, posinf=1e10)  # noqa: E731
        return [-optimize.minimize(value, x, method="Nelder-Mead", options=options).fun for x in starts]


def bernoulli(y, eta):
    return y * eta - np.logaddexp(0.0, eta)


@pytest.mark.parametrize("at", [17, 123])
def test_of_two_optima_the_better_is_taken(at):
    """One success among 200: the likelihood has a maximum without deviations, and a higher one where they are large."""
    data = one_success(at)
    fit = hier.Model("y ~ x + (1 | g)", data, family="bernoulli").estimate()
    near, far = best(lambda x: laplace(x, data, bernoulli), ([-5.0, 0.1, 0.01], [-9.0, 0.1, 5.0]))
    assert far > near + 0.1
    assert fit.converged
    assert fit.loglik == pytest.approx(far, abs=1e-4)


@functools.cache
def far_below() -> pd.DataFrame:
    """Responses most of which are negative, as no exponential is."""
    rng = np.random.default_rng(34)
    g, x = np.repeat(np.arange(12), 8), np.tile(np.linspace(0, 3, 8), 12)
    y = np.exp(1.6 - 0.9 * x + rng.normal(0, 0.35, 12)[g]) + rng.normal(0, 0.4, 96)
    y[rng.choice(96, 6, replace=False)] = 0.0
    return pd.DataFrame({"y": y - 3.0, "x": x, "g": g})


def test_a_normal_response_whose_mean_the_link_cannot_have():
    data = far_below()
    fit = hier.Model("y ~ x + (1 | g)", data, family="gaussian", link="log").estimate("ml")

    def alone(x):
        return stats.norm.logpdf(data["y"], np.exp(x[0] + x[1] * data["x"]), np.exp(x[2])).sum()

    ends = best(alone, [[0.0, -1.0, 1.0], [-0.7, 0.1, 1.0], [-0.5, -0.1, 0.8]])
    assert fit.loglik > max(ends) - 1e-6
    assert fit.converged


def around(mean, draw, seed=5) -> pd.DataFrame:
    """Twelve levels of ten rows around `mean(x, deviation)`, as `draw(rng, mean)` has them."""
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(12), 10), rng.uniform(0.0, 2.0, 120)
    return pd.DataFrame({"y": draw(rng, mean(x, rng.normal(size=12)[g])), "x": x, "g": g})


def inverse(x, b):
    return 1.0 / (0.4 + 0.5 * x + 0.1 * np.clip(b, -2.0, None))


def exponential(x, b):
    return np.exp(1.0 + 0.5 * x + 1.7 * b)


def logistic(x, b):
    return 1.0 / (1.0 + np.exp(0.5 - 0.5 * x - b))


#: family, link, a table, the log density of its rows, and where a search begins
OTHERS = {
    "gamma-inverse": (
        ("gamma", "inverse", around(inverse, lambda rng, mean: rng.gamma(4.0, mean / 4.0))),
        lambda y, eta, log_shape: stats.gamma.logpdf(y, np.exp(log_shape), scale=1.0 / (eta * np.exp(log_shape))),
        [0.4, 0.5, 0.1, 1.4],
    ),
    "normal-inverse": (
        ("gaussian", "inverse", around(inverse, lambda rng, mean: -mean - 0.1 * rng.normal(size=120))),
        lambda y, eta, log_sigma: stats.norm.logpdf(y, 1.0 / eta, np.exp(log_sigma)),
        [-0.4, -0.5, 0.1, -2.3],
    ),
    "inverse-gaussian": (
        ("inverse_gaussian", "log", around(exponential, lambda rng, mean: rng.wald(mean, 300.0))),
        lambda y, eta, k: 0.5 * (k - np.log(2 * np.pi * y**3) - np.exp(k) * (y * np.exp(-eta) - 1.0) ** 2 / y),
        [1.0, 0.5, 1.7, 5.7],
    ),
    "negative-binomial": (
        ("negbinomial", "log", around(exponential, lambda rng, mean: rng.negative_binomial(2.0, 2.0 / (2.0 + mean)))),
        lambda y, eta, k: stats.nbinom.logpmf(y, np.exp(k), 1.0 / (1.0 + np.exp(eta - k))),
        [1.0, 0.5, 1.7, 0.7],
    ),
    "beta": (
        ("beta", "logit", around(logistic, lambda rng, mean: rng.beta(500.0 * mean, 500.0 * (1.0 - mean)))),
        lambda y, eta, phi: stats.beta.logpdf(y, np.exp(phi) / (1 + np.exp(-eta)), np.exp(phi) / (1 + np.exp(eta))),
        [-0.5, 0.5, 1.0, 6.2],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", OTHERS)
def test_fits_reach_what_a_search_near_the_truth_reaches(case):
    (family, link, data), density, start = OTHERS[case]
    fit = hier.Model("y ~ x + (1 | g)", data, family=family, link=link).estimate()
    (there,) = best(lambda x: laplace(x, data, density), [start])
    assert fit.converged
    assert fit.loglik == pytest.approx(there, abs=2e-3)


def gamma(shape: float) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(15), 8), rng.normal(size=120)
    mean = np.exp(1.0 + 0.5 * x + rng.normal(0, 0.5, 15)[g])
    return pd.DataFrame({"y": rng.gamma(shape, mean / shape), "x": x, "g": g})


@pytest.mark.parametrize("shape", [1e4, 1e6, 1e8])
def test_a_gamma_response_that_hardly_varies_is_normal_on_the_logarithm(shape):
    """The larger the shape, the nearer is log y to Normal with variance 1 / shape, whose likelihood is exact."""
    data = gamma(shape)
    fit = hier.Model("y ~ x + (1 | g)", data, family="gamma").estimate()
    normal = hier.Model("log(y) ~ x + (1 | g)", data).estimate("ml")
    assert fit.converged
    assert fit.loglik == pytest.approx(normal.loglik - np.log(data["y"]).sum(), abs=10.0 / np.sqrt(shape))
    assert fit.family_parameters.loc["shape", "estimate"] == pytest.approx(normal.sigma**-2, rel=0.01)
    # however large, a shape that the data determine is at no limit
    assert "limit" not in fit.message
    assert np.isfinite(fit.confint()).all(axis=None)


@pytest.mark.parametrize(
    "family", ["gamma", *(pytest.param(name, marks=pytest.mark.slow) for name in ("lognormal", "student", "beta"))]
)
def test_a_continuous_response_constant_within_groups_is_named(family):
    data = gamma(10.0)
    data["y"] = data.groupby("g")["y"].transform("first")
    if family == "beta":
        data["y"] = 1.0 / (1.0 + data["y"])
    with pytest.raises(hier.FitError, match="the response is constant within the levels of `g`"):
        hier.Model("y ~ x + (1 | g)", data, family=family).estimate()


def test_a_predictor_on_two_branches_of_a_link_has_not_converged():
    """A search finds one of many optima there: R's `glm` refuses such predictors."""
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(15), 8), rng.normal(size=120)
    b = 0.2 * rng.normal(size=15)[g]
    near, far = 3.0 + 0.3 * x + b, 1.5 + 2.0 * x + b  # on one side of zero, and on both
    fits = [
        hier.Model(
            "y ~ x + (1 | g)", {"y": rng.poisson(eta**2), "x": x, "g": g}, family="poisson", link="sqrt"
        ).estimate()
        for eta in (near, far)
    ]
    assert [set(np.sign(fit.linear_predictor)) for fit in fits] == [{1.0}, {-1.0, 1.0}]
    assert [fit.converged for fit in fits] == [True, False]
    assert ["two branches" in fit.message for fit in fits] == [False, True]


def test_means_out_of_all_proportion_are_no_convergence():
    """The likelihood of an inverse Gaussian response is flat where its mean is infinite."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"g": np.repeat(np.arange(8), 6), "y": rng.wald(1.0, 4.0, 48)})
    model = hier.Model("y ~ 1 + (1 | g)", data, family="inverse_gaussian")
    assert laplace_fit._astray(model, np.array([0.1, -2.0])) == []
    (said,) = laplace_fit._astray(model, np.array([0.1, 300.0]))
    assert "largest response" in said
    assert model.estimate().converged
