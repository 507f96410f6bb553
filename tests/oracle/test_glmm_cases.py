"""Laplace and quadrature fits against R's glmer, glmmTMB and clmm, on published data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import hier
from tests.oracle.test_lmm_cases import frame

CASES = json.loads((Path(__file__).parent / "glmm_cases.json").read_text(encoding="utf-8"))["cases"]
FAMILIES = {"poisson_zi": "zero_inflated_poisson"}  # R's other words are aliases
DISPERSIONS = {"theta_size": "shape", "shape": "shape", "phi": "phi"}
# one of a kind in the default run: each takes ten seconds to compile
DEFAULT = (
    "cbpp_laplace",
    "cbpp_agq11",
    "contraception_slope",
    "owls_nbinom2",
    "salamanders_zip",
    "sim_gamma_log",
    "wine_clmm_judge",
)


def marked(cases, default):
    """The cases as parameters of a test, those that are not in the default run marked as slow."""
    return [
        pytest.param(own, id=own["name"], marks=() if own["name"] in default else pytest.mark.slow) for own in cases
    ]


def fitted(case) -> hier.Estimate:
    table = frame(case)
    response = case["formula"].split("~")[0].strip()
    if case["success_level"] is not None:
        table[response] = table[response].astype(str) == str(case["success_level"])
    family = FAMILIES.get(case["family"], case["family"])
    return hier.Model(case["formula"], table, family=family, link=case["link"]).estimate(nagq=case["nagq"])


@pytest.mark.parametrize("case", marked(CASES, DEFAULT))
def test_fit_equals_r(case):
    expected = case["expected"]
    fit = fitted(case)
    assert fit.converged
    assert fit.nobs == case["n"]
    # R's optima are polished to 1e-6 or better; the log-likelihood has all constants
    assert fit.loglik == pytest.approx(expected["loglik"], abs=5e-6)
    assert fit.aic == pytest.approx(expected["AIC"], abs=1e-5)
    assert fit.n_parameters == expected["df"]
    estimate = np.array([row["estimate"] for row in expected["fixed"]])
    se = np.array([row["se"] for row in expected["fixed"]])
    assert len(fit.fixef) == len(estimate)
    assert (np.abs(fit.fixef.to_numpy() - estimate) <= 1e-4 * se).all()
    # R's standard errors are from finite differences
    np.testing.assert_allclose(fit.coefficients["std_error"], se, rtol=1e-3)
    for term in expected["random"]:
        own = fit.varcorr[(fit.varcorr["group"] == term["group"]) & fit.varcorr["term2"].isna()]
        np.testing.assert_allclose(own["sdcor"], term["sd"], rtol=1e-3, err_msg=term["group"])
    check_further(fit, expected)
    for term in expected["modes"]:
        check_modes(fit, term)
    if "fitted_first5" in expected:
        np.testing.assert_allclose(fit.fitted.iloc[:5], expected["fitted_first5"], rtol=1e-4)


def check_further(fit, expected):
    """Dispersions, zero inflation and cutpoints with their standard errors."""
    found = fit.family_parameters
    for key, name in DISPERSIONS.items():
        if key in expected.get("dispersion", {}):
            assert found.loc[name, "estimate"] == pytest.approx(expected["dispersion"][key], rel=1e-4)
            log_se = found.loc[name, "std_error"] / found.loc[name, "estimate"]
            assert log_se == pytest.approx(expected["dispersion"]["log_se"], rel=1e-3)
    if "zero_inflation" in expected:
        assert found.loc["zi", "estimate"] == pytest.approx(expected["zero_inflation"]["prob"], rel=1e-4)
    rows = expected.get("thresholds", [])
    assert list(fit.cutpoints.index) == [row["name"] for row in rows]
    np.testing.assert_allclose(fit.cutpoints["estimate"], [row["estimate"] for row in rows], atol=1e-5)
    np.testing.assert_allclose(fit.cutpoints["std_error"], [row["se"] for row in rows], rtol=1e-4)


def check_modes(fit, term):
    modes = {str(level): row.to_numpy() for level, row in fit.ranef[term["group"]].iterrows()}
    sds = {str(level): row.to_numpy() for level, row in fit.ranef_se[term["group"]].iterrows()}
    assert term["levels"]
    for level, expected in term["levels"].items():
        assert (np.abs(modes[level] - expected) <= 1e-3 * sds[level]).all(), (term["group"], level)
