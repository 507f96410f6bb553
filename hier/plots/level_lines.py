"""Lines of the levels of a grouping factor: their data, their own regressions, the mixed model's, the overall one."""

from __future__ import annotations

from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from hier.design import RandomEffects
from hier.errors import ModelError
from hier.estimate import Estimate
from hier.estimate.fit import fit
from hier.model import Specification
from hier.model.grouping_factor import find_factor
from hier.plots import style
from hier.plots.lines import HeldLevels, covariate, hold, hold_levels, path, paths
from hier.pooling.complete import without_groups
from hier.pooling.each_level import each_level
from hier.settings import of_kind

OVERALL = "overall line, the groups ignored"
DISTINCT = 10  # levels that have a colour each, and a name in the legend


class _Levels(NamedTuple):
    """The levels that are drawn: the model, the factor's place, its covariate, the columns held at their means, which
    levels are `shown`, and their colours.
    """

    model: Specification
    k: int
    random: RandomEffects
    column: str
    held: HeldLevels
    shown: np.ndarray
    colours: list[Any]

    def curves(self, values: np.ndarray) -> list[np.ndarray]:
        """The curves of the levels that are shown, of values in all rows (n,)."""
        return paths(self.held.fixed.x, values, self.random.codes, self.shown)


@style.styled
def plot_spaghetti(model: Specification | Estimate, group: str | None = None) -> Figure:
    """Each level's data joined by a line, with the overall line of the model without groups.

    Of `group`, by default the factor with the most levels; of more than 100 levels an even selection. Raises ModelError
    where the model has no numeric covariate, and for a grouping factor that it does not have.
    """
    levels = _levels("plot_spaghetti", model, group)
    figure, axes = _picture(levels, "{response} by {column}: {levels}")
    curves = levels.curves(levels.model.design.observed)
    axes.add_collection(LineCollection(curves, colors=levels.colours, linewidths=0.9, alpha=0.8))
    for curve, colour in zip(curves, levels.colours, strict=True):
        axes.scatter(*curve.T, s=12, color=colour, linewidths=0)
    _overall(axes, levels)
    _finish(figure, axes, levels)
    return figure


@style.styled
def plot_level_lines(
    fitted: Specification | Estimate, group: str | None = None, truth: pd.DataFrame | None = None
) -> Figure:
    """The data with each level's own regression (dashed), the mixed model's line (solid) and the overall line.

    `fitted`: an estimate, or a model, of which the own regressions and the overall line are drawn alone. `truth`: true
    coefficients, levels x columns, whose lines are then drawn (dashed) in place of the levels' own. A level's colour is
    that of its data. Raises ModelError where the expected response is no linear predictor, where there is no numeric
    covariate, and for a grouping factor that the model does not have.
    """
    levels = _levels("plot_level_lines", fitted, group, linear=True)
    what = "true" if truth is not None else "own"
    figure, axes = _picture(levels, "{response} by {column}: {levels}")
    rows = np.isin(levels.random.codes, levels.shown)
    place = np.searchsorted(np.sort(levels.shown), levels.random.codes[rows])
    colours = np.array(levels.colours)[np.argsort(levels.shown)][place]
    axes.scatter(levels.held.fixed.x[rows], levels.model.design.observed[rows], s=13, c=colours, linewidths=0)
    own = _own_values(levels) if truth is None else _true_values(levels, truth)
    _add_lines(axes, levels, own, ("--", f"each level's {what} line"))
    estimate = _estimate_of(fitted)
    if estimate is not None:
        _add_lines(axes, levels, _mixed_values(levels, estimate), ("-", f"mixed model ({estimate.method.upper()})"))
    _overall(axes, levels)
    _finish(figure, axes, levels)
    return figure


@style.styled
def plot_line_differences(estimate: Estimate, group: str | None = None) -> Figure:
    """The mixed model's line of each level less its own regression: what pooling changes, over the covariate.

    Raises ModelError as `plot_level_lines` does.
    """
    estimate = of_kind("plot_line_differences", estimate, Estimate, ModelError)
    levels = _levels("plot_line_differences", estimate, group, linear=True)
    figure, axes = _picture(levels, "Mixed model less own line of {response}: {levels}")
    differences = _mixed_values(levels, estimate) - _own_values(levels)
    _add_lines(axes, levels, differences, ("-", ""))
    axes.axhline(0.0, color=style.POPULATION, linewidth=1.4)
    axes.autoscale_view()
    _finish(figure, axes, levels, vertical=f"difference of {style.name(levels.model.design.response, 40)}")
    return figure


def _estimate_of(fitted: Any) -> Estimate | None:
    return fitted if type(fitted) is Estimate else None


def _levels(name: str, given: Any, group: str | None, *, linear: bool = False) -> _Levels:
    model = getattr(given, "model", given)
    model = of_kind(name, model, Specification, ModelError)
    k = find_factor(model, group)
    random = model.design.random_effects[k]
    column = covariate(model, random.group)
    if column is None:
        raise ModelError(
            "there is no numeric covariate to draw lines against",
            found=f"`{model.formula}`",
            expected="a numeric column, such as `week` in `weight ~ week + (week | id)`",
        )
    if linear and not model.mean_is_predictor:
        raise ModelError(
            f"{name} draws straight lines, and the expected response is no linear predictor here",
            found=f"the family `{model.family.name}` with the {model.link} link",
            hint="plot_data(comparison) draws curves on the scale of the response",
        )
    held = hold_levels(model, column, k)
    means = np.bincount(random.codes, model.design.observed) / np.maximum(random.rows_per_level, 1)
    shown = style.spread(np.argsort(means, kind="stable"), style.MANY)
    shown = shown if len(shown) > DISTINCT else np.sort(shown)
    # of few levels colours that can be told apart, of many a scale by their means
    scale = matplotlib.colormaps["tab10" if len(shown) <= DISTINCT else "turbo"]
    steps = np.arange(len(shown)) if len(shown) <= DISTINCT else np.linspace(0.03, 0.97, len(shown))
    return _Levels(model, k, random, column, held, shown, [scale(step) for step in steps])


def _own_values(levels: _Levels) -> np.ndarray:
    """Each level's own regression in its rows (n,), NaN where it has none."""
    each = each_level(levels.model, levels.k)
    coefficients = each.coef.to_numpy()[levels.random.codes]
    fixed = levels.held.fixed
    return np.einsum("ij,ij->i", fixed.X[:, each.rows.kept], coefficients) + fixed.offset


def _true_values(levels: _Levels, truth: pd.DataFrame) -> np.ndarray:
    """Lines of true coefficients, those of columns that the table does not have being zero."""
    names = list(levels.model.design.names)
    table = truth.reindex(index=levels.random.levels, columns=names).fillna(0.0).to_numpy(float)
    return np.einsum("ij,ij->i", levels.held.fixed.X, table[levels.random.codes]) + levels.held.fixed.offset


def _mixed_values(levels: _Levels, estimate: Estimate) -> np.ndarray:
    """The mixed model's lines in their levels' rows (n,), other grouping factors at their means over these."""
    modes = [term.deviations for term in estimate.arrays.terms]
    held = levels.held
    return held.predict(estimate.arrays.beta, modes[levels.k]) + held.around_each(modes)


def _add_lines(axes: Axes, levels: _Levels, values: np.ndarray, how: tuple[str, str]) -> None:
    dashes, label = how
    lines = LineCollection(levels.curves(values), colors=levels.colours, linewidths=1.2, linestyles=dashes)
    axes.add_collection(lines)
    if label:
        axes.plot([], [], dashes, color=style.INK, linewidth=1.2, label=label)


def _overall(axes: Axes, levels: _Levels) -> None:
    """The curve of the model without groups, other columns at their means."""
    alone = without_groups(levels.model)
    held = hold(alone, levels.column)
    found = Estimate.of(fit(alone))
    curve = path(held.x, found.expected_response(held.population(found.arrays.beta)), 60)
    axes.plot(*curve.T, color=style.POPULATION, linewidth=3.0, label=OVERALL, zorder=4)


def _picture(levels: _Levels, title: str) -> tuple[Figure, Axes]:
    random, response = levels.random, style.name(levels.model.design.response, 40)
    which = style.of_levels(len(levels.shown), random.n_levels, random.group)
    figure = style.picture(5.4, title.format(response=response, column=style.name(levels.column, 40), levels=which))
    return figure, figure.subplots()


def _finish(figure: Figure, axes: Axes, levels: _Levels, vertical: str | None = None) -> None:
    if len(levels.shown) <= DISTINCT:
        for level, colour in zip(levels.shown, levels.colours, strict=True):
            axes.plot([], [], "o", color=colour, label=style.name(levels.random.levels[level]))
    axes.set_xlabel(style.name(levels.column, 60))
    axes.set_ylabel(vertical or style.name(levels.model.design.response, 60))
    if axes.get_legend_handles_labels()[0]:
        style.legend(figure, axes)
