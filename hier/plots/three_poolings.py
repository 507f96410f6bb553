"""Complete, no and partial pooling in one picture."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from hier.errors import ModelError
from hier.plots import style
from hier.pooling.three import Pooling
from hier.settings import COUNT, check, of_kind

LOOKS = {
    "none": (style.OWN, "o", "no pooling: the level alone"),
    "partial": (style.ESTIMATE, "D", "partial pooling: the mixed model"),
}


@style.styled
def plot_pooling(pooling: Pooling, n: int = 30) -> Figure:
    """Each level's coefficients without pooling and with partial pooling, with 95 percent intervals, and the line of
    complete pooling with its own.

    Of more than `n` levels an even selection, from the smallest coefficient to the largest. Levels that have no
    regression of their own show partial pooling alone.
    """
    pooling = of_kind("plot_pooling", pooling, Pooling, ModelError)
    group, table = pooling.none.group, pooling.table
    names, levels = list(pooling.none.rows.names), pooling.none.rows.levels
    order = np.argsort(table.xs(names[-1], level="term")["partial"].to_numpy(), kind="stable")
    shown = style.spread(order, check("n", n, COUNT))
    which = style.of_levels(len(shown), len(levels), group)
    figure = style.picture(max(3.6, style.level_height(len(shown))), f"Three poolings: {which}")
    places = np.arange(len(shown))
    panels = style.grid(figure, len(names), len(names), sharey=True)
    for axes, name in zip(panels, names, strict=True):
        own = table.xs(name, level="term").iloc[shown]
        middle, se = own["complete"].iloc[0], own["complete_se"].iloc[0]
        axes.axvspan(middle - 1.96 * se, middle + 1.96 * se, color=style.POPULATION, alpha=0.12, linewidth=0)
        axes.axvline(middle, color=style.POPULATION, linewidth=1.6, label="complete pooling: the groups ignored")
        for shift, (kind, (colour, marker, label)) in zip((-0.16, 0.16), LOOKS.items(), strict=True):
            half = 1.96 * own[f"{kind}_se"].to_numpy()
            axes.errorbar(
                own[kind], places + shift, xerr=half, fmt=marker, color=colour, markersize=4, linewidth=1.0, label=label
            )
        axes.set_xlabel(style.name(name))
    style.level_axis(panels[0], style.names(levels[shown]), style.name(group))
    style.legend(figure, *panels)
    return figure
