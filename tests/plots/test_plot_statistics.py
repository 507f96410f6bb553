"""The small computations behind the pictures, against what they should be."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy import stats

import hier
from hier.design import Block
from hier.model import FAMILIES
from hier.plots import style
from hier.plots.chains import _band, rank_ecdf
from hier.plots.density_curves import density, fixed_intervals
from hier.plots.drawn_parameters import DrawnParameter, least_correlation, ranges_of
from hier.plots.lines import path, paths

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
    x, y = density(DrawnParameter("sd", draws, low=0.0))
    assert x[0] == 0.0
    assert np.trapezoid(y, x) == pytest.approx(1.0, abs=0.01)
    assert y[0] == pytest.approx(2 * stats.norm.pdf(0.0), rel=0.15)  # not half of that: the kernel is reflected


def test_a_density_stays_within_both_ends_and_loses_nothing():
    draws = np.random.default_rng(4).beta(1.0, 20.0, size=(4, 500))
    for values in (draws, 1.0 - draws):  # near either end of the range
        x, y = density(DrawnParameter("zi", values, 0.0, 1.0))
        assert x.min() >= 0.0
        assert x.max() <= 1.0
        assert np.trapezoid(y, x) == pytest.approx(1.0, abs=0.01)


NUMBERS = {"sigma": (0.0, np.inf), "nu": (0.0, np.inf), "shape": (0.0, np.inf), "phi": (0.0, np.inf)}
NUMBERS |= {"zi": (0.0, 1.0), "hu": (0.0, 1.0)}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_further_parameter_has_its_range(family):
    random, codes = np.random.default_rng(5), np.repeat(np.arange(8), 5)
    kinds = {"real": random.normal(size=40), "positive": random.gamma(2.0, size=40), "unit": random.uniform(size=40)}
    kinds |= {"count": random.poisson(3.0, 40), "binary": codes % 2, "ordered": codes % 3, "successes": codes % 4}
    data = pd.DataFrame({"y": kinds[FAMILIES[family].response], "g": codes})
    left = "y | trials(4)" if FAMILIES[family].response == "successes" else "y"
    model = hier.Model(f"{left} ~ 1 + (1 | g)", data, family=family)
    further = ranges_of(model).further
    assert further == {name: NUMBERS[name] for name in FAMILIES[family].parameter_names[1:]}


def test_a_users_prior_bounds_what_is_drawn():
    data = pd.DataFrame({"y": np.arange(40.0) % 7, "x": np.arange(40.0) % 5, "g": np.repeat(np.arange(8), 5)})
    priors = {"x": dist.Uniform(-1.0, 2.0), "sigma": dist.TruncatedNormal(1.0, 1.0, low=0.5)}
    ranges = ranges_of(hier.Model("y ~ x + (1 | g)", data, priors=priors))
    assert ranges.coefficients["x"] == (-1.0, 2.0)
    assert ranges.further["sigma"] == (0.5, np.inf)
    assert "Intercept" not in ranges.coefficients  # the default is that of another combination, and has no ends


@pytest.mark.parametrize(
    ("block", "pair", "low"),
    [
        (Block(3, "us"), (0, 1), -1.0),
        (Block(3, "cs"), (0, 2), -0.5),
        (Block(5, "cs"), (1, 3), -0.25),
        (Block(3, "ar1"), (0, 1), -1.0),
        (Block(3, "ar1"), (0, 2), 0.0),  # the square of the correlation of neighbours
        (Block(3, "ar1", False, (0, 2, 5)), (0, 1), 0.0),
        (Block(3, "ar1", False, (0, 2, 5)), (0, 2), -1.0),
    ],
)
def test_correlations_of_a_structure_have_the_range_that_it_leaves(block, pair, low):
    assert least_correlation((Block(1), block), pair[0] + 1, pair[1] + 1) == low


def test_constant_draws_have_no_density():
    assert density(DrawnParameter("sd", np.full((2, 50), 3.0))) is None


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
    assert style.name("a\n\0b") == "a\\n\\x00b"
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
