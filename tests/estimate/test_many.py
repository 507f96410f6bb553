"""Many responses on one design give what single fits give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hier

DATA = Path(__file__).parents[1] / "oracle" / "data"
ORCHARD = pd.DataFrame({"tree": np.repeat(np.arange(30), 4), "year": np.tile(np.arange(4.0), 30)})


def responses(table: pd.DataFrame, group: str, n: int, scale: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    codes = pd.factorize(table[group])[0]
    own = scale * rng.normal(size=(codes.max() + 1, n))
    return pd.DataFrame(10.0 + own[codes] + rng.normal(size=(len(table), n)), index=table.index)


def check_against_single_fits(formula: str, table: pd.DataFrame, Y: pd.DataFrame, method: str = "reml", **options):
    response = formula.split("~")[0].strip()
    model = hier.Model(formula, table.assign(**{response: Y[0]}), **options)
    many = hier.estimate_many(model, Y, method, progress=False)
    assert len(many) == Y.shape[1]
    assert many.converged.all()
    for name in Y:
        single = hier.Model(formula, table.assign(**{response: Y[name]}), **options).estimate(method)
        np.testing.assert_allclose(many.fixef.loc[name], single.fixef, rtol=1e-8)
        np.testing.assert_allclose(many.std_error.loc[name], single.coefficients["std_error"], rtol=1e-8)
        assert many.objective[name] == pytest.approx(single.objective, abs=1e-8)
        assert many.sigma[name] == pytest.approx(single.sigma, rel=1e-8)
        for group, covariance in many.covariances.items():
            k = [random.group for random in model.design.random_effects].index(group)
            own = single.arrays.terms[k].covariance
            np.testing.assert_allclose(covariance[list(Y).index(name)], own, rtol=1e-7, atol=1e-8 * single.sigma**2)


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_levels_with_equal_columns(method):
    table = ORCHARD
    model = hier.Model("y ~ year + (year | tree)", table.assign(y=responses(table, "tree", 1)[0]))
    assert len(hier_problem(model).cross.merged) == 1
    check_against_single_fits("y ~ year + (year | tree)", table, responses(table, "tree", 5), method)


def hier_problem(model):
    from hier.model.problem import likelihood_problem

    return likelihood_problem(model)


def test_unequal_levels_weights_and_an_offset():
    rng = np.random.default_rng(8)
    table = ORCHARD.iloc[rng.permutation(120)[:90]].assign(w=rng.uniform(0.5, 2.0, 90), o=rng.normal(size=90))
    check_against_single_fits("y ~ year + (year | tree)", table, responses(table, "tree", 4), weights="w", offset="o")


def test_crossed_factors():
    table = pd.read_csv(DATA / "Penicillin.csv")
    check_against_single_fits("diameter ~ 1 + (1 | plate) + (1 | sample)", table, responses(table, "plate", 4), "reml")


def test_nested_factors():
    table = pd.read_csv(DATA / "Pastes.csv")
    check_against_single_fits("strength ~ 1 + (1 | batch/cask)", table, responses(table, "batch", 4))


def test_sds_and_correlations_have_a_column_each():
    Y = responses(ORCHARD, "tree", 3)
    many = hier.estimate_many(hier.Model("y ~ year + (year | tree)", ORCHARD.assign(y=Y[0])), Y, progress=False)
    names = ["sd_tree[Intercept]", "sd_tree[year]", "cor_tree[Intercept,year]", "sigma"]
    assert list(many.sdcor.columns) == names
    covariance = many.covariances["tree"][1]
    assert many.sdcor.loc[1, "sd_tree[year]"] == pytest.approx(np.sqrt(covariance[1, 1]))
    assert abs(many.sdcor["cor_tree[Intercept,year]"]).max() <= 1.0 + 1e-12


def test_what_cannot_be_fitted_is_refused():
    model = hier.Model("y ~ year + (1 | tree)", ORCHARD.assign(y=responses(ORCHARD, "tree", 1)[0]))
    Y = responses(ORCHARD, "tree", 2)
    with pytest.raises(hier.DataError, match=r"do not match the model's rows[\s\S]*119 rows[\s\S]*120 rows"):
        hier.estimate_many(model, Y.iloc[1:].to_numpy(), progress=False)
    Y.iloc[4, 1] = np.nan
    with pytest.raises(hier.DataError, match=r"missing or infinite[\s\S]*column 1"):
        hier.estimate_many(model, Y, progress=False)
    with pytest.raises(hier.FitError, match="cannot be fitted by the method `map`"):
        hier.estimate_many(model, Y, "map", progress=False)
    with pytest.raises(hier.DataError, match="not numeric"):
        hier.estimate_many(model, Y.astype(str).add("x"), progress=False)
