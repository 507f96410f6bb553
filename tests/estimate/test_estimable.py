"""What the data do not determine gets no number: predictions and means of combinations that have no rows."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest

import hier

CELL = pd.DataFrame({"a": ["q", "q", "p"], "b": ["z", "x", "z"], "g": [0, 0, 1], "x": [0.1, 0.1, 0.1]})


@functools.cache
def table() -> pd.DataFrame:
    """No rows of a q with b z; `n` within `m`, unbalanced."""
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"a": rng.choice(list("pq"), 110), "b": rng.choice(list("xyz"), 110), "g": np.arange(110) % 10})
    data = data[~((data["a"] == "q") & (data["b"] == "z"))].reset_index(drop=True)
    u = rng.normal(size=10)[data["g"]]
    data["x"] = rng.normal(size=len(data))
    data["y"] = u + rng.normal(0, 0.5, len(data))
    data["n"] = [str(n) for n in rng.integers(0, 6, len(data))]
    data["m"] = data["n"].map({"0": "k", "1": "k", "2": "l", "3": "l", "4": "l", "5": "o"})
    data["count"] = rng.poisson(np.exp(0.5 * u))
    data["rating"] = np.searchsorted([-1.0, 0.5, 1.5], u + rng.logistic(size=len(data)))
    return data


@functools.cache
def fitted(formula: str, family: str = "gaussian") -> hier.Estimate:
    return hier.Model(formula, table(), family=family).estimate()


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ a * b + (1 | g)",
        "y ~ a:b + (1 | g)",
        "y ~ 0 + a:b + (1 | g)",
        "y ~ C(a, contr.sum) * C(b, contr.sum) + (1 | g)",
    ],
)
def test_a_cell_without_rows_is_not_predicted_whatever_the_coding(formula):
    fit = fitted(formula)
    found = fit.predict(CELL, random="none")
    assert list(found.isna()) == [True, False, False]
    np.testing.assert_allclose(found[1:], fitted("y ~ a * b + (1 | g)").predict(CELL, random="none")[1:], rtol=1e-8)
    assert found.attrs["note"].startswith("NaN in 1 of 3 rows")


def test_neither_do_known_levels_make_a_number_of_it():
    fit = fitted("y ~ a * b + (1 | g)")
    table_of_errors = fit.predict(CELL, random=["g"], se=True, interval="prediction")
    assert list(table_of_errors.isna().all(axis=1)) == [True, False, False]
    assert list(table_of_errors.isna().any(axis=1)) == [True, False, False]
    additive = fitted("y ~ a + b + (1 | g)").predict(CELL)
    assert additive.notna().all()
    assert "note" not in additive.attrs


@pytest.mark.parametrize(
    ("response", "family"), [("count", "poisson"), pytest.param("rating", "cumulative", marks=pytest.mark.slow)]
)
def test_of_other_responses_too(response, family):
    fit = fitted(f"{response} ~ a * b + (1 | g)", family)
    for options in ({}, {"type": "link"}, {"se": True, "interval": "confidence"}):
        found = fit.predict(CELL, **options)
        assert list(pd.DataFrame(found).isna().all(axis=1)) == [True, False, False]
        assert found.attrs["note"].startswith("NaN in 1 of 3 rows")
    means = fit.emmeans(["a", "b"])
    assert np.isnan(means.table.loc[("q", "z"), "estimate"])
    assert means.table["estimate"].notna().sum() == 5


@pytest.mark.slow
def test_the_formula_of_a_spread_has_the_same_rule():
    data = table().assign(positive=lambda d: np.exp(d["y"]))
    fit = hier.Model(hier.Formula("positive ~ 1 + (1 | g)", sigma="~ a * b"), data, family="lognormal").estimate()
    # the mean of a lognormal response depends on its spread, its logarithm's does not
    assert list(fit.predict(CELL, random="none").isna()) == [True, False, False]
    assert fit.predict(CELL, random="none", type="link").notna().all()


def test_what_the_data_do_determine_is_predicted_however_the_columns_are_aliased():
    """`n` says `m`, so the columns of one stand for both; a combination that is in the data has its prediction, and one
    that is not has none.
    """
    rows = pd.DataFrame({"m": ["k", "l", "k"], "n": ["0", "4", "4"], "g": 0})
    by_both, by_one = fitted("y ~ m + n + (1 | g)"), fitted("y ~ n + (1 | g)")
    found = by_both.predict(rows, random="none")
    np.testing.assert_allclose(found[:2], by_one.predict(rows, random="none")[:2], rtol=1e-7)
    assert np.isnan(found[2])


def test_means_of_nested_factors_are_over_the_levels_that_there_are():
    """With no other variables the mean of a level of `m` is the plain mean of the predictions for its own levels."""
    fit = fitted("y ~ m / n + (1 | g)")
    means = fit.emmeans("m")
    assert "`n` is nested in `m`" in means.notes
    own = fitted("y ~ n + (1 | g)").emmeans("n").table["estimate"]
    expected = [own[["0", "1"]].mean(), own[["2", "3", "4"]].mean(), own["5"]]
    np.testing.assert_allclose(means.table["estimate"], expected, rtol=1e-6)
    assert list(fit.emmeans("n").table.index) == [(n, m) for n, m in zip("012345", "kklllo", strict=True)]


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("origin", [0.0, 2010.0])
def test_the_rule_knows_no_units(unit, origin):
    """A slope of a level with rows at one value only is known at this value, and nowhere else."""
    data = table().assign(t=lambda d: np.where(d["b"] == "z", 1.0, 3.0 * d["x"]))
    data["t"] = unit * (origin + data["t"])
    fit = hier.Model("y ~ b * t + (1 | g)", data).estimate()
    rows = pd.DataFrame({"b": ["z", "z", "x"], "t": unit * (origin + np.array([1.0, 1.5, 1.5])), "g": 0})
    assert list(fit.predict(rows, random="none").isna()) == [False, True, False]


def test_a_column_and_its_rounded_copy_are_predicted():
    """The copy is left out for being the same to seven digits; that it is not to sixteen is no reason for NaN."""
    data = table().assign(rounded=lambda d: d["x"].astype(np.float32).astype(float))
    fit = hier.Model("y ~ x + rounded + (1 | g)", data).estimate()
    assert fit.model.design.dropped_columns == ("rounded",)
    assert fit.predict(data).notna().all()
