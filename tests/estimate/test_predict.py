"""Predictions and their standard errors against dense algebra: the inverse of the mixed model equations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier
from tests.estimate.conftest import as_dense, table
from tests.reference import dense


def all_rows(fit, effects, included):
    """Every deviation's column of rows, zeros for what is not included or new."""
    blocks = []
    for own, kept in zip(effects, included, strict=True):
        known = np.where(own.codes >= 0, own.codes, 0)
        Z = np.where((own.codes >= 0)[:, None], own.Z * np.asarray(kept), 0.0)
        blocks.append(dense.full_Z(Z, known, own.n_levels))
    return np.column_stack(blocks)


def expected(fit, data, included):
    new = fit.model.design if data is None else fit.model.design.new_data(data)
    Z = all_rows(fit, new.random_effects, included)
    value = new.X @ fit.arrays.beta + new.offset
    value = value + Z @ np.concatenate([own.deviations.ravel() for own in fit.arrays.terms])
    variance = np.diag(as_dense(fit).errors(new.X, Z)).copy()
    for own, kept, term in zip(new.random_effects, included, fit.arrays.terms, strict=True):
        z = own.Z * np.asarray(kept)
        variance += np.where(own.codes < 0, np.einsum("ia,ab,ib->i", z, term.covariance, z), 0.0)
    return value, np.sqrt(variance)


def included(fit, asked):
    """Columns of each factor by the names in `asked`."""
    return [[(own.group, name) in asked for name in own.names] for own in fit.model.design.random_effects]


def everything(fit):
    return [np.ones(len(own.names), bool) for own in fit.model.design.random_effects]


def test_the_rows_of_the_fit(fit):
    found = fit.predict(se=True)
    value, se = expected(fit, None, everything(fit))
    np.testing.assert_allclose(found["fit"], value, rtol=1e-10)
    np.testing.assert_allclose(found["fit"], fit.fitted, rtol=1e-12)
    np.testing.assert_allclose(found["se"], se, rtol=1e-7)
    assert found.index.equals(fit.fitted.index)
    pd.testing.assert_series_equal(fit.predict(), found["fit"])


def mixed_up(kind: str) -> pd.DataFrame:
    """New rows: known levels in combinations that the data do not have, and new and missing levels."""
    frame = table(kind).sample(40, random_state=1, ignore_index=True)
    rng = np.random.default_rng(5)
    for name in ("inner", "outer", "g", "item", "day"):
        if name in frame:
            frame[name] = rng.permutation(frame[name].to_numpy())
    first = "inner" if kind == "nested" else "g"
    frame.loc[:3, first] = "somebody"
    frame.loc[2:5, {"one": "g", "nested": "outer", "crossed": "item"}[kind]] = None
    return frame.assign(x=rng.normal(size=40)).set_index(np.arange(100, 140))


def test_new_rows_in_any_combination(kind, fit):
    data = mixed_up(kind)
    found = fit.predict(data, new_levels="zero", se=True)
    value, se = expected(fit, data, everything(fit))
    np.testing.assert_allclose(found["fit"], value, rtol=1e-10)
    np.testing.assert_allclose(found["se"], se, rtol=1e-7)
    assert list(found.index) == list(range(100, 140))


@pytest.mark.parametrize(
    ("asked", "columns"),
    [
        ("none", []),
        (["item"], [("item", "Intercept")]),
        ("(1 | g)", [("g", "Intercept")]),
        (["(0 + x | g)", "(1|day)"], [("g", "x"), ("day", "Intercept")]),
        (["g", "item", "day"], [("g", "Intercept"), ("g", "x"), ("item", "Intercept"), ("day", "Intercept")]),
    ],
)
def test_any_subset_of_the_random_terms(fits, asked, columns):
    fit = fits("crossed")
    kept = included(fit, columns)
    value, se = expected(fit, None, kept)
    found = fit.predict(random=asked, se=True)
    np.testing.assert_allclose(found["fit"], value, rtol=1e-10)
    np.testing.assert_allclose(found["se"], se, rtol=1e-7)


def test_the_fixed_part_needs_no_grouping_factors(fits):
    fit = fits("crossed")
    data = pd.DataFrame({"x": [0.0, 1.0], "off": [0.0, 2.0]})
    found = fit.predict(data, random="none", se=True)
    np.testing.assert_allclose(
        found["fit"], np.array([[1, 0], [1, 1]]) @ fit.fixef.to_numpy() + data["off"], rtol=1e-12
    )
    np.testing.assert_allclose(found["se"][0], fit.coefficients["std_error"].iloc[0], rtol=1e-12)
    known = data.assign(item=["t0", "t1"])
    np.testing.assert_allclose(
        fit.predict(known, random=["item"]) - found["fit"], fit.ranef["item"].loc[["t0", "t1"], "Intercept"], rtol=1e-10
    )
    with pytest.raises(hier.DataError, match="no column `item`"):
        fit.predict(data, random=["item"])


def test_intervals(fits):
    fit = fits("one")
    data = table("one").head(7)
    near = fit.predict(data, interval="confidence", level=0.9)
    np.testing.assert_allclose((near["upper"] - near["fit"]) / near["se"], 1.6448536269514722, rtol=1e-12)
    with pytest.raises(hier.DataError, match="precision weights, which are not known"):
        fit.predict(data, interval="prediction")
    far = fit.predict(data, interval="prediction", level=0.9, weights="w")
    own = far["se"] ** 2 + fit.sigma**2 / data["w"]
    np.testing.assert_allclose(far["upper"] - far["lower"], 2 * 1.6448536269514722 * np.sqrt(own), rtol=1e-12)
    pd.testing.assert_frame_equal(fit.predict(interval="prediction", level=0.9).head(7), far)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("all", [253.66367034908, 248.50755076070, 293.27424868687]),
        ("none", [251.40510484849, 345.61067848485, 293.27424868687]),
        ("(1 | Subject)", [253.66367034908, 345.27698253314, 293.27424868687]),
    ],
)
def test_prediction_equals_lme4s(sleepstudy_reml, asked, expected):
    """R: predict(m, data.frame(Days = c(0, 9, 4), Subject = c("308", "335", "new")), allow.new.levels = TRUE,
    re.form = NULL, NA and ~(1 | Subject)); lme4 1.1-31, whose optimiser stops at a relative 1e-6 or so.
    """
    data = pd.DataFrame({"Days": [0, 9, 4], "Subject": ["308", "335", "new"]})
    found = sleepstudy_reml.predict(data, random=asked, new_levels="zero")
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_new_levels_are_named(fits):
    fit = fits("crossed")
    data = table("crossed").head(4).assign(g=["g1", "ann", "bob", "ann"])
    with pytest.raises(hier.DataError, match="levels that the fit has not seen") as refused:
        fit.predict(data)
    assert refused.value.found == "`ann`, `bob`"
    assert refused.value.where == "3 of 4 rows"
    assert fit.predict(data, random=["item"]).notna().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"random": "gg"}, "no grouping factor `gg`"),
        ({"random": ["(0 + off | g)"]}, "no random effects"),
        ({"random": ["(x | item)"]}, "no random effects"),
        ({"random": None}, "`random` cannot be None"),
        ({"new_levels": "drop"}, "`new_levels` cannot be 'drop'"),
        ({"interval": "both"}, "`interval` cannot be 'both'"),
        ({"interval": "confidence", "level": 95}, r"`level` cannot be 95"),
        ({"interval": "prediction", "weights": -1.0}, "must be positive"),
        ({"interval": "prediction", "weights": [1.0, 2.0]}, "does not match"),
    ],
)
def test_refusals(fits, arguments, message):
    with pytest.raises(hier.HierError, match=message):
        fits("crossed").predict(**arguments)


def test_a_formula_error_has_its_caret(fits):
    with pytest.raises(hier.FormulaError, match=r"\^"):
        fits("crossed").predict(random="(1 | g")
