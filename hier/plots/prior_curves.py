"""The priors of a model, as densities."""

from __future__ import annotations

from matplotlib.figure import Figure

from hier.errors import ModelError
from hier.model import Specification
from hier.plots import style
from hier.posterior.prior_density import prior_curves
from hier.settings import of_kind

ACROSS = 3


@style.styled
def plot_priors(model: Specification) -> Figure:
    """The density of each prior between its 0.5 and 99.5 percent quantiles, as `Model.prior_table` lists them; a flat
    prior has none. Priors of correlation matrices are drawn as those of one correlation.
    """
    curves = prior_curves(of_kind("plot_priors", model, Specification, ModelError))
    across = min(ACROSS, len(curves))
    figure = style.picture(1.0 + 2.0 * -(-len(curves) // across), "Priors")
    for axes, own in zip(style.grid(figure, len(curves), across), curves, strict=True):
        axes.fill_between(own.x, own.density, color=style.OWN, alpha=0.35, linewidth=0)
        axes.plot(own.x, own.density, color=style.POPULATION, linewidth=1.2)
        axes.set_title(f"{style.name(own.name, 30)}\n{style.name(own.words, 44)}", fontsize=9.0)
        axes.set_ylim(bottom=0.0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    return figure
