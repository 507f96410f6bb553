"""Principal components of each grouping factor's deviations, and the directions in which a singular fit has none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hier.design import RandomEffects
from hier.estimate.printing import Table
from hier.kernel.algebra.scaling import ColumnUnits, direction

SHOWN = 0.01  # of a direction's length: smaller parts are left out of the sentence


def principal_components(names: Sequence[str], factor: np.ndarray) -> pd.DataFrame:
    """Principal components of deviations with covariance `factor @ factor.T` (q, q), the largest first.

    Columns `sd`, `share` of the variance, and the component's loading on each column. Source: lme4's `rePCA`.
    """
    loadings, sd, _ = np.linalg.svd(factor)
    loadings = loadings * np.where(loadings[np.abs(loadings).argmax(axis=0), np.arange(len(sd))] < 0, -1.0, 1.0)
    total = np.sum(sd**2)
    table = Table({"sd": sd, "share": sd**2 / total if total > 0 else np.full(len(sd), np.nan)})
    table[list(names)] = loadings.T
    table.index = pd.Index([f"PC{k}" for k in range(1, len(sd) + 1)], name="component")
    return table


def flat_directions(
    random_effects: Sequence[RandomEffects],
    factors: Sequence[np.ndarray],
    units: Sequence[ColumnUnits],
    least: float,
) -> list[str]:
    """The combinations of deviations whose variance is estimated as zero, a text each.

    `factors` (q, q): relative covariance factors in the kernel's `units`, lower triangular; a diagonal entry below
    `least` is a zero.
    """
    said = []
    for random, factor, own in zip(random_effects, factors, units, strict=True):
        start = 0
        for block in random.blocks:
            at = slice(start, start + block.size)
            start = at.stop
            said += [
                f"`{random.group}`: {text}"
                for text in _of_block(random.names[at], np.asarray(factor)[at, at], own.of(at), least)
            ]
    return said


def _of_block(names: Sequence[str], factor: np.ndarray, units: ColumnUnits, least: float) -> list[str]:
    """Columns that do not vary at all stand alone; the other directions combine the columns that are left."""
    n_flat = int((np.abs(factor.diagonal()) < least).sum())
    if not n_flat:
        return []
    directions = np.stack([units.direction(k)[0] for k in range(len(names))])
    varies = np.linalg.norm(directions @ factor, axis=1) >= least
    said = [name for name, own in zip(names, varies, strict=True) if not own]
    kept = [name for name, own in zip(names, varies, strict=True) if own]
    # combinations of the kernel's deviations that are combinations of these columns' alone, and of them the flat ones
    own, _ = np.linalg.qr(directions[varies].T)
    left, _, _ = np.linalg.svd(own.T @ factor)
    for flat in left.T[len(kept) - max(0, n_flat - len(said)) :]:
        weights = ((own @ flat) @ units.to_kernel)[varies]
        weights = direction(weights)[0]
        said.append(_as_sum(kept, weights * np.sign(weights[np.abs(weights) >= SHOWN][0])))
    return said


def _as_sum(names: Sequence[str], weights: np.ndarray) -> str:
    text = ""
    for name, weight in zip(names, weights, strict=True):
        if abs(weight) < SHOWN:
            continue
        sign = ("- " if weight < 0 else "") if not text else (" - " if weight < 0 else " + ")
        text += f"{sign}{abs(weight):.2g} {name}"
    return text
