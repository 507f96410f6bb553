"""The functions of formulas against R's values: in the rows of the fit, in new rows, and in a single new row.

Source of the numbers: R 4 on the table below, `model.matrix` and the functions by name (`stats::ave`, `base::cut`,
`splines::ns`); restricted cubic splines by the formula of Harrell, Regression Modeling Strategies, section 2.4, in R.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier

X = [1.2, 3.4, 0.5, 7.7, 6.1, 2.9, 5.5, 4.4, 8.8, 2.0, 6.6, 9.1]
MEANS = np.repeat([3.2, 4.725, 6.625], 4)  # ave(x, g)
NS = [
    [-0.057689566695, 0.003353371471, 0, 0.334165251996, 0.546021006093, -0.064245538768, 0.477643057898,
     0.229619893608, -0.030153642330, -0.095745360126, 0.539172540909, -0.140704651906],
    [0.1849105253, 0.5417776239, 0, 0.3390643562, 0.3470886820, 0.5104122172, 0.3987226260, 0.5068850507, 0.4090832250,
     0.3704449235, 0.3240900758, 0.4320460488],
    [-0.12469062239, -0.36530673223, 0, 0.30757501813, -0.08189203762, -0.34418601619, -0.19365063044, -0.33155079857,
     0.62088154154, -0.24980194073, 0.02743428042, 0.70865860311],
]  # fmt: skip
RCS = [
    X,
    [0.000125, 0.216, 0, 4.494713542, 2.072630208, 0.107171875, 1.423828125, 0.614125, 6.500208333, 0.015625, 2.735,
     7.0625],
    [0, 0, 0, 0.6635104167, 0.1446770833, 0, 0.0527343750, 0.001, 1.1563333333, 0, 0.269, 1.2968750],
]  # fmt: skip
BOTH = [0.85, 5.55, 0.85, 5.55, 5.80, 3.65, 5.80, 3.65, 7.70, 5.55, 7.70, 5.55]  # ave(x, g, k)
THIRDS = np.array([1, 2, 1, 3, 2, 1, 2, 2, 3, 1, 3, 3])  # as.integer(cut(x, 3))


def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "y": rng.normal(size=12),
            "x": X,
            "g": np.repeat(["a", "b", "c"], 4),
            "k": np.tile([1, 2], 6),
            "day": pd.Timestamp("2020-02-27") + pd.to_timedelta(np.arange(12) * 3, "D"),
            "written": (pd.Timestamp("2020-02-27") + pd.to_timedelta(np.arange(12) * 3, "D")).strftime("%Y-%m-%d"),
            "german": (pd.Timestamp("2020-02-27") + pd.to_timedelta(np.arange(12) * 3, "D")).strftime("%d.%m.%Y"),
            "year": np.tile([2019, 2020], 6),
            "digits": [str(k % 4) for k in range(12)],
            "on": np.arange(12) % 3 == 0,
            "visit": np.repeat(np.arange(6), 2),
        }
    )


x = np.array(X)
DAYS = np.arange(-1.0, 35.0, 3.0)
CASES = [
    ("ave(x, g)", MEANS), ("between(x, g)", MEANS), ("within(x, g)", x - MEANS), ("I(x - ave(x, g))", x - MEANS),
    ("ave(x, g, k)", BOTH), ("ave(log(x), k)", np.tile([np.log(x[::2]).mean(), np.log(x[1::2]).mean()], 6)),
    ("pmax(x, 5)", [5, 5, 5, 7.7, 6.1, 5, 5.5, 5, 8.8, 5, 6.6, 9.1]),
    ("pmin(x, k)", [1, 2, 0.5, 2, 1, 2, 1, 2, 1, 2, 1, 2]),
    ("pmax(0, x - 5, k)", np.maximum(x - 5, np.tile([1, 2], 6))),
    ("ifelse(x > 5, 1, -1)", np.where(x > 5, 1, -1)), ("ifelse(on, x, k)", np.where(np.arange(12) % 3, [1, 2] * 6, x)),
    ("asin(x / 10)", np.arcsin(x / 10)), ("asin(sqrt(x / 10))", np.arcsin(np.sqrt(x / 10))),
    ("sin(2 * pi * x)", np.sin(2 * np.pi * x)), ("ns(x, df = 3)", np.transpose(NS)),
    ("rcs(x, c(1, 4, 6, 9))", np.transpose(RCS)), ("plogis(x)", 1 / (1 + np.exp(-x))),
    ("round(x / 3, 1)", np.round(x / 3, 1)),
    ("I(day - as.Date('2020-02-28'))", DAYS), ("I(as.Date(written) - as.Date('2020-02-28'))", DAYS),
    ("I(as.numeric(day - as.Date('2020-02-28')) / 7)", DAYS / 7),
    ("as.numeric(as.Date(written))", 18319 + 3.0 * np.arange(12)),
    ("as.Date(german, format = '%d.%m.%Y')", 18319 + 3.0 * np.arange(12)),
    ("I(as.Date(written) - as.Date(paste0(year, '-03-01')))", DAYS - 2 + np.tile([366, 0], 6)),
    ("as.numeric(digits)", np.arange(12) % 4), ("as.numeric(on)", np.arange(12) % 3 == 0), ("as.numeric(x > 5)", x > 5),
    ("I(1 * (g %in% c('a', 'c')))", np.repeat([1, 0, 1], 4)), ("I(0 + k %in% c(2, 7))", np.tile([0, 1], 6)),
    ("I(0 + (g == 'b'))", np.repeat([0, 1, 0], 4)), ("cut(x, 3, labels = FALSE)", THIRDS),
    ("I(0 + (written > '2020-03-01'))", DAYS > 2),
]  # fmt: skip


def design_of(expression: str, data: pd.DataFrame | None = None):
    return hier.Model(f"y ~ {expression} + (1 | visit)", table() if data is None else data).design


@pytest.mark.parametrize(("expression", "expected"), CASES)
def test_values_in_the_fit_and_in_new_rows(expression, expected):
    if ">" in expression and "written" in expression:
        expression = expression.replace("written", "as.Date(written)")
    design = design_of(expression)
    expected = np.asarray(expected, dtype=float).reshape(12, -1)
    np.testing.assert_allclose(design.X[:, 1:], expected, rtol=1e-8, atol=1e-9)
    for rows in ([7], [10, 0, 3]):
        new = design.new_data(table().iloc[rows].drop(columns="y")).X[:, 1:]
        np.testing.assert_allclose(new, expected[rows], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("expression", "levels", "codes"),
    [
        ("cut(x, c(0, 2.5, 6, 10))", ["(0,2.5]", "(2.5,6]", "(6,10]"], np.searchsorted([2.5, 6], x) + 1),
        ("cut(x, 3)", ["(0.491,3.37]", "(3.37,6.23]", "(6.23,9.11]"], THIRDS),
        ("cut(x, c(0.5, 2.5, 9.1), include.lowest = TRUE)", ["[0.5,2.5]", "(2.5,9.1]"], (x > 2.5) + 1),
        ("cut(x, breaks = c(0.5, 2.5, 9.1), right = FALSE, include.lowest = TRUE)", ["[0.5,2.5)", "[2.5,9.1]"],
         (x >= 2.5) + 1),
        ("cut(x, c(-Inf, 2.9, Inf))", ["(-Inf,2.9]", "(2.9, Inf]"], (x > 2.9) + 1),
        ("cut(x, c(0, 5, 10), labels = c('low', 'high'))", ["low", "high"], (x > 5) + 1),
        ("factor(ifelse(x > 5, 'high', 'low'))", ["high", "low"], (x <= 5) + 1),
        ("ifelse(g == 'b', 'B', g)", ["B", "a", "c"], np.repeat([2, 1, 3], 4)),
        ("I(x > 5)", [False, True], (x > 5) + 1),
    ],
)  # fmt: skip
def test_factors_that_are_computed_have_r_s_levels(expression, levels, codes):
    design = design_of("0 + " + expression)
    assert len(design.names) == len(levels)
    assert all(name.endswith(f"[{own}]") for name, own in zip(design.names, levels, strict=True))
    expected = np.asarray(codes)[:, None] == np.arange(len(levels)) + 1
    np.testing.assert_array_equal(design.X, expected)
    np.testing.assert_array_equal(design.new_data(table().iloc[[4]].drop(columns="y")).X, expected[[4]])


def test_knots_of_restricted_splines_are_harrell_s():
    """Of 100 rows and more quantiles; of fewer the outer ones are the fifth from each end."""
    z = np.random.default_rng(1).gamma(2.0, size=200)
    data = pd.DataFrame({"y": z[::-1], "z": z, "h": np.tile(np.arange(20), 10)})
    for count, places in ((3, [0.1, 0.5, 0.9]), (4, [0.05, 0.35, 0.65, 0.95]), (5, [0.05, 0.275, 0.5, 0.725, 0.95])):
        learned = hier.Model(f"y ~ rcs(z, {count}) + (1 | h)", data).design
        given = ", ".join(repr(float(knot)) for knot in np.quantile(z, places))
        same = hier.Model(f"y ~ rcs(z, c({given})) + (1 | h)", data).design
        np.testing.assert_allclose(learned.X, same.X, rtol=1e-12, atol=1e-12)
        assert learned.X.shape[1] == count
        few = data.iloc[:3].drop(columns="y")
        np.testing.assert_allclose(learned.new_data(few).X, learned.X[:3], rtol=1e-12)
    ordered = np.sort(z[:60])
    inner = np.quantile(z[:60], 0.5)
    learned = hier.Model("y ~ rcs(z, 3) + (1 | h)", data.iloc[:60]).design
    same = hier.Model(f"y ~ rcs(z, c({ordered[4]!s}, {inner!s}, {ordered[-5]!s})) + (1 | h)", data.iloc[:60]).design
    np.testing.assert_allclose(learned.X, same.X, rtol=1e-12, atol=1e-12)


def test_natural_splines_go_on_as_straight_lines():
    """R: predict(ns(x, df = 3), c(0, 5, 12))."""
    new = pd.DataFrame({"x": [0.0, 5.0, 12.0], "visit": 0})
    expected = [[0.04379373081, -0.1344725146, 0.0906787838], [0.37661271117, 0.4502960185, -0.2680328823],
                [-1.21345535261, 0.6554334945, 1.5580218581]]  # fmt: skip
    np.testing.assert_allclose(design_of("ns(x, df = 3)").new_data(new).X[:, 1:], expected, rtol=1e-8)


def test_means_of_groups_are_kept():
    """A new row takes the mean of its group in the fit; a group that is new, the mean of its own new rows."""
    design = design_of("ave(x, g) + within(x, g)")
    new = pd.DataFrame({"x": [100.0, 2.0, 4.0, 9.0], "g": ["b", "new", "new", "other"], "visit": 0})
    np.testing.assert_allclose(design.new_data(new).X[:, 1], [4.725, 3.0, 3.0, 9.0])
    np.testing.assert_allclose(design.new_data(new).X[:, 2], [95.275, -1.0, 1.0, 0.0])
    np.testing.assert_allclose(design.new_data(new.iloc[[1]]).X[0, 1:], [2.0, 0.0])
    with pytest.raises(hier.HierError, match="missing"):
        design.new_data(new.assign(g=["b", None, "a", "a"]))
    by_number = design_of("ave(x, k)")
    np.testing.assert_allclose(by_number.new_data(new.assign(k=[1.0, 2.0, 2.0, 1.0])).X[:2, 1], by_number.X[:2, 1])


def test_the_group_of_a_mean_may_be_the_group_of_the_bar():
    data = table()
    formula = "y ~ I(x - ave(x, g)) + ave(x, g) + (1 + I(x - ave(x, g)) | g)"
    design = hier.Model(formula, data).design
    np.testing.assert_allclose(design.random_effects[0].Z[:, 1], x - MEANS, rtol=1e-12)
    new = design.new_data(pd.DataFrame({"x": [3.0], "g": ["c"]}))
    np.testing.assert_allclose(new.random_effects[0].Z, [[1.0, 3.0 - 6.625]])


def test_means_are_those_of_the_rows_of_the_fit():
    data = table()
    data.loc[0, "x"] = np.nan
    data.loc[4, "y"] = np.nan
    design = design_of("ave(x, g)", data)
    left = data.dropna(subset=["x", "y"])
    np.testing.assert_allclose(design.X[:, 1], left.groupby("g")["x"].transform("mean"), rtol=1e-14)
    assert design.missing == {"x": 1, "y": 1}


def test_missing_values_of_computed_factors_and_dates_are_left_out():
    data = table()
    data.loc[1, "x"], data.loc[2, "written"], data.loc[3, "day"] = np.nan, None, pd.NaT
    design = design_of("cut(x, c(0, 5, 10)) + as.numeric(as.Date(written)) + I(day - as.Date('2020-01-01'))", data)
    assert design.missing == {"x": 1, "written": 1, "day": 1}
    assert np.isfinite(design.X).all()


def test_what_was_kept_is_printed():
    printed = str(hier.Model("y ~ ave(x, g) + rcs(x, c(1, 4, 9)) + ns(k, df = 1) + cut(x, 2) + (1 | visit)", table()))
    for said in (
        "`ave(x, g)`: means of the 3 levels of `g` in the rows of the fit; a level that the fit has not seen takes",
        "`rcs(x, c(1, 4, 9))`: knots at 1, 4, 9; kept for prediction",
        "`ns(k, df=1)`: knots at 1, 2",
        "`cut(x, 2)`: breaks at 0.4914, 4.8, 9.109",
    ):
        assert said in " ".join(printed.split())


@pytest.mark.parametrize("response", ["I(x > 5)", "x > 5", "as.numeric(x > 5)", "ifelse(x > 5, 1, 0)"])
def test_a_comparison_is_a_response_of_zeros_and_ones(response):
    data = table()
    model = hier.Model(f"{response} ~ k + (1 | visit)", data, family="bernoulli")
    np.testing.assert_array_equal(model.design.y, x > 5)
    with pytest.raises(hier.DataError, match="is constant"):
        hier.Model("I(x > 50) ~ k + (1 | visit)", data, family="bernoulli")


@pytest.mark.parametrize(
    ("response", "expected"),
    [("x + 0.001", x + 0.001), ("log(x + 1) - 2", np.log(x + 1) - 2), ("-x", -x),
     ("2 * x", 2 * x), ("x / 100", x / 100), ("x^2", x**2),
     ("(x - k)", x - np.tile([1, 2], 6))],
)  # fmt: skip
def test_a_response_that_is_arithmetic(response, expected):
    model = hier.Model(f"{response} ~ digits + (1 | visit)", table())
    np.testing.assert_allclose(model.design.y, expected, rtol=1e-14)


def test_pi_is_a_column_where_the_table_has_one():
    data = table()
    np.testing.assert_allclose(design_of("I(x * pi)").X[:, 1], x * np.pi, rtol=1e-15)
    assert design_of("I(x * pi)").names[1] == "I(x * pi)"
    np.testing.assert_allclose(design_of("I(x * pi)", data.assign(pi=2.0)).X[:, 1], 2 * x)


BAD = [
    ("avee(x, g)", "not allowed", "`ave`"), ("ifelse(x > 1, 2)", "takes 3 arguments", "ifelse"),
    ("ave(x)", "takes 2 arguments or more", "ave(x)"), ("asin(x, 2)", "takes one argument", "asin"),
    ("cut(x)", "needs its breaks", "cut"), ("cut(x, c(5, 1, 10))", "do not ascend", "5, 1, 10"),
    ("cut(x, c(0, 5))", "lie in none of the intervals", "Inf"), ("cut(x, c(0, 5, 10), labels = c('a'))", "labels", "2"),
    ("I(x > 'a')", "numbers are compared with text", "'a'"), ("I(x == 'a')", "numbers are compared with text", "'a'"),
    ("I(g > 3)", "text is compared with a number", "'a'"), ("I(g == 3)", "text is compared with a number", "'a'"),
    ("I(g > 'a')", "no order", "%in%"), ("ave(g, k)", "`g` is a factor, and this computes with numbers", "levels a"),
    ("I(x %in% k)", "asks whether", "c("), ("I(g %in% c('a', 1))", "asks whether", "all of them"),
    ("ifelse(x > 1, 'a', 2)", "text in one case", "both"), ("as.numeric(g)", "no numbers", "a"),
    ("as.Date(g)", "this is no date", "2020-12-31"), ("I(as.Date(x) - 3)", "made of text", "quotes"),
    ("log(day)", "is a date", "as.numeric"), ("day", "dates or times", "as.numeric(day)"),
    ("rcs(x, 2)", "from 3 to 20 knots", "2"), ("rcs(x, c(1, 2))", "3 different knots", "2"),
    ("pmax(x)", "takes 2 arguments or more", "pmax"), ("pmax(x, 0, na.rm = TRUE)", "no argument `na.rm`", "na.rm"),
    ("mean(x)", "not supported", "ave(x, g)"), ("interaction(g, k)", "not supported", "a:b"),
    ("relevel(g, 'b')", "not supported", "contr.treatment"), ("I(day + day)", "cannot be added", "difference"),
    ("asin(x)", "not finite", "12 rows"), ("SSfpl(x, k)", "not supported", "ns(x, df = 4)"),
    ("splines::ns(x, 3)", "without its package", "ns(x"), ("I(x > 1 & k > 1)", "cannot stand in a formula", "multiply"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "said", "named"), BAD)
def test_what_a_function_cannot_take_is_said(expression, said, named):
    with pytest.raises(hier.HierError) as caught:
        design_of(expression)
    assert said in str(caught.value)
    assert named in str(caught.value)


def test_a_fit_predicts_with_what_was_kept():
    data = pd.concat([table()] * 4, ignore_index=True)
    data["y"] = data["x"] + np.random.default_rng(0).normal(size=48)
    fit = hier.Model("y ~ within(x, g) + between(x, g) + (1 | visit)", data).estimate()
    by_hand = data.assign(m=data.groupby("g")["x"].transform("mean"))
    by_hand["d"] = by_hand["x"] - by_hand["m"]
    other = hier.Model("y ~ d + m + (1 | visit)", by_hand).estimate()
    np.testing.assert_allclose(fit.fixef, other.fixef, rtol=1e-6)
    np.testing.assert_allclose(fit.predict(data.iloc[[5]]), other.predict(by_hand.iloc[[5]]), rtol=1e-8)


def test_columns_of_a_file_are_read_by_what_functions_ask(tmp_path):
    """Groups and dates as labels, as they stand in the file: `01` and `1` are two."""
    data = table().assign(code=np.tile(["01", "1", "2"], 4))
    data.to_csv(tmp_path / "data.csv", index=False)
    formula = "y ~ ave(x, code) + I(as.Date(day) - as.Date('2020-02-28')) + I(code %in% c('01', '2')) + (1 | visit)"
    design = hier.Model(formula, tmp_path / "data.csv").design
    np.testing.assert_allclose(design.X[:, 1], data.groupby("code")["x"].transform("mean"))
    np.testing.assert_allclose(design.X[:, 2], DAYS)
    np.testing.assert_array_equal(design.X[:, 3], data["code"] != "1")


def test_a_missing_label_is_compared_with_nothing():
    """A grouping factor's labels may be missing in new rows, but not where an expression asks for them."""
    design = hier.Model("y ~ I(g == 'c') + x + (1 | g)", table()).design
    new = pd.DataFrame({"x": 1.0, "g": ["c", "a", "new"]})
    np.testing.assert_array_equal(design.new_data(new).X[:, 1], [1.0, 0.0, 0.0])
    with pytest.raises(hier.HierError, match="`g` is missing in 1 of 3 rows"):
        design.new_data(new.assign(g=["c", None, "a"]))


def test_marginal_means_beside_means_of_groups():
    data = pd.concat([table()] * 4, ignore_index=True)
    data["y"] = data["x"] + np.random.default_rng(0).normal(size=48)
    fit = hier.Model("y ~ within(x, k) + between(x, k) + g + (1 | visit)", data).estimate()
    assert np.isfinite(fit.emmeans("g").table["estimate"]).all()
