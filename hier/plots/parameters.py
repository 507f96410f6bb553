"""The parameters of a posterior, one by one, with the names that pictures give them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hier.estimate.tables import correlated_pairs
from hier.plots.style import name
from hier.posterior import Posterior


@dataclass(frozen=True)
class Parameter:
    """Draws (C, D) of one number. `low`, `high`: the ends of its range, which may be infinite."""

    label: str
    draws: np.ndarray
    low: float = -np.inf
    high: float = np.inf


def parameters(posterior: Posterior) -> list[Parameter]:
    """Fixed effects, standard deviations, correlations and sigma, in the order of `Comparison.parameters`."""
    group, columns = posterior.group, posterior.group_names
    beta, sd = posterior.draws["beta"], posterior.draws[f"sd_{group}"]
    found = [Parameter(name(column, 34), beta[:, :, k]) for k, column in enumerate(posterior.coef_names)]
    found += [Parameter(f"sd({name(column, 30)})", sd[:, :, k], low=0.0) for k, column in enumerate(columns)]
    for i, j in correlated_pairs(posterior.blocks):
        label = f"cor({name(columns[i], 14)}, {name(columns[j], 14)})"
        found.append(Parameter(label, posterior.draws[f"cor_{group}"][:, :, i, j], -1.0, 1.0))
    return [*found, Parameter("sigma", posterior.draws["sigma"], low=0.0)]
