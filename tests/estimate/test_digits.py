"""Estimates are printed with significant digits: none that is told from zero shows as zero."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

import hier
from hier.estimate.printing import Table
from hier.estimate.summary import coefficient, correlation_lines


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (1.0467e-05, "1.0467e-05"),
        (-1.0467e-05, "-1.0467e-05"),
        (0.0012345678, "0.0012346"),
        (-0.04567891, "-0.045679"),
        (1e-160, "1.0000e-160"),
        (0.0, "0.00000"),
        (0.5, "0.50000"),
        (19.355613, "19.35561"),
        (1e160, "1e+160"),
    ],
)
def test_an_estimate_has_digits_that_say_something(value, printed) -> None:
    assert coefficient(value) == printed


def test_methods_are_known_in_capitals(pigs_model, pigs_reml) -> None:
    assert pigs_model.estimate("REML").objective == pigs_reml.objective


@pytest.fixture(scope="module")
def small():
    """A slope of about 6e-6, beside effects of order 1."""
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(36), 10), rng.normal(size=360) * 1e5
    table = {"y": 5e-6 * x + rng.normal(size=36)[g] + rng.normal(size=360), "x": x, "g": g, "f": ["a", "b", "c"] * 120}
    return hier.Model("y ~ x + f + (1 | g)", table).estimate()


def test_no_number_of_a_table_is_printed_as_zero(small) -> None:
    slope, error = small.fixef["x"], small.coefficients.loc["x", "std_error"]
    assert 1e-6 < slope < 1e-5
    for table in (small.coefficients, small.tidy(), small.contrast("x")):
        assert f"{slope:.4e}" in str(table)
    for table in (small.coefficients, small.contrast("x").table, small.hypothesis("x > 0")):
        assert f"{error:.4e}" in str(table)
    assert f"{small.vcov.loc['x', 'x']:.4e}" in str(small.vcov)
    assert f"{small.confint().loc['x', 'lower']:.4e}" in str(small.confint())
    assert f"{slope:.4e}" in small.coefficients._repr_html_()
    assert "0.00000" not in str(small.emmeans("f", at={"x": 1e-3})).replace("0.00000e", "")


def test_a_table_leaves_no_column_out_and_stays_in_the_terminal(small) -> None:
    for table in (small.tidy(), small.anova(), small.emmeans("f").table, small.ranova(), small.confint()):
        printed = str(table)
        for column in table.columns:
            assert str(column) in printed
        lines = printed.split("\n\nNote: ")[0].splitlines()
        assert max(map(len, lines)) <= 80
        assert "..." not in printed
    wide = str(small.tidy().assign(**{f"another_column_{k}": 1.5 for k in range(9)}))
    assert max(map(len, wide.splitlines())) <= 80
    assert all(f"another_column_{k}" in wide for k in range(9))


def test_a_table_is_a_table_of_pandas(small) -> None:
    table = small.coefficients
    assert isinstance(table, pd.DataFrame)
    assert isinstance(table["estimate"], pd.Series)
    for copied in (pickle.loads(pickle.dumps(table)), copy.deepcopy(table), table.copy()):
        pd.testing.assert_frame_equal(copied, table)
    assert table[["estimate"]].shape == (4, 1)
    with pd.option_context("display.float_format", "{:.1f}".format):
        assert "0.00000" not in str(table)
        assert f"{table.loc['x', 'statistic']:.1f}" in str(table)


def test_a_long_table_shows_its_ends() -> None:
    table = Table({"a": np.arange(200) / 7.0})
    lines = str(table).splitlines()
    assert lines[1].split() == ["0", "0.0000"]
    assert lines[-1] == "[200 rows x 1 columns]"
    assert lines[-3].split() == ["199", f"{199 / 7:.3f}"]
    assert sum(line.split() == ["...", "..."] for line in lines) == 1
    assert len(lines) == 14


def test_what_is_not_known_is_empty_in_text_and_nan_in_numbers() -> None:
    lines = str(Table({"name": ["a", None], "value": [np.nan, np.inf]})).splitlines()
    assert [line.split() for line in lines] == [["name", "value"], ["0", "a", "NaN"], ["1", "inf"]]


@pytest.mark.parametrize(("p", "is_shown"), [(12, True), (13, False)])
def test_correlations_of_many_fixed_effects_are_left_to_vcov(p: int, is_shown: bool) -> None:
    names = [f"a_rather_long_name_{k}" for k in range(p)]
    lines = correlation_lines(pd.DataFrame(np.eye(p) + 0.5, index=names, columns=names))
    assert max(map(len, lines)) <= 90
    if is_shown:
        assert sum("0.333" in line for line in lines) > p - 2
        assert sum(line.count("0.333") for line in lines) == p * (p - 1) // 2
    else:
        assert len(lines) == 1
        assert "13 of them, more than 12" in lines[0]
        assert "`vcov`" in lines[0]


def test_tables_equal_plain_ones_in_either_order(small):
    table = small.coefficients
    plain = pd.DataFrame({name: table[name].to_numpy() for name in table}, index=table.index)
    assert type(plain) is pd.DataFrame
    pd.testing.assert_frame_equal(plain, table)
    pd.testing.assert_frame_equal(table, plain)
    pd.testing.assert_series_equal(plain["estimate"], table["estimate"])
    pd.testing.assert_series_equal(small.fixef, pd.Series(small.fixef))
