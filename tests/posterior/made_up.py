"""Posteriors that nobody sampled, for tests of what is done with one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hier.design import Block
from hier.estimate.tables import correlated_pairs
from hier.interface import Model
from hier.model.parameter_names import further_variable
from hier.posterior.dataset import coordinate, further_variables
from hier.posterior.grouping import Group, groups_of
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


def of_model(model: Model, shape: tuple[int, int] = (2, 10), seed: int = 0) -> Posterior:
    """A posterior of a model with draws of mild values, so that nothing has to be sampled."""
    design, random = model.design, np.random.default_rng(seed)
    draws = {"beta": 0.3 * random.normal(size=(*shape, len(design.names)))} if design.names else {}
    if design.n_cutpoints:
        draws["cutpoints"] = np.sort(random.normal(size=(*shape, design.n_cutpoints)), axis=-1)
    groups = groups_of(design)
    for group in groups:
        q, own = len(group.names), group.variables
        draws[own.sd] = draws[own.sd_centred] = random.uniform(0.1, 0.6, (*shape, q))
        if group.is_correlated:
            m = len(correlated_pairs(group.blocks))
            draws[own.cor] = draws[own.cor_centred] = random.uniform(-0.3, 0.3, (*shape, m))
        draws[own.b] = 0.4 * random.normal(size=(*shape, group.n_levels, q))
    for own, link in zip(design.parameters, model.likelihood.links[1:], strict=True):
        variable = further_variable(own.name, has_formula=own.has_formula)
        low, high = (0.1, 0.4) if link.onto == "unit" else (1.0, 2.0)
        values = random.uniform(low, high, (*shape, len(own.names)))
        draws[variable] = 0.1 * values if own.has_formula else values[..., 0]
    return Posterior(
        formula=str(model.formula),
        family=model.family.name,
        response=design.response,
        coef_names=design.names,
        groups=groups,
        further=further_variables(design),
        settings=Settings(*shape, 20, seed, 10),
        method="made up",
        priors={},
        notes=(),
        draws=draws,
        stats={"lp": np.zeros(shape), "diverging": np.zeros(shape, dtype=bool)},
        observed=design.in_numbers(design.y if design.outcome.is_continuous else design.y.astype(np.int64)),
        digest=model.digest,
        index=coordinate(design.index),
        model=model,
    )
