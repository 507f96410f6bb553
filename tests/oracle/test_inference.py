"""Tests of fixed and random effects and marginal means against lmerTest, pbkrtest and emmeans.

R's numbers have ten digits; its optimum is 1e-7 away in the estimates, and lmerTest's degrees of freedom come from
numerical derivatives.
"""

from __future__ import annotations

import functools
import json

import numpy as np
import pandas as pd
import pytest

import hier
from tests.oracle.test_lmm_cases import CASES, HERE, frame

PUBLISHED = json.loads((HERE / "inference.json").read_text(encoding="utf-8"))
UNBALANCED = json.loads((HERE / "anova.json").read_text(encoding="utf-8"))
DDF = {"satterthwaite": "satterthwaite", "kenward_roger": "kenward-roger"}
DF = 2e-4  # relative: degrees of freedom
CLOSE = 1e-5  # relative: statistics
BY_DDF = pytest.mark.parametrize("ddf", DDF)


@functools.cache
def published(file):
    coded = {}
    for case in CASES:
        if case["data"] == file:
            coded = (case["categorical"] or {}) | coded
    return frame({"data": file, "categorical": coded})


@functools.cache
def fitted(file, formula, weights=None, method="reml"):
    data = unbalanced(file == "holed") if file in ("whole", "holed") else published(file)
    return hier.Model(formula, data, weights=weights).estimate(method)


def unbalanced(holed):
    table = pd.read_csv(HERE / "data" / "sim_unbalanced.csv")
    return table[table["hole"] == "no"] if holed else table


def model_of(name):
    case = PUBLISHED["models"][name]
    return fitted(case["data"], case["formula"], case["weights"])


def numbers(table):
    """R's table as a data frame."""
    rows = {name: [np.nan if value in (None, "NA") else value for value in row] for name, row in table["rows"].items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=table["columns"], dtype=float)


def check_p(got, expected):
    """On the logarithmic scale, on which the last digits of the degrees of freedom count for little."""
    got, expected = (np.log(np.maximum(np.asarray(p, dtype=float), 1e-300)) for p in (got, expected))
    np.testing.assert_allclose(got, expected, rtol=5e-4, atol=1e-3)


def check_f_table(got, table, terms=slice(None)):
    expected = numbers(table)
    assert list(got.index) == list(expected.index)
    got, expected = got.loc[terms], expected.loc[terms]
    np.testing.assert_array_equal(got["num_df"], expected["NumDF"])
    np.testing.assert_allclose(got["den_df"], expected["DenDF"], rtol=DF)
    for name, of_r in [("sum_sq", "Sum Sq"), ("mean_sq", "Mean Sq"), ("statistic", "F value")]:
        np.testing.assert_allclose(got[name], expected[of_r], rtol=CLOSE)
    check_p(got["p_value"], expected["Pr(>F)"])


@BY_DDF
@pytest.mark.parametrize("name", PUBLISHED["models"])
def test_coefficients(name, ddf):
    case = PUBLISHED["models"][name]
    if ddf not in case["coefficients"]:
        pytest.skip("too large for pbkrtest")
    expected = numbers(case["coefficients"][ddf])
    got = model_of(name).tests(DDF[ddf])
    se = expected["Std. Error"].to_numpy()
    assert (np.abs(got["estimate"] - expected["Estimate"].to_numpy()) <= 1e-5 * se).all()
    np.testing.assert_allclose(got["std_error"], se, rtol=1e-6)
    np.testing.assert_allclose(got["df"], expected["df"], rtol=DF)
    np.testing.assert_allclose(got["statistic"], expected["t value"], rtol=CLOSE, atol=1e-6)
    check_p(got["p_value"], expected["Pr(>|t|)"])


@pytest.mark.parametrize("name", [name for name, case in PUBLISHED["models"].items() if case["vcov_kenward_roger"]])
def test_adjusted_covariance(name):
    expected = np.array(PUBLISHED["models"][name]["vcov_kenward_roger"])
    got = model_of(name).kenward_roger.vcov
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("type", [2, 3])
@BY_DDF
@pytest.mark.parametrize("name", [name for name, case in PUBLISHED["models"].items() if case["anova_satterthwaite"]])
def test_anova(name, ddf, type):
    tables = PUBLISHED["models"][name][f"anova_{ddf}"]
    if tables is None:
        pytest.skip("not in R")
    check_f_table(model_of(name).anova(type=type, ddf=DDF[ddf]), tables[f"type{type}"])


@pytest.mark.parametrize("name", [name for name, case in PUBLISHED["models"].items() if case["ranova"]])
def test_ranova(name):
    expected = numbers(PUBLISHED["models"][name]["ranova"])
    got = model_of(name).ranova()
    assert list(got.index) == list(expected.index)
    np.testing.assert_array_equal(got["npar"], expected["npar"])
    np.testing.assert_array_equal(got["df"], expected["Df"])
    for name, of_r in [("loglik", "logLik"), ("aic", "AIC"), ("lrt", "LRT")]:
        np.testing.assert_allclose(got[name], expected[of_r], atol=1e-5)
    check_p(got["p_value"], expected["Pr(>Chisq)"])


LONG = ("machines", "oats", "orthodont")  # comparisons: of two models each, whose programs take longest to compile


@pytest.mark.parametrize("name", PUBLISHED["models"])
def test_corrected_aic(name):
    expected = PUBLISHED["models"][name]["criteria"]["reml"]
    assert model_of(name).n_parameters == expected["n_parameters"]
    assert model_of(name).aicc == pytest.approx(expected["AICc"], abs=1e-5)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in PUBLISHED["comparisons"]],
)
def test_likelihood_ratios(name):
    case = PUBLISHED["comparisons"][name]
    small, large = (fitted(case["data"], case[size]) for size in ("small", "large"))
    got = large.anova(small)
    np.testing.assert_allclose(got, numbers(case["ml"]), rtol=1e-6, atol=1e-5)
    assert got.attrs["note"] == "2 of 2 models were fitted by REML and have been refitted by maximum likelihood"
    assert list(got.columns) == ["npar", "aic", "bic", "loglik", "deviance", "chisq", "df", "p_value"]
    if case["reml"]:
        np.testing.assert_allclose(small.anova(large, refit=False), numbers(case["reml"]), rtol=1e-6, atol=1e-5)


@BY_DDF
@pytest.mark.parametrize("name", [name for name, case in PUBLISHED["comparisons"].items() if case["kenward_roger"]])
def test_joint_tests_of_the_coefficients_that_a_model_has_more(name, ddf):
    case = PUBLISHED["comparisons"][name]
    small, large = (fitted(case["data"], case[size]) for size in ("small", "large"))
    expected = numbers(case[ddf]).iloc[0]
    got = large.contrast([name for name in large.fixef.index if name not in small.fixef.index], ddf=DDF[ddf]).joint
    assert got["num_df"] == expected["ndf"]
    assert got["den_df"] == pytest.approx(expected["ddf"], rel=DF)
    assert got["statistic"] == pytest.approx(expected["stat" if ddf == "kenward_roger" else "statistic"], rel=CLOSE)
    check_p(got["p_value"], expected["p.value"])


@BY_DDF
@pytest.mark.parametrize("case", PUBLISHED["means"], ids=lambda case: case["model"])
def test_marginal_means(case, ddf):
    means = model_of(case["model"]).emmeans(case["factor"], ddf=DDF[ddf])
    expected = numbers(case[ddf]["means"])
    assert list(means.table.index) == list(expected.index)
    np.testing.assert_allclose(means.table["df"], expected["df"], rtol=DF)
    np.testing.assert_allclose(means.table, expected[["emmean", "SE", "df", "lower.CL", "upper.CL"]], rtol=1e-4)
    for adjust, of_r in [("none", "pairs"), ("tukey", "pairs_tukey")]:
        expected = numbers(case[ddf][of_r])
        got = means.pairs(adjust)
        assert list(got.index) == list(expected.index)
        p_value = got.pop("p_value")
        np.testing.assert_allclose(
            got, expected[["estimate", "SE", "df", "t.ratio", "lower.CL", "upper.CL"]], rtol=1e-4
        )
        check_p(p_value, expected["p.value"])


# Where the definition is not lmerTest's, whose result there depends on the coding:
# - it takes the columns of poly(x, 2) for a factor's, and `a` for contained in `a:poly(x, 2)`, but not in `a:x`;
# - it does not take `a` for contained in the `a:b` of `a / b`, and tests it at the first level of `b`;
# - without an intercept it tests the levels of `a` against zero at the first level of `b`.
APART = {("polynomial", 2): "a", ("nested", 2): "a", ("nested", 3): "a", ("no_intercept", 3): "a"}
BY_KR = ("three_way", "covariate_slope", "missing_cell_covariate")


@pytest.mark.parametrize("type", [1, 2, 3])
@pytest.mark.parametrize("name", UNBALANCED["models"])
def test_anova_of_unbalanced_data(name, type):
    case = UNBALANCED["models"][name]
    file = "holed" if case["holed"] else "whole"
    fit = fitted(file, case["formula"], case.get("weights"), "reml" if case["reml"] else "ml")
    assert fit.objective == pytest.approx(case["objective"], abs=1e-6)
    terms = [term for term in case["satterthwaite"]["type1"]["rows"] if term != APART.get((name, type))]
    check_f_table(fit.anova(type=type), case["satterthwaite"][f"type{type}"], terms)
    if name in BY_KR:
        check_f_table(fit.anova(type=type, ddf="kenward-roger"), case["kenward_roger"][f"type{type}"], terms)


def label(values):
    """A combination of values as emmeans writes it."""
    return " ".join(
        f"{v:g}" if isinstance(v, float) else str(v) for v in (values if isinstance(values, tuple) else [values])
    )


@pytest.mark.parametrize("case", UNBALANCED["means"], ids=lambda case: f"{case['model']}-{case['keys']}")
def test_marginal_means_of_unbalanced_data(case):
    logged = case["model"] == "logged"
    model = {"formula": UNBALANCED["logged"], "holed": False} if logged else UNBALANCED["models"][case["model"]]
    fit = fitted("holed" if model["holed"] else "whole", model["formula"])
    means = fit.emmeans(case["keys"], at=case["at"] or None)
    expected = numbers(case["means"])
    # the last factor changes fastest here, the first one in R; NaN, where the data do not determine a mean, in both
    got = means.table.set_axis([label(own) for own in means.table.index]).loc[list(expected.index)]
    np.testing.assert_allclose(got.pop("df"), expected.pop("df"), rtol=DF)
    np.testing.assert_allclose(got, expected, rtol=CLOSE)

    expected = numbers(case["pairs"])
    of_r = {frozenset(pair_of(name)): row for name, row in expected.iterrows()}
    signs = {name: pair_of(name) for name in expected.index}
    got = means.pairs(case["adjust"])
    assert len(got) == len(expected)
    for name, row in got.iterrows():
        first, second = pair_of(name.replace(".0", ""))
        other = of_r[frozenset((first, second))]
        sign = 1.0 if list(signs[other.name]) == [first, second] else -1.0
        limits = sorted([sign * other["lower.CL"], sign * other["upper.CL"]])
        numbers_of_r = [sign * other["estimate"], other["SE"], other["df"], sign * other["t.ratio"], *limits]
        np.testing.assert_allclose(row.drop("p_value").to_numpy(dtype=float), numbers_of_r, rtol=1e-4)
        check_p(row["p_value"], other["p.value"])


def pair_of(name):
    """The two sides of a difference, without the marks that emmeans puts around numbers."""
    return tuple(side.strip("()").replace(" x", " ") for side in name.split(" - "))
