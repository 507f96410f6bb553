"""A response that its groups fit exactly is refused with the cause; one that they nearly fit is fitted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier

RNG = np.random.default_rng(19)
LEVELS, ROWS = 12, 4
G = np.repeat(np.arange(LEVELS), ROWS)
DATA = pd.DataFrame(
    {
        "level": RNG.normal(5, 2, LEVELS)[G],
        "g": G,
        "h": np.tile(np.arange(ROWS), LEVELS),
        "outer": G // 3,
        "x": RNG.normal(size=LEVELS * ROWS),
        "w": RNG.uniform(0.5, 2.0, LEVELS * ROWS),
    }
)
DATA["sum"] = DATA["level"] + RNG.normal(0, 1, ROWS)[DATA["h"]]
DATA["line"] = DATA["level"] + RNG.normal(0, 1, LEVELS)[G] * DATA["x"]
DATA["noise"] = RNG.normal(size=LEVELS * ROWS)


@pytest.mark.parametrize("formula", ["y ~ 1 + (1 | g)", "y ~ 1 + (1 | outer / g)", "y ~ 1 + (1 | g) + (1 | h)"])
@pytest.mark.parametrize("shape", [lambda y: y, lambda y: y / 3 * 3 + 0.1 - 0.1, lambda y: 1e9 * (y + 1e6)])
def test_a_response_constant_within_groups_is_named(formula, shape):
    data = DATA.assign(y=shape(DATA["level"]))
    with pytest.raises(hier.FitError, match=r"the response is constant within the levels of `g(:outer)?`"):
        hier.Model(formula, data).estimate()


def test_weights_and_offsets_do_not_hide_it():
    data = DATA.assign(y=DATA["level"] + DATA["x"])
    with pytest.raises(hier.FitError, match="constant within the levels of `g`"):
        hier.Model("y ~ 1 + (1 | g)", data, weights="w", offset="x").estimate("ml")


@pytest.mark.parametrize(
    ("response", "formula"),
    [
        ("level + 2 * x", "y ~ x + (1 | g)"),
        ("sum", "y ~ 1 + (1 | g) + (1 | h)"),
        ("line", "y ~ x + (x | g)"),
    ],
)
def test_rows_that_are_fitted_exactly_by_several_parts_are_named(response, formula):
    with pytest.raises(hier.FitError, match="fit every row exactly: within their levels nothing is left"):
        hier.Model(formula, DATA.assign(y=DATA.eval(response))).estimate()


def balanced(y):
    """REML criterion, sigma and sd of a balanced one-way layout. Source: Searle, Casella and McCulloch (1992), 3.8."""
    Y = np.asarray(y).reshape(LEVELS, ROWS)
    mean = Y.mean(axis=1)
    within = np.sum((Y - mean[:, None]) ** 2)
    between = ROWS * np.sum((mean - mean.mean()) ** 2)
    n, df = LEVELS * ROWS, LEVELS * (ROWS - 1)
    s2, total = within / df, between / (LEVELS - 1)
    value = df * np.log(s2) + (LEVELS - 1) * np.log(total) + (n - 1) * (1 + np.log(2 * np.pi)) + np.log(n)
    return value, np.sqrt(s2), np.sqrt((total - s2) / ROWS)


@pytest.mark.parametrize("sigma", [1e-1, 1e-3, 1e-4])
def test_a_response_almost_constant_within_groups_is_fitted(sigma):
    data = DATA.assign(y=DATA["level"] + sigma * DATA["noise"])
    fit = hier.Model("y ~ 1 + (1 | g)", data).estimate()
    value, within, between = balanced(data["y"])
    assert fit.converged
    assert fit.objective == pytest.approx(value, abs=1e-5)
    assert fit.sigma == pytest.approx(within, rel=1e-4)
    assert fit.varcorr["sdcor"].iloc[0] == pytest.approx(between, rel=1e-4)
