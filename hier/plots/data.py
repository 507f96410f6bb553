"""The data with each level's line and the population's."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from hier.estimate import Estimate
from hier.plots import style
from hier.plots.lines import Held, covariate, hold, level_means, path, paths
from hier.pooling import Comparison

POPULATION_POINTS = 60


@style.styled
def plot_data(comparison: Comparison) -> Figure:
    """The response against the covariate, with the line of each level (partial pooling) and of the population.

    Without a numeric covariate: the response by level. Of more than 100 levels an even selection is shown.
    """
    estimate = comparison.estimate
    column = covariate(estimate.model)
    design = estimate.model.design
    count = design.random.n_levels
    shown = style.spread(np.argsort(level_means(estimate.model, estimate), kind="stable"), style.MANY)
    response = style.name(design.response, 40)
    what = f"{response} by {style.name(column, 40)}" if column else response
    height = 5.4 if column else style.level_height(len(shown))
    figure = style.picture(height, f"{what}: {style.of_levels(len(shown), count, design.random.group)}")
    axes = figure.subplots()
    (_draw_lines if column else _draw_strip)(axes, estimate, shown)
    style.legend(figure, axes)
    return figure


def _draw_lines(axes: Axes, estimate: Estimate, shown: np.ndarray) -> None:
    model, arrays = estimate.model, estimate.arrays
    design, column = model.design, covariate(model)
    assert column is not None
    codes = design.random.codes
    held = hold(model, column, by_level=True)
    rows = np.isin(codes, shown)
    lines = paths(held.x, held.predict(arrays.beta, arrays.deviations, codes), codes, shown)
    method, group = estimate.method.upper(), style.name(design.random.group)
    axes.scatter(held.x[rows], design.y[rows], s=11, color=style.OWN, alpha=0.45, linewidths=0, label="data")
    thin = LineCollection(
        lines, colors=style.ESTIMATE, linewidths=0.9, alpha=0.5, label=f"each level of {group} ({method})"
    )
    axes.add_collection(thin)
    axes.plot(
        *population_line(estimate, column).T, color=style.POPULATION, linewidth=2.6, label="population (fixed effects)"
    )
    axes.set_xlabel(style.name(column, 60))
    axes.set_ylabel(style.name(design.response, 60))


def population_line(estimate: Estimate, column: str) -> np.ndarray:
    """The fixed effects' curve (m, 2) over the covariate's range, the other columns at their means."""
    held: Held = hold(estimate.model, column, by_level=False)
    return path(held.x, held.population(estimate.arrays.beta), POPULATION_POINTS)


def _draw_strip(axes: Axes, estimate: Estimate, shown: np.ndarray) -> None:
    design = estimate.model.design
    place = np.full(design.random.n_levels, -1)
    place[shown] = np.arange(len(shown))
    where = place[design.random.codes]
    rows = where >= 0
    held = hold(estimate.model, None, by_level=False)
    middle = held.population(estimate.arrays.beta).mean()
    fitted = level_means(estimate.model, estimate)[shown]
    method = estimate.method.upper()
    axes.scatter(design.y[rows], where[rows], s=14, color=style.OWN, alpha=0.5, linewidths=0, label="data")
    axes.scatter(
        fitted,
        np.arange(len(shown)),
        s=34 if len(shown) <= style.NAMED else 12,
        color=style.ESTIMATE,
        label=f"fitted mean ({method})",
        zorder=3,
    )
    axes.axvline(middle, color=style.POPULATION, linewidth=1.6, label="population (fixed effects)", zorder=1)
    axes.set_xlabel(style.name(design.response, 60))
    style.level_axis(axes, style.names(design.random.levels[shown]), style.name(design.random.group))
