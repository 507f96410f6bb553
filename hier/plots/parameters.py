"""The parameters of a posterior, one by one, with the names that pictures give them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hier.estimate.tables import correlated_pairs
from hier.plots.style import name
from hier.posterior import Posterior
from hier.posterior.groups import largest_first
from hier.posterior.summary import further_labels


@dataclass(frozen=True)
class Parameter:
    """Draws (C, D) of one number. `low`, `high`: the ends of its range, which may be infinite."""

    label: str
    draws: np.ndarray
    low: float = -np.inf
    high: float = np.inf


def parameters(posterior: Posterior) -> list[Parameter]:
    """Fixed effects, what is `further`, standard deviations, correlations and sigma, in the order of
    `Comparison.parameters`.

    With several grouping factors the name of the factor stands behind a bar, as in the formula.
    """
    beta = posterior.beta
    found = [Parameter(name(column, 34), beta[:, :, k]) for k, column in enumerate(posterior.coef_names)]
    for variable, labels in posterior.further.items():
        if variable != "sigma":
            found += _further(variable, labels, posterior.draws[variable])
    several = len(posterior.groups) > 1
    for group in largest_first(posterior.groups):
        long, short = (16, 9) if several else (30, 14)
        sd, columns = posterior.draws[f"sd_{group.stem}"], group.names
        for k, column in enumerate(columns):
            bar = f" | {name(group.name, 14)}" if several else ""
            found.append(Parameter(f"sd({name(column, long)}{bar})", sd[:, :, k], low=0.0))
        for k, (i, j) in enumerate(correlated_pairs(group.blocks)):
            bar = f" | {name(group.name, 9)}" if several else ""
            label = f"cor({name(columns[i], short)}, {name(columns[j], short)}{bar})"
            found.append(Parameter(label, posterior.draws[f"cor_{group.stem}"][:, :, k], -1.0, 1.0))
    if "sigma" in posterior.draws:
        found.append(Parameter("sigma", posterior.draws["sigma"], low=0.0))
    return found


def _further(variable: str, labels: tuple[str, ...] | None, draws: np.ndarray) -> list[Parameter]:
    """The entries of a further variable: numbers on their own scale, which are positive, coefficients, cutpoints."""
    if labels is None:
        return [Parameter(variable, draws, low=0.0)]
    shown = further_labels(variable, labels)
    return [Parameter(name(label, 34), draws[:, :, k]) for k, label in enumerate(shown)]
