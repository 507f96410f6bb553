"""Hypotheses about the fixed effects: shares of the draws."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import hier
from hier.posterior.probabilities import hypothesis
from tests.posterior.made_up import of_model


@pytest.fixture(scope="module")
def known():
    """Draws of two coefficients whose every share is known."""
    beta = np.stack([np.arange(1000.0), -np.arange(1000.0) / 10], axis=-1).reshape(4, 250, 2)
    return SimpleNamespace(beta=beta, coef_names=("Intercept", "a[T.q]"), groups=(), further={}, draws={})


def test_probabilities_are_shares_of_the_draws(known):
    table = hypothesis(
        known, ["Intercept > 899.5", "a[T.q] < -50", "Intercept + 10*a[T.q] = 0", "Intercept > -1"], 0.95
    )
    assert list(table["alternative"]) == ["greater", "less", "two-sided", "greater"]
    np.testing.assert_allclose(table["post_prob"], [0.1, 0.499, np.nan, 1.0])
    np.testing.assert_allclose(table["evidence_ratio"], [0.1 / 0.9, 0.499 / 0.501, np.nan, np.inf])
    np.testing.assert_allclose(table["estimate"], [499.5 - 899.5, 0.05, 0.0, 500.5], atol=1e-9)
    # one-sided: 5 percent on each side; two-sided: 2.5
    assert table["conf_low"].iloc[3] == pytest.approx(1.0 + 0.05 * 999)
    assert table["conf_high"].iloc[3] == pytest.approx(1.0 + 0.95 * 999)
    two_sided = hypothesis(known, "Intercept = 0", 0.95).iloc[0]
    assert two_sided["conf_low"] == pytest.approx(0.025 * 999)
    assert two_sided["std_error"] == pytest.approx(np.arange(1000.0).std(ddof=1))


def test_estimate_and_posterior_read_the_same_words(pigs_reml, pigs_posterior):
    text = "week - 6 > 0.01 * Intercept"
    one, other = pigs_reml.hypothesis(text).iloc[0], pigs_posterior.hypothesis(text).iloc[0]
    assert other["estimate"] == pytest.approx(one["estimate"], abs=3 * one["std_error"] / np.sqrt(1000))
    assert other["post_prob"] == pytest.approx(1 - one["p_value"], abs=0.05)
    with pytest.raises(hier.FormulaError, match="no coefficient `weak`"):
        pigs_posterior.hypothesis("weak > 6")


def test_expressions_of_any_parameters_and_levels():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"x": rng.normal(size=60), "g": rng.integers(0, 6, 60), "sigma": rng.normal(size=60)})
    data["y"] = data["x"] + rng.normal(size=60)
    posterior = of_model(hier.Model("y ~ x + sigma + (x | g)", data), (2, 50))
    own = {name: values.reshape(100, *values.shape[2:]) for name, values in posterior.draws.items()}
    sd, b, sigma = own["sd_g"], own["b_g"], own["sigma"]
    expected = {
        "sd_g[Intercept]^2 / (sd_g[Intercept]^2 + sigma^2) > 0.05": sd[:, 0] ** 2 / (sd[:, 0] ** 2 + sigma**2) - 0.05,
        "exp(x) - 2 * (1 + sigma) < 0": np.exp(own["beta"][:, 1]) - 2 * (1 + sigma),
        "x + g[3,x] > 0": own["beta"][:, 1] + b[:, 3, 1],
        "g[0,Intercept] > g[1,Intercept]": b[:, 0, 0] - b[:, 1, 0],
        "cor_g[Intercept,x] * sd_g[x] < -x^2": own["cor_g"][:, 0] * sd[:, 1] + own["beta"][:, 1] ** 2,
        "beta[sigma] > sqrt(sigma)": own["beta"][:, 2] - np.sqrt(sigma),
    }
    found = posterior.hypothesis(list(expected))
    for (text, values), row in zip(expected.items(), found.itertuples(), strict=True):
        assert row.estimate == pytest.approx(values.mean()), text
        share = (values < 0).mean() if " < " in text else (values > 0).mean()
        assert row.post_prob == pytest.approx(share)
    for text, said in (
        ("sd_h[x] > 1", "there is no"),
        ("x >", "a parameter or a number is missing"),
        ("x", "compares two sides"),
        ("1 > 0", "there is no parameter"),
        ("exp x > 0", "is missing here"),
        ("x > (1", "never closed"),
        ("(" * 60 + "x", "nested more than"),
    ):
        with pytest.raises(hier.FormulaError, match=said):
            posterior.hypothesis(text)


def test_marginal_means_of_a_posterior_are_those_of_each_draw():
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"x": rng.normal(size=90), "f": rng.choice(list("abc"), 90), "g": rng.integers(0, 9, 90)})
    data["y"] = data["x"] + rng.normal(size=90)
    posterior = of_model(hier.Model("y ~ x * f + (1 | g)", data), (2, 50))
    beta, mean = posterior.draws["beta"].reshape(100, 6), data["x"].mean()
    draws = np.stack(
        [
            beta[:, 0] + beta[:, 1] * mean + more
            for more in (0.0, beta[:, 2] + beta[:, 4] * mean, beta[:, 3] + beta[:, 5] * mean)
        ],
        axis=1,
    )
    found = posterior.emmeans("f")
    assert list(found.table.index) == ["a", "b", "c"]
    np.testing.assert_allclose(found.table["estimate"], draws.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(found.table["conf_high"], np.quantile(draws, 0.975, axis=0), rtol=1e-10)
    pairs = found.pairs()
    assert list(pairs.index) == ["a - b", "a - c", "b - c"]
    np.testing.assert_allclose(pairs["post_prob"].iloc[2], (draws[:, 1] > draws[:, 2]).mean())
    at = posterior.emmeans("f", at={"x": 2.0}, level=0.5)
    np.testing.assert_allclose(at.table["estimate"].iloc[0], (beta[:, 0] + 2 * beta[:, 1]).mean(), rtol=1e-10)
    assert "50 percent intervals" in repr(at)
    with pytest.raises(hier.FitError, match="no variable `z`"):
        posterior.emmeans("z")


def test_the_evidence_for_an_equality_is_a_ratio_of_densities():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"x": rng.normal(size=40), "g": rng.integers(0, 5, 40), "y": rng.normal(size=40)})
    posterior = of_model(hier.Model("y ~ x + (1 | g)", data), (4, 500))
    assert np.isnan(posterior.hypothesis("x = 0")["evidence_ratio"].iloc[0])
    found = posterior.with_prior(4000).hypothesis("x = 0").iloc[0]
    x, scale = posterior.draws["beta"][..., 1], 2.5 * data["y"].std() / data["x"].std()
    normal = np.exp(-0.5 * (x.mean() / x.std()) ** 2) / x.std()  # the made-up draws are Normal
    assert found["evidence_ratio"] == pytest.approx(normal * scale, rel=0.15)
    assert found["post_prob"] == pytest.approx(found["evidence_ratio"] / (1 + found["evidence_ratio"]))
