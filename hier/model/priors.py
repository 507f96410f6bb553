"""The priors of a model's parameters, as values; where the defaults come from and how a user replaces them is said in
`default_priors` and `replace_priors`.

A prior is a `numpyro.distributions` object. Those of standard deviations and of fixed effects hold for the columns as
the user wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.design import Block
from hier.kernel.covariance import correlation_of

if TYPE_CHECKING:
    from numpyro.distributions import Distribution


@dataclass(frozen=True)
class GroupPriors:
    """The priors of one grouping factor's deviations.

    `sd`: one a standard deviation, and `sd_names`: the column that it is of, in the design's order, or where all
    columns of a bar share one, what stands before the bar: `week`, `0 + machine`. `cor`: one distribution for each of
    `blocks`, those that have correlations, and `cor_names`: what stands before their bars.
    """

    group: str
    sd_names: tuple[str, ...]
    sd: tuple[Distribution, ...]
    cor_names: tuple[str, ...]
    cor: tuple[Distribution, ...]
    blocks: tuple[Block, ...]

    def sd_keys(self) -> list[str]:
        """Names under which the prior of each sd is given and printed."""
        return [f"sd_{self.group}[{name}]" for name in self.sd_names]

    def cor_keys(self) -> list[str]:
        """Names under which the priors of correlations are given and printed: `cor_GROUP` where there is one."""
        if len(self.cor) == 1:
            return [f"cor_{self.group}"]
        return [f"cor_{self.group}[{name}]" for name in self.cor_names]

    def rows(self) -> list[tuple[str, str]]:
        """Pairs of a parameter's name and its prior in words."""
        keys, priors = [*self.sd_keys(), *self.cor_keys()], [*self.sd, *self.cor]
        return [(key, describe(prior)) for key, prior in zip(keys, priors, strict=True)]


@dataclass(frozen=True)
class ParameterPriors:
    """The priors of one further parameter of the response's distribution.

    `priors`: by the name under which each is given and printed: `sigma`, on the parameter's own scale, or where it has
    a formula `sigma_Intercept`, `sigma_x`, on the scale of its link. `centred_intercept`, `column_means`: as those of
    the fixed effects.
    """

    name: str
    priors: Mapping[str, Distribution]
    has_formula: bool
    centred_intercept: bool
    column_means: np.ndarray

    @property
    def intercept(self) -> str:
        """The name of the intercept of its formula."""
        return f"{self.name}_Intercept"

    def rows(self) -> list[tuple[str, str]]:
        """Pairs of a parameter's name and its prior in words."""
        return _rows(self.priors, {self.intercept} if self.centred_intercept and len(self.priors) > 1 else set())


@dataclass(frozen=True)
class Priors:
    """The prior of every parameter of a model.

    `beta`: by fixed-effects column. `cutpoints`: those of an ordered response by name, `Intercept[1]` and so on, each
    up to the constraint that they ascend; otherwise empty. `groups`: those of each grouping factor, in the design's
    order. `parameters`: those of each further parameter of the response's distribution, in the order of its record.
    `centred_intercept`: whether the prior under `Intercept`, or of the cutpoints, is that of the value at the means
    `column_means` of the other columns (the default, as in brms and Bambi) or of the value where every column is zero
    (a prior that the user gave). `replaced`: names of the priors that the user gave.
    """

    beta: Mapping[str, Distribution]
    cutpoints: Mapping[str, Distribution]
    groups: tuple[GroupPriors, ...]
    parameters: tuple[ParameterPriors, ...]
    centred_intercept: bool
    column_means: np.ndarray
    replaced: frozenset[str] = field(default_factory=frozenset)

    @property
    def sigma(self) -> Distribution:
        """That of the residual standard deviation of a Normal response."""
        return next(own.priors["sigma"] for own in self.parameters if own.name == "sigma")

    def rows(self) -> list[tuple[str, str]]:
        """Pairs of a parameter's name and its prior in words, in the order in which they are printed."""
        at_means = {"Intercept", *self.cutpoints} if self.centred_intercept and self.n_columns > 1 else set[str]()
        from hier.model.prior_names import column_names

        words = [said for _, said in _rows(self.beta, at_means)]
        own = [*zip(column_names(self), words, strict=True), *_rows(self.cutpoints, at_means)]
        return [*own, *(row for each in (*self.groups, *self.parameters) for row in each.rows())]

    @property
    def n_columns(self) -> int:
        """Columns of the fixed effects, cutpoints counted as one."""
        return len(self.beta) + bool(self.cutpoints)


def _rows(priors: Mapping[str, Distribution], at_means: set[str]) -> list[tuple[str, str]]:
    words = {name: describe(prior) for name, prior in priors.items()}
    return [(name, said + (" at the means of the columns" if name in at_means else "")) for name, said in words.items()]


def correlation_limits(block: Block) -> tuple[float, float] | None:
    """The range of the one correlation of a correlated block; None where its prior is of a correlation matrix."""
    correlation = correlation_of(block)
    assert correlation is not None
    return None if correlation.limits is None else correlation.limits(block.size)


def half_student_t(df: float, scale: float, *, validate_args: bool | None = None) -> Distribution:
    """The distribution of the absolute value of a Student-t variable centred at zero."""
    import numpyro.distributions as dist

    return dist.FoldedDistribution(
        dist.StudentT(df, 0.0, scale, validate_args=validate_args), validate_args=validate_args
    )


def describe(prior: Distribution) -> str:
    """A prior as it would be written in a methods section: `Normal(0, 4.2)`, `half-Student-t(3, 0, 10)`, `LKJ(2)`."""
    import numpyro.distributions as dist

    if isinstance(prior, dist.LKJCholesky | dist.LKJ):
        return f"LKJ({_short(prior.concentration)})"
    if isinstance(prior, dist.FoldedDistribution):
        base = prior.base_dist
        name = "Student-t" if isinstance(base, dist.StudentT) else type(base).__name__
        return f"half-{name}({_arguments(base)})"
    if isinstance(prior, dist.ImproperUniform):
        return "flat"
    name = "Student-t" if isinstance(prior, dist.StudentT) else type(prior).__name__
    return f"{name}({_arguments(prior)})"


def _arguments(prior: Distribution) -> str:
    return ", ".join(_short(getattr(prior, name)) for name in prior.arg_constraints if hasattr(prior, name))


def _short(value: Any) -> str:
    return f"{float(np.asarray(value)):.4g}"
