"""Hypotheses about the fixed effects: shares of the draws."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import hier
from hier.posterior.probabilities import hypothesis


@pytest.fixture(scope="module")
def known():
    """Draws of two coefficients whose every share is known."""
    beta = np.stack([np.arange(1000.0), -np.arange(1000.0) / 10], axis=-1).reshape(4, 250, 2)
    return SimpleNamespace(beta=beta, coef_names=("Intercept", "a[T.q]"))


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
