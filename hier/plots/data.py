"""The data with each level's line and the population's."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from hier.errors import ModelError
from hier.estimate import Estimate
from hier.model.grouping_factor import find_factor
from hier.plots import style
from hier.plots.lines import covariate, hold, hold_levels, level_means, path, paths
from hier.pooling import SideBySide
from hier.settings import of_kind

POPULATION_POINTS = 60


@style.styled
def plot_data(comparison: SideBySide, group: str | None = None) -> Figure:
    """The response against the covariate, with the line of each level (partial pooling) and of the population.

    Lines are those of the expected response: probabilities, shares or expected counts. Without a numeric covariate: the
    response by level, with its fitted mean. Of more than 100 levels an even selection is shown. With several grouping
    factors the levels are those of `group`, by default of the one with the most; a level's line has the other factors'
    deviations, like all columns but the covariate, at their means over the level's rows. Raises ModelError for a
    grouping factor that the model does not have.
    """
    estimate = of_kind("plot_data", comparison, SideBySide, ModelError).estimate
    design, k = estimate.model.design, find_factor(estimate.model, group)
    random = design.random_effects[k]
    column = covariate(estimate.model, random.group)
    shown = style.spread(np.argsort(level_means(estimate, k), kind="stable"), style.MANY)
    response = style.name(design.response, 40)
    what = f"{response} by {style.name(column, 40)}" if column else response
    height = 5.4 if column else style.level_height(len(shown))
    figure = style.picture(height, f"{what}: {style.of_levels(len(shown), random.n_levels, random.group)}")
    axes = figure.subplots()
    if column is None:
        _draw_strip(axes, estimate, k, shown)
    else:
        _draw_lines(axes, estimate, k, column, shown)
    style.legend(figure, axes)
    return figure


def _draw_lines(axes: Axes, estimate: Estimate, k: int, column: str, shown: np.ndarray) -> None:
    model, arrays = estimate.model, estimate.arrays
    design, random = model.design, model.design.random_effects[k]
    held = hold_levels(model, column, k)
    x, rows = held.fixed.x, np.isin(random.codes, shown)
    modes = [term.deviations for term in arrays.terms]
    fitted = estimate.expected_response(held.predict(arrays.beta, modes[k]) + held.around_each(modes))
    method, group = estimate.method.upper(), style.name(random.group)
    axes.scatter(x[rows], design.observed[rows], s=11, color=style.OWN, alpha=0.45, linewidths=0, label="data")
    thin = LineCollection(
        paths(x, fitted, random.codes, shown),
        colors=style.ESTIMATE,
        linewidths=0.9,
        alpha=0.5,
        label=f"each level of {group} ({method})",
    )
    axes.add_collection(thin)
    axes.plot(
        *population_line(estimate, column).T, color=style.POPULATION, linewidth=2.6, label="population (fixed effects)"
    )
    axes.set_xlabel(style.name(column, 60))
    axes.set_ylabel(style.name(design.response, 60))


def population_line(estimate: Estimate, column: str) -> np.ndarray:
    """The fixed effects' curve (m, 2) over the covariate's range, the other columns at their means."""
    held = hold(estimate.model, column)
    fitted = estimate.expected_response(held.population(estimate.arrays.beta))
    return path(held.x, fitted, POPULATION_POINTS)


def _draw_strip(axes: Axes, estimate: Estimate, k: int, shown: np.ndarray) -> None:
    design, random = estimate.model.design, estimate.model.design.random_effects[k]
    place = np.full(random.n_levels, -1)
    place[shown] = np.arange(len(shown))
    where = place[random.codes]
    rows = where >= 0
    middle = estimate.expected_response(hold(estimate.model, None).population(estimate.arrays.beta)).mean()
    fitted = level_means(estimate, k)[shown]
    method = estimate.method.upper()
    axes.scatter(design.observed[rows], where[rows], s=14, color=style.OWN, alpha=0.5, linewidths=0, label="data")
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
    style.level_axis(axes, style.names(random.levels[shown]), style.name(random.group))
