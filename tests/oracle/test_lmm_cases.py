"""REML and ML fits against R's, on published data: lme4's optimum polished until its gradient vanished."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hier

HERE = Path(__file__).parent
FILES = ("lmm_cases.json", "more_lmm_cases.json")
CASES = [case for name in FILES for case in json.loads((HERE / name).read_text(encoding="utf-8"))["cases"]]


def label(value) -> object:
    """A level as the reference spells it: whole numbers without a decimal point, however long; missing stays."""
    return value if pd.isna(value) or isinstance(value, str) else np.format_float_positional(value, trim="-")


def frame(case):
    table = pd.read_csv(HERE / case["data"], keep_default_na=False, na_values=[""])
    for name, coding in (case["categorical"] or {}).items():
        values = table[name].map(label)
        table[name] = pd.Categorical(values, categories=coding.get("levels") or sorted(values.dropna().unique()))
    return table


# of which another case has the like, and which take longest to compile or to read
LONG = (
    "Alfalfa_reml",
    "Assay_reml",
    "Exam_reml",
    "InstEval_dept_ml",
    "Pixel_ml",
    "Wafer",
    "crossed_few_ml",
    "crossed_slopes",
    "egsingle_reml",
    "radon_corr_ml",
    "sleepstudy_poly2_ml",
)


def random_rows(case):
    """R's standard deviations, and correlations, in the order of hier's `varcorr`: by group, those of all its terms."""
    rows = {}
    for term in case["expected"]["random"]:
        sd, correlation = rows.setdefault(term["group"], ([], []))
        sd += term["sd"]
        correlation += term["corr"]
    return rows


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=pytest.mark.slow if case["name"] in LONG else ()) for case in CASES],
    ids=[case["name"] for case in CASES],
)
def test_fit_equals_r(case):
    expected = case["expected"]
    model = hier.Model(case["formula"], frame(case), weights=case["weights"], offset=case["offset"])
    fit = model.estimate("reml" if case["reml"] else "ml")
    singular = bool({"singular", "weakly_identified"} & set(case["tags"]))
    assert fit.converged
    assert fit.nobs == case["n"]
    # R's optimum is right to 1e-8; a lower objective would be ours to defend, and there is none. The relative part is
    # for criteria of hundreds of thousands, of which ten digits are compared
    assert fit.objective == pytest.approx(expected["objective"], abs=1e-6, rel=4e-11)
    assert fit.is_singular == expected["isSingular"]
    assert fit.aic == pytest.approx(expected["AIC"], abs=1e-5)
    assert fit.bic == pytest.approx(expected["BIC"], abs=1e-5)
    estimate = np.array([row["estimate"] for row in expected["fixed"]])
    se = np.array([row["se"] for row in expected["fixed"]])
    assert len(fit.fixef) == len(estimate)
    # the order of the columns is R's for every case kept here
    assert (np.abs(fit.fixef.to_numpy() - estimate) <= 1e-4 * se).all()
    np.testing.assert_allclose(fit.coefficients["std_error"], se, rtol=1e-5)
    assert fit.sigma == pytest.approx(expected["sigma"], rel=1e-5)
    check_random(fit, random_rows(case), singular)
    for term in expected["modes"]:
        check_modes(fit, term)
    if not singular:  # R's degrees of freedom come from numerical Hessians, which mean little on the boundary
        df = np.array([row["df"] for row in expected["fixed"]], dtype=float)
        np.testing.assert_allclose(fit.coefficients["df"], df, rtol=0.005)


def check_random(fit, rows, singular):
    """Every standard deviation and correlation, by group; a singular fit has correlations that nothing determines."""
    table = fit.varcorr
    assert table["group"].iloc[-1] == "Residual"
    assert set(table["group"]) == {*rows, "Residual"}
    for group, (sd, correlation) in rows.items():
        own = table[table["group"] == group]
        alone = own["term2"].isna()
        np.testing.assert_allclose(own["sdcor"][alone], sd, rtol=1e-4, atol=1e-4 * fit.sigma, err_msg=group)
        assert (~alone).sum() == len(correlation)
        if not singular:
            np.testing.assert_allclose(own["sdcor"][~alone], correlation, atol=1e-4, err_msg=group)


def check_modes(fit, term):
    """Deviations of some levels within 1e-4 of their conditional sd, and that sd where R was asked for it.

    The floors, in units of sigma, are for variances of zero: there modes and sds are the distance to the boundary at
    which a search stopped.
    """
    group = term["group"]
    modes = {str(level): row.to_numpy() for level, row in fit.ranef[group].iterrows()}
    sds = {str(level): row.to_numpy() for level, row in fit.ranef_se[group].iterrows()}
    for level, expected in term["levels"].items():
        off = np.abs(modes[level] - expected)
        assert (off <= 1e-4 * sds[level] + 1e-6 * fit.sigma).all(), (group, level)
    for level, expected in term.get("sds", {}).items():
        np.testing.assert_allclose(sds[level], expected, rtol=1e-4, atol=1e-6 * fit.sigma, err_msg=f"{group} {level}")


@pytest.mark.parametrize(
    "case", [case for case in CASES if "kenward_roger" in case["expected"]], ids=lambda case: case["name"]
)
def test_kenward_roger_equals_pbkrtest(case):
    """One of them has fewer than four degrees of freedom, where F has no variance."""
    expected = case["expected"]["kenward_roger"]
    found = hier.Model(case["formula"], frame(case)).estimate().tests("kenward-roger")
    np.testing.assert_allclose(found["std_error"], expected["se"], rtol=1e-5)
    np.testing.assert_allclose(found["df"], expected["df"], rtol=1e-4)


def test_kenward_roger_f_where_f_has_no_variance():
    """pbkrtest: F = 193.232774949481 on 3 and 2.98426977954002 degrees of freedom."""
    (case,) = [case for case in CASES if case["name"] == "no_intercept_factor"]
    row = hier.Model(case["formula"], frame(case)).estimate().anova(ddf="kenward-roger").loc["r"]
    assert row["statistic"] == pytest.approx(193.232774949481, rel=1e-5)
    assert row["den_df"] == pytest.approx(2.98426977954002, rel=1e-5)
