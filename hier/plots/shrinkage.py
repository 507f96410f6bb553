"""Shrinkage: from each level's own least squares to REML and to the posterior mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from hier.errors import ModelError
from hier.model.grouping_factor import find_factor
from hier.plots import style
from hier.plots.which_factor import by_level
from hier.pooling import SideBySide
from hier.settings import of_kind

LABELS = 6  # extreme levels named in a panel
LONGEST = 14  # letters of a name beside one of several panels
FAR = 3.0  # own least squares further out than so many interquartile ranges are left outside


class Pooled(NamedTuple):
    """Coefficients of the levels, (J, q) each: no pooling, point estimate, posterior mean; population (q,)."""

    own: np.ndarray
    estimate: np.ndarray
    posterior: np.ndarray
    population: np.ndarray


@style.styled
def plot_shrinkage(comparison: SideBySide, group: str | None = None) -> Figure:
    """Each level's coefficients without, with partial, and with complete pooling.

    With two coefficients or more, the first two also as a plane: an arrow for each level from its own least squares
    to the point estimate, and on to the posterior mean; the ellipse holds 95 percent of levels by the point estimate.
    With several grouping factors the levels are those of `group`, by default of the one with the most, and their own
    least squares are given the other factors' deviations, as in the comparison's table. Raises ModelError for a
    grouping factor that the model does not have.
    """
    model = of_kind("plot_shrinkage", comparison, SideBySide, ModelError).estimate.model
    at = find_factor(model, group)
    random = model.design.random_effects[at]
    pooled = pooled_coefficients(comparison, at)
    figure, plane, ladders = _panels(len(random.names), random.n_levels, style.name(random.group))
    if plane is not None:
        _draw_plane(plane, comparison, at, pooled)
    for k, axes in enumerate(ladders):
        _draw_ladder(axes, comparison, at, pooled, k)
    style.legend(
        figure, *ladders, *([] if plane is None else [plane]), markerscale=_point_area(random.n_levels) ** -0.5
    )
    return figure


def _panels(q: int, levels: int, group: str) -> tuple[Figure, Axes | None, list[Axes]]:
    """An empty picture, its plane (None for one coefficient), and a panel for each coefficient."""
    title, height = f"Shrinkage of {levels} levels of {group}", style.level_height(levels)
    if q == 1:
        figure = style.picture(height, title)
        return figure, None, [figure.subplots()]
    if q == 2:
        figure = style.picture(max(height, 5.2), title)
        halves: Any = figure.subfigures(1, 2, width_ratios=[1.0, 1.15])
        left, right = halves
        return figure, left.subplots(), list(right.subplots(1, 2))
    figure = style.picture(1.0 + max(height, 4.2) * -(-(q + 1) // 2), title)
    plane, *ladders = style.grid(figure, q + 1, 2)
    return figure, plane, ladders


def pooled_coefficients(comparison: SideBySide, at: int) -> Pooled:
    """The three kinds of coefficients of every level of grouping factor `at`, and the population's."""
    random = comparison.estimate.model.design.random_effects[at]
    columns = ("least_squares", "estimate", "posterior_mean", "complete_pooling")
    own, estimate, posterior, complete = (by_level(comparison.shrinkage, c, random) for c in columns)
    return Pooled(own, estimate, posterior, complete[0])


def _draw_ladder(axes: Axes, comparison: SideBySide, at: int, pooled: Pooled, k: int) -> None:
    """One coefficient: a row for each level, sorted by the point estimate."""
    random = comparison.estimate.model.design.random_effects[at]
    order = np.argsort(pooled.estimate[:, k], kind="stable")
    own, estimate, posterior = (values[order, k] for values in pooled[:3])
    rows = np.arange(len(order))
    small = len(order) > style.NAMED
    has_own = np.isfinite(own)
    steps = np.stack([np.column_stack([own, rows]), np.column_stack([estimate, rows])], axis=1)[has_own]
    axes.add_collection(LineCollection(list(steps), colors=style.OWN, linewidths=0.4 if small else 0.9, alpha=0.6))
    _points(axes, own, rows, "own least squares", "own")
    _points(axes, estimate, rows, comparison.estimate.method.upper(), "estimate")
    _points(axes, posterior, rows, "posterior mean", "posterior")
    axes.axvline(pooled.population[k], color=style.POPULATION, linewidth=1.3, label="population", zorder=1)
    outside = _frame(axes.set_xlim, own, np.append(np.concatenate([estimate, posterior]), pooled.population[k]))
    labels = style.names(random.levels[order], LONGEST if len(random.names) > 1 else style.LONGEST_NAME)
    style.level_axis(axes, labels, style.name(random.group) if k == 0 or small else "")
    axes.set_xlabel(style.name(random.names[k], 18) + outside)
    if small:
        _name_ends(axes, estimate, labels)


def _points(axes: Axes, x: np.ndarray, y: np.ndarray, label: str, kind: str) -> None:
    """Ring for the point estimate, dot inside it for the posterior: both are seen where they coincide."""
    shrink = _point_area(len(x))
    filled: dict[str, Any] = {"linewidths": 0, "zorder": 2}
    looks: dict[str, dict[str, Any]] = {
        "own": {**filled, "s": 13 * shrink, "color": style.OWN},
        "estimate": {"s": 42 * shrink, "facecolors": "none", "edgecolors": style.ESTIMATE, "zorder": 3},
        "posterior": {**filled, "s": 13 * shrink, "color": style.POSTERIOR, "zorder": 4},
    }
    width = {"linewidths": 1.2 * np.sqrt(shrink)} if kind == "estimate" else {}
    axes.scatter(x, y, label=label, **looks[kind], **width)


def _point_area(levels: int) -> float:
    """Relative area of a point: many levels need small ones."""
    return max(0.12, min(1.0, style.NAMED / levels))


def _frame(set_limits: Callable[[float, float], Any], own: np.ndarray, inside: np.ndarray) -> str:
    """Set limits that hold all pooled values and all but far-out own estimates; say how many are not in the picture."""
    own = own[np.isfinite(own)]
    low, high = inside.min(), inside.max()
    if len(own):
        first, third = np.quantile(own, [0.25, 0.75])
        reach = FAR * (third - first) + (high - low)
        near = own[(own >= min(first, low) - reach) & (own <= max(third, high) + reach)]
        low, high = min(low, near.min(initial=low)), max(high, near.max(initial=high))
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    set_limits(low - margin, high + margin)
    out = int(((own < low) | (own > high)).sum())
    return f"\n({out} own estimate{'s' if out > 1 else ''} outside)" if out else ""


def _name_ends(axes: Axes, x: np.ndarray, labels: list[str]) -> None:
    """Names of the lowest and highest levels, stacked beside their ends, on the side where sorting leaves room."""
    low, high = axes.get_xlim()
    gap, aside, last = len(labels) / 26, 0.25 * (high - low), len(labels) - 1
    looks = {"va": "center", "fontsize": 8, "zorder": 6}
    line = {"arrowstyle": "-", "color": style.OWN, "linewidth": 0.5, "shrinkB": 3}
    for step in range(LABELS // 2):
        place = (x[step] + aside, step * gap)
        axes.annotate(labels[step], (x[step], step), place, ha="left", arrowprops=line, **looks)
        place = (x[last - step] - aside, last - step * gap)
        axes.annotate(labels[last - step], (x[last - step], last - step), place, ha="right", arrowprops=line, **looks)


def _draw_plane(axes: Axes, comparison: SideBySide, at: int, pooled: Pooled) -> None:
    """Two coefficients: arrows from own least squares to the point estimate and on to the posterior mean."""
    random = comparison.estimate.model.design.random_effects[at]
    own, estimate, posterior = (values[:, :2] for values in pooled[:3])
    method, ellipse = comparison.estimate.method.upper(), _ellipse(comparison, at, pooled.population)
    small = len(own) > style.NAMED
    moved = np.isfinite(own).all(axis=1)
    start, step = own[moved], (estimate - own)[moved]
    axes.quiver(
        *start.T, *step.T, angles="xy", scale_units="xy", scale=1.0, color=style.OWN, alpha=0.6,
        width=0.0018 if small else 0.0032, headwidth=6.5, headlength=9, headaxislength=8, minlength=0.1, zorder=2,
    )  # fmt: skip
    axes.add_collection(
        LineCollection(list(np.stack([estimate, posterior], axis=1)), colors=style.POSTERIOR, linewidths=0.8)
    )
    _points(axes, own[:, 0], own[:, 1], "own least squares", "own")
    _points(axes, estimate[:, 0], estimate[:, 1], method, "estimate")
    _points(axes, posterior[:, 0], posterior[:, 1], "posterior mean", "posterior")
    around = f"95% of levels ({method})"
    axes.plot(*ellipse, color=style.ESTIMATE, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1, label=around)
    axes.plot(*pooled.population[:2], "P", color=style.POPULATION, markersize=11, markeredgecolor="white", zorder=5)
    pooled_points = np.vstack([estimate, posterior, pooled.population[None, :2], ellipse.T])
    outside = [
        _frame(set_limits, own[:, k], pooled_points[:, k])
        for k, set_limits in enumerate((axes.set_xlim, axes.set_ylim))
    ]
    axes.set_xlabel(style.name(random.names[0], 30) + outside[0])
    axes.set_ylabel(style.name(random.names[1], 30) + outside[1])
    inside = moved & (own > _limits(axes)[:, 0]).all(axis=1) & (own < _limits(axes)[:, 1]).all(axis=1)
    _name_far(axes, np.where(inside[:, None], own, posterior), pooled.population[:2], style.names(random.levels))


def _ellipse(comparison: SideBySide, at: int, population: np.ndarray) -> np.ndarray:
    """The curve (2, 181) that holds 95 percent of levels by the point estimate; a line where the fit is singular."""
    factor = comparison.estimate.arrays.terms[at].factor[:2, :2]
    angle = np.linspace(0.0, 2.0 * np.pi, 181)
    radius = np.sqrt(
        -2.0 * np.log(0.05)
    )  # the 95 percent quantile of a chi-squared with 2 degrees of freedom is its square
    return population[:2, None] + radius * factor @ np.vstack([np.cos(angle), np.sin(angle)])


def _limits(axes: Axes) -> np.ndarray:
    return np.array([axes.get_xlim(), axes.get_ylim()])


def _name_far(axes: Axes, points: np.ndarray, centre: np.ndarray, labels: list[str]) -> None:
    """Names of the levels furthest from the population, outward of their points; none where it would meet another."""
    limits = _limits(axes)
    places = (points - limits[:, 0]) / np.ptp(limits, axis=1)
    away = places - (centre - limits[:, 0]) / np.ptp(limits, axis=1)
    taken: list[tuple[float, float]] = []
    for j in np.argsort(-np.hypot(*away.T), kind="stable")[: 3 * LABELS]:
        length = 0.02 * len(labels[j])
        right = away[j, 0] >= 0 if 0.02 + length < min(places[j, 0], 1 - places[j, 0]) else places[j, 0] < 0.5
        middle = places[j, 0] + (length / 2 if right else -length / 2), places[j, 1]
        if len(taken) == LABELS or any(abs(middle[0] - x) < 0.16 and abs(middle[1] - y) < 0.05 for x, y in taken):
            continue
        taken.append(middle)
        up = away[j, 1] >= 0
        axes.annotate(
            labels[j],
            (points[j, 0], points[j, 1]),
            (6 if right else -6, 4 if up else -4),
            textcoords="offset points",
            ha="left" if right else "right",
            va="bottom" if up else "top",
            fontsize=8.5,
            zorder=6,
        )
