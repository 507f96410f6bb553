"""The parameters of a posterior, one by one, with the names that pictures give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.estimate.tables import correlated_pairs
from hier.kernel.covariance.theta import columns_of
from hier.plots.style import name
from hier.posterior import Posterior
from hier.posterior.grouping import largest_first
from hier.posterior.summary_block import further_labels

if TYPE_CHECKING:
    from hier.design import Block
    from hier.model import Specification

Range = tuple[float, float]
ANY: Range = (-np.inf, np.inf)
OF_LINK: dict[str, Range] = {"real": ANY, "positive": (0.0, np.inf), "unit": (0.0, 1.0)}
# the least correlation of two columns `lag` apart in a block of `size`: of equal ones, and of powers of one
LEAST_CORRELATION = {"cs": lambda size, lag: -1.0 / (size - 1), "ar1": lambda size, lag: 0.0 if lag % 2 == 0 else -1.0}


@dataclass(frozen=True)
class DrawnParameter:
    """Draws (C, D) of one number. `low`, `high`: the ends of its range, which may be infinite."""

    label: str
    draws: np.ndarray
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True)
class Ranges:
    """The values that parameters can have at all: coefficients by name, where a prior bounds them, and the further
    parameters of the response's distribution.
    """

    coefficients: Mapping[str, Range] = field(default_factory=dict)
    further: Mapping[str, Range] = field(default_factory=dict)


def ranges_of(model: Specification) -> Ranges:
    """The ranges that the links of a model and the priors that the user gave leave to its parameters."""
    priors = model.priors
    coefficients = {name: _support(priors.beta[name]) for name in priors.beta if name in priors.replaced}
    further = {}
    for own, link in zip(priors.parameters, model.likelihood.links[1:], strict=True):
        if own.has_formula:
            coefficients |= {name: _support(own.priors[name]) for name in own.priors if name in priors.replaced}
            continue
        (low, high), (least, most) = OF_LINK[link.onto], _support(own.priors[own.name])
        further[own.name] = (max(low, least), min(high, most))
    return Ranges(coefficients, further)


def _support(prior: Any) -> Range:
    """The ends of what a prior gives any density to."""
    ends = [getattr(prior.support, name, None) for name in ("lower_bound", "upper_bound")]
    low, high = (end if end is None else float(np.max(np.asarray(end))) for end in ends)
    return -np.inf if low is None else low, np.inf if high is None else high


def parameters(posterior: Posterior, ranges: Ranges = Ranges()) -> list[DrawnParameter]:  # it is frozen
    """Fixed effects, what is `further`, standard deviations, correlations and sigma, in the order of
    `Comparison.parameters`.

    With several grouping factors the name of the factor stands behind a bar, as in the formula.
    """
    beta = posterior.beta
    bounds = [ranges.coefficients.get(column, ANY) for column in posterior.coef_names]
    found = [
        DrawnParameter(name(column, 34), beta[:, :, k], *bounds[k]) for k, column in enumerate(posterior.coef_names)
    ]
    for variable, labels in posterior.further.items():
        if variable != "sigma":
            found += _further(variable, labels, posterior.draws[variable], ranges)
    several = len(posterior.groups) > 1
    for group in largest_first(posterior.groups):
        long, short = (16, 9) if several else (30, 14)
        sd, columns = posterior.draws[group.variables.sd], group.names
        for k, column in enumerate(columns):
            bar = f" | {name(group.name, 14)}" if several else ""
            found.append(DrawnParameter(f"sd({name(column, long)}{bar})", sd[:, :, k], low=0.0))
        for k, (i, j) in enumerate(correlated_pairs(group.blocks)):
            bar = f" | {name(group.name, 9)}" if several else ""
            label = f"cor({name(columns[i], short)}, {name(columns[j], short)}{bar})"
            low = least_correlation(group.blocks, i, j)
            found.append(DrawnParameter(label, posterior.draws[group.variables.cor][:, :, k], low, 1.0))
    if "sigma" in posterior.draws:
        found.append(DrawnParameter("sigma", posterior.draws["sigma"], *ranges.further.get("sigma", (0.0, np.inf))))
    return found


def _further(variable: str, labels: tuple[str, ...] | None, draws: np.ndarray, ranges: Ranges) -> list[DrawnParameter]:
    """The entries of a further variable: numbers on their own scale, coefficients, cutpoints."""
    if labels is None:
        return [DrawnParameter(variable, draws, *ranges.further.get(variable, ANY))]
    shown = further_labels(variable, labels)
    return [
        DrawnParameter(name(label, 34), draws[:, :, k], *ranges.coefficients.get(label, ANY))
        for k, label in enumerate(shown)
    ]


def least_correlation(blocks: tuple[Block, ...], i: int, j: int) -> float:
    """The end of the range of the correlation of columns i and j of a grouping factor."""
    ((block, start),) = [
        (block, start) for block, (start, stop) in zip(blocks, columns_of(blocks), strict=True) if start <= i < j < stop
    ]
    least = LEAST_CORRELATION.get(block.structure)
    return -1.0 if least is None else least(block.size, block.times[j - start] - block.times[i - start])
