"""Residuals and calibration, of estimates and of posteriors."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hier.errors import ModelError
from hier.estimate import Estimate
from hier.plots import style
from hier.plots.uniform import draw_ecdf
from hier.posterior import Posterior
from hier.settings import SEED, check, of_kind

QUARTILES = (0.25, 0.5, 0.75)
BINS = 12  # of rows in the order of their predictions, of which quartiles are drawn
COLOURS = {Estimate: style.ESTIMATE, Posterior: style.POSTERIOR}


@style.styled
def plot_residuals(result: Estimate | Posterior, *, seed: int = 0) -> Figure:
    """Randomised quantile residuals: their empirical distribution less the uniform one, and the residuals by predicted
    response, with their quartiles, which lie at 0.25, 0.5 and 0.75 where the model is right.

    See `Estimate.quantile_residuals` and `Posterior.quantile_residuals`. Source: Hartig's R package DHARMa.
    """
    result = _result("plot_residuals", result)
    values = result.quantile_residuals(seed=check("seed", seed, SEED)).to_numpy()
    predicted = _predicted(result)
    figure = style.picture(4.2, "Randomised quantile residuals")
    left, right = style.grid(figure, 2, 2)
    draw_ecdf(left, values, COLOURS[type(result)], "residuals")
    left.set_xlabel("residual")
    left.set_ylabel("ECDF − uniform")
    _by_prediction(right, values, predicted, COLOURS[type(result)])
    style.legend(figure, left, right)
    return figure


@style.styled
def plot_calibration(result: Estimate | Posterior, *, seed: int = 0) -> Figure:
    """Predicted probabilities and observed frequencies of a response of 0 and 1, or of successes, by isotonic
    regression, with the band in which the line lies in 95 percent where the predictions are right.

    Source: Dimitriadis, Gneiting and Jordan (2021), PNAS 118(8), e2016191118. Raises FitError for other responses.
    """
    result = _result("plot_calibration", result)
    table = result.calibration(seed=check("seed", seed, SEED))
    figure = style.picture(5.0, "Calibration of predicted probabilities", 5.6)
    axes = style.grid(figure, 1, 1)[0]
    p = table["predicted"].to_numpy()
    axes.fill_between(
        p, table["lower"], table["upper"], color="#DDDDDD", linewidth=0, label="where it lies if right (95%)"
    )
    axes.plot([0, 1], [0, 1], color=style.POPULATION, linewidth=0.8)
    axes.plot(p, table["frequency"], color=COLOURS[type(result)], linewidth=1.6, label="observed frequency")
    axes.plot(p, np.full(len(p), -0.03), "|", color=style.OWN, markersize=5, alpha=0.4)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.06, 1.02)
    axes.set_aspect("equal")
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("observed frequency")
    style.legend(figure, axes)
    return figure


def _result(what: str, result: Estimate | Posterior) -> Estimate | Posterior:
    return result if type(result) is Estimate else of_kind(what, result, Posterior, ModelError)


def _predicted(result: Estimate | Posterior) -> np.ndarray:
    """Expected responses (n,): given the deviations of a posterior; without those of an estimate, whose residuals are
    among responses with new ones.
    """
    if isinstance(result, Posterior):
        return result.predict()["fit"].to_numpy()
    design = result.model.design
    fixed = design.X @ result.arrays.beta + (0.0 if design.offset is None else design.offset)
    return result.expected_response(fixed)


def _by_prediction(axes: Axes, values: np.ndarray, predicted: np.ndarray, colour: str) -> None:
    order = np.argsort(predicted, kind="stable")
    ranks = (np.argsort(order) + 0.5) / len(order)
    axes.plot(ranks, values, "o", color=style.OWN, markersize=3, alpha=0.5, markeredgewidth=0)
    pieces = np.array_split(order, max(2, min(BINS, len(order) // 8)))
    middles = [ranks[own].mean() for own in pieces]
    for k, share in enumerate(QUARTILES):
        axes.axhline(share, color=style.POPULATION, linewidth=0.8, linestyle=(0, (4, 3)))
        line = [np.quantile(values[own], share) for own in pieces]
        axes.plot(middles, line, color=colour, linewidth=1.5, label="quartiles of the residuals" if k == 0 else None)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("predicted response, rank / number")
    axes.set_ylabel("residual")
