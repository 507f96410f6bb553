"""The data door: every table gives the same design, whatever it comes as."""

from __future__ import annotations

import datetime
import decimal
import enum
import tracemalloc

import numpy as np
import pandas as pd
import polars
import pyarrow
import pytest
import xarray as xr

import hier

FORMULA = "y ~ x + f + (x | g)"


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 60
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.normal(size=n),
            "f": pd.Categorical(rng.choice(["lo", "mid", "hi"], n), categories=["lo", "mid", "hi"]),
            "g": np.repeat(np.arange(10, 16), 10),
        }
    )


def design_of(data, formula=FORMULA, **options):
    return hier.Model(formula, data, **options).design


def assert_same(one, other):
    np.testing.assert_array_equal(one.y, other.y)
    np.testing.assert_array_equal(one.X, other.X)
    assert one.names == other.names
    for a, b in zip(one.random_effects, other.random_effects, strict=True):
        np.testing.assert_array_equal(a.codes, b.codes)
        assert list(a.levels) == list(b.levels)


def as_csv(data, folder):
    data.to_csv(folder / "data.csv", index=False)
    return folder / "data.csv"


def as_parquet(data, folder):
    data.to_parquet(folder / "data.parquet")
    return str(folder / "data.parquet")


def as_polars(data):
    labels = polars.Enum(list(data["f"].cat.categories))
    return polars.from_pandas(data.astype({"f": str})).with_columns(polars.col("f").cast(labels))


TABLES = {
    "polars": lambda data, _: as_polars(data),
    "polars lazy": lambda data, _: as_polars(data).lazy(),
    "pyarrow": lambda data, _: pyarrow.Table.from_pandas(data),
    "dict": lambda data, _: {name: data[name].to_numpy() if name != "f" else data[name] for name in data},
    "dict of lists": lambda data, _: {name: list(data[name]) if name != "f" else data[name] for name in data},
    "xarray": lambda data, _: xr.Dataset.from_dataframe(data),
    "parquet": as_parquet,
    "nullable": lambda data, _: data.convert_dtypes().astype({"f": data["f"].dtype}),
    "arrow types": lambda data, _: data.astype({"y": "double[pyarrow]", "g": "int64[pyarrow]"}),
}


@pytest.mark.parametrize("kind", TABLES)
def test_the_kind_of_table_does_not_matter(kind, tmp_path):
    data = frame()
    table = TABLES[kind](data, tmp_path)
    if kind == "xarray":  # xarray keeps a factor's labels and not the order of its levels
        data["f"] = data["f"].astype(str)
        table["f"] = ("index", data["f"].to_numpy(dtype=object))
    assert_same(design_of(table), design_of(data))


def test_a_csv_file_has_labels_in_alphabetical_order(tmp_path):
    data = frame()
    read = design_of(as_csv(data, tmp_path))
    assert_same(read, design_of(data.assign(f=data["f"].astype(str))))
    assert read.names == ("Intercept", "x", "f[T.lo]", "f[T.mid]")


def test_a_polars_categorical_has_labels_without_an_order():
    data = frame()
    table = polars.from_pandas(data.astype({"f": str})).with_columns(polars.col("f").cast(polars.Categorical))
    assert design_of(table).names == ("Intercept", "x", "f[T.lo]", "f[T.mid]")


def test_the_order_of_a_categorical_is_kept():
    data = frame()
    assert design_of(data).names == ("Intercept", "x", "f[T.mid]", "f[T.hi]")
    turned = data.assign(g=pd.Categorical(data["g"], categories=range(20, 5, -1)))
    random = design_of(turned).random_effects[0]
    assert list(random.levels) == [15, 14, 13, 12, 11, 10]
    assert design_of(turned).unused_levels == {"g": 9}


class Farm(enum.Enum):
    NORTH = 1
    SOUTH = 2
    WEST = 3


LEVELS = {
    "integers": [3, 1, 2],
    "negative integers": [-(2**62), 5, 2**62],
    "floats": [0.5, 1.5, 2.25],
    "text": ["b", "a", "ç"],
    "booleans": [True, False, True],
    "dates": [datetime.date(2024, 1, day) for day in (3, 1, 2)],
    "timestamps": list(pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02"])),
    "durations": list(pd.to_timedelta([3, 1, 2], unit="D")),
    "periods": list(pd.period_range("2024-01", periods=3, freq="M")),
    "tuples": [(1, "a"), (1, "b"), (2, "a")],
    "enums": list(Farm),
    "decimals": [decimal.Decimal("1.5"), decimal.Decimal("0.5"), decimal.Decimal("2")],
    "mixed": [1, "a", (2, 3)],
    "frozen sets": [frozenset({1}), frozenset({2}), frozenset({3})],
}


@pytest.mark.parametrize("kind", LEVELS)
def test_a_grouping_factor_of_any_hashable_kind(kind):
    values = LEVELS[kind]
    labels = pd.Series([values[k % 3] for k in range(60)], dtype=object)
    random = design_of(frame().assign(g=labels)).random_effects[0]
    assert set(random.levels) == set(values)
    assert [random.levels[code] for code in random.codes] == list(labels)


def test_missing_values_are_dropped_and_counted():
    data = frame().astype({"g": object})
    data.loc[[3, 5], "x"] = np.nan
    data.loc[[5, 7], "f"] = None
    data.loc[[9], "g"] = None
    model = hier.Model(FORMULA, data)
    assert model.design.missing == {"x": 2, "f": 2, "g": 1}
    assert "4 of 60 rows dropped for missing values (`x` 2, `f` 2, `g` 1)" in repr(model)
    assert list(model.design.index) == [k for k in range(60) if k not in (3, 5, 7, 9)]
    joined = data.join(model.estimate().fitted.rename("fitted"))
    assert joined["fitted"].isna().sum() == 4
    with pytest.raises(hier.DataError, match="there are missing values") as caught:
        hier.Model(FORMULA, data, na="error")
    assert "`x`: 2 missing, `f`: 2 missing, `g`: 1 missing" in str(caught.value)
    with pytest.raises(hier.DataError, match="no way `keep`"):
        hier.Model(FORMULA, data, na="keep")
    hier.Model(FORMULA, frame(), na="error")


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_a_missing_level_is_no_level(missing):
    data = frame().astype({"g": object})
    data.loc[0, "g"] = missing
    assert design_of(data).missing == {"g": 1}


def test_names_with_dots_and_all_other_columns():
    data = frame().rename(columns={"x": "IQ.ver.cen", "f": "the factor"})
    design = design_of(data, "y ~ . + (IQ.ver.cen | g)")
    assert design.names == ("Intercept", "IQ.ver.cen", "the factor[T.mid]", "the factor[T.hi]")
    design = design_of(data, "y ~ log(IQ.ver.cen + 9) + `the factor` + (1 | g)")
    np.testing.assert_allclose(design.X[:, 1], np.log(data["IQ.ver.cen"] + 9))


def test_small_integers_do_not_overflow():
    data = frame().assign(
        g=np.repeat(np.arange(100, 106), 10).astype(np.int8), k=np.tile([200, 250], 30).astype(np.uint8)
    )
    design = design_of(data, "y ~ I(g^2) + I(k * k) + k:x + (1 | g)")
    np.testing.assert_array_equal(design.X[:, 1], data["g"].astype(float) ** 2)
    np.testing.assert_array_equal(design.X[:, 2], data["k"].astype(float) ** 2)
    np.testing.assert_array_equal(design.X[:, 3], data["k"].astype(float) * data["x"])


def test_offsets_in_the_formula_and_beside_it_are_added():
    data = frame().assign(e=np.linspace(1, 2, 60))
    design = design_of(data, "y ~ x + offset(log(e)) + offset(2 * x) + (1 | g)", offset="e")
    np.testing.assert_allclose(design.offset, np.log(data["e"]) + 2 * data["x"] + data["e"])
    assert design.names == ("Intercept", "x")


def test_many_rows_and_levels_take_less_than_four_times_the_columns():
    """No one-hot matrix: the peak of a million rows in 100,000 groups, from the frame to the cross-products."""
    from hier.model.problem import likelihood_problem

    rng = np.random.default_rng(0)
    n = 1_000_000
    data = pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.normal(size=n),
            "f": pd.Categorical.from_codes(rng.integers(0, 3, n), list("abc")),
            "g": rng.integers(0, n // 10, n),
        }
    )
    design_of(data.head(1000).assign(g=np.arange(1000) % 20))  # what is imported on first use is not counted
    tracemalloc.start()
    try:
        model = hier.Model(FORMULA, data)
        likelihood_problem(model)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * data.memory_usage(index=False).sum()


def test_an_xarray_dataset_of_two_dimensions_is_a_row_for_each_pair():
    rng = np.random.default_rng(0)
    table = xr.Dataset(
        {"y": (("pupil", "school"), rng.normal(size=(5, 4))), "x": ("pupil", np.arange(5.0))},
        coords={"school": list("abcd"), "pupil": range(5)},
    )
    design = design_of(table, "y ~ x + (1 | school)")
    assert design.nobs == 20
    assert list(design.random_effects[0].levels) == list("abcd")


@pytest.mark.parametrize("kind", [np.int64, "Int64"])
def test_large_whole_numbers_stay_apart(kind):
    labels = pd.Series(np.repeat(10**17 + 3 * np.arange(6), 10)).astype(kind)
    if kind == "Int64":
        labels[0] = pd.NA
    data = frame().assign(g=labels, t=np.tile(2**60 + np.arange(4), 15))
    design = design_of(data, "y ~ factor(t) + (1 | g)")
    assert design.random_effects[0].n_levels == 6
    assert design.names[-1] == f"factor(t)[T.{2**60 + 3}]"
    unsigned = frame().assign(g=np.repeat(np.uint64(2**63) + np.arange(6).astype(np.uint64), 10))
    assert design_of(unsigned).random_effects[0].n_levels == 6


def test_columns_that_share_a_name_are_not_confused():
    data = frame().assign(x=lambda d: np.exp(d["x"]))
    data["log(x)"] = 50.0
    data["log(x)"] += np.arange(60)
    random = design_of(data, "y ~ `log(x)` + (0 + log(x) | g)").random_effects[0]
    np.testing.assert_allclose(random.Z[:, 0], np.log(data["x"]))
    with pytest.raises(hier.FormulaError, match=r"two columns of the design are named `log\(x\)`"):
        design_of(data, "y ~ `log(x)` + log(x) + (1 | g)")
    with pytest.raises(hier.FormulaError, match="two columns of the design are named `Intercept`"):
        design_of(data.assign(Intercept=data["x"]), "y ~ Intercept + (1 | g)")


def test_shared_columns_are_those_of_the_bar():
    design = design_of(frame(), "y ~ f + x + (f + x | g)")
    np.testing.assert_array_equal(design.random_effects[0].Z, design.X)
    assert np.shares_memory(design.random_effects[0].Z, design.X)
    other = design_of(frame(), "y ~ 0 + f + x + (0 + x + f | g)")
    assert other.random_effects[0].names == ("x", "f[lo]", "f[mid]", "f[hi]")
    np.testing.assert_array_equal(other.random_effects[0].Z[:, 0], frame()["x"])


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("y ~ poly(s, 1) + (1 | g)", "`s` is a factor, and this computes with numbers"),
        ("y ~ I(s + 1) + (1 | g)", "`s` is a factor, and this computes with numbers"),
        ("y ~ ns(f, df = 3) + (1 | g)", "`f` is a factor, and this computes with numbers"),
        ("y ~ poly(t, 2) + (1 | g)", "cannot be evaluated"),
        ("y ~ poly(poly(x, 2), 2) + (1 | g)", "cannot be evaluated"),
        ("y ~ factor(poly(x, 2)) + (1 | g)", "a factor is made of one column"),
        ("y ~ x + (1 | inf)", "infinite"),
    ],
)
def test_what_is_no_number_is_not_taken_for_one(formula, said):
    data = frame().assign(s=[str(k % 5) for k in range(60)], t=np.tile([0, 1], 30), inf=np.tile([np.inf, 1.0, 2.0], 20))
    with pytest.raises(hier.HierError) as caught:
        design_of(data, formula)
    assert said in str(caught.value)


def test_numbers_in_an_object_column_are_numbers():
    data = frame()
    expected = design_of(data)
    for kind in (float, decimal.Decimal):
        assert_same(design_of(data.assign(x=pd.Series([kind(v) for v in data["x"]], dtype=object))), expected)


@pytest.mark.parametrize("kind", ["dates", "timestamps", "durations", "periods"])
def test_times_are_no_numbers(kind):
    values = LEVELS[kind]
    with pytest.raises(hier.DataError, match="column `x` holds dates or times"):
        design_of(frame().assign(x=[values[k % 3] for k in range(60)]))


@pytest.mark.parametrize("values", [pd.date_range("2020", periods=60), np.ones(60) * 1j, ["a"] * 60])
def test_weights_are_numbers(values):
    with pytest.raises(hier.DataError, match="`weights` is not numeric"):
        design_of(frame(), weights=values)


def test_a_missing_column_is_marked_in_the_formula():
    with pytest.raises(hier.DataError) as caught:
        design_of(frame(), "y ~ log(xx) + (1 | g)")
    assert isinstance(caught.value, hier.FormulaError)
    assert str(caught.value).splitlines()[:3] == [
        "the table has no column `xx`", "    y ~ log(xx) + (1 | g)", "        ^^^^^^^",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        (FORMULA, {}),
        ("y ~ x + twice + f + offset(z) + (1 | g)", {"offset": "z"}),
        ("y ~ x + twice + (1 | g)", {"weights": "w"}),
        ("f ~ x + twice + (1 | g)", {"family": "cumulative"}),
    ],
)
def test_the_triangle_holds_the_products_of_columns_and_response(formula, options):
    table = frame().assign(twice=lambda t: 2 * t["x"], z=np.linspace(-1, 1, 60), w=np.linspace(0.1, 3, 60))
    table["f"] = table["f"].cat.as_ordered()
    design = design_of(table, formula, **options)
    y = design.y if design.offset is None else design.y - design.offset
    rows = np.column_stack([design.X, y]) * np.sqrt(1.0 if design.weights is None else design.weights)[..., None]
    assert np.array_equal(design.triangle, np.triu(design.triangle))
    np.testing.assert_allclose(design.triangle.T @ design.triangle, rows.T @ rows, rtol=1e-12, atol=1e-12)
