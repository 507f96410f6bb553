"""The record of an estimate: strict JSON, and the same numbers when it is read back."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hier.errors import JobError
from hier.estimate import Estimate
from hier.interface import Model
from hier.jobs.record import BY_GROUP, NUMBERS, TABLES, estimate_record, plain, read_estimate, write_json
from hier.posterior import Posterior


def strict(text: str) -> object:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} cannot be read")

    return json.loads(text, parse_constant=refuse)


def test_the_record_is_strict_json_and_reads_back_equal(tmp_path: Path, fits: tuple[Estimate, Posterior]) -> None:
    estimate, path = fits[0], tmp_path / "estimate.json"
    write_json(estimate_record(estimate), path)
    raw = strict(path.read_text(encoding="utf-8"))
    assert raw["varcorr"]["data"][0][2] is None
    assert raw["ranef"]["id"]["index"] == list(range(1, 49))  # levels that are numbers stay numbers
    found = read_estimate(path)
    for name in NUMBERS:
        assert found[name] == getattr(estimate, name)
    for name in TABLES:
        pd.testing.assert_frame_equal(found[name], getattr(estimate, name), check_dtype=False, check_exact=True)
    for name in BY_GROUP:
        pd.testing.assert_frame_equal(found[name]["id"], getattr(estimate, name)["id"], check_exact=True)
    assert found["formula"] == "weight ~ week + (week | id)"
    assert {"hier", "python", "jax", "numpyro"} <= set(found["versions"])


def test_numbers_that_are_not_finite_become_null() -> None:
    value = {"a": [np.nan, -np.inf, np.float32(1.5)], 2: np.int64(3), "b": (np.True_, None, pd.Timestamp("2020-01-02"))}
    assert plain(value) == {"a": [None, None, 1.5], "2": 3, "b": [True, None, "2020-01-02T00:00:00"]}
    assert plain([pd.NaT, pd.Interval(0, 1), "<script>"]) == [None, "(0, 1]", "<script>"]


@pytest.mark.parametrize(
    "levels",
    [
        [(0, "a"), (1, "b")],
        [Decimal("0.5"), Decimal("1.50")],
        pd.to_datetime(["2024-01-01", "2024-01-02"]),
        pd.interval_range(0, 2),
        [2**70, 2**70 + 1],
        [True, False],
    ],
    ids=str,
)
def test_levels_of_every_kind_read_back_as_what_they_were(levels, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"y": rng.normal(size=20), "g": [levels[k % 2] for k in range(20)]})
    estimate = Model("y ~ 1 + (1 | g)", data).estimate()
    write_json(estimate_record(estimate), tmp_path / "estimate.json")
    strict((tmp_path / "estimate.json").read_text(encoding="utf-8"))
    found, expected = read_estimate(tmp_path)["ranef"]["g"].index, estimate.ranef["g"].index
    assert list(found) == list(expected)
    assert [type(level) for level in found] == [type(level) for level in expected]


def test_what_is_not_a_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "estimate.json"
    with pytest.raises(JobError, match=r"no file estimate\.json"):
        read_estimate(tmp_path)
    for text, message in [
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "is not an estimate"),
        ('{"format": "hier estimate 1"}', "is damaged"),
        ('{"format": "hier estimate 1", "coefficients": 3}', "is damaged"),
    ]:
        path.write_text(text, encoding="utf-8")
        with pytest.raises(JobError, match=message):
            read_estimate(tmp_path)
