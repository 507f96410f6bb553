"""Do the chains agree? Rank plots and traces.

Drawn with matplotlib alone: arviz-plots takes seconds to import, brings a style of its own, and its rank plot draws a
band that does not know that the chains share one set of ranks. The rank plot here is the same picture as ArviZ's,
with a band that does.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import rankdata

from hier.errors import ModelError
from hier.plots import style
from hier.plots.drawn_parameters import DrawnParameter, parameters
from hier.posterior import Posterior
from hier.settings import of_kind

ACROSS = 3
THRESHOLDS = 50
REPLICATES = 400  # shuffles of the ranks, from which the band is found


@style.styled
def plot_ranks(posterior: Posterior) -> Figure:
    """Rank plots of fixed effects, sds, correlations and sigma: ECDF of the ranks by chain, less the uniform one.

    Each draw is ranked among the draws of all chains. Where the chains have mixed, a chain's ranks are uniform and its
    line stays within the grey band, with probability 0.95 for all chains and ranks at once.
    Source: Säilynoja, Bürkner and Vehtari (2022), Stat. Comput. 32, 32, section 2.2, the band by shuffling.
    """
    found = parameters(of_kind("plot_ranks", posterior, Posterior, ModelError))
    chains, draws = posterior.settings.chains, posterior.settings.draws
    at = np.linspace(0.0, 1.0, THRESHOLDS + 1)[1:-1]
    band = _band(chains, draws, at)
    figure = style.picture(1.3 + 1.9 * -(-len(found) // ACROSS), "Ranks of the draws, by chain")
    panels = style.grid(figure, len(found), min(ACROSS, len(found)), sharex=True, sharey=True)
    for axes, parameter in zip(panels, found, strict=True):
        axes.fill_between(at, -band, band, color="#DDDDDD", linewidth=0, label="where mixed chains stay (95%)")
        difference = rank_ecdf(parameter.draws, at) - at
        for chain, colour in enumerate(style.chain_colours(chains)):
            axes.plot(at, difference[chain], color=colour, linewidth=1.1, label=f"chain {chain}")
        axes.set_title(parameter.label)
        axes.set_xlim(0.0, 1.0)
    style.legend(figure, panels[0])
    style.outer_labels(panels, min(ACROSS, len(found)), "rank among all draws / number", "ECDF − uniform")
    return figure


def rank_ecdf(draws: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Share of each chain's draws (C, D) whose rank among all draws is at most the fraction `at` (m,): (C, m)."""
    ranks = np.sort(rankdata(draws).reshape(draws.shape) / draws.size, axis=1)
    return np.stack([np.searchsorted(chain, at, side="right") for chain in ranks]) / draws.shape[1]


def _band(chains: int, draws: int, at: np.ndarray) -> np.ndarray:
    """Half-width (m,) within which all chains stay at all of `at` with probability 0.95, were the draws independent.

    Among N ranks shuffled over the chains, the count of a chain's ranks below a threshold is hypergeometric; the
    half-width is the same number of its standard deviations everywhere.
    """
    if chains == 1:
        return np.zeros_like(at)  # one chain has all of the ranks
    total = chains * draws
    sd = np.sqrt(at * (1 - at) * (chains - 1) * draws / ((total - 1) * draws))
    random = np.random.default_rng(0)
    worst = [
        (np.abs(rank_ecdf(random.permutation(total).reshape(chains, draws) + 1.0, at) - at) / sd).max()
        for _ in range(REPLICATES)
    ]
    return np.quantile(worst, 0.95) * sd


@style.styled
def plot_trace(posterior: Posterior) -> Figure:
    """Draws in their order, by chain, of fixed effects, standard deviations, correlations and sigma.

    Divergent draws have a mark at the foot of each panel.
    """
    found = parameters(of_kind("plot_trace", posterior, Posterior, ModelError))
    figure = style.picture(1.3 + 1.55 * -(-len(found) // 2), "Draws in order, by chain")
    panels = style.grid(figure, len(found), min(2, len(found)), sharex=True)
    for axes, parameter in zip(panels, found, strict=True):
        _draw_trace(axes, parameter, posterior.stats.get("diverging"))
    style.legend(figure, panels[0])
    style.outer_labels(panels, min(2, len(found)), "draw", "")
    return figure


def _draw_trace(axes: Axes, parameter: DrawnParameter, diverging: np.ndarray | None) -> None:
    for chain, colour in enumerate(style.chain_colours(len(parameter.draws))):
        # thousands of crossing lines are smaller, and look the same, as pixels
        axes.plot(
            parameter.draws[chain], color=colour, linewidth=0.5, alpha=0.75, label=f"chain {chain}", rasterized=True
        )
    where = () if diverging is None else np.flatnonzero(diverging.any(axis=0))
    if len(where):
        foot = np.full(len(where), 0.0)
        axes.plot(
            where, foot, "|", color="#CC0000", transform=axes.get_xaxis_transform(), label="divergent", clip_on=False
        )
    axes.set_title(parameter.label)
    axes.set_xlim(0, parameter.draws.shape[1] - 1)
