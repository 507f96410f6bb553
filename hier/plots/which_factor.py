"""Which grouping factor a picture is of, and what a comparison says of its levels."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hier.design import RandomEffects
from hier.errors import ModelError
from hier.model import Specification
from hier.model.specification import refuse_without_groups
from hier.pooling.compare import of_group
from hier.settings import as_given, nearest_choice


def find_factor(model: Specification, group: str | None) -> int:
    """The position of a grouping factor in the design; None stands for the one with the most levels.

    Raises ModelError for a name that the model does not have.
    """
    refuse_without_groups("this picture", model.formula, model.design.random_effects)
    factors = model.design.random_effects
    if group is None:
        return max(range(len(factors)), key=lambda k: factors[k].n_levels)
    names = [random.group for random in factors]
    if not isinstance(group, str) or group not in names:
        raise ModelError(
            f"the model has no grouping factor {as_given(group)}",
            found=f"`{model.formula}`",
            expected=", ".join(f"`{name}`" for name in names),
            hint=nearest_choice(group, names),
        )
    return names.index(group)


def by_level(table: pd.DataFrame, column: str, random: RandomEffects) -> np.ndarray:
    """A column of a comparison's `table` or `shrinkage` as levels x columns (J, q) of one grouping factor."""
    values = of_group(table, random.group)[column].to_numpy(dtype=float)
    return values.reshape(random.n_levels, len(random.names))
