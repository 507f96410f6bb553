"""Small multiples: some levels with their data and their lines by every way of pooling."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hier.design import RandomEffects
from hier.errors import ModelError
from hier.model.grouping_factor import find_factor
from hier.plots import style
from hier.plots.lines import HeldLevels, covariate, hold_levels, path
from hier.plots.which_factor import by_level
from hier.pooling import SideBySide
from hier.pooling.least_squares import explained_by_others
from hier.settings import COUNT, check, of_kind

ACROSS = 4
DRAWS_FOR_BAND = 1000


@style.styled
def plot_group_fits(comparison: SideBySide, n: int = 12, group: str | None = None) -> Figure:
    """Data, own least squares, point estimate and posterior band of some levels, less the population's line; where the
    expected response is not its linear predictor, on the scale of the response, with the population's curve.

    Up to `n` levels (12 at most), evenly chosen from the one whose line pooling moves most to the one that it moves
    least. The band is the central 95 percent of the posterior of the level's line, without the residual scatter.
    With several grouping factors the levels are those of `group`, by default of the one with the most. The other
    factors' deviations, at their conditional modes, are then taken off the data; the posterior's line has them at their
    means over the level's rows, less the same of the modes. On the scale of the response all lines have them at these
    means.
    Raises ModelError where the model has no numeric covariate, and for a grouping factor that it does not have.
    """
    model = of_kind("plot_group_fits", comparison, SideBySide, ModelError).estimate.model
    k = find_factor(model, group)
    random = model.design.random_effects[k]
    column = covariate(model, random.group)
    if column is None:
        raise ModelError(
            "there is no numeric covariate to draw lines against",
            found=f"`{model.formula}`",
            expected="a numeric column, such as `week` in `weight ~ week + (week | id)`",
            hint="use plot_data, which shows the response by level",
        )
    found = (_differences if model.mean_is_predictor else _curves)(comparison, column, k)
    shown = style.spread(np.argsort(-found.moved(random), kind="stable"), min(check("n", n, COUNT), 12))
    across = min(ACROSS, len(shown))
    down = -(-len(shown) // across)
    which = style.of_levels(len(shown), random.n_levels, random.group)
    figure = style.picture(1.5 + 2.1 * down, f"{which}, from most to least pooled")
    panels = style.grid(figure, len(shown), across, sharex=True, sharey=True)
    for axes, level in zip(panels, shown, strict=True):
        _draw_level(axes, comparison, found, random, int(level))
        axes.set_title(style.name(random.levels[level]))
    style.legend(figure, *panels)
    response = style.name(model.design.response, 30)
    if model.mean_is_predictor:
        response += " − population" + ("\n− other factors" if len(model.design.random_effects) > 1 else "")
    style.outer_labels(panels, across, style.name(column, 60), response)
    return figure


class LevelLines(NamedTuple):
    """What is drawn of the levels: less the population's line and the other factors, since beside a steep line the
    others could not be told apart; or on the scale of the response, where differences of curves mean little.

    `held`; `population` (n,): its curve, None where it is taken off; `data`; `own` without pooling, NaN where a level's
    rows do not determine its line; `pooled` by the point estimate. `taken_off` (n,): what draws of a level's line are
    reduced by.
    """

    held: HeldLevels
    population: np.ndarray | None
    taken_off: np.ndarray
    data: np.ndarray
    own: np.ndarray
    pooled: np.ndarray

    def moved(self, random: RandomEffects) -> np.ndarray:
        """How far pooling moves each level's line (J,), root mean square over its rows; infinite without an own
        line.
        """
        square = np.bincount(random.codes, (self.own - self.pooled) ** 2) / random.rows_per_level
        return np.sqrt(np.where(np.isnan(square), np.inf, square))


def _differences(comparison: SideBySide, column: str, k: int) -> LevelLines:
    """Where deviations add to the expected response: all of it less the population's line."""
    model, arrays = comparison.estimate.model, comparison.estimate.arrays
    design, modes = model.design, [term.deviations for term in arrays.terms]
    held = hold_levels(model, column, k)
    coefficients = by_level(comparison.table, "least_squares", design.random_effects[k])
    population = held.fixed.population(arrays.beta)
    return LevelLines(
        held=held,
        population=None,
        taken_off=population + held.around_each(modes),
        data=design.y - explained_by_others(design, k, modes) - population,
        own=held.own(arrays.beta, coefficients) - population,
        pooled=held.predict(arrays.beta, modes[k]) - population,
    )


def _curves(comparison: SideBySide, column: str, k: int) -> LevelLines:
    """Everything on the scale of the response."""
    estimate = comparison.estimate
    arrays, random = estimate.arrays, estimate.model.design.random_effects[k]
    held = hold_levels(estimate.model, column, k)
    modes = [term.deviations for term in arrays.terms]
    around = held.around_each(modes)
    coefficients = by_level(comparison.table, "least_squares", random)
    return LevelLines(
        held=held,
        population=estimate.expected_response(held.fixed.population(arrays.beta) + around),
        taken_off=np.zeros(estimate.nobs),
        data=estimate.model.design.observed,
        own=estimate.expected_response(held.own(arrays.beta, coefficients) + around),
        pooled=estimate.expected_response(held.predict(arrays.beta, modes[k]) + around),
    )


def _draw_level(axes: Axes, comparison: SideBySide, found: LevelLines, random: RandomEffects, level: int) -> None:
    rows = random.codes == level
    x, own = found.held.fixed.x[rows], found.own[rows]
    draws = _line_draws(comparison, found, random.group, level)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    band = np.column_stack([path(x, low), path(x, high)[:, 1]])
    black = {"color": style.POPULATION, "linewidth": 1.0, "label": "population", "zorder": 1}
    if found.population is None:
        axes.axhline(0.0, **black)
    else:
        axes.plot(*path(x, found.population[rows]).T, **black)
    axes.scatter(x, found.data[rows], s=12, color=style.OWN, linewidths=0, zorder=3, label="data")
    if np.isfinite(own).all():
        axes.plot(*path(x, own).T, color="#6A6A6A", linewidth=1.3, linestyle=(0, (3, 2)), label="own least squares")
    single = {"marker": "o", "markersize": 4} if len(band) == 1 else {}  # at one place there is no line to see
    method = comparison.estimate.method.upper()
    axes.plot(*path(x, found.pooled[rows]).T, color=style.ESTIMATE, linewidth=1.7, label=method, **single)
    width = 4.0 if single else 0.0
    axes.fill_between(*band.T, color=style.POSTERIOR, alpha=0.28, linewidth=width, label="posterior, 95%")


def _line_draws(comparison: SideBySide, found: LevelLines, group: str, level: int) -> np.ndarray:
    """Draws (S, rows) of one level's line, evenly thinned."""
    posterior, held = comparison.posterior, found.held
    rows, beta = held.codes == level, _thinned(posterior.beta)
    deviations = [_thinned(posterior.draws[other.variables.b]) for other in posterior.groups]
    own = next(b for b, other in zip(deviations, posterior.groups, strict=True) if other.name == group)[:, level]
    line = beta @ held.fixed.X[rows].T + held.fixed.offset[rows] + own @ held.Z[rows].T
    return comparison.estimate.expected_response(line + held.around(level, deviations), rows) - found.taken_off[rows]


def _thinned(draws: np.ndarray) -> np.ndarray:
    """Draws (C, D, ...) as (S, ...), evenly thinned; a view, since the deviations of many levels are large."""
    flat = draws.reshape(-1, *draws.shape[2:])
    return flat[:: -(-len(flat) // DRAWS_FOR_BAND)]
