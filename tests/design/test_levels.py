"""Labels of new data are levels of the fit by value, whatever their type; weights go with the rows by label."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import polars
import pyarrow
import pytest
import xarray as xr

import hier

WHOLE = np.arange(1, 7)
DAYS = pd.date_range("2024-01-01", periods=6, unit="s")
LARGE = 10**17 + 3 * WHOLE


def frame(labels=WHOLE, **columns) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    g = pd.Series(labels).repeat(10).reset_index(drop=True)
    return pd.DataFrame({"y": rng.normal(size=60), "x": rng.normal(size=60), "g": g, **columns})


def codes(fitted: pd.DataFrame, new) -> list[int]:
    (random,) = hier.Model("y ~ x + (1 | g)", fitted).design.new_data(new).random_effects
    return random.codes.tolist()


def of(labels) -> pd.DataFrame:
    return pd.DataFrame({"x": 0.0, "g": labels})


TEXT = [str(k) for k in WHOLE]
SAME = {
    "text": (WHOLE, TEXT),
    "text as Arrow has it": (WHOLE, pd.Series(TEXT, dtype="string[pyarrow]")),
    "text as NumPy has it": (WHOLE, np.array(TEXT)),
    "text with zeros in front": (WHOLE, [f"0{k}" for k in WHOLE]),
    "text with zeros behind": (WHOLE, [f"{k}.0" for k in WHOLE]),
    "text as categories": (WHOLE, pd.Categorical(TEXT, TEXT[::-1])),
    "floats": (WHOLE, WHOLE.astype(float)),
    "small integers": (WHOLE, WHOLE.astype(np.uint8)),
    "decimals": (WHOLE, [decimal.Decimal(int(k)) for k in WHOLE]),
    "objects": (WHOLE, WHOLE.astype(object)),
    "whole numbers for text": (TEXT, WHOLE),
    "floats for text": (TEXT, WHOLE.astype(float)),
    "whole numbers for zeros in front": ([f"0{k}" for k in WHOLE], WHOLE),
    "categories of numbers for text": (TEXT, pd.Categorical(WHOLE)),
    "halves as text": (WHOLE / 2, [str(k) for k in WHOLE / 2]),
    "large text": (LARGE, [str(k) for k in LARGE]),
    "large for text": ([str(k) for k in LARGE], LARGE),
    "times for dates": (
        list(pd.date_range("2024-01-01", periods=6)),
        [datetime.datetime(2024, 1, day) for day in range(1, 7)],
    ),
    "times of another unit": (DAYS, DAYS.as_unit("ns")),
}


@pytest.mark.parametrize("kind", SAME)
def test_labels_are_levels_by_value(kind):
    fitted, new = SAME[kind]
    assert codes(frame(fitted), of(new)) == [0, 1, 2, 3, 4, 5]


def test_a_number_is_the_level_that_is_written_so_before_one_of_the_same_value():
    fitted = frame(["01", "1", "2", "3", "4", "5"])
    assert codes(fitted, of([1, 2])) == [1, 2]


def test_new_labels_of_another_type_are_new():
    assert codes(frame(), of(["1", "99"])) == [0, -1]


@pytest.mark.parametrize("missing", ["Int64", "polars", "pyarrow", "object"])
def test_large_whole_numbers_beside_a_missing_one_stay_apart(missing):
    labels = [int(LARGE[0]), None, int(LARGE[2])]
    tables = {
        "Int64": of(pd.array(labels, dtype="Int64")),
        "polars": polars.DataFrame({"x": [0.0] * 3, "g": labels}),
        "pyarrow": pyarrow.table({"x": [0.0] * 3, "g": labels}),
        "object": of(pd.Series(labels, dtype=object)),
    }
    assert codes(frame(LARGE), tables[missing]) == [0, -2, 2]
    fitted = frame(LARGE).drop(columns="g").to_dict("list") | {"g": [None, *np.repeat(LARGE, 10).tolist()[1:]]}
    fitted = {"pyarrow": pyarrow.table, "polars": polars.DataFrame}.get(missing, pd.DataFrame)(fitted)
    if missing in ("polars", "pyarrow"):
        (random,) = hier.Model("y ~ x + (1 | g)", fitted).design.random_effects
        assert list(random.levels) == LARGE.tolist()


REFUSED = {
    "times for numbers": (WHOLE, pd.date_range("2024-01-01", periods=6), ["times", "whole numbers"]),
    "words for numbers": (WHOLE, ["one", "two"], ["text", "whole numbers", "'one'"]),
    "tuples for text": (TEXT, pd.Series([("1", 2)] * 2, dtype=object), ["values of type tuple", "text"]),
    "text for times": (pd.date_range("2024-01-01", periods=6), ["1 Jan"], ["text", "times"]),
    "lost digits": (LARGE, LARGE.astype(float), ["lost digits", "2^53"]),
    "two for one": (WHOLE, ["01", "1"], ["two labels of `g` would be one level", "'01'"]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_labels_of_another_type_that_are_no_levels_are_refused_with_both_types(kind):
    fitted, new, said = REFUSED[kind]
    with pytest.raises(hier.DataError) as caught:
        codes(frame(fitted), of(new))
    for words in said:
        assert words in str(caught.value)


@pytest.mark.parametrize("labels", [[0, 1, 2], ["0", "1", "2"], [0.0, 1.0, 2.0], pd.Categorical(["0", "1", "2"])])
@pytest.mark.parametrize("kind", [int, str])
def test_levels_of_fixed_factors_are_matched_by_value_too(labels, kind):
    data = frame(f=pd.Series(np.tile([0, 1, 2], 20)).astype(kind))
    new = hier.Model("y ~ factor(f) + (1 | g)", data).design.new_data(of([1, 2, 3]).assign(f=labels))
    np.testing.assert_array_equal(new.X[:, 1:], [[0, 0], [1, 0], [0, 1]])


def test_an_unseen_level_of_another_type_is_named_with_both_types():
    design = hier.Model("y ~ factor(f) + (1 | g)", frame(f=np.tile([0, 1, 2], 20))).design
    with pytest.raises(hier.DataError, match=r"'9' \(text\)[\s\S]*one of 0, 1, 2 \(whole numbers\)"):
        design.new_data(of([1, 2]).assign(f=["1", "9"]))


def test_numbers_of_the_fit_are_not_text_later():
    design = hier.Model("y ~ x + (1 | g)", frame()).design
    with pytest.raises(hier.DataError, match="`x` was numeric in the data of the fit, and is text"):
        design.new_data(of([1, 2]).assign(x=["0.5", "1.5"]))


def test_logical_values_are_zeros_and_ones():
    design = hier.Model("y ~ l + (1 | g)", frame(l=np.tile([True, False, True], 20))).design
    for labels in ([True, False], [1, 0], ["True", "FALSE"]):
        np.testing.assert_array_equal(design.new_data(of([1, 2]).assign(l=labels)).X[:, 1], [1, 0])


def test_what_is_not_needed_is_not_matched(tmp_path):
    fit = hier.Model("y ~ x + (1 | g)", frame()).estimate()
    assert np.isfinite(fit.predict(of(["any", "group"]), random="none")).all()
    with pytest.raises(hier.DataError, match=r"found:\s+`9`\n[\s\S]*1, 2, 3, 4, 5, ... \(whole numbers\)"):
        fit.predict(of([9]))


def test_comparisons_are_by_value_as_in_r():
    """In R 2 == "2" is true, whichever of the two is the column."""
    data = frame(n=np.tile([1, 2, 3], 20), t=np.tile(["1", "2", "3"], 20))
    for written in ("n == '2'", "n == 2", "t == '2'", "t == 2"):
        design = hier.Model(f"y ~ 0 + I({written}) + (1 | g)", data).design
        np.testing.assert_array_equal(design.X[:, -1], np.tile([0, 1, 0], 20))


W = pd.Series(np.linspace(1.0, 2.0, 60))


@pytest.mark.parametrize("kind", ["weights", "offset"])
def test_numbers_with_labels_go_with_the_rows_of_those_labels(kind):
    data = frame().sample(frac=1, random_state=1)
    for given in (W, W.iloc[::-1], W.to_frame("w"), W.rename("w")):
        design = hier.Model("y ~ x + (1 | g)", data, **{kind: given}).design
        np.testing.assert_array_equal(getattr(design, kind), W[data.index])
    part = hier.Model("y ~ x + (1 | g)", data.iloc[:40], **{kind: W}).design
    np.testing.assert_array_equal(getattr(part, kind), W[data.index[:40]])
    for given in (W.to_numpy(), W.tolist(), polars.Series(W.to_numpy()), pyarrow.array(W)):
        design = hier.Model("y ~ x + (1 | g)", data, **{kind: given}).design
        np.testing.assert_array_equal(getattr(design, kind), W)
    twice = data.set_axis(np.zeros(60), axis=0)
    design = hier.Model("y ~ x + (1 | g)", twice, **{kind: W.set_axis(twice.index)}).design
    np.testing.assert_array_equal(getattr(design, kind), W)


@pytest.mark.parametrize("labels", [np.arange(100, 160), list("ab") * 30])
def test_labels_of_other_rows_are_refused(labels):
    with pytest.raises(hier.DataError, match="labels of `weights` are") as caught:
        hier.Model("y ~ x + (1 | g)", frame(), weights=W.set_axis(labels))
    assert "weights.to_numpy()" in str(caught.value)


def test_arrays_with_named_dimensions_go_with_the_rows_of_their_coordinates():
    rng = np.random.default_rng(0)
    data = xr.Dataset(
        {"y": (("pupil", "school"), rng.normal(size=(5, 4)))}, {"school": list("abcd"), "pupil": range(5)}
    )
    weights = xr.DataArray(np.arange(1.0, 21).reshape(4, 5), {"school": list("dcba"), "pupil": range(5)})
    design = hier.Model("y ~ 1 + (1 | school)", data, weights=weights).design
    expected = weights.sel(school=list("abcd")).transpose("pupil", "school").to_numpy().ravel()
    np.testing.assert_array_equal(design.weights, expected)


def test_columns_named_by_numbers_and_levels_of_the_index_can_be_used():
    data = frame()
    numbered = data.set_axis([0, 1, 2], axis=1)
    design = hier.Model("`0` ~ `1` + (1 | `2`)", numbered).design
    np.testing.assert_array_equal(design.X[:, 1], data["x"])
    assert hier.Model("`0` ~ . + (1 | `2`)", numbered).design.names == ("Intercept", "1")
    for indexed in (data.set_index("g"), data.assign(k=1).set_index(["k", "g"])):
        model = hier.Model("y ~ x + (1 | g)", indexed)
        assert list(model.design.random_effects[0].levels) == WHOLE.tolist()
        assert model.design.index.equals(indexed.index)
        assert model.estimate().predict(indexed.iloc[[3, 30]]).index.equals(indexed.index[[3, 30]])
    with pytest.raises(hier.DataError, match=r"no column `h`[\s\S]*in the index `g`"):
        hier.Model("y ~ x + (1 | h)", data.set_index("g"))


def test_a_name_above_several_columns_is_refused_and_one_above_one_is_not():
    data = frame()
    several = pd.concat({"y": data[["y", "x"]], "g": data[["g"]]}, axis=1)
    with pytest.raises(hier.DataError, match=r"no column `y`[\s\S]*`y` stands above several columns"):
        hier.Model("y ~ 1 + (1 | g)", several)
    single = data.set_axis(pd.MultiIndex.from_tuples([("y", ""), ("x", ""), ("g", "")]), axis=1)
    assert hier.Model("y ~ x + (1 | g)", single).design.names == ("Intercept", "x")
    with pytest.raises(hier.DataError, match="more than one column named `1`"):
        hier.Model("y ~ 1 + (1 | g)", data.set_axis([1, "1", "g"], axis=1))


@pytest.mark.parametrize("kind", ["string", "string[pyarrow]", "str", object, "category"])
def test_text_of_every_type_is_a_factor(kind):
    data = frame(s=pd.Series(list("prq") * 20, dtype=kind))
    assert hier.Model("y ~ s + (1 | g)", data).design.names == ("Intercept", "s[T.q]", "s[T.r]")


@pytest.mark.parametrize("kind", ["double[pyarrow]", "Float64", "float32", "polars"])
def test_not_a_number_is_missing_to_every_type(kind):
    values = np.where(np.arange(60) % 5 == 0, np.nan, np.arange(60.0))
    if kind == "polars":
        data = polars.from_pandas(frame()).with_columns(polars.Series("x", values))
    elif kind == "double[pyarrow]":
        data = frame(x=pd.arrays.ArrowExtensionArray(pyarrow.array(values, from_pandas=False)))
    else:
        data = frame(x=pd.Series(values).astype(kind))
    assert hier.Model("y ~ x + (1 | g)", data).design.missing == {"x": 12}


@pytest.mark.parametrize(
    "kind", [np.int8, np.uint8, np.int16, np.int32, np.uint32, "Int8", "int8[pyarrow]", np.float32]
)
def test_products_are_formed_in_double_precision(kind):
    a, b = pd.Series(np.tile([100, 90, 120], 20)), pd.Series(np.tile([2, 3, 5, 125], 15))
    data = frame(a=a.astype(kind), b=b.astype(kind))
    design = hier.Model("y ~ 0 + a:b + I(a * b) + I(a^2) + I(b - a) + I(a * a * b) + (1 | g)", data).design
    a, b = a.astype(float), b.astype(float)
    found = design.fixed.columns(pd_table(design, data))
    for name, expected in {"a:b": a * b, "I(a * b)": a * b, "I(a ** 2)": a**2, "I(b - a)": b - a}.items():
        np.testing.assert_array_equal(found[:, list(design.fixed.names).index(name)], expected)


def pd_table(design, data):
    from hier.design.fields import Uses
    from hier.design.table import select

    return select(data, ["a", "b"], Uses(frozenset(), frozenset()))


def test_zeros_of_either_sign_are_one_level():
    """In some engines -0.0 and 0.0 are two groups."""
    labels = np.where(np.arange(60) % 2 == 0, 0.0, -0.0) + np.repeat([0.0, 1.5, 2.5], 20)
    (random,) = hier.Model("y ~ x + (1 | g)", frame().assign(g=labels)).design.random_effects
    assert list(random.levels) == [0.0, 1.5, 2.5]
    assert codes(frame().assign(g=np.abs(labels)), of([-0.0, 1.5])) == [0, 1]


@pytest.mark.parametrize("kind", ["object", "pyarrow", "pandas of Arrow", "polars"])
def test_decimals_are_numbers(kind):
    values = [decimal.Decimal(k) / 8 for k in range(60)]
    arrow = pyarrow.array(values, pyarrow.decimal128(20, 6))
    base = frame().drop(columns="x")
    table = {
        "object": lambda: base.assign(x=pd.Series(values, dtype=object)),
        "pyarrow": lambda: pyarrow.Table.from_pandas(base).append_column("x", arrow),
        "pandas of Arrow": lambda: base.assign(x=pd.arrays.ArrowExtensionArray(arrow)),
        "polars": lambda: polars.from_pandas(base).with_columns(polars.from_arrow(arrow).alias("x")),
    }[kind]()
    design = hier.Model("y ~ x + I(x * x) + (1 | g)", table).design
    np.testing.assert_array_equal(design.X[:, 1], np.arange(60) / 8)
    np.testing.assert_array_equal(design.X[:, 2], (np.arange(60) / 8) ** 2)


def test_responses_and_offsets_of_small_integers_do_not_overflow():
    data = frame(u=np.arange(60, dtype=np.int8), o=np.full(60, 100, np.int8))
    design = hier.Model("I(u * u) ~ x + offset(2 * o) + (1 | g)", data).design
    np.testing.assert_array_equal(design.y, np.arange(60.0) ** 2)
    np.testing.assert_array_equal(design.offset, np.full(60, 200.0))
