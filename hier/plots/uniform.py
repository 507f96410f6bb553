"""Are numbers between 0 and 1 uniform? Their empirical distribution less the uniform one, with a band."""

from __future__ import annotations

import functools

import numpy as np
from matplotlib.axes import Axes

from hier.plots import style

POINTS = 100
REPLICATES = 1000


def draw_ecdf(axes: Axes, values: np.ndarray, colour: str, label: str) -> None:
    """The difference line of these values and the band within which that of uniform ones stays, at all points at once,
    with probability 0.95. Source: Säilynoja, Bürkner and Vehtari (2022), Stat. Comput. 32, 32, the band by simulation.
    """
    at = np.linspace(0.0, 1.0, POINTS + 1)[1:-1]
    half = uniform_band(len(values))
    axes.fill_between(at, -half, half, color="#DDDDDD", linewidth=0, label="where uniform numbers stay (95%)")
    axes.axhline(0.0, color=style.POPULATION, linewidth=0.8)
    axes.plot(at, _ecdf(np.sort(values)[None], at)[0] - at, color=colour, linewidth=1.4, label=label)
    axes.set_xlim(0.0, 1.0)


@functools.lru_cache(32)
def uniform_band(n: int) -> np.ndarray:
    """The half-width at each point."""
    at = np.linspace(0.0, 1.0, POINTS + 1)[1:-1]
    random = np.random.default_rng(0)
    sd = np.sqrt(at * (1.0 - at) / n)
    largest = [np.abs((_ecdf(np.sort(random.random((1, n))), at)[0] - at) / sd).max() for _ in range(REPLICATES)]
    return np.quantile(largest, 0.95) * sd


def _ecdf(ordered: np.ndarray, at: np.ndarray) -> np.ndarray:
    return np.stack([np.searchsorted(own, at, side="right") for own in ordered]) / ordered.shape[1]
