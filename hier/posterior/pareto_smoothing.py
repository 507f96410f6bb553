"""Importance weights whose largest are smoothed, and how heavy their tail is, for many targets side by side.

The draws are one sample, and every target (the posterior without a row, without a group, or the posterior itself where
the draws are those of an approximation) has weights of its own. The largest weights are replaced by quantiles of the
generalised Pareto distribution that fits them; its shape k says whether the estimate can be trusted.
Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), J. Mach. Learn. Res. 25(72), algorithm 1 and appendix J.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ENOUGH = 225  # draws, of which the tail has 3 roots of their number; of fewer, a fifth
PRIOR_K, PRIOR_DRAWS = 0.5, 10.0  # the shape that a small tail is drawn to, and how many draws that counts for
CANDIDATES = 30  # of the scale in which the likelihood of the tail is averaged, and as many more as the tail's root
SPREAD = 3.0  # of these candidates, over the first quartile
MOST_NUMBERS = 1 << 23  # of the likelihoods of all candidates that are computed at a time
NEGLIGIBLE = 10.0 * float(np.finfo(float).eps)


class Smoothed(NamedTuple):
    """`log_weights` (S, m), those of each target normalised, and the shape `k` (m,) of their tail: infinite where no
    Pareto distribution fits it, minus infinity where all weights are equal.
    """

    log_weights: np.ndarray
    k: np.ndarray


class Tails(NamedTuple):
    """Generalised Pareto distributions: shapes `k` (m,) and scales `sigma` (m,)."""

    k: np.ndarray
    sigma: np.ndarray


def log_sum(log_values: np.ndarray) -> np.ndarray:
    """The logarithm of the sum over draws of exp(log_values) (S, ...)."""
    top = log_values.max(axis=0)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return top + np.log(np.exp(log_values - top).sum(axis=0))


def good_shape(n_draws: int) -> float:
    """The largest shape at which so many draws can be trusted. Source: Vehtari et al. (2024), section 3.2.4."""
    return min(1.0 - 1.0 / np.log10(n_draws), 0.7)


def smooth(log_ratios: np.ndarray, efficiency: float = 1.0) -> Smoothed:
    """The smoothed weights of log importance ratios (S, m), each up to a constant of its target.

    `efficiency`: of the draws as a Markov chain, their effective sample size over S.
    """
    n_draws, m = log_ratios.shape
    log_weights = np.array(log_ratios.T, order="C")  # a copy in any case
    log_weights -= log_weights.max(axis=1, keepdims=True)
    tail = n_tail(n_draws, efficiency)
    k, block = np.empty(m), max(1, MOST_NUMBERS // (tail * _n_candidates(tail)))
    for start in range(0, m, block):
        rows = slice(start, start + block)
        k[rows] = _smooth_rows(log_weights[rows], tail)
    log_weights -= np.log(np.exp(log_weights).sum(axis=1, keepdims=True))
    return Smoothed(log_weights.T, k)


def n_tail(n_draws: int, efficiency: float) -> int:
    """How many of the largest weights are taken for the tail. Source: Vehtari et al. (2024), appendix H."""
    if n_draws * efficiency > ENOUGH:
        return min(int(3.0 * np.sqrt(n_draws / efficiency)), n_draws // 5 * 4)
    return n_draws // 5


def _smooth_rows(log_weights: np.ndarray, n: int) -> np.ndarray:
    """The shapes (m,) of the tails of log weights (m, S), whose n largest are replaced in place."""
    n_draws, each = log_weights.shape[1], np.arange(len(log_weights))[:, None]
    largest = np.argpartition(log_weights, n_draws - n - 1, axis=1)[:, n_draws - n - 1 :]
    largest = np.take_along_axis(largest, np.argsort(log_weights[each, largest], axis=1), axis=1)
    cutoff, at = np.exp(log_weights[each, largest[:, :1]]), largest[:, 1:]
    values = np.exp(log_weights[each, at])
    fitted = fit_tails(values - cutoff)
    shares = np.log1p(-(np.arange(0.5, n) / n))
    with np.errstate(all="ignore"):
        quantiles = cutoff + fitted.sigma[:, None] * np.expm1(-fitted.k[:, None] * shares) / fitted.k[:, None]
        found = np.minimum(np.log(quantiles), 0.0)  # no weight is larger than the largest was
    usable = np.isfinite(fitted.k) & np.isfinite(found).all(axis=1)
    log_weights[each[usable], at[usable]] = found[usable]
    flat = log_weights.min(axis=1) == log_weights.max(axis=1)
    return np.where(flat, -np.inf, fitted.k)


def fit_tails(exceedances: np.ndarray) -> Tails:
    """The generalised Pareto distributions of exceedances (m, n) over a threshold, sorted: the mean of the scale's
    profile posterior, and the shape there, drawn a little to one half. Infinite shapes where none fits.

    Source: Zhang and Stephens (2009), Technometrics 51, 316.
    """
    n = exceedances.shape[1]
    quartile, largest = exceedances[:, int(n / 4 + 0.5) - 1], exceedances[:, -1]
    apart = quartile > exceedances[:, 0]  # else the smallest are all the same, which is no such distribution
    count = _n_candidates(n)
    grid = 1.0 - np.sqrt(count / (np.arange(1, count + 1) - 0.5))
    with np.errstate(all="ignore"):
        theta = 1.0 / largest[:, None] + grid / (SPREAD * quartile[:, None])
        shape = np.log1p(-theta[:, :, None] * exceedances[:, None, :]).mean(axis=2)
        height = n * (np.log(-theta / shape) - shape - 1.0)
        weights = np.exp(height - height.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        weights[weights < NEGLIGIBLE] = 0.0
        best = (theta * weights).sum(axis=1) / weights.sum(axis=1)
        k = np.log1p(-best[:, None] * exceedances).mean(axis=1)
        sigma = -k / best
        k = (n * k + PRIOR_DRAWS * PRIOR_K) / (n + PRIOR_DRAWS)
    good = apart & np.isfinite(k) & (sigma > 0.0)
    return Tails(np.where(good, k, np.inf), np.where(good, sigma, np.nan))


def _n_candidates(n: int) -> int:
    return CANDIDATES + int(np.sqrt(n))
