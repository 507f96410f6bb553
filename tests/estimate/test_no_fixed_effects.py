"""Models without fixed effects, or with an offset alone: every verb gives an answer or a sentence."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import hier

LEVELS, ROWS = 12, 6
RESPONSES = {
    "gaussian": "y",
    "poisson": "count",
    "binomial": "cbind(s, 6 - s)",
    "cumulative": "rating",
    "gamma": "positive",
}


@functools.cache
def table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(LEVELS), ROWS)
    z = 0.3 * rng.normal(size=len(g))
    eta = rng.normal(0, 0.8, LEVELS)[g] + z
    return pd.DataFrame(
        {
            "g": g,
            "z": z,
            "y": eta + rng.normal(0, 0.5, len(g)),
            "count": rng.poisson(np.exp(eta)),
            "s": rng.binomial(6, 1 / (1 + np.exp(-eta))),
            "rating": np.searchsorted([-1.0, 0.0, 1.2], eta + rng.logistic(size=len(g))),
            "positive": rng.gamma(3.0, np.exp(eta) / 3.0),
        }
    )


@functools.cache
def fitted(family: str, offset: bool, method: str | None = None) -> hier.Estimate:
    right = "0 + offset(z) + (1 | g)" if offset else "0 + (1 | g)"
    return hier.Model(f"{RESPONSES[family]} ~ {right}", table(), family=family).estimate(method)


def log_likelihood(sd: float, sigma: float, offset: bool) -> float:
    """Of the Normal model, by dense algebra."""
    data = table()
    rows = (data["y"] - (data["z"] if offset else 0.0)).to_numpy().reshape(LEVELS, ROWS)
    V = sd**2 + sigma**2 * np.eye(ROWS)
    quadratic = np.einsum("ij,jk,ik->", rows, np.linalg.inv(V), rows)
    return -0.5 * (LEVELS * np.linalg.slogdet(2 * np.pi * V)[1] + quadratic)


@pytest.mark.parametrize("offset", [False, True])
def test_the_normal_likelihood_is_at_its_maximum(offset):
    fit = fitted("gaussian", offset)
    best = optimize.minimize(
        lambda x: -log_likelihood(*np.exp(x), offset), [0.0, 0.0], method="Nelder-Mead", options={"fatol": 1e-10}
    )
    assert fit.loglik == pytest.approx(-best.fun, abs=1e-7)
    np.testing.assert_allclose([fit.varcorr["sdcor"].iloc[0], fit.sigma], np.exp(best.x), rtol=1e-4)
    assert fit.objective == pytest.approx(fitted("gaussian", offset, "ml").objective, abs=1e-9)


VERBS = {
    "summary": lambda fit: fit.summary(),
    "vcov": lambda fit: fit.vcov,
    "coefficients": lambda fit: fit.coefficients,
    "tidy": lambda fit: fit.tidy(),
    "coef": lambda fit: fit.coef["g"],
    "ranef_se": lambda fit: fit.ranef_se["g"],
    "residuals": lambda fit: fit.residuals,
    "anova": lambda fit: fit.anova(),
    "type two": lambda fit: fit.anova(type=2),
    "simulate": lambda fit: fit.simulate(2, seed=1),
    "confint": lambda fit: fit.confint(),
    "fixed": lambda fit: fit.confint(parameters="fixed"),
    "predict": lambda fit: fit.predict(table().head(3), se=True),
    "interval": lambda fit: fit.predict(table().head(3), random="none", interval="confidence"),
    "nothing": lambda fit: fit.contrast(np.zeros((1, 0))).table,
}


QUICK = ("gaussian", "poisson")  # each of the others is a program to compile
FAMILIES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in RESPONSES]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_verb_answers(family, verb):
    assert VERBS[verb](fitted(family, True)) is not None


@pytest.mark.parametrize(
    "verb", [lambda fit: fit.emmeans("g"), lambda fit: fit.influence(), lambda fit: fit.contrast("x")]
)
def test_what_needs_fixed_effects_says_so(verb):
    with pytest.raises(hier.HierError):
        verb(fitted("gaussian", True))


@pytest.mark.parametrize("family", FAMILIES)
def test_an_offset_s_means_are_the_offset(family):
    means = fitted(family, True).emmeans("z", at={"z": [0.0, 0.5]}).table
    shift = fitted(family, True).cutpoints["estimate"].mean() if family == "cumulative" else 0.0
    np.testing.assert_allclose(means["estimate"], np.array([0.0, 0.5]) - shift, atol=1e-12)
    if family != "cumulative":
        np.testing.assert_array_equal(means["std_error"], 0.0)


@pytest.mark.parametrize("family", FAMILIES[1:])
def test_the_restricted_likelihood_is_the_likelihood(family):
    """With no fixed effects there is nothing to integrate out."""
    by_reml, by_ml = fitted(family, False, "reml"), fitted(family, False)
    assert by_reml.objective == pytest.approx(by_ml.objective, abs=1e-9)
    pd.testing.assert_frame_equal(by_reml.varcorr, by_ml.varcorr)


def test_each_family_compares_with_the_model_that_has_an_intercept():
    smaller = fitted("poisson", False)
    larger = hier.Model("count ~ 1 + (1 | g)", table(), family="poisson").estimate()
    lrt = larger.anova(smaller)
    assert lrt["df"].iloc[1] == 1
    assert lrt["chisq"].iloc[1] == pytest.approx(2 * (larger.loglik - smaller.loglik), rel=1e-9)
