"""Pictures of responses whose mean is not their linear predictor: lines and data on one scale."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

import hier
from hier.plots import plot_data, plot_group_fits


@pytest.fixture(scope="module")
def shares():
    """Shares of successes out of 12 that rise with x, in six levels of g."""
    random = np.random.default_rng(3)
    g, x = np.repeat(np.arange(6), 8), np.tile(np.linspace(-1.0, 1.0, 8), 6)
    eta = 1.0 + x + random.normal(size=6)[g]
    data = pd.DataFrame({"s": random.binomial(12, 1.0 / (1.0 + np.exp(-eta))), "n": 12, "x": x, "g": g})
    model = hier.Model("s | trials(n) ~ x + (1 | g)", data, family="binomial")
    posterior = model.sample(method="laplace", draws=200, seed=1, progress=False)
    return hier.compare(model.estimate(), posterior)


def test_the_lines_of_levels_are_shares_and_go_through_the_data(shares):
    axes = plot_data(shares).axes[0]
    (lines,) = (own for own in axes.collections if isinstance(own, LineCollection))
    drawn = sorted(path[:, 1].tolist() for path in lines.get_segments())
    fitted = shares.estimate.fitted.to_numpy().reshape(6, 8)
    np.testing.assert_allclose(drawn, fitted[np.argsort(fitted[:, 0])], rtol=1e-9)
    data = axes.collections[0].get_offsets()[:, 1]
    np.testing.assert_allclose(data, shares.estimate.model.design.y / 12)
    (population,) = (line for line in axes.lines if line.get_label().startswith("population"))
    beta = shares.estimate.fixef.to_numpy()
    x, y = population.get_data()
    np.testing.assert_allclose(y, 1.0 / (1.0 + np.exp(-beta[0] - beta[1] * np.asarray(x))), rtol=1e-9)


def test_the_panels_of_levels_are_on_the_scale_of_the_response(shares):
    figure = plot_group_fits(shares, n=6)
    fitted = shares.estimate.fitted.to_numpy().reshape(6, 8)
    for axes in figure.axes[:6]:
        level = int(axes.get_title(loc="left"))
        (own,) = (line for line in axes.lines if line.get_label() == "ML")
        np.testing.assert_allclose(own.get_ydata(), fitted[level], rtol=1e-9)
        band = next(each for each in axes.collections if each.get_label().startswith("posterior"))
        corners = band.get_paths()[0].vertices[:, 1]
        assert 0.0 < corners.min() < fitted[level].min()
        assert fitted[level].max() < corners.max() < 1.0
    assert figure.axes[0].get_ylabel() == shares.estimate.model.design.response
