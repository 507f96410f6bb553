"""New data are coded as the data of the fit were, by what each variable's coding remembers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier

EXPRESSIONS = [
    "x", "scale(x)", "center(x)", "standardize(x)", "poly(x, 3)", "poly(x, 2, raw = TRUE)", "bs(x, df = 5)",
    "ns(x, df = 4)", "cr(x, df = 4)", "log(x)", "I(x^2)", "I(x > 3)", "f", "C(f, contr.sum)", "C(f, contr.helmert)",
    "ordered(t)", "factor(t)", "o", "f:x", "f*scale(x)", "0 + f", "C(f, contr.treatment('b'))", "scale(log(x))", "l",
]  # fmt: skip


def frame(n=80, seed=0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.uniform(0.5, 8, size=n),
            "f": np.tile(list("abcd"), n // 4),
            "t": np.tile([1, 2, 4, 9], n // 4),
            "o": pd.Categorical(np.tile(list("xyzw"), n // 4), categories=list("xyzw"), ordered=True),
            "l": np.tile([True, False], n // 2),
            "g": np.repeat(np.arange(n // 8), 8),
            "h": np.tile(["A", "B"], n // 2),
        }
    )


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_rows_of_the_fit_are_coded_as_they_were(expression):
    """Any few rows of the fit's own table: their means, ranges and levels are not those of the fit."""
    data = frame()
    design = hier.Model(f"y ~ {expression} + ({expression} | g)", data).design
    rows = [5, 2, 40, 41]
    new = design.new_data(data.iloc[rows].drop(columns="y"))
    np.testing.assert_allclose(new.X, design.X[rows], rtol=1e-12, atol=1e-12)
    (random,) = new.random_effects
    np.testing.assert_allclose(random.Z, design.random_effects[0].Z[rows], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(random.codes, design.random_effects[0].codes[rows])
    assert list(new.index) == rows


def test_an_offset_remembers_its_state_too():
    data = frame()
    design = hier.Model("y ~ x + offset(2 * scale(x)) + (1 | g)", data).design
    np.testing.assert_allclose(design.new_data(data.iloc[[3, 9]]).offset, design.offset[[3, 9]], rtol=1e-12)


def test_levels_of_grouping_factors_are_seen_unseen_or_missing():
    data = frame()
    design = hier.Model("y ~ x + (1 | g) + (1 | g:h) + (1 | h)", data).design
    new = pd.DataFrame(
        {"x": 1.0, "g": [0, 3, 77, None, 0, None], "h": ["A", "B", "A", "B", "C", None]}, index=list("pqrstu")
    )
    coded = {random.group: random.codes.tolist() for random in design.new_data(new).random_effects}
    assert coded["g"] == [0, 3, -1, -2, 0, -2]
    assert coded["h"] == [0, 1, 0, 1, -1, -2]
    assert coded["g:h"] == [0, 7, -1, -2, -1, -2]
    assert list(design.new_data(new).index) == list("pqrstu")


def test_a_combination_of_known_levels_can_be_new():
    data = frame()
    data = data[~((data["g"] == 2) & (data["h"] == "B"))]
    design = hier.Model("y ~ x + (1 | g:h)", data).design
    new = pd.DataFrame({"x": 0.0, "g": [2, 2, 9], "h": ["A", "B", "B"]})
    (random,) = design.new_data(new).random_effects
    assert random.codes[1] == -1
    assert [random.levels[k] for k in random.codes[[0, 2]]] == ["2:A", "9:B"]


def test_dropped_columns_stay_dropped():
    data = frame().assign(twice=lambda d: 2 * d["x"])
    design = hier.Model("y ~ x + twice + f + (1 | g)", data).design
    assert design.dropped_columns == ("twice",)
    assert design.new_data(data.head(3)).X.shape == (3, len(design.names))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"f": "q"}, ["the factor `f` has a level that was not in the data of the fit", "'q'", "a, b, c, d"]),
        ({"x": np.nan}, ["there are missing values", "`x`: 3 missing"]),
        ({"f": None}, ["there are missing values", "`f`: 3 missing"]),
        ({"x": np.inf}, ["infinite"]),
        ({"x": -1.0}, ["`log(x)` is not finite"]),
        ({"t": 3}, ["the factor `factor(t)` has a level", "3"]),
        ({"x": "many"}, ["`x` is a factor, and this computes with numbers"]),
    ],
)
def test_what_the_fixed_effects_cannot_know_is_refused(changes, said):
    data = frame()
    design = hier.Model("y ~ log(x) + f + factor(t) + (1 | g)", data).design
    with pytest.raises(hier.HierError) as caught:
        design.new_data(data.head(3).assign(**changes))
    for words in said:
        assert words in str(caught.value)


def test_a_missing_column_is_named():
    data = frame()
    design = hier.Model("y ~ x + (1 | g)", data).design
    with pytest.raises(hier.DataError, match="no column `x`"):
        design.new_data(data[["g"]])


def test_an_offset_beside_the_formula_is_found_in_the_new_table():
    data = frame()
    design = hier.Model("y ~ x + (1 | g)", data, offset="t").design
    np.testing.assert_array_equal(design.new_data(data.iloc[[1, 2]]).offset, [2.0, 4.0])
    given = hier.Model("y ~ x + (1 | g)", data, offset=np.ones(80)).design
    with pytest.raises(hier.DataError, match="the offset of the fit was given as numbers"):
        given.new_data(data.head(2))
