"""What must not matter does not, and what must scale does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hier

FORMULA = "y ~ x + (x | g)"


def frame(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.concatenate([np.repeat(np.arange(10), 2), rng.integers(0, 10, size=60)])
    x = rng.normal(size=80)
    b = rng.normal(size=(10, 2)) * [1.0, 0.5]
    return pd.DataFrame({"g": g, "x": x, "y": 3.0 + b[g, 0] + (1.0 + b[g, 1]) * x + rng.normal(size=80)})


def parts(fit):
    return np.concatenate([fit.fixef, fit.coefficients["std_error"], fit.varcorr["vcov"]])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), order=st.randoms(use_true_random=False))
def test_row_order_and_level_names_do_not_matter(seed, order):
    data = frame(seed)
    fit = hier.Model(FORMULA, data).estimate()
    rows = list(range(len(data)))
    order.shuffle(rows)
    names = [f"level {k}" for k in range(10)]
    order.shuffle(names)
    other = hier.Model(FORMULA, data.iloc[rows].assign(g=lambda d: [names[k] for k in d["g"]])).estimate()
    assert other.objective == pytest.approx(fit.objective, abs=1e-8)
    if not fit.is_singular:
        np.testing.assert_allclose(parts(other), parts(fit), rtol=1e-6, atol=1e-8)
        renamed = other.ranef["g"].loc[names].to_numpy()
        np.testing.assert_allclose(renamed, fit.ranef["g"].to_numpy(), atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1e-8, 0.01, 3.0, 1e9]))
def test_scaling_the_response_scales_everything(seed, scale):
    data = frame(seed)
    fit = hier.Model(FORMULA, data).estimate()
    other = hier.Model(FORMULA, data.assign(y=scale * data["y"])).estimate()
    np.testing.assert_allclose(other.fixef, scale * fit.fixef, rtol=1e-7)
    assert other.sigma == pytest.approx(scale * fit.sigma, rel=1e-7)
    assert other.objective == pytest.approx(fit.objective + 2 * 78 * np.log(scale), abs=1e-6)
    np.testing.assert_allclose(other.coefficients["df"], fit.coefficients["df"], rtol=1e-5)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.floats(-100, 100), unit=st.sampled_from([1e-6, 0.1, 1e5]))
def test_moving_and_scaling_a_column_changes_only_its_own_names(seed, shift, unit):
    data = frame(seed)
    fit = hier.Model(FORMULA, data).estimate()
    other = hier.Model(FORMULA, data.assign(x=(data["x"] - shift) * unit)).estimate()
    assert other.fixef["x"] * unit == pytest.approx(fit.fixef["x"], rel=1e-5)
    assert other.objective == pytest.approx(fit.objective + 2 * np.log(unit), abs=1e-4)
    np.testing.assert_allclose(other.fitted, fit.fitted, rtol=1e-5, atol=1e-5)


def test_two_bars_are_the_split_double_bar():
    data = frame(1)
    split = hier.Model("y ~ x + (1 | g) + (0 + x | g)", data).estimate()
    double = hier.Model("y ~ x + (x || g)", data).estimate()
    assert split.objective == pytest.approx(double.objective, abs=1e-10)
    pd.testing.assert_frame_equal(split.varcorr, double.varcorr)


def test_doubling_weights_halves_nothing_but_sigma_squared():
    data = frame(2).assign(w=2.0)
    plain = hier.Model(FORMULA, data).estimate()
    weighted = hier.Model(FORMULA, data, weights="w").estimate()
    assert weighted.sigma**2 == pytest.approx(2.0 * plain.sigma**2, rel=1e-6)
    np.testing.assert_allclose(weighted.fixef, plain.fixef, rtol=1e-7)
    np.testing.assert_allclose(weighted.ranef["g"], plain.ranef["g"], atol=1e-6)


def test_offset_is_taken_off_the_response():
    data = frame(3).assign(off=lambda d: np.sin(d["x"]))
    by_offset = hier.Model(FORMULA, data, offset="off").estimate()
    by_hand = hier.Model("I(y - off) ~ x + (x | g)", data).estimate()
    np.testing.assert_allclose(by_offset.fixef, by_hand.fixef, rtol=1e-9)
    np.testing.assert_allclose(by_offset.fitted - data["off"], by_hand.fitted, rtol=1e-9)
