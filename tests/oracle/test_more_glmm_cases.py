"""Fits of further families, links and structures against R's glmmTMB and clmm."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hier
from tests.oracle.test_glmm_cases import marked
from tests.oracle.test_lmm_cases import frame

HERE = Path(__file__).parent
CASES = json.loads((HERE / "more_glmm_cases.json").read_text(encoding="utf-8"))["cases"]
# one of a kind in the default run: the others each compile a density of their own
DEFAULT = (
    "cbpp_cloglog",
    "salamanders_zip_zi",
    "gaussian_spread",
)
# glmmTMB 1.1 models the logarithm of a Normal response's variance, not of its standard deviation
DISPERSION = {"gaussian": 2.0}
# hier's parameters from what glmmTMB's sigma() gives (its help page)
SIGMA = {
    "gamma": ("shape", lambda sigma: sigma**-2),
    "gaussian": ("sigma", lambda sigma: sigma),
    **dict.fromkeys(("nbinom1", "beta", "beta_binomial"), ("phi", lambda sigma: sigma)),
    **dict.fromkeys(("nbinom2", "zero_inflated_negbinomial", "hurdle_negbinomial"), ("shape", lambda sigma: sigma)),
}


@pytest.mark.parametrize("case", marked(CASES, DEFAULT))
def test_fit_equals_r(case):
    expected = case["expected"]
    formula = hier.Formula(case["formula"], **(case["further"] or {}))
    fit = hier.Model(formula, frame(case), family=case["family"], link=case["link"]).estimate("ml")
    assert fit.converged
    assert fit.nobs == expected["n"]
    assert fit.n_parameters == expected["df"]
    # R's searches stop up to 1e-8 short of the optimum
    assert fit.loglik == pytest.approx(expected["loglik"], abs=1e-6)
    check(fit.coefficients, expected["fixed"])
    for term in expected["random"]:
        own = fit.varcorr[(fit.varcorr["group"] == term["group"]) & fit.varcorr["term2"].isna()]
        np.testing.assert_allclose(own["sdcor"], np.ravel(term["sd"]), rtol=1e-4, atol=1e-5, err_msg=term["group"])
    if "cutpoints" in expected:
        check(fit.cutpoints, expected["cutpoints"])
    check_further(fit, case)


def check_further(fit, case):
    """Zero inflation, hurdles and dispersions, with a formula or without."""
    expected, found, further = case["expected"], fit.family_parameters, case["further"] or {}
    for part, rows in ((part, expected[part]) for part in ("zi", "disp") if part in expected):
        names = ("zi", "hu") if part == "zi" else ("shape", "phi", "sigma")
        if further:
            own = found[found.index.str.startswith(tuple(f"{name}_" for name in names))]
            check(own * DISPERSION.get(case["family"], 1.0), rows)
        else:
            (own,) = (found.loc[name, "estimate"] for name in names if name in found.index)
            assert np.log(own / (1.0 - own)) == pytest.approx(rows[0]["estimate"], abs=1e-4 * rows[0]["se"])
    if "sigma" in expected and case["family"] in SIGMA:
        name, from_sigma = SIGMA[case["family"]]
        assert found.loc[name, "estimate"] == pytest.approx(from_sigma(expected["sigma"]), rel=1e-4)


def check(table: pd.DataFrame, rows):
    assert len(table) == len(rows)
    estimate, se = (np.array([row[key] for row in rows], dtype=float) for key in ("estimate", "se"))
    assert (np.abs(table["estimate"].to_numpy() - estimate) <= 1e-4 * se).all()
    np.testing.assert_allclose(table["std_error"], se, rtol=1e-3)  # R's are from finite differences
