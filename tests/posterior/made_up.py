"""Posteriors that nobody sampled, for tests of what is done with one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hier.design import Block
from hier.estimate.tables import correlated_pairs
from hier.posterior.grouping import Group
from hier.posterior.posterior import Posterior, Settings


def made_up(groups: list[Group], response: str = "y") -> Posterior:
    """Draws of the right shapes for groups of any names."""
    random, shape = np.random.default_rng(0), (2, 10)
    draws = {"beta": random.normal(size=(*shape, 1))}
    for group in groups:
        q = len(group.names)
        draws[f"sd_{group.stem}"] = random.random((*shape, q))
        if group.is_correlated:
            draws[f"cor_{group.stem}"] = random.random((*shape, len(correlated_pairs(group.blocks))))
        draws[f"b_{group.stem}"] = random.normal(size=(*shape, group.n_levels, q))
    draws["sigma"] = random.random(shape)
    return Posterior(
        formula="y ~ 1 + ...",
        family="gaussian",
        response=response,
        coef_names=("Intercept",),
        groups=tuple(groups),
        further={"sigma": None},
        settings=Settings(*shape, 20, 1, 10),
        method="made up",
        priors={},
        notes=(),
        draws=draws,
        stats={"lp": np.zeros(shape), "diverging": np.zeros(shape, dtype=bool)},
        observed=np.arange(6.0),
        digest={},
        index=np.arange(6) + 10,
    )


def group(name: str, levels: pd.Index | list, stem: str | None = None) -> Group:
    levels = pd.Index(levels)
    return Group(name, levels, ("Intercept",), (Block(1),), np.arange(6) % len(levels), stem or name)
