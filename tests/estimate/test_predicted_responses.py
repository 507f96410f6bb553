"""Predicted responses, new levels and draws of an estimate, against dense algebra, quadrature and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, ndtri

import hier
from tests.estimate.conftest import as_dense
from tests.estimate.test_predict import all_rows, everything, expected, mixed_up

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def test_normal_responses_have_the_residual_in_their_errors(kind, fit):
    data = mixed_up(kind)
    value, se = expected(fit, data, everything(fit))
    for new_levels in ("zero", "sample", "integrate"):
        found = fit.predict(data, kind="response", new_levels=new_levels, level=0.9, weights="w")
        whole = np.sqrt(se**2 + fit.sigma**2 / data["w"].to_numpy())
        np.testing.assert_allclose(found["fit"], value, rtol=1e-10)
        np.testing.assert_allclose(found["se"], whole, rtol=1e-7)
        np.testing.assert_allclose(found["lower"], value - ndtri(0.95) * whole, rtol=1e-7)
    own = fit.predict(kind="response")
    pd.testing.assert_series_equal(own["upper"], fit.predict(interval="prediction")["upper"])


def test_a_mean_over_new_levels_has_no_deviation_in_its_errors(kind, fit):
    data = mixed_up(kind)
    over, drawn = (fit.predict(data, new_levels=one, se=True, interval="confidence") for one in ("integrate", "sample"))
    pd.testing.assert_frame_equal(drawn, fit.predict(data, new_levels="zero", se=True, interval="confidence"))
    new = fit.model.design.new_data(data)
    Z = all_rows(fit, new.random_effects, everything(fit))
    np.testing.assert_allclose(over["se"], np.sqrt(np.diag(as_dense(fit).errors(new.X, Z))), rtol=1e-7)


def test_draws_are_of_all_rows_together(kind, fit):
    data = mixed_up(kind).iloc[4:24]
    found = fit.predict(data, kind="link", new_levels="integrate", draws=True, seed=4)
    assert found.dims == ("chain", "draw", "obs")
    assert list(found["obs"].to_numpy()) == list(data.index)
    new = fit.model.design.new_data(data)
    covariance = as_dense(fit).errors(new.X, all_rows(fit, new.random_effects, everything(fit)))
    apart = found.to_numpy()[0] - expected(fit, data, everything(fit))[0]
    scale = np.sqrt(np.diag(covariance))
    assert np.abs(apart.mean(axis=0) / scale).max() < 5 / np.sqrt(len(apart))
    assert np.abs(np.cov(apart.T) / np.outer(scale, scale) - covariance / np.outer(scale, scale)).max() < 0.25


@pytest.fixture(scope="module")
def logistic():
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(20), 12), rng.normal(size=240)
    y = (rng.random(240) < expit(0.8 * x + 1.5 * rng.normal(size=20)[g])).astype(int)
    return hier.Model("y ~ x + (1 | g)", pd.DataFrame({"y": y, "x": x, "g": g}), family="bernoulli").estimate()


NEW = pd.DataFrame({"x": [-1.0, 0.5, 2.0], "g": [99, 3, 98]})


def test_a_logistic_mean_over_groups(logistic):
    eta = logistic.predict(NEW, kind="link", new_levels="zero").to_numpy()
    sd = np.array([1.0, 0.0, 1.0]) * logistic.varcorr["sdcor"].iloc[0]
    by_hand = expit(eta[:, None] + sd[:, None] * NODES) @ WEIGHTS
    for new_levels in ("sample", "integrate"):
        np.testing.assert_allclose(logistic.predict(NEW, new_levels=new_levels), by_hand, rtol=1e-8)
    assert abs(by_hand[0] - expit(eta[0])) > 0.02
    # by differences in the predictor: the delta method, and the ends of the interval
    h, se = 1e-5, logistic.predict(NEW.assign(g=[1, 2, 3]), random="none", kind="link", se=True)["se"].to_numpy()
    over = logistic.predict(NEW, new_levels="integrate", se=True, interval="confidence")
    slope = (expit(eta[:, None] + h + sd[:, None] * NODES) - expit(eta[:, None] - h + sd[:, None] * NODES)) @ WEIGHTS
    np.testing.assert_allclose(over["se"].iloc[[0, 2]], (slope / (2 * h) * se)[[0, 2]], rtol=1e-6)
    high = expit((eta + ndtri(0.975) * se)[:, None] + sd[:, None] * NODES) @ WEIGHTS
    np.testing.assert_allclose(over["upper"].iloc[[0, 2]], high[[0, 2]], rtol=1e-7)
    # of a level that is drawn: the sd of a logistic of a Normal variable
    drawn = logistic.predict(NEW, new_levels="sample", se=True)["se"].to_numpy()
    total = np.sqrt(se**2 + sd**2)
    mean, square = (expit(eta[:, None] + total[:, None] * NODES) ** k @ WEIGHTS for k in (1, 2))
    np.testing.assert_allclose(drawn[[0, 2]], np.sqrt(square - mean**2)[[0, 2]], rtol=1e-6)


@pytest.mark.parametrize("family", ["poisson", "negbinomial", "gamma", "binomial", "cumulative", "sigma"])
def test_responses_of_families_have_their_own_noise(family):
    rng = np.random.default_rng(2)
    g, x = np.repeat(np.arange(15), 10), rng.normal(size=150)
    eta = 0.3 * x + 0.5 * rng.normal(size=15)[g]
    data = pd.DataFrame({"x": x, "g": g, "n": rng.integers(3, 12, 150)})
    y, options, formula = {
        "poisson": (rng.poisson(np.exp(1 + eta)), {}, "y ~ x + (1 | g)"),
        "negbinomial": (rng.poisson(rng.gamma(3.0, np.exp(1 + eta) / 3)), {}, "y ~ x + (1 | g)"),
        "gamma": (rng.gamma(3.0, np.exp(eta) / 3), {"link": "log"}, "y ~ x + (1 | g)"),
        "binomial": (rng.binomial(data["n"], expit(eta)), {}, "y | trials(n) ~ x + (1 | g)"),
        "cumulative": (np.digitize(eta + rng.logistic(size=150), [-1.0, 1.0]), {}, "y ~ x + (1 | g)"),
        "sigma": (eta + np.exp(0.3 * x) * rng.normal(size=150), {}, "y ~ x + (1 | g), sigma ~ x"),
    }[family]
    name = "gaussian" if family == "sigma" else family
    fit = hier.Model(formula, data.assign(y=y), family=name, **options).estimate()
    rows = data.head(4).assign(y=0, g=[0, 1, 77, 78])
    found = fit.predict(rows, kind="response", new_levels="sample", level=0.8, seed=3)
    link = fit.predict(rows, kind="link", new_levels="sample", se=True)
    S = 40_000
    eta = rng.normal(link["fit"], link["se"], (S, 4))
    if family == "poisson":
        drawn = rng.poisson(np.exp(eta))
    elif family == "binomial":
        drawn = rng.binomial(rows["n"].to_numpy(), expit(eta))
    elif family == "cumulative":
        cuts = fit.cutpoints["estimate"].to_numpy()
        drawn = (rng.random((S, 4, 1)) > expit(cuts - eta[..., None])).sum(axis=-1)
    elif family == "sigma":
        a, b = fit.family_parameters["estimate"]
        drawn = rng.normal(eta, np.exp(a + b * rows["x"].to_numpy()))
    else:
        shape = fit.family_parameters.loc["shape", "estimate"]
        drawn = rng.gamma(shape, np.exp(eta) / shape)
        drawn = rng.poisson(drawn) if family == "negbinomial" else drawn
    np.testing.assert_allclose(found["se"], drawn.std(axis=0), rtol=0.1)
    new = [2, 3]
    np.testing.assert_allclose(found["fit"].iloc[new], drawn.mean(axis=0)[new], rtol=0.1)
    for end, share in (("lower", 0.1), ("upper", 0.9)):
        below, above = (op(drawn, found[end].to_numpy()).mean(axis=0) for op in (np.less, np.less_equal))
        assert ((below < share + 0.03) & (above > share - 0.03)).all()
    draws = fit.predict(rows, kind="response", new_levels="sample", draws=True).to_numpy()[0]
    np.testing.assert_allclose(draws.std(axis=0), drawn.std(axis=0), rtol=0.2)


def test_words_of_other_results_and_of_r(logistic, pigs_reml):
    pd.testing.assert_series_equal(
        logistic.predict(NEW.head(1).assign(g=3), kind="mean"), logistic.predict(data=NEW.head(1).assign(g=3))
    )
    pd.testing.assert_series_equal(logistic.predict(type="response"), logistic.predict())
    pd.testing.assert_frame_equal(
        pigs_reml.predict(kind="response", interval="confidence"), pigs_reml.predict(interval="confidence")
    )
