"""True values against their estimates, where data were simulated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hier.errors import ModelError
from hier.estimate import Estimate
from hier.estimate.simulated_groups import Truth
from hier.model.grouping_factor import find_factor
from hier.plots import style
from hier.settings import of_kind


@style.styled
def plot_truth(truth: Truth | pd.DataFrame | pd.Series, estimate: Estimate, group: str | None = None) -> Figure:
    """True coefficients of the levels against the mixed model's estimates, with the line on which they are equal.

    `truth`: the `hier.Truth` of simulated data, or true coefficients by level: a table of levels x columns, or a Series
    that is named for a column. Raises ModelError for levels or columns that the model does not have.
    """
    estimate = of_kind("plot_truth", estimate, Estimate, ModelError)
    random = estimate.model.design.random_effects[find_factor(estimate.model, group)]
    known = _by_level(truth, random.group)
    found = estimate.coef[random.group]
    names = [name for name in random.names if name in known]
    if not names or not found.index.isin(known.index).all():
        raise ModelError(
            "the truth has none of the coefficients that vary between levels, or not of all levels",
            found=", ".join(map(str, known.columns)),
            expected=f"columns of {', '.join(random.names)}, a row for each of {random.n_levels} levels",
        )
    which = style.of_levels(len(found), len(found), random.group)
    width = min(style.WIDTH, 5.6 * len(names))
    figure = style.picture(4.9, f"True and estimated coefficients: {which}", width)
    for axes, name in zip(style.grid(figure, len(names), min(len(names), 3)), names, strict=True):
        true, fitted = known[name].reindex(found.index).to_numpy(float), found[name].to_numpy()
        axes.scatter(true, fitted, s=26, color=style.ESTIMATE, label=f"levels of {style.name(random.group)}")
        axes.axline((true[0], true[0]), slope=1.0, color=style.POPULATION, linewidth=1.2, label="equal")
        if len(found) <= 12:
            for level, x, y in zip(found.index, true, fitted, strict=True):
                axes.annotate(style.name(level), (x, y), xytext=(5, -9), textcoords="offset points", fontsize=8.5)
        axes.set_title(style.name(name))
        axes.set_xlabel("true")
        axes.set_ylabel(f"estimated ({estimate.method.upper()})")
        style.legend(figure, axes)
    return figure


def _by_level(truth: Any, group: str) -> pd.DataFrame:
    coefficients = getattr(truth, "coef", truth)
    if isinstance(coefficients, dict):
        coefficients = coefficients.get(group)
    if isinstance(coefficients, pd.Series):
        coefficients = coefficients.to_frame()
    if not isinstance(coefficients, pd.DataFrame) or np.size(coefficients) == 0:
        raise ModelError(
            f"there are no true coefficients of `{group}` here",
            expected="a table's attrs['truth'], or true coefficients by level",
        )
    return coefficients
