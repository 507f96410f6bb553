"""Expected responses along the variables of the fixed effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hier.errors import ModelError
from hier.estimate.effect_verbs import EffectVerbs
from hier.plots import style
from hier.settings import written

MOST_LEVELS = 30  # of a factor whose levels are named along the axis


@style.styled
def plot_conditional_effects(
    result: EffectVerbs, effects: Any = None, *, resolution: int = 100, kind: str = "mean", level: float = 0.95
) -> Figure:
    """A panel for each effect that `conditional_effects` of an estimate or a posterior gives: the expected response
    along a numeric variable with its interval as a band, at the levels of a factor with intervals as lines; of two
    variables a curve for each value of the second. Raises FitError for effects that the model does not have.
    """
    if not isinstance(result, EffectVerbs):
        raise ModelError(
            "plot_conditional_effects needs an Estimate or a Posterior",
            found=written(result),
            expected="what model.estimate() or model.sample() gives",
        )
    tables = result.conditional_effects(effects, resolution=resolution, kind=kind, level=level)
    across = min(len(tables), 2)
    figure = style.picture(-(-len(tables) // across) * 2.6 + 0.3, f"Conditional effects, {100 * level:g}% intervals")
    panels = style.grid(figure, len(tables), across)
    response = result.model.design.response  # type: ignore[attr-defined]
    for axes, (effect, table) in zip(panels, tables.items(), strict=True):
        _draw(axes, effect.split(":"), table)
        axes.set_ylabel(style.name(response) if kind == "mean" else "linear predictor")
    return figure


def _draw(axes: Axes, names: list[str], table: pd.DataFrame) -> None:
    """One effect: a curve, or with a second variable one for each of its values."""
    parts = [(None, table)] if len(names) == 1 else list(table.groupby(names[1], observed=True, sort=False))
    colours = [style.POSTERIOR] if len(parts) == 1 else style.chain_colours(len(parts))
    for k, ((value, own), colour) in enumerate(zip(parts, colours, strict=True)):
        label = None if value is None else style.name(f"{value:.3g}" if isinstance(value, float) else value)
        _draw_part(axes, own, names[0], colour, label, (k - (len(parts) - 1) / 2) * 0.6 / len(parts))
    axes.set_xlabel(style.name(names[0]))
    if len(parts) > 1:
        axes.legend(title=style.name(names[1]), fontsize="small")


def _draw_part(axes: Axes, own: pd.DataFrame, name: str, colour: Any, label: str | None, aside: float) -> None:
    x, low, high = own[name], own["conf_low"].to_numpy(float), own["conf_high"].to_numpy(float)
    fit = own["estimate"].to_numpy(float)
    if pd.api.types.is_numeric_dtype(x) and len(x) > 2:
        axes.plot(x, fit, color=colour, label=label)
        axes.fill_between(x.to_numpy(float), low, high, color=colour, alpha=0.2, linewidth=0.0)
        return
    places = np.arange(len(x)) + aside
    axes.vlines(places, low, high, color=colour)
    axes.plot(places, fit, "o", color=colour, label=label)
    if len(x) <= MOST_LEVELS:
        axes.set_xticks(np.arange(len(x)), style.names(x))
