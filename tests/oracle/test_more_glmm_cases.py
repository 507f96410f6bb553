"""Fits of further families, links and structures against R's glmmTMB and clmm."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hier

HERE = Path(__file__).parent
CASES = json.loads((HERE / "more_glmm_cases.json").read_text(encoding="utf-8"))["cases"]
# one of a kind in the default run: the others each compile a density of their own
DEFAULT = (
    "cbpp_cloglog",
    "salamanders_zip_zi",
    "salamanders_hurdle_poisson",
    "gaussian_spread",
    "wine_probit_two",
)
FACTORS = ("period", "rating", "judge", "bottle", "Subject")
# glmmTMB 1.1 models the logarithm of a Normal response's variance, not of its standard deviation
DISPERSION = {"gaussian": 2.0}


def marked(case):
    return pytest.param(case, id=case["name"], marks=() if case["name"] in DEFAULT else pytest.mark.slow)


def read(case) -> pd.DataFrame:
    table = pd.read_csv(HERE / case["data"])
    factors = [name for name in FACTORS if name in table.columns]
    return table.astype(
        {name: pd.CategoricalDtype(sorted(table[name].unique()), ordered=name == "rating") for name in factors}
    )


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_fit_equals_r(case):
    expected = case["expected"]
    formula = hier.Formula(case["formula"], **(case["further"] or {}))
    fit = hier.Model(formula, read(case), family=case["family"], link=case["link"]).estimate("ml")
    assert fit.converged
    assert fit.nobs == expected["n"]
    assert fit.n_parameters == expected["df"]
    # R's searches stop a little short of the optimum
    assert fit.loglik == pytest.approx(expected["loglik"], abs=1e-4)
    assert fit.loglik > expected["loglik"] - 1e-5
    check(fit.coefficients, expected["fixed"])
    for term in expected["random"]:
        own = fit.varcorr[(fit.varcorr["group"] == term["group"]) & fit.varcorr["term2"].isna()]
        np.testing.assert_allclose(own["sdcor"], np.ravel(term["sd"]), rtol=1e-3, atol=1e-4, err_msg=term["group"])
    if "cutpoints" in expected:
        check(fit.cutpoints, expected["cutpoints"])
    check_further(fit, case)


def check_further(fit, case):
    """Zero inflation and hurdles, with a formula or without, and dispersions that have one."""
    expected, found, further = case["expected"], fit.family_parameters, case["further"] or {}
    for part, rows in ((part, expected[part]) for part in ("zi", "disp") if part in expected):
        names = ("zi", "hu") if part == "zi" else ("shape", "phi", "sigma")
        if further:
            own = found[found.index.str.startswith(tuple(f"{name}_" for name in names))]
            check(own * DISPERSION.get(case["family"], 1.0), rows)
        else:
            (own,) = (found.loc[name, "estimate"] for name in names if name in found.index)
            assert np.log(own / (1.0 - own)) == pytest.approx(rows[0]["estimate"], abs=1e-3 * rows[0]["se"])


def check(table: pd.DataFrame, rows):
    assert len(table) == len(rows)
    estimate, se = (np.array([row[key] for row in rows], dtype=float) for key in ("estimate", "se"))
    assert (np.abs(table["estimate"].to_numpy() - estimate) <= 1e-3 * se).all()
    np.testing.assert_allclose(table["std_error"], se, rtol=2e-3)
