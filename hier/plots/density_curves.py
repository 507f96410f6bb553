"""Posterior densities of the parameters, with the point estimates."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from hier.errors import ModelError
from hier.plots import style
from hier.plots.drawn_parameters import DrawnParameter, parameters, ranges_of
from hier.pooling import SideBySide
from hier.settings import of_kind

ACROSS = 3
POINTS = 256
FOOT = -0.10  # where intervals lie, in heights of the density
LEAST_SPREAD = 1e-9  # of the largest draw: less is a constant, which has no density


@style.styled
def plot_parameters(comparison: SideBySide) -> Figure:
    """The posterior density of each parameter with its mean and 95 percent interval, and the point estimate.

    Fixed effects have the estimate's 95 percent interval too, a t interval on Satterthwaite's degrees of freedom.
    """
    estimate = of_kind("plot_parameters", comparison, SideBySide, ModelError).estimate
    found = parameters(comparison.posterior, ranges_of(estimate.model))
    point = comparison.parameters["estimate"].to_numpy(dtype=float)
    interval = fixed_intervals(comparison)
    figure = style.picture(1.3 + 2.1 * -(-len(found) // ACROSS), "Parameters")
    panels = style.grid(figure, len(found), min(ACROSS, len(found)))
    for k, (axes, parameter) in enumerate(zip(panels, found, strict=True)):
        _draw_posterior(axes, parameter)
        _draw_estimate(axes, point[k], interval[k] if k < len(interval) else None, estimate.method.upper())
        axes.set_title(parameter.label)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    style.legend(figure, panels[0])
    return figure


def fixed_intervals(comparison: SideBySide) -> np.ndarray:
    """95 percent t intervals (p, 2) of the fixed effects by the point estimate."""
    table = comparison.estimate.coefficients
    df = table["df"].to_numpy(dtype=float)
    quantile = np.where(np.isfinite(df), stats.t.ppf(0.975, np.where(np.isfinite(df), df, 1.0)), stats.norm.ppf(0.975))
    half = quantile * table["std_error"].to_numpy()
    return table["estimate"].to_numpy()[:, None] + np.column_stack([-half, half])


def density(parameter: DrawnParameter) -> tuple[np.ndarray, np.ndarray] | None:
    """A kernel density estimate, reflected at the ends of the parameter's range; None where the draws do not vary."""
    flat = parameter.draws.ravel()
    if np.ptp(flat) <= LEAST_SPREAD * np.abs(flat).max():
        return None
    kernel = stats.gaussian_kde(flat)
    reach = 3.0 * float(np.sqrt(kernel.covariance[0, 0]))
    x = np.linspace(max(flat.min() - reach, parameter.low), min(flat.max() + reach, parameter.high), POINTS)
    y = kernel(x)
    for end in (parameter.low, parameter.high):
        if np.isfinite(end):  # what the kernel puts beyond an end belongs on this side of it
            y = y + kernel(2.0 * end - x)
    return x, y


def _draw_posterior(axes: Axes, parameter: DrawnParameter) -> None:
    flat = parameter.draws.ravel()
    curve = density(parameter)
    top = 1.0
    if curve is not None:
        x, y = curve
        top = y.max()
        axes.fill_between(x, y / top, color=style.POSTERIOR, alpha=0.25, linewidth=0)
        axes.plot(x, y / top, color=style.POSTERIOR, linewidth=1.4, label="posterior density")
    low, high = np.quantile(flat, [0.025, 0.975])
    axes.plot(
        [low, high], [FOOT, FOOT], color=style.POSTERIOR, linewidth=2.6, solid_capstyle="butt", label="95% interval"
    )
    axes.plot(flat.mean(), FOOT, "o", color=style.POSTERIOR, markersize=6, label="posterior mean")
    axes.set_ylim(3.4 * FOOT, 1.06)


def _draw_estimate(axes: Axes, point: float, interval: np.ndarray | None, method: str) -> None:
    if np.isnan(point):
        axes.text(
            0.98, 0.96, f"{method}: not defined", transform=axes.transAxes, ha="right", va="top", color=style.ESTIMATE
        )
        return
    axes.axvline(point, color=style.ESTIMATE, linewidth=1.6, linestyle=(0, (5, 2)), label=method)
    if interval is not None:
        foot = [2.2 * FOOT, 2.2 * FOOT]
        axes.plot(
            interval, foot, color=style.ESTIMATE, linewidth=2.6, solid_capstyle="butt", label=f"{method}, 95% interval"
        )
