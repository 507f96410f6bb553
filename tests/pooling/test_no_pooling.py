"""No pooling: each level's own regression, and the three poolings side by side."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import hier
from hier.errors import FitError, ModelError
from hier.pooling.complete import without_groups
from hier.pooling.each_level import level_model
from hier.posterior.sample import sample
from hier.settings import DEFAULTS


@pytest.fixture(scope="module")
def pigs():
    return hier.load_dataset("pigs")


@pytest.fixture(scope="module")
def model(pigs):
    return hier.Model("weight ~ week + (week | id)", pigs)


@pytest.fixture(scope="module")
def none(model):
    return hier.no_pooling(model)


@pytest.fixture(scope="module")
def pooling(model):
    return hier.pool(model, draws=500, seed=1, progress=False)


def test_estimates_are_those_of_separate_fits(pigs, none):
    for level, rows in pigs.groupby("id"):
        own = hier.Model("weight ~ week", rows)
        fit, ml = own.estimate(), own.estimate("ml")
        got = none.estimates.loc[level]
        for column in ("estimate", "std_error", "df", "statistic", "p_value"):
            np.testing.assert_allclose(got[column], fit.coefficients[column], rtol=1e-8)
        assert none.levels.loc[level, "sigma"] == pytest.approx(fit.sigma, rel=1e-8)
        assert none.levels.loc[level, "loglik"] == pytest.approx(ml.loglik, rel=1e-8)
    assert none.n_parameters == 144
    assert none.left_out == ()


def test_weights_offsets_and_uneven_levels():
    rng = np.random.default_rng(3)
    codes = np.repeat(np.arange(6), [1, 2, 3, 5, 8, 13])
    data = pd.DataFrame({"g": [f"l{k}" for k in codes], "x": rng.normal(size=32), "w": rng.uniform(0.5, 2, 32)})
    data["o"], data["y"] = rng.normal(size=32), rng.normal(size=32)
    data["between"] = codes * 1.0
    formula = "y ~ x + between + offset(o)"
    none = hier.no_pooling(hier.Model(f"{formula} + (1 | g)", data, weights="w"))
    assert none.left_out == ("l0", "l1")  # two rows, two coefficients: nothing is left for a residual
    assert none.dropped == ("between",)
    assert "2 levels have too few rows for their own regression: l0, l1" in str(none)
    for level in ("l2", "l3", "l4", "l5"):
        fit = hier.Model("y ~ x + offset(o)", data[data["g"] == level], weights="w").estimate()
        np.testing.assert_allclose(none.estimates.loc[level]["estimate"], fit.fixef, rtol=1e-8)
        np.testing.assert_allclose(none.estimates.loc[level]["std_error"], fit.coefficients["std_error"], rtol=1e-8)
    assert none.coef.loc["l0"].isna().all()
    assert np.isnan(none.aic)


def test_generalised_levels_are_separate_fits():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"g": np.repeat(list("abc"), 30), "x": rng.normal(size=90)})
    data["y"] = rng.poisson(np.exp(0.5 + 0.4 * data["x"]))
    none = hier.no_pooling(hier.Model("y ~ x + (1 | g)", data, family="poisson"))
    for level, rows in data.groupby("g"):
        fit = hier.Model("y ~ x", rows, family="poisson").estimate()
        np.testing.assert_allclose(none.estimates.loc[level]["estimate"], fit.fixef, rtol=1e-8)
        assert none.levels.loc[level, "loglik"] == pytest.approx(fit.loglik, rel=1e-10)


def test_posteriors_are_those_of_nuts(none):
    drawn = none.sample(draws=4000, seed=2)
    for at, j in enumerate((0, 20)):
        level = none.levels.index[j]
        asked = dataclasses.replace(DEFAULTS, draws=1000, seed=at, progress=False)
        own = sample(level_model(none.rows, j), asked)
        table = drawn.table.loc[level]
        sd = np.sqrt(np.diag(own.vcov))
        assert (np.abs(table["mean"].to_numpy() - own.fixef.to_numpy()) < 5.0 * sd / np.sqrt(2000)).all()
        np.testing.assert_allclose(table["sd"], sd, rtol=0.1)
        assert drawn.sigma[:, j].mean() == pytest.approx(own.sigma, rel=0.05)
    again = none.sample(draws=4000, seed=2)
    np.testing.assert_array_equal(again.beta, drawn.beta)


def test_flat_priors_give_students_t(model):
    """With p(beta) flat and p(sigma) flat, (beta - b) / (s_b sqrt(df / (df - 1))) is t on df - 1."""
    import numpyro.distributions as dist
    from scipy import stats

    flat = {"Intercept": dist.Normal(0, 1e6), "week": dist.Normal(0, 1e6), "sigma": dist.Uniform(0.0, 1e6)}
    none = hier.no_pooling(model.with_priors(flat))
    drawn = none.sample(draws=4000, seed=5)
    own = none.estimates.loc[7]
    scale = own["std_error"].to_numpy() * np.sqrt(7 / 6)
    z = (drawn.beta[:, 6] - own["estimate"].to_numpy()) / scale
    for column in z.T:
        assert stats.kstest(column, stats.t(6).cdf).pvalue > 1e-3


def test_three_poolings(model, pooling):
    table = pooling.table
    complete, partial = pooling.complete, pooling.partial
    week = table.xs("week", level="term")
    np.testing.assert_allclose(week["complete"], complete.fixef["week"])
    np.testing.assert_allclose(week["none"], hier.no_pooling(model).coef["week"])
    np.testing.assert_allclose(week["partial"], partial.coef["id"]["week"])
    # partial pooling is between the other two, for the posterior too
    assert week["none"].std() > week["partial"].std() > week["complete"].std()
    assert week["none_mean"].std() > week["partial_mean"].std() > week["complete_mean"].std()
    np.testing.assert_allclose(week["partial"], week["partial_mean"], atol=4 * 0.15 / np.sqrt(2000) + 0.02)
    np.testing.assert_allclose(week["partial_se"], week["partial_sd"], rtol=0.12)
    assert list(pooling.criteria["npar"]) == [3, 144, 6]
    assert "complete" in str(pooling)


def test_poolings_are_compared(pooling):
    test = pooling.anova().iloc[-1]
    assert test["df"] == 3
    assert test["p_boundary"] < 1e-6
    loo = pooling.loo()
    assert set(loo.index) == {"complete", "none", "partial"}
    assert loo.index[0] == "partial"


def test_standard_errors_of_levels_are_those_of_prediction(pigs, pooling):
    """The line at week 0 is a level's intercept: as predict has it."""
    at = pd.DataFrame({"id": pigs["id"].unique(), "week": 0.0})
    rows = pooling.partial.predict(at, se=True)
    mine = pooling.table.xs("Intercept", level="term")
    np.testing.assert_allclose(mine["partial_se"], rows["se"], rtol=1e-8)


def test_complete_pooling_keeps_priors(pigs):
    import numpyro.distributions as dist

    own = {"week": dist.Normal(6, 1), "sd_id": dist.HalfNormal(3)}
    alone = without_groups(hier.Model("weight ~ week + (1 | id)", pigs, priors=own))
    assert set(alone.own_priors) == {"week"}
    assert str(alone.formula) == "weight ~ week"


def test_refusals(pigs, model, pooling):
    with pytest.raises(ModelError, match="no pooling is of group deviations"):
        hier.no_pooling(hier.Model("weight ~ week", pigs))
    with pytest.raises(ModelError, match="no grouping factor `pig`"):
        hier.pool(model, "pig")
    with pytest.raises(FitError, match="no level of `id` has enough rows"):
        hier.no_pooling(hier.Model("weight ~ week + (1 | id)", pigs[pigs["week"] < 3]))
    without = hier.pool(model, posterior=False)
    assert "complete_mean" not in without.table
    with pytest.raises(ModelError, match="leave-one-out needs posteriors"):
        without.loo()
