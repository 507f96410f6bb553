"""Posteriors that nobody sampled, for tests of what is done with one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hier.design import Block
from hier.posterior.groups import Group
from hier.posterior.result import Posterior, Settings


def made_up(groups: list[Group], response: str = "y") -> Posterior:
    """Draws of the right shapes for groups of any names."""
    random, shape = np.random.default_rng(0), (2, 10)
    draws = {"beta": random.normal(size=(*shape, 1))}
    for group in groups:
        draws[f"sd_{group.name}"] = random.random((*shape, 1))
        draws[f"b_{group.name}"] = random.normal(size=(*shape, group.n_levels, 1))
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
    )


def group(name: str, levels: pd.Index | list) -> Group:
    levels = pd.Index(levels)
    return Group(name, levels, ("Intercept",), (Block(1),), np.arange(6) % len(levels))
