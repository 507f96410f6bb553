"""The grouping factors of a posterior: what its draws of deviations belong to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hier.design import Block, Design
from hier.kernel.covariance import correlation_blocks


@dataclass(frozen=True)
class Group:
    """A grouping factor: its `name`, the J `levels` as they stand in the data, and the `names` of the q columns that
    vary between them, `blocks` of which share correlations or a variance. `codes` (n,): each row's level.
    """

    name: str
    levels: pd.Index = field(repr=False)
    names: tuple[str, ...]
    blocks: tuple[Block, ...]
    codes: np.ndarray = field(repr=False)

    @property
    def n_levels(self) -> int:
        return len(self.levels)

    @property
    def is_correlated(self) -> bool:
        """Whether any two of its columns have a correlation."""
        return bool(correlation_blocks(self.blocks))


def groups_of(design: Design) -> tuple[Group, ...]:
    """The grouping factors of a design, in its order."""
    return tuple(Group(r.group, r.levels, r.names, r.blocks, r.codes) for r in design.random_effects)


def largest_first(groups: Iterable[Group]) -> list[Group]:
    """Grouping factors in lme4's order: by their numbers of levels; of equal ones, the first in the formula."""
    return sorted(groups, key=lambda group: -group.n_levels)


def covariance_matrices(sd: np.ndarray, cor: np.ndarray | None) -> np.ndarray:
    """Covariance matrices (..., q, q) from standard deviations (..., q) and correlations (..., q, q), None where all
    are zero.
    """
    shape = np.eye(sd.shape[-1]) if cor is None else cor
    return shape * sd[..., :, None] * sd[..., None, :]
