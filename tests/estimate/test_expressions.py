"""Linear functions of coefficients as text."""

from __future__ import annotations

import numpy as np
import pytest

from hier.estimate.expressions import read_comparison, read_linear, written

NAMES = [
    "Intercept",
    "x",
    "x2",
    "a[T.q]",
    "a[T.q]:x",
    "poly(x, 2)[1]",
    "I(x ** 2)",
    "Variety[T.Golden Rain]",
    "a:b",
    "a",
]

LINEAR = {
    "x": ({"x": 1}, 0),
    "x2 - x": ({"x2": 1, "x": -1}, 0),
    "x-x2": ({"x": 1, "x2": -1}, 0),
    "2 * x + 1.5e-1": ({"x": 2}, 0.15),
    "x * -2 / 4": ({"x": -0.5}, 0),
    "-(x - 3) / 2": ({"x": -0.5}, 1.5),
    "2 * (a[T.q] + 3 * (`a[T.q]:x` - .5))": ({"a[T.q]": 2, "a[T.q]:x": 6}, -3),
    "a[T.q]:x + a[T.q]": ({"a[T.q]:x": 1, "a[T.q]": 1}, 0),
    "poly(x, 2)[1] - I(x ** 2) * 2": ({"poly(x, 2)[1]": 1, "I(x ** 2)": -2}, 0),
    "Variety[T.Golden Rain] / 3": ({"Variety[T.Golden Rain]": 1 / 3}, 0),
    "a:b - a": ({"a:b": 1, "a": -1}, 0),
    "x - x": ({}, 0),
    "--x": ({"x": 1}, 0),
    "2 - 1": ({}, 1),
}


@pytest.mark.parametrize("text", LINEAR)
def test_what_a_text_stands_for(text):
    weights, constant = LINEAR[text]
    found = read_linear(text, NAMES)
    np.testing.assert_allclose(found.weights, [weights.get(name, 0) for name in NAMES])
    assert found.constant == pytest.approx(constant)


@pytest.mark.parametrize(
    ("text", "x", "constant", "alternative"),
    [
        ("x > 6", 1, -6, "greater"),
        ("x >= 6", 1, -6, "greater"),
        ("6 > x", -1, 6, "greater"),
        ("x<0", 1, 0, "less"),
        ("x <= 0", 1, 0, "less"),
        ("x = 2*x + 1", -1, -1, "two-sided"),
        ("x == 1", 1, -1, "two-sided"),
    ],
)
def test_a_comparison_is_the_difference_of_its_sides(text, x, constant, alternative):
    (weights, number), found = read_comparison(text, NAMES)
    assert weights[1] == x
    assert number == pytest.approx(constant)
    assert found == alternative


def test_what_is_written_reads_back():
    rng = np.random.default_rng(0)
    for _ in range(20):
        weights = np.where(rng.random(len(NAMES)) < 0.5, 0.0, rng.integers(-3, 4, len(NAMES)) / 2)
        np.testing.assert_allclose(read_linear(written(weights, NAMES), NAMES).weights, weights)
    assert written(np.array([-1.0, 0.5]), ["a", "b"]) == "-a + 0.5 * b"
