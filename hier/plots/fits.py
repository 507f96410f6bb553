"""Small multiples: some levels with their data and their lines by every way of pooling."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hier.errors import ModelError
from hier.plots import style
from hier.plots.lines import Held, covariate, hold, own_coefficients, path
from hier.pooling import Comparison
from hier.posterior import Posterior

ACROSS = 4
DRAWS_FOR_BAND = 1000


@style.styled
def plot_group_fits(comparison: Comparison, n: int = 12) -> Figure:
    """Data, own least squares, point estimate and posterior band of some levels, less the population's line.

    Up to `n` levels (12 at most), evenly chosen from the one whose line pooling moves most to the one that it moves
    least. The band is the central 95 percent of the posterior of the level's line, without the residual scatter.
    Raises ModelError where the model has no numeric covariate.
    """
    model = comparison.estimate.model
    column = covariate(model)
    if column is None:
        raise ModelError(
            "there is no numeric covariate to draw lines against",
            found=f"`{model.formula}`",
            expected="a numeric column, such as `week` in `weight ~ week + (week | id)`",
            hint="use plot_data, which shows the response by level",
        )
    random = model.design.random
    held = hold(model, column, by_level=True)
    own = _own_lines(comparison, held)
    shown = style.spread(np.argsort(-_moved(comparison, held, own), kind="stable"), max(1, min(n, 12)))
    across = min(ACROSS, len(shown))
    down = -(-len(shown) // across)
    which = style.of_levels(len(shown), random.n_levels, random.group)
    figure = style.picture(1.5 + 2.1 * down, f"{which}, from most to least pooled")
    panels = style.grid(figure, len(shown), across, sharex=True, sharey=True)
    for axes, level in zip(panels, shown, strict=True):
        _draw_level(axes, comparison, held, own, int(level))
        axes.set_title(style.name(random.levels[level]))
    style.legend(figure, *panels)
    difference = f"{style.name(model.design.response, 30)} − population"
    style.outer_labels(panels, across, style.name(column, 60), difference)
    return figure


def _own_lines(comparison: Comparison, held: Held) -> np.ndarray:
    """Fitted values (n,) without pooling; NaN where a level's rows do not determine its line."""
    design = comparison.estimate.model.design
    coefficients = own_coefficients(comparison.table["least_squares"].to_numpy(), design)
    return held.own(comparison.estimate.arrays.beta, coefficients, design.random.codes)


def _moved(comparison: Comparison, held: Held, own: np.ndarray) -> np.ndarray:
    """How far pooling moves each level's line (J,), root mean square over its rows; infinite without an own line."""
    estimate, codes = comparison.estimate, comparison.estimate.model.design.random.codes
    pooled = held.predict(estimate.arrays.beta, estimate.arrays.deviations, codes)
    square = np.bincount(codes, (own - pooled) ** 2) / np.bincount(codes)
    return np.sqrt(np.where(np.isnan(square), np.inf, square))


def _draw_level(axes: Axes, comparison: Comparison, held: Held, own: np.ndarray, level: int) -> None:
    """One level, less the population's line: beside a steep line the others could not be told apart."""
    estimate, design = comparison.estimate, comparison.estimate.model.design
    rows = design.random.codes == level
    x, population = held.x[rows], held.population(estimate.arrays.beta)[rows]
    pooled = held.predict(estimate.arrays.beta, estimate.arrays.deviations, design.random.codes)[rows]
    draws = _line_draws(comparison.posterior, held, rows, level) - population
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    band = np.column_stack([path(x, low), path(x, high)[:, 1]])
    axes.axhline(0.0, color=style.POPULATION, linewidth=1.0, label="population", zorder=1)
    axes.scatter(x, design.y[rows] - population, s=12, color=style.OWN, linewidths=0, zorder=3, label="data")
    if np.isfinite(own[rows]).all():
        line = path(x, own[rows] - population)
        axes.plot(*line.T, color="#6A6A6A", linewidth=1.3, linestyle=(0, (3, 2)), label="own least squares")
    single = {"marker": "o", "markersize": 4} if len(band) == 1 else {}  # at one place there is no line to see
    line = path(x, pooled - population)
    axes.plot(*line.T, color=style.ESTIMATE, linewidth=1.7, label=estimate.method.upper(), **single)
    width = 4.0 if single else 0.0
    axes.fill_between(*band.T, color=style.POSTERIOR, alpha=0.28, linewidth=width, label="posterior, 95%")


def _line_draws(posterior: Posterior, held: Held, rows: np.ndarray, level: int) -> np.ndarray:
    """Draws (S, rows) of one level's line, evenly thinned."""
    beta = posterior.draws["beta"].reshape(-1, len(posterior.coef_names))
    deviations = posterior.draws[f"b_{posterior.group}"][:, :, level].reshape(len(beta), -1)
    keep = style.spread(np.arange(len(beta)), DRAWS_FOR_BAND)
    return beta[keep] @ held.X[rows].T + deviations[keep] @ held.Z[rows].T + held.offset[rows]
