"""What `print(model)` says: the formula, the data that enter, and the priors."""

from __future__ import annotations

import numpy as np

from hier.kernel.covariance import n_variance_parameters
from hier.model.model import Model


def describe_model(model: Model) -> str:
    """Formula, family, rows, fixed effects, groups and levels, what was left out, and the priors."""
    design, random = model.design, model.design.random
    rows = np.bincount(random.codes, minlength=random.n_levels)
    per_level = f"{rows.min()}" if rows.min() == rows.max() else f"{rows.min()} to {rows.max()}"
    blocks, start = [], 0
    for size in random.blocks:
        blocks.append(", ".join(random.names[start : start + size]))
        start += size
    n_parameters = len(design.names) + n_variance_parameters(random.blocks)
    lines = [
        f"Hierarchical model: {model.formula}",
        f"Family: {model.family.name}, {model.family.links[0]} link",
        f"Rows: {design.nobs}"
        + (
            f", precision weights from {design.weights.min():g} to {design.weights.max():g}"
            if design.weights is not None
            else ""
        ),
        f"Fixed effects: {', '.join(design.names) or 'none'}",
        f"Random effects: {' | '.join(blocks)}",
        f"Groups: {random.group}, {random.n_levels} levels, {per_level} rows in each",
        f"Parameters: {n_parameters}, and {random.n_levels * len(random.names)} group deviations",
        *(f"Note: {note}" for note in design.notes()),
        "Priors (for the posterior and MAP):",
    ]
    priors = model.priors.rows()
    width = max(len(name) for name, _ in priors)
    return "\n".join([*lines, *(f"  {name:<{width}} ~ {words}" for name, words in priors)])
