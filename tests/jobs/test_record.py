"""The record of an estimate: strict JSON, and the same numbers when it is read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hier.errors import JobError
from hier.estimate import Estimate
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
