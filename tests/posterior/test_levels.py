"""Levels of a posterior come back from a file as what they were, or saving says that they cannot."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import uuid

import numpy as np
import pandas as pd
import pytest

import hier


class Farm(enum.Enum):
    NORTH = 1
    SOUTH = 2


LEVELS = {
    "tuples": [(1, "a"), (1, ("b", 2.5))],
    "intervals": pd.IntervalIndex.from_breaks([0.0, 1.0, 2.5]),
    "intervals, closed on the left": pd.IntervalIndex.from_breaks([0, 1, 2], closed="left"),
    "intervals of time": pd.IntervalIndex.from_breaks(pd.to_datetime(["2020", "2021", "2022"])),
    "decimals": [decimal.Decimal("1.50"), decimal.Decimal("2")],
    "fractions": [fractions.Fraction(1, 3), fractions.Fraction(2, 3)],
    "huge whole numbers": [2**70, 2**70 + 1],
    "whole numbers": [10**17 + 3, 10**17 + 4],
    "unsigned": np.array([2**63, 2**63 + 1], np.uint64),
    "booleans": [False, True],
    "booleans among others": [True, "True"],
    "numbers and text": [1, "1"],
    "timestamps": pd.DatetimeIndex(pd.array([1, 2], dtype="datetime64[ns]")),
    "early timestamps": pd.DatetimeIndex(["1500-01-01", "1600-01-02"]),
    "timestamps of a place": pd.DatetimeIndex(["2020-01-01", "2020-07-01"]).tz_localize("Europe/Berlin"),
    "durations": pd.to_timedelta([1, 2], unit="D"),
    "periods": pd.period_range("2020-01", periods=2, freq="M"),
    "quarters": pd.period_range("2020Q1", periods=2, freq="Q-NOV"),
    "dates": [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)],
    "times of day": [datetime.time(1, 2), datetime.time(3, 4)],
    "sets": [frozenset({1, 2}), frozenset({"a"})],
    "identifiers": [uuid.UUID(int=1), uuid.UUID(int=2)],
    "bytes": [b"\x00\xff", b"a"],
    "text": ["a", "ä/b"],
    "text with a NUL": ["a\0b", "a b"],
    "nullable": pd.Index([True, False], dtype="boolean"),
}


def index_of(levels) -> pd.Index:
    if isinstance(levels, pd.Index):
        return levels
    made = np.empty(len(levels), object)
    made[:] = levels
    return pd.Index(made, tupleize_cols=False).infer_objects()


@pytest.fixture(scope="module")
def drawn():
    """A posterior of a factor with two levels; the draws do not matter."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"y": rng.normal(size=20), "g": np.tile([0, 1], 10)})
    return hier.Model("y ~ 1 + (1 | g)", data).sample(chains=1, draws=20, warmup=20, progress=False)


def with_levels(posterior, levels):
    (group,) = posterior.groups
    return dataclasses.replace(posterior, groups=(dataclasses.replace(group, levels=index_of(levels)),))


@pytest.mark.parametrize("kind", LEVELS)
def test_levels_come_back_as_what_they_were(kind, drawn, tmp_path):
    posterior = with_levels(drawn, LEVELS[kind])
    back = hier.load_posterior(posterior.save(tmp_path / "posterior.nc"))
    (before,), (after,) = posterior.groups, back.groups
    assert list(after.levels) == list(before.levels)
    assert [type(level) for level in after.levels] == [type(level) for level in before.levels]
    assert after.levels.dtype == before.levels.dtype
    pd.testing.assert_frame_equal(back.ranef["g"], posterior.ranef["g"])


@pytest.mark.parametrize("levels", [list(Farm), [(1, Farm.NORTH), (2, Farm.SOUTH)]])
def test_levels_that_no_file_keeps_are_refused(levels, drawn, tmp_path):
    posterior = with_levels(drawn, levels)
    path = tmp_path / "posterior.nc"
    with pytest.raises(hier.JobError, match="levels of `g` are of a type that no file can keep") as caught:
        posterior.save(path)
    assert "into text before fitting" in str(caught.value)
    assert not path.exists()
    assert list(posterior.data["posterior"]["g"].to_numpy()) == [str(level) for level in index_of(levels)]
