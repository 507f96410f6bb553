"""The grouping factors of a posterior: what its draws of deviations belong to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hier.design import Block, Design
from hier.estimate.tables import correlated_pairs
from hier.kernel.covariance.theta import correlation_blocks
from hier.model.parameter_names import GroupVariables, group_variables
from hier.posterior.variable_names import stems


@dataclass(frozen=True)
class Group:
    """A grouping factor: its `name`, the J `levels` as they stand in the data, and the `names` of the q columns that
    vary between them, `blocks` of which share correlations or a variance. `codes` (n,): each row's level. `stem`: what
    its variables are named for, its name as far as nothing else is called so.
    """

    name: str
    levels: pd.Index = field(repr=False)
    names: tuple[str, ...]
    blocks: tuple[Block, ...]
    codes: np.ndarray = field(repr=False)
    stem: str

    @property
    def variables(self) -> GroupVariables:
        """What its variables are called among the draws."""
        return group_variables(self.stem)

    @property
    def n_levels(self) -> int:
        return len(self.levels)

    @property
    def is_correlated(self) -> bool:
        """Whether any two of its columns have a correlation."""
        return bool(correlation_blocks(self.blocks))


def groups_of(design: Design) -> tuple[Group, ...]:
    """The grouping factors of a design, in its order."""
    random = design.random_effects
    named = zip(random, stems([own.group for own in random]), strict=True)
    return tuple(Group(r.group, r.levels, r.names, r.blocks, r.codes, stem) for r, stem in named)


def largest_first(groups: Iterable[Group]) -> list[Group]:
    """Grouping factors in lme4's order: by their numbers of levels; of equal ones, the first in the formula."""
    return sorted(groups, key=lambda group: -group.n_levels)


def covariance_matrices(sd: np.ndarray, cor: np.ndarray | None, blocks: tuple[Block, ...]) -> np.ndarray:
    """Covariance matrices (..., q, q) from standard deviations (..., q) and the correlations (..., m) of the pairs of
    columns that have one, None where all are zero.
    """
    shape = np.broadcast_to(np.eye(sd.shape[-1]), (*sd.shape, sd.shape[-1])).copy()
    if cor is not None:
        i, j = np.array(correlated_pairs(blocks)).T
        shape[..., i, j] = shape[..., j, i] = cor
    return shape * sd[..., :, None] * sd[..., None, :]


def spreads_of(covariance: np.ndarray, blocks: tuple[Block, ...]) -> tuple[np.ndarray, np.ndarray | None]:
    """The standard deviations (..., q) and the correlations (..., m) of covariance matrices (..., q, q); None where no
    columns have one.
    """
    sd = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    if not correlated_pairs(blocks):
        return sd, None
    i, j = np.array(correlated_pairs(blocks)).T
    return sd, covariance[..., i, j] / (sd[..., i] * sd[..., j])
