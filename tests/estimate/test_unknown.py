"""What the data do not determine, and what is estimated at a limit, has no Wald interval, and is said to have none."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest

import hier
from tests.estimate.conftest import DATA
from tests.estimate.test_generalised_fit import table


@functools.cache
def plots() -> pd.DataFrame:
    """Fifteen plots of six rows, and their sensors, one each."""
    rng = np.random.default_rng(18)
    g = np.repeat(np.arange(15), 6)
    y = 5 + rng.normal(0, 1.5, 15)[g] + rng.normal(0, 1.0, 90)
    return pd.DataFrame({"y": y, "plot": g, "sensor": g + 100})


BOTH = ["sd_plot[Intercept]", "sd_sensor[Intercept]"]


@pytest.mark.parametrize("formula", ["y ~ 1 + (1 | plot) + (1 | sensor)", "y ~ 1 + (1 | plot / sensor)"])
def test_two_factors_that_part_the_rows_alike_share_one_variance(formula):
    fit = hier.Model(formula, plots()).estimate("ml")
    one = hier.Model("y ~ 1 + (1 | plot)", plots()).estimate("ml")
    assert fit.converged
    assert "part the rows alike" in fit.message
    assert "part the rows alike" in fit.summary()
    assert fit.loglik == pytest.approx(one.loglik, abs=1e-8)
    variances = fit.varcorr["vcov"].to_numpy(float)
    assert variances[0] + variances[1] == pytest.approx(one.varcorr["vcov"].iloc[0], rel=1e-6)
    # the two are unknown, and all else is as it would be
    wald, alone = fit.confint(), one.confint()
    assert wald.iloc[1:3].isna().all(axis=None)
    assert "data do not determine" in wald.attrs["note"]
    np.testing.assert_allclose(wald.loc[["Intercept", "sigma"]], alone.loc[["Intercept", "sigma"]], rtol=1e-4)
    pd.testing.assert_frame_equal(fit.coefficients, one.coefficients, rtol=1e-4)
    # by profile, each is between none and all of what there is
    profile, whole = fit.confint("profile").iloc[1:3], one.confint("profile").loc["sd_plot[Intercept]"]
    np.testing.assert_array_equal(profile["lower"], 0.0)
    np.testing.assert_allclose(profile["upper"], whole["upper"], rtol=1e-4)


def test_a_slope_of_what_is_constant_within_its_groups():
    """Pinheiro and Bates's Orthodont: a boy's deviation is a sum of two whose split no data show."""
    data = pd.read_csv(DATA / "Orthodont.csv")
    fit = hier.Model("distance ~ age + (Sex | Subject)", data).estimate("ml")
    assert "`Sex[T.Male]` is constant within the levels of `Subject`" in fit.message
    by_sex = hier.Model("distance ~ age + (0 + Sex || Subject)", data).estimate("ml")
    assert fit.converged
    assert fit.loglik == pytest.approx(by_sex.loglik, abs=1e-8)
    covariance = fit.varcorr["vcov"].to_numpy(float)
    np.testing.assert_allclose(
        [covariance[0], covariance[0] + covariance[1] + 2 * covariance[2]],
        by_sex.varcorr["vcov"].iloc[:2].to_numpy(float),
        rtol=1e-5,
    )
    wald = fit.confint()
    unknown = ["sd_Subject[Sex[T.Male]]", "cor_Subject[Intercept,Sex[T.Male]]"]
    assert wald.loc[unknown].isna().all(axis=None)
    assert np.isfinite(wald.drop(index=unknown)).all(axis=None)
    profile = fit.confint("profile", parameters=unknown)
    assert profile.loc[unknown[0], "lower"] == 0.0
    assert profile.loc[unknown[1]].tolist() == [-1.0, 1.0]


def test_a_variance_that_reml_does_not_see():
    """Each group has its own mean among the fixed effects: nothing is left to tell how the groups vary."""
    fit = hier.Model("y ~ factor(plot) + (1 | plot)", plots()).estimate()
    assert "does not depend on sd_plot[Intercept]" in fit.message
    assert fit.confint("wald", parameters="sd_plot[Intercept]").isna().all(axis=None)
    table = fit.coefficients
    assert table["df"].isna().all()  # every mean's variance has the groups' in it
    within = plots()["y"] - plots().groupby("plot")["y"].transform("mean")
    assert fit.sigma == pytest.approx(np.sqrt((within**2).sum() / 75), rel=1e-6)


@pytest.mark.slow
def test_counts_of_two_factors_that_part_the_rows_alike():
    data = table().assign(copy=table()["g"] + 50)
    fit = hier.Model("count ~ x + (1 | g) + (1 | copy)", data, family="poisson").estimate()
    one = hier.Model("count ~ x + (1 | g)", data, family="poisson").estimate()
    assert "part the rows alike" in fit.message
    assert fit.loglik == pytest.approx(one.loglik, abs=1e-7)
    wald = fit.confint()
    assert wald.loc[["sd_g[Intercept]", "sd_copy[Intercept]"]].isna().all(axis=None)
    np.testing.assert_allclose(wald.loc[["Intercept", "x"]], one.confint().loc[["Intercept", "x"]], rtol=1e-4)


def no_excess() -> pd.DataFrame:
    """Counts that vary less than Poisson ones, and positive ones."""
    flat = np.random.default_rng(2).binomial(50, 0.1, 200)
    return table().assign(flat=flat, positive=np.maximum(flat, 1), n=50)


@pytest.mark.parametrize(
    ("response", "family", "parameter", "limit", "simpler"),
    [
        ("flat", "negbinomial", "shape", "infinity", "poisson"),
        pytest.param("flat", "nbinom1", "phi", "infinity", "poisson", marks=pytest.mark.slow),
        pytest.param("flat", "zero_inflated_poisson", "zi", "0", "poisson", marks=pytest.mark.slow),
        pytest.param("cbind(flat, n - flat)", "beta_binomial", "phi", "infinity", "binomial", marks=pytest.mark.slow),
        pytest.param("positive", "hurdle_poisson", "hu", "0", None, marks=pytest.mark.slow),
    ],
)
def test_a_parameter_at_its_limit_has_no_interval(response, family, parameter, limit, simpler):
    data = no_excess()
    fit = hier.Model(f"{response} ~ x + (1 | g)", data, family=family).estimate()
    assert f"`{parameter}` to {limit}" in fit.message
    assert np.isnan(fit.family_parameters.loc[parameter, "std_error"])
    wald = fit.confint()
    assert wald.loc[parameter].isna().all()
    assert np.isfinite(wald.loc[["Intercept", "x"]]).all(axis=None)
    assert parameter in wald.attrs["note"]
    if simpler is not None:
        other = hier.Model(f"{response} ~ x + (1 | g)", data, family=simpler).estimate()
        assert fit.loglik == pytest.approx(other.loglik, abs=1e-4)
        np.testing.assert_allclose(fit.coefficients["std_error"], other.coefficients["std_error"], rtol=1e-3)


def test_separated_outcomes_have_no_standard_error():
    fit = hier.Model("apart ~ x + (1 | g)", table(), family="bernoulli").estimate()
    assert fit.coefficients["std_error"].isna().any()
    assert not np.isfinite(fit.confint().loc["x"]).all()
