"""What a comparison says of the levels of a grouping factor, as arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hier.design import RandomEffects
from hier.pooling.compare import of_group


def by_level(table: pd.DataFrame, column: str, random: RandomEffects) -> np.ndarray:
    """A column of a comparison's `table` or `shrinkage` as levels x columns (J, q) of one grouping factor."""
    values = of_group(table, random.group)[column].to_numpy(dtype=float)
    return values.reshape(random.n_levels, len(random.names))
