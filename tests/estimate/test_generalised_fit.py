"""Fits of responses that are not Normal: what is reported, and data that try them."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest

import hier


@functools.cache
def table() -> pd.DataFrame:
    random = np.random.default_rng(1)
    n, level = 200, np.repeat(np.arange(20), 10)
    data = pd.DataFrame({"g": level, "x": random.normal(size=n)})
    b = random.normal(size=20)
    data["count"] = random.poisson(np.exp(1.0 + 0.5 * data["x"] + b[level]))
    data.loc[data["g"] < 3, "count"] = 0
    data["large"] = random.poisson(1e6 * np.exp(0.1 * data["x"] + 0.2 * b[level]))
    data["answer"] = np.where(random.uniform(size=n) < 1.0 / (1.0 + np.exp(-(data["x"] + b[level]))), "yes", "no")
    data["apart"] = (data["x"] > 0).astype(int)
    return data


@functools.cache
def fitted(response: str, family: str) -> hier.Estimate:
    return hier.Model(f"{response} ~ x + (1 | g)", table(), family=family).estimate()


def test_groups_of_zeros_only_have_finite_modes():
    fit = fitted("count", "poisson")
    assert fit.converged
    modes = fit.ranef["g"]["Intercept"]
    assert np.isfinite(modes).all()
    assert modes.loc[[0, 1, 2]].max() < modes.drop([0, 1, 2]).min()
    assert "Generalized linear mixed model fit by maximum likelihood (Laplace approximation)" in fit.summary()
    assert "z value" in fit.summary()


def test_counts_of_a_million_are_fitted_as_their_logarithms_are():
    fit = fitted("large", "poisson")
    assert fit.converged
    normal = hier.Model("log(large) ~ x + (1 | g)", table()).estimate("ml")
    np.testing.assert_allclose(fit.fixef, normal.fixef, rtol=1e-3)
    assert fit.varcorr["sdcor"].iloc[0] == pytest.approx(normal.varcorr["sdcor"].iloc[0], rel=1e-3)


def test_labels_booleans_and_numbers_are_one_response():
    by_label = fitted("answer", "bernoulli")
    data = table().assign(answer=table()["answer"] == "yes")
    by_boolean = hier.Model("answer ~ x + (1 | g)", data, family="bernoulli").estimate()
    assert by_label.loglik == by_boolean.loglik
    assert "success is 'yes'" in " ".join(by_label.model.design.notes())


def test_separated_outcomes_are_said_in_a_sentence():
    fit = fitted("apart", "bernoulli")
    assert "separate the outcomes" in fit.message
    assert fit.loglik == pytest.approx(0.0, abs=1e-3)


def test_a_family_that_is_larger_than_the_data_need_is_said_to_be():
    data = table().assign(flat=np.random.default_rng(2).binomial(50, 0.1, 200))  # less spread than Poisson
    fit = hier.Model("flat ~ x + (1 | g)", data, family="negbinomial").estimate()
    assert "`shape` to infinity" in fit.message
    poisson = hier.Model("flat ~ x + (1 | g)", data, family="poisson").estimate()
    assert fit.loglik == pytest.approx(poisson.loglik, abs=1e-4)


@pytest.mark.slow
def test_groups_of_one_row_are_fitted():
    data = pd.concat([table().iloc[30:60], table().iloc[60::10]])
    fit = hier.Model("count ~ x + (1 | g)", data, family="poisson").estimate()
    assert fit.converged
    assert (fit.ranef_se["g"]["Intercept"] > 0).all()


def test_reml_and_quadrature_exclude_each_other():
    model = hier.Model("count ~ x + (1 | g)", table(), family="poisson")
    with pytest.raises(hier.FitError, match="REML the fixed effects too"):
        model.estimate("reml", nagq=5)
    with pytest.raises(hier.FitError, match="`nagq` cannot be 0"):
        model.estimate(nagq=0)
    crossed = hier.Model("count ~ x + (1 | g) + (1 | apart)", table(), family="poisson")
    with pytest.raises(hier.FitError, match="one grouping factor"):
        crossed.estimate(nagq=5)


def test_predictions_are_means_through_the_link():
    fit = fitted("count", "poisson")
    rows = table().iloc[40:44]
    link, mean = fit.predict(rows, type="link"), fit.predict(rows)
    np.testing.assert_allclose(mean, np.exp(link), rtol=1e-12)
    np.testing.assert_allclose(mean, fit.fitted.loc[rows.index], rtol=1e-10)
    with_se = fit.predict(rows, se=True, interval="confidence")
    on_link = fit.predict(rows, type="link", se=True)
    np.testing.assert_allclose(with_se["se"], with_se["fit"] * on_link["se"], rtol=1e-6)
    assert ((with_se["lower"] < with_se["fit"]) & (with_se["fit"] < with_se["upper"])).all()
    new = rows.assign(g=99)
    with pytest.raises(hier.HierError):
        fit.predict(new)
    zero = fit.predict(new, new_levels="zero", random="all", type="link")
    np.testing.assert_allclose(zero, fit.predict(rows, random="none", type="link"), rtol=1e-12)


def test_simulated_responses_have_the_fit_s_mean():
    fit = fitted("count", "poisson")
    drawn = fit.simulate(400, seed=1, conditional=True)
    error = (drawn.mean(axis=1) - fit.fitted) / np.sqrt(fit.fitted / 400)
    assert np.abs(error).max() < 5.0
    assert (drawn.to_numpy() == np.round(drawn.to_numpy())).all()
    pd.testing.assert_frame_equal(fit.simulate(2, seed=3), fit.simulate(2, seed=3))


def test_tidy_lists_further_parameters_in_the_order_of_a_posterior():
    model = hier.Model("count ~ x + (1 | g)", table(), family="negbinomial")
    table_of_fit = model.estimate().tidy()
    assert list(table_of_fit["term"]) == ["Intercept", "x", "shape", "sd__Intercept"]
    assert list(table_of_fit["effect"]) == ["fixed", "fixed", "further", "ran_pars"]


@pytest.mark.slow
def test_comparison_is_on_the_scale_of_the_predictor():
    model = hier.Model("count ~ x + (1 | g)", table(), family="poisson")
    both = hier.compare(model.estimate(), model.sample(chains=2, draws=200, seed=1, progress=False))
    assert len(both.table) == 20
    factors = both.shrinkage[["shrinkage_estimate", "shrinkage_posterior"]]
    assert ((factors > 0) & (factors < 1)).all(axis=None)
    # a level with many counts is hardly drawn to the population, one without any is
    totals = table().groupby("g")["count"].sum()
    own = factors["shrinkage_estimate"].droplevel("term")
    assert own[totals.idxmax()] < 0.05 < own[totals.idxmin()]


def test_wald_intervals_are_on_the_scales_of_the_parameters():
    model = hier.Model("count ~ x + (x | g)", table(), family="negbinomial")
    fit = model.estimate()
    found = fit.confint()
    assert list(found.index) == ["Intercept", "x", "shape", "sd_g[Intercept]", "sd_g[x]", "cor_g[Intercept,x]"]
    half = 1.959963984540054 * fit.coefficients["std_error"]
    np.testing.assert_allclose(found.loc[["Intercept", "x"], "upper"], fit.fixef + half, rtol=1e-12)
    sd = fit.varcorr["sdcor"].iloc[0]
    # symmetric about the estimate on the logarithm's scale
    assert np.sqrt(found.loc["sd_g[Intercept]"].prod()) == pytest.approx(sd, rel=1e-9)
    assert list(fit.confint(parameters="fixed").index) == ["Intercept", "x"]
    with pytest.raises(hier.FitError, match="no parameter `shap`"):
        fit.confint(parameters="shap")


def test_a_standard_deviation_s_error_is_that_of_the_profile_near_the_optimum():
    """The standard error of log sd, from the curvature of the log-likelihood maximised over everything else."""
    data = table()
    fit = fitted("count", "poisson")
    low, high = np.log(fit.confint(parameters="sd_g[Intercept]").iloc[0])
    se = (high - low) / (2 * 1.959963984540054)
    sd = fit.varcorr["sdcor"].iloc[0]
    import numpyro.distributions as dist

    # a very narrow prior holds the sd where it is put
    def profile(at):
        priors = {"sd_g": dist.LogNormal(np.log(at), 1e-4), "Intercept": dist.Normal(0, 1e5), "x": dist.Normal(0, 1e5)}
        return hier.Model("count ~ x + (1 | g)", data, family="poisson", priors=priors).estimate("map").loglik

    step = 0.05
    curvature = (profile(sd * np.exp(step)) - 2 * profile(sd) + profile(sd * np.exp(-step))) / step**2
    assert 1.0 / np.sqrt(-curvature) == pytest.approx(se, rel=0.02)


def test_what_is_only_there_for_normal_responses_is_refused():
    fit = fitted("count", "poisson")
    for refused in (fit.ranova, fit.r2, fit.icc, fit.influence, fit.bootstrap, lambda: fit.tests("kenward-roger")):
        with pytest.raises(hier.FitError, match="Normal responses"):
            refused()
    with pytest.raises(hier.FitError, match="`method` cannot be 'profile'"):
        fit.confint("profile")
    with pytest.raises(hier.FitError, match="one residual variance"):
        hier.estimate_many(fit.model, np.zeros((200, 2)))


def test_terms_are_tested_by_chi_squared_and_models_by_their_likelihoods():
    fit = fitted("count", "poisson")
    terms = fit.anova()
    z = fit.coefficients["statistic"]["x"]
    assert np.isinf(terms.loc["x", "den_df"])
    assert terms.loc["x", "statistic"] == pytest.approx(z**2, rel=1e-9)
    assert terms.loc["x", "p_value"] == pytest.approx(fit.coefficients["p_value"]["x"], rel=1e-9)
    smaller = hier.Model("count ~ 1 + (1 | g)", table(), family="poisson").estimate()
    lrt = fit.anova(smaller)
    assert lrt["chisq"].iloc[1] == pytest.approx(2 * (fit.loglik - smaller.loglik), rel=1e-9)
    assert fit.hypothesis("x > 0")["p_value"].iloc[0] < 0.001


@functools.cache
def by_quadrature(formula: str, nagq: int) -> hier.Estimate:
    return hier.Model(formula, table(), family="poisson").estimate(nagq=nagq)


@pytest.mark.slow
def test_likelihoods_by_different_approximations_are_made_alike():
    """What the comparison says is what fits with one number of points say."""
    large, small = "count ~ x + (1 | g)", "count ~ 1 + (1 | g)"
    mixed = by_quadrature(large, 7).anova(by_quadrature(small, 1))
    alike = by_quadrature(large, 7).anova(by_quadrature(small, 7))
    np.testing.assert_allclose(mixed, alike, rtol=1e-9)
    assert "1 of 2 models were fitted by another approximation and have been refitted by nagq=7" in mixed.attrs["note"]
    assert "refitted" not in alike.attrs["note"]
    # not what the two as they stand would have said
    assert abs(2 * (by_quadrature(large, 7).loglik - by_quadrature(small, 1).loglik) - mixed["chisq"].iloc[1]) > 1e-4
    with pytest.raises(hier.ModelError, match="different approximations"):
        by_quadrature(large, 7).anova(by_quadrature(small, 1), refit=False)


@pytest.mark.slow
def test_laplace_stands_for_all_where_one_model_allows_no_quadrature():
    crossed = by_quadrature("count ~ x + (1 | g) + (1 | apart)", 1)
    table_of_fits = crossed.anova(by_quadrature("count ~ x + (1 | g)", 7))
    assert (
        "1 of 2 models were fitted by another approximation and have been refitted by Laplace's approximation"
        in (table_of_fits.attrs["note"])
    )
    assert table_of_fits["loglik"].iloc[0] == pytest.approx(by_quadrature("count ~ x + (1 | g)", 1).loglik, abs=1e-9)


@pytest.mark.slow
def test_models_of_other_trials_do_not_compare():
    data = table().assign(s=lambda d: np.minimum(d["count"], 5), n=5, m=9)
    one, other = (
        hier.Model(f"s | trials({n}) ~ {right} + (1 | g)", data, family="binomial").estimate()
        for n, right in (("n", "x"), ("m", "1"))
    )
    with pytest.raises(hier.ModelError, match="not of the same data") as refused:
        one.anova(other)
    assert "trials" in str(refused.value)
