"""Labels are read from a file as they stand there, numbers by their value: the formula says which is which."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier


def write(folder, columns: dict, quoted=(), n=24):
    """A file of n rows with a response; each column's values go round."""
    rng = np.random.default_rng(0)
    names = ["y", *columns]
    rows = [",".join(f'"{name}"' if quoted else name for name in names)]
    for k in range(n):
        values = {name: str(values[k % len(values)]) for name, values in columns.items()}
        shown = [f'"{v}"' if name in quoted and v != "NA" else v for name, v in values.items()]
        rows.append(",".join([f"{rng.normal():.4f}", *shown]))
    path = folder / "data.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


LABELS = {
    "leading zeros": (["01", "001", "1"], ["001", "01", "1"]),
    "exponents": (["1e5", "100000"], ["100000", "1e5"]),
    "zeros after the point": (["1.0", "1"], ["1", "1.0"]),
    "zeros at the end": (["1.10", "1.1"], ["1.1", "1.10"]),
    "signs": (["+1", "1"], ["+1", "1"]),
    "a zero with a sign": (["-0", "0"], ["-0", "0"]),
    "beyond 64 bits": (["18446744073709551617", "18446744073709551618"],) * 2,
    "missing by name": (["None", "NA", "null", "nan", "a"], ["NA", "None", "a", "nan", "null"]),
    "logical": (["TRUE", "true"], ["TRUE", "true"]),
    "spaces": (["a", " a"], [" a", "a"]),
    "hexadecimal": (["0x1", "1"], ["0x1", "1"]),
    "numbers and text": (["1", "2", "2a"], ["1", "2", "2a"]),
    "years": (["2010", "2011"], [2010, 2011]),
    "whole numbers": (["10", "9", "-3"], [-3, 9, 10]),
    "17 digits": ([str(10**16 + k) for k in range(12)], [10**16 + k for k in range(12)]),
    "halves": (["0.5", "1.5"], [0.5, 1.5]),
    "whole numbers that a missing value made floats": (["1.0", "2.0", ""], [1, 2]),
    "whole numbers and one missing": ([*(str(10**16 + k) for k in range(11)), ""], [10**16 + k for k in range(11)]),
    "whole numbers and NA": ([*(str(10**16 + k) for k in range(11)), "NA"], [10**16 + k for k in range(11)]),
    "true and false": (["True", "False"], [False, True]),
}


@pytest.mark.parametrize("use", ["group", "factor", "compared"])
@pytest.mark.parametrize("name", LABELS)
def test_labels_stay_apart_as_they_are_written(name, use, tmp_path):
    written, levels = LABELS[name]
    path = write(tmp_path, {"g": written, "h": ["p", "p", "q", "q", "q"]})
    if use == "group":
        (random,) = hier.Model("y ~ 1 + (1 | g)", path).design.random_effects
        assert list(random.levels) == levels
        assert [type(level) for level in random.levels] == [type(level) for level in levels]
    elif use == "factor":
        names = hier.Model("y ~ 0 + factor(g) + (1 | h)", path).design.names
        assert list(names) == [f"factor(g)[{level}]" for level in levels]
    elif written[-1] != "" and "'" not in written[0]:
        design = hier.Model(f"y ~ 0 + I(g == '{written[0]}') + (1 | h)", path).design
        assert design.X[:, -1].sum() == sum(written[k % len(written)] == written[0] for k in range(24))


def test_text_that_enters_as_it_stands_keeps_levels_called_missing(tmp_path):
    path = write(tmp_path, {"f": ["None", "NA", "null", "a", ""], "g": ["p", "q", "q"]}, n=30)
    design = hier.Model("y ~ f + (1 | g)", path).design
    assert design.names == ("Intercept", "f[T.None]", "f[T.a]", "f[T.null]")
    assert design.missing == {"f": 6}
    assert '`NA` is a level of `f`, in 6 rows; na=["NA"] takes it for a missing value' in design.notes()
    told = hier.Model("y ~ f + (1 | g)", path, na=["NA", "null"]).design
    assert told.names == ("Intercept", "f[T.a]")
    assert told.missing == {"f": 18}


def test_where_text_is_quoted_what_is_not_is_missing(tmp_path):
    """As R writes a table: "NA" is a level, NA a missing value."""
    path = write(tmp_path, {"f": ["a", "b", "NA"], "g": ["p", "q", "q", "p"]}, quoted=("f", "g"))
    design = hier.Model("y ~ f + (1 | g)", path).design
    assert design.names == ("Intercept", "f[T.b]")
    assert design.missing == {"f": 8}
    path.write_text(path.read_text().replace(",NA,", ',"NA",'))
    assert hier.Model("y ~ f + (1 | g)", path).design.names == ("Intercept", "f[T.a]", "f[T.b]")


def test_missing_values_can_be_refused_and_named_at_once(tmp_path):
    path = write(tmp_path, {"x": [1, 2, -999], "g": ["p", "q"]})
    with pytest.raises(hier.DataError, match="`x`: 8 missing"):
        hier.Model("y ~ x + (1 | g)", path, na=["error", "-999"])
    with pytest.raises(hier.DataError, match=r'no way `-999`[\s\S]*na=\["-999"\]'):
        hier.Model("y ~ x + (1 | g)", path, na="-999")


def test_a_column_can_be_numbers_and_labels(tmp_path):
    design = hier.Model("y ~ t + (1 | t)", write(tmp_path, {"t": ["01", "02", "10"]})).design
    np.testing.assert_array_equal(design.X[:3, 1], [1.0, 2.0, 10.0])
    assert list(design.random_effects[0].levels) == [1, 2, 10]
    with pytest.raises(hier.DataError, match=r"`0?1` and `0?1`, two labels and one number"):
        hier.Model("y ~ t + (1 | t)", write(tmp_path, {"t": ["01", "1", "10"]}))


def test_numbers_are_the_nearest_that_there_are(tmp_path):
    """Each decimal is the double nearest to it, which a reader that multiplies powers of ten misses."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=24) * 10.0 ** rng.integers(-30, 30, 24)
    path = write(tmp_path, {"x": [repr(float(v)) for v in values], "g": ["p", "q"]})
    np.testing.assert_array_equal(hier.Model("y ~ 0 + x + (1 | g)", path).design.X[:, 0], values)


def test_logical_columns_are_factors(tmp_path):
    path = write(tmp_path, {"l": ["TRUE", "FALSE", "NA"], "g": ["p", "q"]})
    design = hier.Model("y ~ l + (1 | g)", path).design
    assert design.names == ("Intercept", "l[T.True]")
    assert design.missing == {"l": 8}


def test_columns_that_the_formula_leaves_out_are_not_looked_at(tmp_path):
    path = write(tmp_path, {"x": [1, 2, 4], "g": ["p", "q"], "note": ["3,5 kg", "", "NA", "1.5", "−2"]})
    path.write_text(path.read_text().replace("3,5 kg", '"3,5 kg"'))
    assert hier.Model("y ~ x + (1 | g)", path).design.notes() == []


def test_predictions_read_files_as_the_fit_did(tmp_path):
    """Separator, decimal sign and missing values are those of the fit, and labels agree by value."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"y": rng.normal(size=40), "x": rng.normal(size=40), "g": np.repeat(np.arange(5), 8)})
    table = tmp_path / "data.txt"
    data.to_csv(table, sep=";", decimal=",", index=False, encoding="utf-16")
    options = {"sep": ";", "decimal": ",", "encoding": "utf-16"}
    design = hier.Model("y ~ x + (1 | g)", table, **options).design
    assert design.notes() == []
    new = design.new_data(table)
    np.testing.assert_array_equal(new.X, design.X)
    np.testing.assert_array_equal(new.random_effects[0].codes, data["g"])
    np.testing.assert_array_equal(design.new_data(data).X[:, 1], data["x"])


@pytest.mark.parametrize("option", [{"sep": ";"}, {"decimal": ","}, {"encoding": "utf-8"}, {"na": ["-999"]}])
def test_options_of_reading_are_for_files_of_text(option, tmp_path):
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "g": [1, 1, 2, 2]})
    data.to_parquet(tmp_path / "data.parquet")
    for given in (data, tmp_path / "data.parquet"):
        with pytest.raises(hier.DataError, match="are for files of text"):
            hier.Model("y ~ 1 + (1 | g)", given, **option)


PATHS = {
    "too long": ("a" * 5000, ["cannot be the path of a file", "5000 characters"]),
    "text of a table": ("y,x,g\n1,2,a\n3,4,b\n", ["the data are text", "3 lines that begin with 'y,x,g'", "StringIO"]),
    "a NUL": ("data\0.csv", ["cannot be the path"]),
    "nobody's home": ("~nobody-at-all/data.csv", ["path"]),
    "an address": ("https://example.org/data.csv", ["does not fetch data"]),
    "empty": ("", ["the path of the data is empty"]),
    "bytes": (b"data.csv", ["not a table", "type bytes"]),
}


@pytest.mark.parametrize("name", PATHS)
def test_what_is_no_path_is_said(name):
    data, said = PATHS[name]
    with pytest.raises(hier.DataError) as caught:
        hier.Model("y ~ x + (1 | g)", data)
    for words in said:
        assert words in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_folder_and_a_near_name_are_said(tmp_path):
    write(tmp_path, {"g": [1, 2]})
    with pytest.raises(hier.DataError, match="is a folder"):
        hier.Model("y ~ 1 + (1 | g)", tmp_path)
    with pytest.raises(hier.DataError, match=r"no file datas.csv[\s\S]*did you mean `data.csv`"):
        hier.Model("y ~ 1 + (1 | g)", tmp_path / "datas.csv")


def test_what_a_text_table_says_of_numbers_in_disguise():
    """The same of a column in memory: decimal commas are no levels."""
    rng = np.random.default_rng(0)
    base = pd.DataFrame({"y": rng.normal(size=40), "g": np.repeat(np.arange(5), 8)})
    for values, said in {
        "0,5 1,5 2,5": "numbers with decimal commas",
        "1'000 2'000 3'000": "separators of thousands",
        "1.000.000 2.000.000": "separators of thousands",
        "$5 $6": "signs of a currency",
        "１２ １３": "digits of another script",
        "5 6 7 x": "numbers, and text among them",
        " ".join(map(str, range(20))): "numbers as text, which would be a factor of 20 levels",
    }.items():
        words = values.split()
        for kind in (object, "string", "str"):
            data = base.assign(x=pd.Series([words[k % len(words)] for k in range(40)], dtype=kind))
            with pytest.raises(hier.DataError) as caught:
                hier.Model("y ~ x + (1 | g)", data)
            assert said in str(caught.value)
            assert "factor(x)" in str(caught.value)
            assert len(hier.Model("y ~ factor(x) + (1 | g)", data).design.names) == len(words)
            assert hier.Model("y ~ 1 + (1 | g) + (1 | x)", data).design.notes() == []


@pytest.mark.parametrize("levels", [("0", "1", "2", "3+"), ("1", "2", ">2"), ("0", "1", "2", "3-9"), ("1", "2", "2a")])
def test_classes_of_counts_are_levels(levels):
    """As the numbers of children in lme4's data on contraception, 0 to 3+; a lone mark among few numbers is refused."""
    data = pd.DataFrame({"y": np.arange(40.0), "g": np.repeat(np.arange(5), 8)})
    data["x"] = [levels[k % len(levels)] for k in range(40)]
    model = hier.Model("y ~ x + (1 | g)", data)
    assert model.design.names == ("Intercept", *(f"x[T.{level}]" for level in levels[1:]))
    for mark in (".", "?", "none", "-"):
        marked = data.assign(x=data["x"].replace(levels[-1], mark))
        with pytest.raises(hier.DataError, match="numbers, and text among them"):
            hier.Model("y ~ x + (1 | g)", marked)
