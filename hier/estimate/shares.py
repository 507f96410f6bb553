"""Shares of the variance: R2 of the fixed effects and of the whole model, and intraclass correlations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from hier.estimate.fitted import Fitted
from hier.estimate.printing import Table
from hier.estimate.routes import refuse_unless_offered
from hier.model.specification import refuse_without_groups

ALL = "(all)"


class Variances(NamedTuple):
    """What the response's variance is made of, averaged over the rows: the fixed part, each grouping factor in the
    design's order, and the residual.
    """

    fixed: float
    groups: tuple[float, ...]
    residual: float


def variances(estimate: Fitted) -> Variances:
    """The parts of the variance, over the square of `estimate.size`. Those of a factor with slopes are the mean over
    rows of z' Sigma z.

    Source: Nakagawa and Schielzeth (2013), Methods Ecol. Evol. 4, 133, equations 26 to 30; with slopes, Johnson (2014),
    Methods Ecol. Evol. 5, 944, equations 10 and 11.
    """
    design = estimate.model.design
    groups = []
    for random, own in zip(design.random_effects, estimate.arrays.terms, strict=True):
        groups.append(float(np.mean(np.sum((random.Z @ own.factor / estimate.size) ** 2, axis=1))))
    mean_inverse = 1.0 if design.weights is None else float(np.mean(1.0 / design.weights))
    fixed = float(np.var(design.X @ estimate.arrays.beta / estimate.size, ddof=1))
    return Variances(fixed, tuple(groups), (estimate.sigma / estimate.size) ** 2 * mean_inverse)


def r2(estimate: Fitted) -> pd.Series:
    """What `Estimate.r2` says."""
    refuse_unless_offered(estimate, "r2()")
    parts = variances(estimate)
    random = sum(parts.groups)
    total = parts.fixed + random + parts.residual
    return pd.Series({"marginal": parts.fixed / total, "conditional": (parts.fixed + random) / total}, name="r2")


def icc(estimate: Fitted) -> pd.DataFrame:
    """What `Estimate.icc` says."""
    refuse_unless_offered(estimate, "icc()")
    refuse_without_groups("icc()", estimate.model.formula, estimate.model.design.random_effects)
    parts = variances(estimate)
    values = np.array([*parts.groups, sum(parts.groups)])
    within = values[-1] + parts.residual
    names = [random.group for random in estimate.model.design.random_effects]
    return Table(
        {"adjusted": values / within, "conditional": values / (within + parts.fixed)},
        index=pd.Index([*names, ALL], name="group"),
    )
