"""Convergence diagnostics of arrays of draws; each is ArviZ's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np


def load_ahead() -> None:
    """Import ArviZ in a thread, while the draws that it is to diagnose are made: it takes half a second."""
    threading.Thread(target=_load, name="hier: import ArviZ").start()


def _load() -> None:
    import arviz_stats.base.array  # noqa: F401


def rhat(draws: np.ndarray) -> np.ndarray:
    """Rank-normalised split R-hat of draws (C, D, ...). Source: Vehtari et al. (2021), Bayesian Anal. 16, 667."""
    from arviz_stats.base.array import array_stats

    return _quietly(array_stats.rhat, draws, method="rank")


def ess_bulk(draws: np.ndarray) -> np.ndarray:
    """Effective sample size for the centre of the distribution, draws (C, D, ...). Source: Vehtari et al. (2021)."""
    from arviz_stats.base.array import array_stats

    return _quietly(array_stats.ess, draws, method="bulk")


def ess_tail(draws: np.ndarray) -> np.ndarray:
    """The smaller effective sample size of the 5 and 95 percent quantiles, draws (C, D, ...). Source: Vehtari et al.
    (2021).
    """
    from arviz_stats.base.array import array_stats

    return _quietly(array_stats.ess, draws, method="tail", prob=(0.05, 0.95))


def efficiency(draws: np.ndarray) -> float:
    """The effective sample size of a mean over the number of draws (C, D, m), on average over m variables; 1 of one
    chain. Source: Vehtari et al. (2024), appendix H.
    """
    from arviz_stats.base.array import array_stats

    if len(draws) == 1:
        return 1.0
    sizes = array_stats.ess(draws, chain_axis=0, draw_axis=1, method="mean")
    return float(np.mean(sizes)) / (draws.shape[0] * draws.shape[1])


def bfmi(energy: np.ndarray) -> np.ndarray:
    """Estimated Bayesian fraction of missing information of each chain, energy (C, D). Source: Betancourt (2016),
    arXiv:1604.00695.
    """
    step = np.square(np.diff(energy, axis=1)).mean(axis=1)
    return step / np.var(energy, axis=1)


def _quietly(diagnostic: Callable[..., Any], draws: np.ndarray, **options: Any) -> np.ndarray:
    """Of every scalar in the trailing dimensions; NaN where the draws do not vary, as on the diagonal of a
    correlation matrix.
    """
    shape = draws.shape[2:]
    flat = draws.reshape(*draws.shape[:2], -1)
    varies = np.ptp(flat, axis=(0, 1)) > 1e-12 * np.abs(flat).max(axis=(0, 1))
    values = np.full(flat.shape[-1], np.nan)
    if varies.any():
        values[varies] = diagnostic(flat[:, :, varies], chain_axis=0, draw_axis=1, **options)
    return values.reshape(shape)
