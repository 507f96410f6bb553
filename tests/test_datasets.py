"""The packaged data: shapes, types, known facts, and the refusal of an unknown name."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from hier.datasets import Dataset, list_datasets, load_dataset
from hier.errors import DataError


@pytest.mark.parametrize("name", list(list_datasets()))
def test_the_record_describes_the_table(name: str) -> None:
    record, table = list_datasets()[name], load_dataset(name)
    assert record.name == name
    assert record.columns == tuple(table.columns)
    assert record.rows == len(table)
    assert not table.isna().any().any()
    assert record.description
    assert record.source


def test_pigs_are_48_animals_over_9_weeks() -> None:
    pigs = load_dataset("pigs")
    assert {column: str(kind) for column, kind in pigs.dtypes.items()} == {
        "id": "int64",
        "week": "int64",
        "weight": "float64",
    }
    assert sorted(set(zip(pigs["id"], pigs["week"], strict=True))) == [
        (i, w) for i in range(1, 49) for w in range(1, 10)
    ]
    # The weights at either end, the median, and the mean to the decimals that R's summary() prints.
    assert (pigs["weight"].min(), pigs["weight"].median(), pigs["weight"].max()) == (20.0, 50.5, 88.0)
    assert round(pigs["weight"].mean(), 2) == 50.41


def test_sim757_has_a_categorical_grouping_factor() -> None:
    table = load_dataset("sim757")
    assert isinstance(table["Group"].dtype, pd.CategoricalDtype)
    assert list(table["Group"].cat.categories) == list("1234567")
    assert table["Group"].value_counts().tolist() == [20] * 7
    assert table["X"].between(1, 100).all()


def test_every_decimal_is_read_exactly() -> None:
    first = load_dataset("sim757").iloc[0]
    assert (first["Y"], first["X"]) == (70.3250768649729, 24.9693985104095)


def test_a_table_is_new_each_time() -> None:
    spoilt = load_dataset("pigs")
    spoilt.loc[0, "weight"] = -1.0
    assert load_dataset("pigs").loc[0, "weight"] == 24.0


def test_records_are_frozen() -> None:
    record = list_datasets()["pigs"]
    assert isinstance(record, Dataset)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.rows = 1  # type: ignore[misc]
    list_datasets().clear()
    assert list_datasets()


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError) as refusal:
        load_dataset("pig")
    assert "no packaged data set called 'pig'" in str(refusal.value)
    assert "did you mean `pigs`?" in str(refusal.value)


@pytest.mark.parametrize("name", ["", "../errors", None, ["pigs"]])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(DataError, match="expected: one of `pigs`, `sim757`"):
        load_dataset(name)  # type: ignore[arg-type]
