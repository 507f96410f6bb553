"""Estimates are printed with significant digits: none that is told from zero shows as zero."""

from __future__ import annotations

import pytest

from hier.estimate.summary import coefficient


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
