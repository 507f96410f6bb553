"""How a response is coded, what it is out of, and the columns of further parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier
from tests.model.data import table

DATA = table()


@pytest.mark.parametrize("left", ["cbind(s, n - s)", "s / n", "s | trials(n)"])
def test_successes_out_of_trials(left: str) -> None:
    design = hier.Model(f"{left} ~ x + (1 | g)", DATA, family="binomial").design
    assert np.array_equal(design.y, DATA["s"])
    assert np.array_equal(design.trials, DATA["n"])


def test_the_weights_of_proportions_are_their_trials() -> None:
    model = hier.Model("p ~ x + (1 | g)", DATA.assign(p=DATA["s"] / DATA["n"]), family="binomial", weights="n")
    assert np.array_equal(model.design.y, DATA["s"])
    assert np.array_equal(model.design.trials, DATA["n"])
    assert model.row_weights is None
    assert model.family.name == "binomial"
    assert "weights are the numbers of trials of the proportions `p`" in model.design.notes()


@pytest.mark.parametrize(
    ("values", "success", "labels"),
    [
        (np.array(["yes", "no"]), "yes", ["no", "yes"]),
        (np.array([True, False]), True, [False, True]),
        (pd.Categorical(["y", "n"], ["y", "n"]), "n", ["y", "n"]),
        (np.array([0, 1]), 1, None),
        (np.array([0.0, 1.0]), 1, None),
    ],
)
def test_the_second_of_two_levels_is_success(values, success, labels) -> None:
    values = values.repeat(24)
    design = hier.Model("z ~ x + (1 | g)", DATA.assign(z=values), family="bernoulli").design
    assert np.array_equal(design.y, np.asarray(values) == success)
    if labels is None:
        assert design.categories is None
        assert design.notes() == []
    else:
        assert design.categories is not None
        assert design.categories.tolist() == labels
        assert design.notes() == [f"`z`: success is {success!r}, failure {labels[0]!r}"]


@pytest.mark.parametrize(
    ("left", "values", "labels", "note"),
    [
        ("z", pd.Categorical(["lo", "mid", "hi"], ["lo", "mid", "hi"], ordered=True), ["lo", "mid", "hi"], None),
        ("z", ["c", "a", "b"], ["a", "b", "c"], "`z`: its categories are taken in the order a < b < c"),
        ("z", [10, 2, 5], [2, 5, 10], None),
        ("ordered(z)", [10, 2, 5], [2, 5, 10], None),
        ("z", pd.Categorical([3, 1, 2], [3, 2, 1, 0], ordered=True), [3, 2, 1], None),
    ],
)
def test_ordered_categories(left: str, values, labels, note: str | None) -> None:
    series = pd.Series(values).repeat(16).reset_index(drop=True)
    model = hier.Model(f"{left} ~ x + f + (1 + x | g)", DATA.assign(z=series), family="cumulative")
    design = model.design
    assert design.categories is not None
    assert design.categories.tolist() == labels
    assert np.array_equal(np.asarray(labels)[design.y.astype(int)], series)
    assert [said for said in design.notes() if "taken in the order" in said] == ([note] if note else [])
    # cutpoints stand for the intercept, and factors are coded as beside it
    assert design.names == ("x", "f[T.b]", "f[T.c]")
    assert design.n_cutpoints == 2
    assert design.random_effects[0].names == ("Intercept", "x")
    assert np.array_equal(design.X[:, 0], DATA["x"])


def test_a_column_that_the_cutpoints_determine_is_left_out() -> None:
    design = hier.Model("rating ~ 0 + f + one + (1 | g)", DATA.assign(one=1.0), family="cumulative").design
    assert design.names == ("f[T.b]", "f[T.c]")
    assert design.dropped_columns == ("one",)
    assert design.determined.aliases.shape == (2, 1)
    new = design.new_data(DATA.assign(one=1.0)[:5])
    assert np.array_equal(new.X, design.X[:5])


def test_columns_of_further_parameters() -> None:
    data = DATA.assign(twice=2.0 * DATA["x"])
    model = hier.Model(hier.Formula("y ~ x + (1 | g)", sigma="~ f + x + twice"), data, family="student", weights="w")
    sigma, nu = model.design.parameters
    assert sigma.names == ("Intercept", "f[T.b]", "f[T.c]", "x")
    assert sigma.dropped_columns == ("twice",)
    assert sigma.keys() == ("sigma_Intercept", "sigma_f[T.b]", "sigma_f[T.c]", "sigma_x")
    assert nu.keys() == ("nu",)
    assert not nu.has_formula
    assert "columns of `sigma` dropped, because the others determine them: `twice`" in model.design.notes()
    # of a Student response weights multiply log densities
    assert sigma.offset is None
    assert model.row_weights is model.design.weights
    new = model.design.new_data(data[7:9])
    assert np.array_equal(new.parameters[0].X, sigma.X[7:9])
    assert new.parameters[1].X.shape == (2, 1)
    with pytest.raises(hier.DataError, match="level that was not in the data of the fit"):
        model.design.new_data(data[7:9].assign(f="z"))


def test_a_missing_value_of_a_parameters_column_drops_the_row() -> None:
    data = DATA.assign(z=np.where(np.arange(48) == 5, np.nan, 1.0 * np.arange(48)))
    design = hier.Model(hier.Formula("y ~ x + (1 | g)", sigma="~ z"), data).design
    assert design.nobs == 47
    assert design.parameters[0].X.shape == (47, 2)


def test_precision_weights_stand_in_the_predictor_of_sigma() -> None:
    model = hier.Model(hier.Formula("y ~ x + (1 | g)", sigma="~ x"), DATA, weights="w")
    offset = model.design.parameters[0].offset
    assert offset is not None
    assert model.row_weights is None
    np.testing.assert_allclose(np.exp(offset), 1.0 / np.sqrt(DATA["w"]))
