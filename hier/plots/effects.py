"""Caterpillar plots of the group deviations."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hier.design import RandomEffects
from hier.errors import ModelError
from hier.model.grouping_factor import find_factor
from hier.plots import style
from hier.plots.which_factor import by_level
from hier.pooling import SideBySide
from hier.settings import of_kind

NORMAL = 1.959963984540054  # 97.5 percent quantile of the Normal distribution
APART = 0.18  # half the distance, in rows, between a level's two intervals


@style.styled
def plot_group_effects(comparison: SideBySide, group: str | None = None) -> Figure:
    """The deviation of each level from the population, by both, sorted by the posterior mean.

    The point estimate's conditional mode ± 1.96 standard errors, and the posterior's mean and central 95 percent. Of
    more than 60 levels an even selection is shown. With several grouping factors the levels are those of `group`, by
    default of the one with the most. Raises ModelError for a grouping factor that the model does not have.
    """
    model = of_kind("plot_group_effects", comparison, SideBySide, ModelError).estimate.model
    factor = find_factor(model, group)
    random, drawn = model.design.random_effects[factor], comparison.posterior.groups[factor].variables.b
    q, count = len(random.names), random.n_levels
    shown = min(count, style.NAMED)
    across = min(q, 3)
    height = -(-q // across) * style.level_height(shown) + 0.3
    figure = style.picture(height, f"Deviations of {style.of_levels(shown, count, random.group)}")
    panels = style.grid(figure, q, across)
    for k, axes in enumerate(panels):
        _draw_column(axes, comparison, random, k, comparison.posterior.draws[drawn][..., k])
    style.legend(figure, panels[0])
    return figure


def _draw_column(axes: Axes, comparison: SideBySide, random: RandomEffects, k: int, draws: np.ndarray) -> None:
    mode, se, mean = (by_level(comparison.table, c, random)[:, k] for c in ("mode", "mode_se", "posterior_mean"))
    shown = style.spread(np.argsort(mean, kind="stable"), style.NAMED)
    rows = np.arange(len(shown))
    low, high = np.quantile(draws[:, :, shown].reshape(-1, len(shown)), [0.025, 0.975], axis=0)
    size, width = (5.0, 1.7) if len(shown) <= 25 else (3.2, 1.1)
    method = comparison.estimate.method.upper()
    axes.axvline(0.0, color=style.POPULATION, linewidth=1.0, zorder=1, label="population")
    above, below = rows + APART, rows - APART
    axes.hlines(above, (mode - NORMAL * se)[shown], (mode + NORMAL * se)[shown], color=style.ESTIMATE, linewidth=width)
    axes.plot(
        mode[shown], above, "o", color=style.ESTIMATE, fillstyle="none", markersize=size, label=f"{method} ± 1.96 se"
    )
    axes.hlines(below, low, high, color=style.POSTERIOR, linewidth=width)
    axes.plot(mean[shown], below, "o", color=style.POSTERIOR, markersize=size, label="posterior mean, 95% interval")
    style.level_axis(axes, style.names(random.levels[shown]), style.name(random.group) if k == 0 else "")
    axes.set_xlabel(f"deviation in {style.name(random.names[k], 30)}")
