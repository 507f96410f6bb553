"""The priors of a model's parameters, as values; where the defaults come from and how a user replaces them is said in
`default_priors` and `replace_priors`.

A prior is a `numpyro.distributions` object. Default priors of coefficients, and all priors of group sds and
correlations, are those of the anchored columns (see `hier.design.anchor`): for main effects, of the values at the means
of the columns. A prior that the user gave for a coefficient is that of the coefficient as it is reported.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.design import Block
from hier.kernel.covariance.theta import correlation_blocks, correlation_of, sd_columns
from hier.model.names import told_apart
from hier.model.parameter_names import cor_name, sd_name
from hier.model.prior_text import describe

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

AT_MEANS = " at the means of the columns"


@dataclass(frozen=True)
class GroupPriors:
    """The priors of one grouping factor's deviations.

    `sd`: one for each standard deviation, and `sd_names`: the column that it is of, in the design's order, or where all
    columns of a bar share one, what stands before the bar: `week`, `0 + machine`. `cor`: one distribution for each of
    `blocks`, those that have correlations, and `cor_names`: what stands before their bars. They are those of the
    deviations of the anchored columns, from which those of the columns as written are made by `to_user` (q, q);
    `moved`: whether any column's differ. `all_blocks`: of all columns.
    """

    group: str
    sd_names: tuple[str, ...]
    sd: tuple[Distribution, ...]
    cor_names: tuple[str, ...]
    cor: tuple[Distribution, ...]
    blocks: tuple[Block, ...]
    all_blocks: tuple[Block, ...]
    to_user: np.ndarray
    moved: bool

    def sd_keys(self) -> list[str]:
        """Names under which the prior of each sd is given and printed."""
        return [sd_name(self.group, name) for name in self.sd_names]

    def cor_keys(self) -> list[str]:
        """Names under which the priors of correlations are given and printed: `cor_GROUP` where there is one."""
        if len(self.cor) == 1:
            return [cor_name(self.group)]
        return [cor_name(self.group, name) for name in self.cor_names]

    def rows(self, digits: int | None = 4) -> list[tuple[str, str]]:
        """Pairs of a parameter's name and its prior in words."""
        differs = (self.to_user != np.eye(len(self.to_user))).any(axis=1)
        ranges = [*sd_columns(self.all_blocks), *correlation_blocks(self.all_blocks)]
        own = zip([*self.sd_keys(), *self.cor_keys()], [*self.sd, *self.cor], ranges, strict=True)
        return [(key, _words(prior, digits, differs[start:stop].any())) for key, prior, (start, stop) in own]


@dataclass(frozen=True)
class ParameterPriors:
    """The priors of one further parameter of the response's distribution.

    `priors`: by the name under which each is given and printed: `sigma`, on the parameter's own scale, or where it has
    a formula `sigma_Intercept`, `sigma_x`, on the scale of its link. `at` (k, k): as that of the fixed effects.
    """

    name: str
    priors: Mapping[str, Distribution]
    has_formula: bool
    at: np.ndarray

    @property
    def intercept(self) -> str:
        """The name of the intercept of its formula."""
        return f"{self.name}_Intercept"

    def rows(self, digits: int | None = 4) -> list[tuple[str, str]]:
        """Pairs of a parameter's name and its prior in words."""
        return _rows(self.priors, self.at, digits)


@dataclass(frozen=True)
class Priors:
    """The prior of every parameter of a model.

    `beta`: by fixed-effects column; row k of `at` (p, p) says of which combination of the fixed effects the k-th of
    them is: of the coefficient of the anchored column (the default), or of that of the column itself (a prior that the
    user gave). `cutpoints`: those of an ordered response by name, `Intercept[1]` and so on, each up to the constraint
    that they ascend; otherwise empty. They are those of the cutpoints less `shift` (c, p) times the fixed effects, each
    row of which is the means of the columns, or zero for a user's own. `groups`: those of each grouping factor, in the
    design's order. `parameters`: those of each further parameter of the response's distribution, in the order of its
    record. `replaced`: names of the priors that the user gave.
    """

    beta: Mapping[str, Distribution]
    at: np.ndarray
    cutpoints: Mapping[str, Distribution]
    shift: np.ndarray
    groups: tuple[GroupPriors, ...]
    parameters: tuple[ParameterPriors, ...]
    replaced: frozenset[str] = field(default_factory=frozenset)

    @property
    def sigma(self) -> Distribution:
        """That of the residual standard deviation of a Normal response."""
        return next(own.priors["sigma"] for own in self.parameters if own.name == "sigma")

    def rows(self, digits: int | None = 4) -> list[tuple[str, str]]:
        """Pairs of a parameter's name and its prior in words, in the order in which they are printed; numbers with so
        many significant digits, or all that they have.
        """
        words = [said for _, said in _rows(self.beta, self.at, digits)]
        own = zip(self.cutpoints.items(), self.shift.any(axis=1), strict=True)
        cutpoints = [(name, _words(prior, digits, moved)) for (name, prior), moved in own]
        further = [row for own in (*self.groups, *self.parameters) for row in own.rows(digits)]
        return [*zip(column_names(self), words, strict=True), *cutpoints, *further]


def general_names(priors: Priors) -> list[str]:
    """The names that stand for several priors."""
    general = ["beta", *(["Intercept"] if priors.cutpoints else [])]
    for group in priors.groups:
        general += [sd_name(group.group), *([cor_name(group.group)] if group.cor else [])]
    return general + [own.name for own in priors.parameters if own.has_formula]


def other_names(priors: Priors) -> list[str]:
    """The names of single priors that are not those of columns."""
    groups = [key for group in priors.groups for key in (*group.sd_keys(), *group.cor_keys())]
    return [*priors.cutpoints, *groups, *(key for own in priors.parameters for key in own.priors)]


def column_names(priors: Priors) -> list[str]:
    """The columns as their priors are printed."""
    return told_apart(priors.beta, {*general_names(priors), *other_names(priors)})


def _rows(priors: Mapping[str, Distribution], at: np.ndarray, digits: int | None) -> list[tuple[str, str]]:
    differs = (at != np.eye(len(at))).any(axis=1)
    return [(name, _words(prior, digits, moved)) for (name, prior), moved in zip(priors.items(), differs, strict=True)]


def _words(prior: Distribution, digits: int | None, at_means: bool) -> str:
    return describe(prior, digits) + (AT_MEANS if at_means else "")


def correlation_limits(block: Block) -> tuple[float, float] | None:
    """The range of the one correlation of a correlated block; None where its prior is of a correlation matrix."""
    correlation = correlation_of(block)
    assert correlation is not None
    return None if correlation.limits is None else correlation.limits(block.size)


def lkj_cholesky(size: int, concentration: float) -> Distribution:
    """NumPyro's LKJ distribution of Cholesky factors (size, size), whose sampler is built when it is first drawn from:
    building it compiles a dozen small programs.
    """
    return _deferred_lkj()(size, concentration)


@functools.cache
def _deferred_lkj() -> Any:
    import numpyro.distributions as dist

    class LKJCholesky(dist.LKJCholesky):
        def __init__(self, dimension: int, concentration: float) -> None:
            self.dimension, self.concentration, self.sample_method = dimension, concentration, "onion"
            dist.Distribution.__init__(self, (), (dimension, dimension), validate_args=False)

        @functools.cached_property
        def _beta(self) -> Distribution:
            return dist.LKJCholesky(self.dimension, self.concentration)._beta

        def __reduce__(self) -> tuple[Any, ...]:
            return lkj_cholesky, (self.dimension, self.concentration)

    return LKJCholesky


def half_student_t(df: float, scale: float, *, validate_args: bool | None = None) -> Distribution:
    """The distribution of the absolute value of a Student-t variable centred at zero."""
    import numpyro.distributions as dist

    return dist.FoldedDistribution(
        dist.StudentT(df, 0.0, scale, validate_args=validate_args), validate_args=validate_args
    )
