"""REML and ML fits against R's, on published data: lme4's optimum polished until its gradient vanished."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hier

HERE = Path(__file__).parent
CASES = json.loads((HERE / "lmm_cases.json").read_text())["cases"]


def frame(case):
    table = pd.read_csv(HERE / case["data"], keep_default_na=False, na_values=[""])
    for name, coding in (case["categorical"] or {}).items():
        levels = coding.get("levels") or sorted(table[name].dropna().astype(str).unique())
        values = table[name].map(lambda v: v if pd.isna(v) or isinstance(v, str) else f"{v:g}")
        table[name] = pd.Categorical(values, categories=levels)
    return table


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_fit_equals_r(case):
    expected = case["expected"]
    model = hier.Model(case["formula"], frame(case), weights=case["weights"], offset=case["offset"])
    fit = model.estimate("reml" if case["reml"] else "ml")
    singular = bool({"singular", "weakly_identified"} & set(case["tags"]))
    assert fit.converged
    assert fit.nobs == case["n"]
    # R's optimum is right to 1e-8; a lower objective would be ours to defend, and there is none
    assert fit.objective == pytest.approx(expected["objective"], abs=1e-6)
    assert fit.is_singular == expected["isSingular"]
    assert fit.aic == pytest.approx(expected["AIC"], abs=1e-5)
    assert fit.bic == pytest.approx(expected["BIC"], abs=1e-5)
    estimate = np.array([row["estimate"] for row in expected["fixed"]])
    se = np.array([row["se"] for row in expected["fixed"]])
    # the order of the columns is R's for every case kept here
    np.testing.assert_allclose(fit.fixef, estimate, atol=1e-4 * se.min())
    np.testing.assert_allclose(fit.coefficients["std_error"], se, rtol=1e-5)
    assert fit.sigma == pytest.approx(expected["sigma"], rel=1e-5)
    sd = fit.varcorr["sdcor"][fit.varcorr["term2"].isna()].to_numpy()[:-1]
    np.testing.assert_allclose(sd, expected["sd"], rtol=1e-4, atol=1e-4 * fit.sigma)
    if not singular:  # R's degrees of freedom come from numerical Hessians, which mean little on the boundary
        df = np.array([row["df"] for row in expected["fixed"]], dtype=float)
        np.testing.assert_allclose(fit.coefficients["df"], df, rtol=0.005)
