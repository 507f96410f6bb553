"""The small computations behind the pictures, against what they should be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hier.plots import style
from hier.plots.chains import _band, rank_ecdf
from hier.plots.densities import density, fixed_intervals
from hier.plots.lines import path, paths
from hier.plots.parameters import Parameter

AT = np.linspace(0.0, 1.0, 51)[1:-1]


def test_ranks_of_mixed_chains_stay_in_the_band_with_its_probability():
    band = _band(4, 250, AT)
    random = np.random.default_rng(7)
    inside = [(np.abs(rank_ecdf(random.normal(size=(4, 250)), AT) - AT) <= band).all() for _ in range(400)]
    # binomial(400, 0.95) has sd 0.011, and the band itself is a quantile of 400 shuffles, which has as much again
    assert np.mean(inside) == pytest.approx(0.95, abs=0.05)


def test_ranks_of_a_chain_that_is_elsewhere_leave_the_band():
    draws = np.random.default_rng(7).normal(size=(4, 250))
    draws[2] += 0.5
    outside = (np.abs(rank_ecdf(draws, AT) - AT) > _band(4, 250, AT)).any(axis=1)
    assert outside[2]
    assert rank_ecdf(draws, AT)[2].mean() < AT.mean()


def test_one_chain_has_all_ranks():
    assert _band(1, 100, AT).max() == 0.0
    np.testing.assert_allclose(rank_ecdf(np.random.default_rng(1).normal(size=(1, 100)), AT)[0], AT, atol=0.011)


def test_densities_integrate_to_one_within_their_range():
    draws = np.abs(np.random.default_rng(3).normal(size=(4, 500)))
    x, y = density(Parameter("sd", draws, low=0.0))
    assert x[0] == 0.0
    assert np.trapezoid(y, x) == pytest.approx(1.0, abs=0.01)
    assert y[0] == pytest.approx(2 * stats.norm.pdf(0.0), rel=0.15)  # not half of that: the kernel is reflected


def test_constant_draws_have_no_density():
    assert density(Parameter("sd", np.full((2, 50), 3.0))) is None


def test_fixed_intervals_use_the_degrees_of_freedom(of_kind):
    comparison = of_kind("slopes")
    table = comparison.estimate.coefficients
    low, high = stats.t.interval(0.95, table["df"], table["estimate"], table["std_error"])
    np.testing.assert_allclose(fixed_intervals(comparison), np.column_stack([low, high]))


def test_paths_go_through_means_in_the_order_of_x():
    x, y = np.array([2.0, 1.0, 2.0, 5.0]), np.array([1.0, 7.0, 3.0, 9.0])
    np.testing.assert_array_equal(path(x, y), [[1, 7], [2, 2], [5, 9]])
    assert len(path(np.arange(1000.0), np.arange(1000.0), 60)) == 60
    second, first = paths(x, y, np.array([0, 1, 0, 1]), np.array([1, 0]))
    np.testing.assert_array_equal(second, [[1, 7], [5, 9]])
    np.testing.assert_array_equal(first, [[2, 2]])


def test_names_are_printable_and_short():
    assert style.name("a\n\0b") == "a  b"
    assert style.name("x" * 50, 10) == "x" * 9 + "…"
    assert style.name(17) == "17"


def test_a_selection_keeps_both_ends():
    order = np.arange(500)[::-1]
    chosen = style.spread(order, 60)
    assert (len(chosen), chosen[0], chosen[-1]) == (60, 499, 0)
    assert len(set(chosen)) == 60
    assert style.spread(order, 500) is order


def test_a_name_that_no_font_has_does_not_warn():
    figure = style.picture(2.0, "\N{CJK UNIFIED IDEOGRAPH-540D} \U000fffff")
    assert figure.to_bytes("png").startswith(b"\x89PNG")
