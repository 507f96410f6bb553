"""Tests of fixed effects: what has to hold whatever the data."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hier
from hier.estimate.multiplicity import adjustment

TABLE = ["estimate", "std_error", "df", "statistic", "p_value"]


@pytest.fixture(scope="module")
def unbalanced() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    n = 90
    table = pd.DataFrame(
        {
            "a": rng.choice(["p", "q", "r"], n, p=[0.5, 0.3, 0.2]),
            "b": rng.choice(["u", "v"], n, p=[0.7, 0.3]),
            "x": rng.gamma(3.0, 1.0, n),
            "g": rng.integers(0, 9, n),
        }
    )
    effect = table["a"].map({"p": 0.0, "q": 0.8, "r": -0.5}) + (table["b"] == "v") * 0.6 * (table["a"] == "q")
    return table.assign(y=effect + 0.3 * np.log(table["x"]) + rng.normal(size=9)[table["g"]] + rng.normal(size=n))


@pytest.fixture(scope="module")
def crossed_fit(unbalanced):
    return hier.Model("y ~ a * b + x + (1 | g)", unbalanced).estimate()


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
@pytest.mark.parametrize("type", [2, 3])
@pytest.mark.parametrize("contrasts", ["contr.sum", "contr.helmert", 'contr.treatment("q")'])
def test_anova_does_not_depend_on_the_coding(unbalanced, crossed_fit, contrasts, type, ddf):
    other_base = contrasts.replace('"q"', '"v"')
    formula = f"y ~ C(a, {contrasts}) * C(b, {other_base}) + x + (1 | g)"
    other = hier.Model(formula, unbalanced).estimate().anova(type=type, ddf=ddf)
    own = crossed_fit.anova(type=type, ddf=ddf)
    np.testing.assert_array_equal(other["num_df"], own["num_df"])
    np.testing.assert_allclose(other["statistic"], own["statistic"], rtol=1e-6)
    np.testing.assert_allclose(other["den_df"], own["den_df"], rtol=5e-3 if type == 2 else 1e-5)


def test_type_three_compares_means_over_equal_shares_of_the_other_factor(crossed_fit):
    """The main effect of `a` is that its marginal means are equal."""
    means = crossed_fit.emmeans("a")
    by_hand = crossed_fit.contrast(means.rows[1:] - means.rows[0]).joint
    own = crossed_fit.anova().loc["a"]
    assert own["statistic"] == pytest.approx(by_hand["statistic"], rel=1e-9)
    assert own["num_df"] == 2


def test_type_one_of_the_last_term_is_type_three(crossed_fit):
    first, third = crossed_fit.anova(type=1), crossed_fit.anova(type=3)
    np.testing.assert_allclose(first.loc["a:b"], third.loc["a:b"], rtol=1e-5)
    assert abs(first.loc["a", "statistic"] - third.loc["a", "statistic"]) > 1e-3


def test_a_single_coefficient_is_tested_alike_everywhere(crossed_fit):
    for ddf in ("satterthwaite", "kenward-roger"):
        row = crossed_fit.tests(ddf).loc["x"]
        table = crossed_fit.anova(ddf=ddf).loc["x"]
        assert table["statistic"] == pytest.approx(row["statistic"] ** 2, rel=1e-9)
        assert table["den_df"] == pytest.approx(row["df"], rel=1e-9)
        assert table["p_value"] == pytest.approx(row["p_value"], rel=1e-7)
        contrast = crossed_fit.contrast("x", ddf=ddf)
        np.testing.assert_allclose(contrast.table.loc["x", TABLE].astype(float), row, rtol=1e-12)
        assert contrast.joint["statistic"] == pytest.approx(row["statistic"] ** 2, rel=1e-9)


def test_a_function_of_the_coefficients_may_be_given_in_several_ways(crossed_fit):
    names = list(crossed_fit.fixef.index)
    weights = np.array([float(name == "a[T.q]") - float(name == "a[T.r]") for name in names])
    given = [
        weights,
        weights[None],
        "a[T.q] - a[T.r]",
        ["`a[T.q]` - `a[T.r]`"],
        {"q - r": "a[T.q] - a[T.r]"},
        {"q - r": {"a[T.q]": 1, "a[T.r]": -1}},
        {"q - r": weights},
        pd.Series({"a[T.r]": -1.0, "a[T.q]": 1.0}),
        pd.DataFrame({"a[T.q]": [1.0], "a[T.r]": [-1.0]}, index=["q - r"]),
    ]
    tables = [crossed_fit.contrast(own).table for own in given]
    for table in tables[1:]:
        np.testing.assert_allclose(table, tables[0], rtol=1e-12)
    assert list(tables[0].index) == ["a[T.q] - a[T.r]"]
    assert list(tables[-1].index) == ["q - r"]
    row, L = tables[0].iloc[0], weights
    assert row["std_error"] == pytest.approx(np.sqrt(L @ crossed_fit.vcov.to_numpy() @ L), rel=1e-12)
    reach = stats.t.ppf(0.975, row["df"]) * row["std_error"]
    assert row["conf_high"] - row["estimate"] == pytest.approx(reach, rel=1e-9)


def test_the_joint_test_does_not_mind_rows_that_say_the_same(crossed_fit):
    once = crossed_fit.contrast(["x", "b[T.v]"])
    twice = crossed_fit.contrast(["x", "b[T.v]", "x + b[T.v]", "2 * x"])
    assert twice.joint["num_df"] == 2
    assert twice.joint["statistic"] == pytest.approx(once.joint["statistic"], rel=1e-8)
    assert "All zero: F = " in repr(once)


def test_a_number_in_a_function_shifts_what_is_tested(crossed_fit):
    shifted = crossed_fit.contrast("x - 0.25").table.iloc[0]
    plain = crossed_fit.contrast("x").table.iloc[0]
    assert shifted["estimate"] == pytest.approx(plain["estimate"] - 0.25)
    assert shifted["std_error"] == plain["std_error"]


def test_hypotheses_are_one_sided_where_they_say_so(crossed_fit):
    table = crossed_fit.hypothesis(["x > 0.1", "x < 0.1", "x = 0.1", "0.1 >= x"])
    row = crossed_fit.contrast("x - 0.1").table.iloc[0]
    assert list(table["alternative"]) == ["greater", "less", "two-sided", "greater"]
    np.testing.assert_allclose(table["p_value"].iloc[0] + table["p_value"].iloc[1], 1.0)
    assert table["p_value"].iloc[0] == pytest.approx(stats.t.sf(row["statistic"], row["df"]), rel=1e-9)
    assert table["p_value"].iloc[2] == pytest.approx(row["p_value"])
    assert table["p_value"].iloc[3] == pytest.approx(table["p_value"].iloc[1])
    assert list(np.isinf(table["conf_high"])) == [True, False, False, True]
    low = row["estimate"] - stats.t.ppf(0.95, row["df"]) * row["std_error"]
    assert table["conf_low"].iloc[0] == pytest.approx(low, rel=1e-9)
    for name in ("conf_low", "conf_high"):
        assert table[name].iloc[2] == pytest.approx(row[name])


def test_kenward_roger_widens_and_the_summary_says_so(crossed_fit):
    """The adjusted variances are not smaller here, and the title names the method."""
    adjusted = crossed_fit.tests("kenward-roger")["std_error"]
    assert (adjusted >= crossed_fit.coefficients["std_error"] * (1 - 1e-9)).all()
    assert "t-tests use Kenward and Roger's method" in crossed_fit.summary("kenward-roger")
    assert "t-tests use Satterthwaite's method" in crossed_fit.summary()


def test_one_covariance_written_as_structure_and_as_two_factors_is_tested_alike(machines):
    """Equal variances and one covariance of three columns are an intercept of the worker and one of each cell."""
    one = hier.Model("score ~ Machine + cs(0 + Machine | Worker, hom = TRUE)", machines).estimate()
    two = hier.Model("score ~ Machine + (1 | Worker/Machine)", machines).estimate()
    np.testing.assert_allclose(one.kenward_roger.vcov, two.kenward_roger.vcov, rtol=1e-5)
    np.testing.assert_allclose(one.tests("kenward-roger")["df"], two.tests("kenward-roger")["df"], rtol=1e-5)


@pytest.mark.parametrize("structure", ["cs", "ar1"])
def test_structures_that_tie_variances_have_finite_tests(machines, structure):
    fit = hier.Model(f"score ~ Machine + {structure}(0 + Machine | Worker)", machines).estimate()
    table = fit.tests("kenward-roger")
    assert np.isfinite(table.to_numpy(dtype=float)).all()
    assert (table["df"] > 2).all()


def test_tests_of_a_singular_fit_are_finite(sim757):
    """pbkrtest's numbers, of R's fit on the same boundary."""
    fit = hier.Model("Y ~ X + (X | Group)", sim757).estimate()
    assert fit.is_singular
    table = fit.tests("kenward-roger")
    np.testing.assert_allclose(table["std_error"], [2.8352280706, 0.2823368703], rtol=1e-6)
    np.testing.assert_allclose(table["df"], [5.605041202, 5.998742153], rtol=1e-5)


def test_models_without_terms_have_an_empty_table(sim757):
    for formula in ("Y ~ 1 + (X | Group)", "Y ~ 0 + (X | Group)"):
        fit = hier.Model(formula, sim757).estimate()
        for type in (1, 2, 3):
            assert len(fit.anova(type=type)) == 0
        assert len(fit.tests("kenward-roger")) == len(fit.fixef)


def test_means_of_a_balanced_grid_are_averages_of_the_cells(crossed_fit):
    cells = crossed_fit.emmeans(["a", "b"]).table["estimate"]
    np.testing.assert_allclose(cells.groupby("a").mean(), crossed_fit.emmeans("a").table["estimate"], rtol=1e-12)
    assert cells.index.names == ["a", "b"]
    assert len(crossed_fit.emmeans(["a", "b"], at={"b": "v"}).table) == 3


def test_the_grid_is_of_variables_and_not_of_columns(unbalanced):
    """The logarithm of the mean and not the mean of the logarithms; a spline and a factor of numbers alike."""
    fit = hier.Model("y ~ a * log(x) + bs(x, df = 4) + factor(g) + (1 | b)", unbalanced).estimate()
    means = fit.emmeans("a", at={"x": 2.5})
    levels = [
        {"a": a, "x": 2.5, "g": g, "b": "u"}
        for a, g in itertools.product(["p", "q", "r"], sorted(set(unbalanced["g"])))
    ]
    new = fit.model.design.new_data(pd.DataFrame(levels))
    np.testing.assert_allclose(means.rows, new.X.reshape(3, -1, new.X.shape[1]).mean(axis=1), rtol=1e-12)
    at_mean = fit.emmeans("a")
    np.testing.assert_allclose(at_mean.rows, fit.emmeans("a", at={"x": unbalanced["x"].mean()}).rows, rtol=1e-12)


def test_offsets_count_in_the_means(unbalanced):
    shifted = unbalanced.assign(z=2.0 * unbalanced["x"], y=unbalanced["y"] + 2.0 * unbalanced["x"])
    plain = hier.Model("y ~ a + (1 | g)", unbalanced).estimate().emmeans("a").table
    inside = hier.Model("y ~ a + offset(z) + (1 | g)", shifted).estimate().emmeans("a").table
    beside = hier.Model("y ~ a + (1 | g)", shifted, offset="z").estimate().emmeans("a").table
    np.testing.assert_allclose(inside["estimate"], plain["estimate"] + shifted["z"].mean(), rtol=1e-7)
    np.testing.assert_allclose(beside["estimate"], inside["estimate"], rtol=1e-9)


def test_adjustments_of_p_values():
    table = pd.DataFrame({"df": [20.0] * 3, "statistic": [2.5, 1.0, 3.0]})
    table["p_value"] = 2 * stats.t.sf(table["statistic"], 20)
    p = table["p_value"].to_numpy()
    np.testing.assert_allclose(adjustment("bonferroni")(table, 3, 0.9)[0], np.minimum(3 * p, 1))
    np.testing.assert_allclose(adjustment("holm")(table, 3, 0.9)[0], [2 * p[0], p[1], 3 * p[2]])
    np.testing.assert_allclose(adjustment("bonferroni")(table, 3, 0.9)[1], stats.t.ppf(1 - 0.1 / 6, 20))
    p_value, reach = adjustment("tukey")(table, 3, 0.9)
    np.testing.assert_allclose(p_value, stats.studentized_range.sf(np.sqrt(2) * table["statistic"], 3, 20), rtol=1e-6)
    # with the interval's reach as its statistic, a difference has the p-value 1 - level
    table["statistic"] = reach
    np.testing.assert_allclose(adjustment("tukey")(table, 3, 0.9)[0], 0.1, rtol=1e-5)
    np.testing.assert_allclose(adjustment("tukey")(table[:1], 2, 0.9)[0], table["p_value"][:1])


def test_a_type_two_table_says_where_a_covariate_s_zero_matters(unbalanced):
    """With the product in the model the test of `a` is that of type III, and moves with the covariate's origin."""
    fit = hier.Model("y ~ a * x + (1 | g)", unbalanced).estimate()
    table = fit.anova(type=2)
    assert table.loc["a", "statistic"] == pytest.approx(fit.anova(type=3).loc["a", "statistic"], rel=1e-9)
    assert "`a` is adjusted for `a:x` too, and tested where the covariate is 0" in table.attrs["note"]
    assert "adjusted" not in fit.anova(type=3).attrs["note"]


def test_two_valued_covariates_and_offsets_in_the_means(unbalanced):
    """Both values count equally, however many rows have them; an offset is taken at the mean of its variable."""
    data = unbalanced.assign(z=(np.arange(90) % 3 == 0) * 2.0)
    fit = hier.Model("y ~ a + z + offset(log(x)) + (1 | g)", data).estimate()
    means = fit.emmeans("a")
    at = [fit.emmeans("a", at={"z": z}).table["estimate"] for z in (0.0, 2.0)]
    np.testing.assert_allclose(means.table["estimate"], (at[0] + at[1]) / 2, rtol=1e-10)
    none = fit.emmeans("a", offset=0).table["estimate"]
    np.testing.assert_allclose(means.table["estimate"] - none, np.log(data["x"].mean()), rtol=1e-10)
    assert f"offset: {np.log(data['x'].mean()):.5g}, offset(log(x)) at `x` = {data['x'].mean():.5g}" in means.notes
    assert "averaged over `z`" in means.notes
    with pytest.raises(hier.FitError, match="one number"):
        fit.emmeans("a", offset="log(x)")


def test_titles_say_what_was_computed(unbalanced):
    """A Normal model with a formula for sigma is linear, and has no degrees of freedom of Satterthwaite's."""
    fit = hier.Model(hier.Formula("y ~ a + (1 | g)", sigma="~ b"), unbalanced).estimate()
    assert fit.summary().startswith("Linear mixed model fit by REML")
    for text in (fit.summary(), repr(fit.emmeans("a")), repr(fit.contrast("a[T.q]")), fit.anova().attrs["note"]):
        assert "Generalized" not in text
        assert "Satterthwaite" not in text
