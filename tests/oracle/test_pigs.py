"""The lecture's analyses of the pigs, and the closed form that a balanced design has."""

from __future__ import annotations

import numpy as np
import pytest

import hier

# printed by lme4 1.1 and lmerTest for Pfit: intercept and slope of each of the 48 pigs
COEF = """
19.59583 5.813491 17.76410 6.721253 15.81816 6.531738 21.33010 5.436096 20.66434 5.283964 18.20918 5.664767
16.75841 6.250396 18.21689 6.040443 16.16318 5.473554 20.51879 6.212529 19.56571 6.274587 18.61198 6.203627
18.00780 6.005597 18.41249 5.722986 16.61927 7.288605 15.51606 6.127593 26.11286 6.276210 22.65131 4.832620
24.63000 6.313625 20.78559 6.013639 20.72208 5.660488 22.65456 6.107961 20.11090 7.050579 20.78047 6.170029
15.63791 5.769765 15.28836 5.896836 17.99367 5.520279 16.93479 6.214271 19.56767 7.283895 16.68012 5.278910
17.19519 6.515998 17.25231 7.369767 19.43871 6.178544 18.80121 6.997048 17.77885 6.729328 20.50274 5.938423
18.83326 6.324742 19.39256 6.975793 19.00195 6.523202 18.26821 6.307325 19.34824 5.120790 19.45602 6.108424
19.37264 5.903588 22.06386 6.262233 25.83643 6.310636 20.27636 6.583958 22.86370 7.363327 21.06463 7.121539
"""


def closed_form(pigs):
    """REML of a balanced design with X = Z in every group: moments of the pigs' own regressions."""
    own = np.array([np.polyfit(g["week"], g["weight"], 1)[::-1] for _, g in pigs.groupby("id")])
    X = np.column_stack([np.ones(9), np.arange(1.0, 10.0)])
    fitted = own @ X.T
    sigma2 = ((pigs["weight"].to_numpy().reshape(48, 9) - fitted) ** 2).sum() / (432 - 48 * 2)
    return own.mean(axis=0), np.cov(own.T) - sigma2 * np.linalg.inv(X.T @ X), sigma2, np.cov(own.T) / 48


def test_reml_equals_the_closed_form(pigs, pigs_reml):
    beta, covariance, sigma2, vcov = closed_form(pigs)
    assert covariance[0, 0] == pytest.approx(6.98646398, rel=1e-8)  # the closed form itself, as published
    table = pigs_reml.varcorr["vcov"].to_numpy()
    np.testing.assert_allclose(pigs_reml.fixef, beta, rtol=1e-7)
    np.testing.assert_allclose(table, [covariance[0, 0], covariance[1, 1], covariance[0, 1], sigma2], rtol=1e-7)
    np.testing.assert_allclose(pigs_reml.vcov, vcov, rtol=1e-7)
    np.testing.assert_allclose(pigs_reml.coefficients["std_error"], [0.40386763, 0.09203821], rtol=1e-7)


def test_reml_prints_what_the_lecture_prints(pigs_reml):
    assert pigs_reml.objective == pytest.approx(1740.87123, abs=5e-6)
    assert pigs_reml.converged
    assert not pigs_reml.is_singular
    table = pigs_reml.coefficients
    np.testing.assert_allclose(table["df"], [47.0, 47.0], atol=0.005)
    np.testing.assert_allclose(table["statistic"], [47.93, 67.47], atol=0.005)
    assert (table["p_value"] < 2e-16).all()
    np.testing.assert_allclose(table["estimate"], [19.35561, 6.20990], atol=5e-6)
    np.testing.assert_allclose(table["std_error"], [0.40387, 0.09204], atol=5e-6)
    np.testing.assert_allclose(pigs_reml.varcorr["sdcor"], [2.6432, 0.6164, -0.06, 1.2637], atol=0.005)
    quartiles = np.quantile(pigs_reml.residuals / pigs_reml.sigma, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(quartiles, [-3.6202, -0.5474, 0.0150, 0.5486, 2.9939], atol=5e-5 + 1e-5)
    # the exact correlation is -0.13251; lme4 stopped close enough short of the optimum to print -0.132
    correlation = pigs_reml.vcov.loc["Intercept", "week"] / np.prod(pigs_reml.coefficients["std_error"])
    assert correlation == pytest.approx(-0.132, abs=6e-4)


def test_coef_of_every_pig_is_the_lectures(pigs_reml):
    expected = np.array(COEF.split(), dtype=float).reshape(48, 2)
    got = pigs_reml.coef["id"]
    assert got.index.tolist() == list(range(1, 49))
    # printed digits, and lme4's own distance from the optimum (up to 3e-4 of a variance)
    np.testing.assert_allclose(got["Intercept"], expected[:, 0], atol=2e-5)
    np.testing.assert_allclose(got["week"], expected[:, 1], atol=5e-6)


def test_summary_has_lme4s_blocks(pigs_reml):
    text = pigs_reml.summary()
    for piece in ("REML criterion: 1740.8712", "Scaled residuals", "Random effects", "Fixed effects", "groups: id, 48"):
        assert piece in text


def test_random_slope_on_sim757(sim757):
    fit = hier.Model("Y ~ X + (X - 1 | Group)", sim757).estimate()
    assert fit.objective == pytest.approx(1200.8, abs=0.05)
    np.testing.assert_allclose(fit.varcorr["vcov"], [0.5631, 250.6692], rtol=2e-4)
    np.testing.assert_allclose(fit.coefficients["df"], [132.0413, 6.2696], rtol=2e-4)
    np.testing.assert_allclose(fit.coefficients["estimate"], [49.2571, 2.2844], rtol=2e-5)
    np.testing.assert_allclose(fit.coefficients["std_error"], [2.7496, 0.2875], rtol=2e-4)
    np.testing.assert_allclose(fit.coefficients["statistic"], [17.914, 7.945], rtol=2e-4)
    assert fit.coefficients["p_value"]["X"] == pytest.approx(0.000169, rel=5e-3)
    slopes = [1.630928, 1.736566, 1.953450, 2.046965, 2.202513, 2.600950, 3.819426]
    np.testing.assert_allclose(fit.coef["Group"]["X"], slopes, atol=2e-6)
    np.testing.assert_allclose(fit.coef["Group"]["Intercept"], 49.25711, atol=5e-6)
    assert not fit.is_singular
    quartiles = np.quantile(fit.residuals / fit.sigma, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(quartiles, [-2.81692, -0.60154, 0.04225, 0.67061, 2.55511], atol=2e-5)


def test_singular_fit_is_a_value_and_not_a_storm(sim757, recwarn):
    fit = hier.Model("Y ~ X + (X | Group)", sim757).estimate()
    assert fit.objective == pytest.approx(1200.681, abs=5e-4)
    assert fit.is_singular
    assert "singular" in fit.message
    assert fit.converged
    assert fit.varcorr["sdcor"][2] == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(fit.varcorr["sdcor"][[0, 1, 3]], [1.0244, 0.7363, 15.8266], atol=5e-5)
    np.testing.assert_allclose(fit.fixef, [49.432, 2.282], atol=5e-4)
    assert np.isfinite(fit.coefficients.to_numpy()).all()
    assert len(recwarn) == 0
