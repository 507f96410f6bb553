"""The lecture's pictures: joined data, own and mixed lines, their differences, true values, three poolings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

import hier
from hier import plots
from hier.errors import ModelError


@pytest.fixture(scope="module")
def pigs():
    return hier.load_dataset("pigs")


@pytest.fixture(scope="module")
def fit(pigs):
    return hier.Model("weight ~ week + (week | id)", pigs).estimate()


@pytest.fixture(scope="module")
def slopes():
    return hier.Model("Y ~ X + (X - 1 | Group)", hier.load_dataset("sim757")).estimate()


def collections(figure):
    (axes,) = figure.axes
    return [own for own in axes.collections if isinstance(own, LineCollection)]


def overall(figure):
    (line,) = [own for own in figure.axes[0].lines if own.get_linewidth() == 3.0]
    return np.column_stack(line.get_data())


def test_joined_data_and_the_overall_line(pigs, fit):
    figure = plots.plot_spaghetti(fit.model)
    (lines,) = collections(figure)
    assert len(lines.get_segments()) == 48
    drawn = np.sort(np.concatenate([own[:, 1] for own in lines.get_segments()]))
    np.testing.assert_allclose(drawn, np.sort(pigs["weight"]))
    slope, intercept = np.polyfit(pigs["week"], pigs["weight"], 1)
    curve = overall(figure)
    np.testing.assert_allclose(curve[:, 1], intercept + slope * curve[:, 0])


def test_own_lines_mixed_lines_and_their_differences(pigs, fit):
    own, mixed = collections(plots.plot_level_lines(fit))
    (differences,) = collections(plots.plot_line_differences(fit))
    expected = {}
    for level, rows in pigs.groupby("id"):
        slope, intercept = np.polyfit(rows["week"], rows["weight"], 1)
        coef = fit.coef["id"].loc[level]
        expected[level] = (coef["Intercept"] - intercept) + (coef["week"] - slope) * np.arange(1, 10)
    drawn = np.sort([one[:, 1] for one in differences.get_segments()], axis=0)
    np.testing.assert_allclose(drawn, np.sort(list(expected.values()), axis=0), atol=1e-8)
    apart = [b[:, 1] - a[:, 1] for a, b in zip(own.get_segments(), mixed.get_segments(), strict=True)]
    np.testing.assert_allclose(np.sort(apart, axis=0), drawn, atol=1e-8)
    assert np.abs(drawn).max() < 1.0  # as in the lecture, all within a kilogram


def test_true_lines_and_true_slopes(slopes):
    true = [1.595831, 1.729731, 1.900448, 2.034316, 2.285474, 2.700080, 3.802416]
    table = pd.DataFrame({"Intercept": 50.0, "X": true}, index=list("1234567"))
    lines, _ = collections(plots.plot_level_lines(slopes, truth=table))
    for segment, slope in zip(lines.get_segments(), true, strict=True):
        np.testing.assert_allclose(segment[:, 1], 50.0 + slope * segment[:, 0])
    figure = plots.plot_truth(table["X"], slopes)
    (points,) = figure.axes[0].collections
    np.testing.assert_allclose(points.get_offsets(), np.column_stack([true, slopes.coef["Group"]["X"]]))
    assert len(collections(plots.plot_level_lines(slopes.model))) == 1


def test_the_truth_of_simulated_groups():
    data = hier.simulate_groups("y ~ x + (x | g)", 8, 10, fixed={"x": 1.0}, sd=1.0, seed=1)
    figure = plots.plot_truth(data.attrs["truth"], hier.Model("y ~ x + (x | g)", data).estimate())
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Intercept", "x"]


def test_three_poolings_in_one_picture(fit):
    figure = plots.plot_pooling(hier.pool(fit.model, posterior=False), n=10)
    assert len(figure.axes) == 2
    assert len(figure.axes[0].get_yticks()) == 10
    assert figure.to_bytes("png").startswith(b"\x89PNG")


def test_refusals(pigs, fit):
    with pytest.raises(ModelError, match="no numeric covariate"):
        plots.plot_spaghetti(hier.Model("weight ~ 1 + (1 | id)", pigs))
    with pytest.raises(ModelError, match="this picture is of group deviations"):
        plots.plot_spaghetti(hier.Model("weight ~ week", pigs))
    counts = hier.Model("I(weight > 50) ~ week + (1 | id)", pigs, family="bernoulli")
    with pytest.raises(ModelError, match="draws straight lines"):
        plots.plot_level_lines(counts)
    with pytest.raises(ModelError, match="none of the coefficients that vary"):
        plots.plot_truth(pd.DataFrame({"z": [1.0]}), fit)
    with pytest.raises(ModelError, match="plot_pooling needs"):
        plots.plot_pooling(fit)
