"""Priors: weakly informative defaults scaled from the data, and the user's own in their place.

A prior is a `numpyro.distributions` object. Those of standard deviations and of fixed effects hold for the columns as
the user wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.design import Block, Design, RandomEffects
from hier.errors import ModelError, did_you_mean
from hier.kernel.covariance import correlation_blocks, correlation_of, correlations, sd_columns

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

SCALE = 2.5  # default prior scales, in standard deviations of the response: wide, yet of the data's magnitude
STUDENT_DF = 3.0
LKJ_CONCENTRATION = 2.0


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
class Priors:
    """The prior of every parameter of a model.

    `beta`: by fixed-effects column. `groups`: those of each grouping factor, in the design's order. `sigma`: residual
    sd.
    `centred_intercept`: whether the prior under `Intercept` is that of the mean response at the means `column_means`
    of the other columns (the default, as in brms and Bambi) or of the intercept itself (a prior that the user gave).
    `replaced`: names of the priors that the user gave.
    """

    beta: Mapping[str, Distribution]
    groups: tuple[GroupPriors, ...]
    sigma: Distribution
    centred_intercept: bool
    column_means: np.ndarray
    replaced: frozenset[str] = field(default_factory=frozenset)

    def rows(self) -> list[tuple[str, str]]:
        """Pairs of a parameter's name and its prior in words, in the order in which they are printed."""
        rows = []
        for name, prior in self.beta.items():
            at_means = name == "Intercept" and self.centred_intercept and len(self.beta) > 1
            rows.append((name, describe(prior) + (" at the means of the columns" if at_means else "")))
        return [*rows, *(row for group in self.groups for row in group.rows()), ("sigma", describe(self.sigma))]


def default_priors(design: Design) -> Priors:
    """Weakly informative priors on the scale of the data.

    Fixed effects: Normal(0, 2.5 sd(y) / sd(x)); the intercept, at the means of the other columns, Normal(mean(y), 2.5
    sd(y)). Group sds: half-Student-t(3, 0, 2.5 sd(y) / sd(x)), where columns share one with the root mean square of
    their sd(x); sigma: half-Student-t(3, 0, 2.5 sd(y)). Correlations: LKJ(2), and one that all of a block's
    correlations follow from: uniform over its range.

    Source: the scales are those of rstanarm's vignette "Prior distributions for rstanarm models"; LKJ: Lewandowski,
    Kurowicka and Joe (2009), J. Multivar. Anal. 100, 1989.
    """
    import numpyro.distributions as dist

    # nothing is checked here: the values are computed, and each check is a JAX program that a new process has to load
    y = design.y if design.offset is None else design.y - design.offset
    spread = SCALE * float(np.std(y, ddof=1))
    beta: dict[str, Distribution] = {}
    for name, column in zip(design.names, design.X.T, strict=True):
        centre = float(y.mean()) if name == "Intercept" else 0.0
        beta[name] = dist.Normal(centre, spread / _spread(column), validate_args=False)
    return Priors(
        beta=beta,
        groups=tuple(_default_group(random, spread) for random in design.random_effects),
        sigma=half_student_t(STUDENT_DF, spread, validate_args=False),
        centred_intercept="Intercept" in design.names,
        column_means=design.X.mean(axis=0),
    )


def _default_group(random: RandomEffects, spread: float) -> GroupPriors:
    blocks, bars = random.blocks, random.bars
    columns = np.array([_spread(column) for column in random.Z.T])
    scales = [spread / np.sqrt(np.mean(columns[start:stop] ** 2)) for start, stop in sd_columns(blocks)]
    return GroupPriors(
        group=random.group,
        sd_names=tuple(random.names[a] if b - a == 1 else bars[a] for a, b in sd_columns(blocks)),
        sd=tuple(half_student_t(STUDENT_DF, float(scale), validate_args=False) for scale in scales),
        cor_names=tuple(bars[start] for start, _ in correlation_blocks(blocks)),
        cor=tuple(_default_correlation(block) for block, _ in correlations(blocks)),
        blocks=tuple(block for block, _ in correlations(blocks)),
    )


def half_student_t(df: float, scale: float, *, validate_args: bool | None = None) -> Distribution:
    """The distribution of the absolute value of a Student-t variable centred at zero."""
    import numpyro.distributions as dist

    return dist.FoldedDistribution(
        dist.StudentT(df, 0.0, scale, validate_args=validate_args), validate_args=validate_args
    )


def _spread(column: np.ndarray) -> float:
    """Standard deviation of a column; of a constant one its size, so that an intercept has 1."""
    spread = float(np.std(column, ddof=1))
    size = float(np.abs(column).max())
    return spread if spread > 1e-12 * size else (size or 1.0)


def replace_priors(priors: Priors, given: Mapping[str, Any]) -> Priors:
    """The same priors with the user's own in place of some.

    Names: a column (`week`, `Intercept`), `beta` for all columns but the intercept, `sd_GROUP[column]`, `sd_GROUP`
    for all its columns, `cor_GROUP`, `sigma`. Where the columns of a bar share one sd, its name has what stands before
    the bar, as in `sd_GROUP[0 + machine]`; so have correlations where several bars on one factor have some,
    `cor_GROUP[1 + week]`, and `cor_GROUP` is then all of them. A prior given for `Intercept` is that of the intercept
    as it is reported, where every column is zero. Raises ModelError for a name that the model does not have, and for
    a prior whose support does not fit.
    """
    import numpyro.distributions as dist

    beta, sigma, centred = dict(priors.beta), priors.sigma, priors.centred_intercept
    groups = list(priors.groups)
    of_groups = [
        [f"sd_{group.group}", *group.sd_keys(), *([f"cor_{group.group}"] if group.cor else []), *group.cor_keys()]
        for group in groups
    ]
    for_all = ["beta", *(f"{kind}_{group.group}" for group in groups for kind in ("sd", "cor"))]
    known = list(dict.fromkeys(["beta", *beta, *(name for names in of_groups for name in names), "sigma"]))
    # general names first, so that a prior for one column wins over one for all of them
    for name, prior in sorted(given.items(), key=lambda item: item[0] not in for_all):
        if name not in known:
            raise ModelError(
                f"the model has no parameter `{name}` to give a prior to",
                expected=", ".join(f"`{k}`" for k in known),
                hint=did_you_mean(str(name), known),
            )
        if not isinstance(prior, dist.Distribution):
            raise ModelError(
                f"the prior of `{name}` is not a distribution",
                found=repr(prior)[:80],
                expected="an object of numpyro.distributions, such as dist.Normal(0, 10)",
            )
        if name in beta:
            beta[name] = _scalar(name, prior, positive=False)
            centred = centred and name != "Intercept"
        elif name == "beta":
            beta |= {key: _scalar(name, prior, positive=False) for key in beta if key != "Intercept"}
        elif name == "sigma":
            sigma = _scalar(name, prior, positive=True)
        else:
            k = next(k for k, names in enumerate(of_groups) if name in names)
            groups[k] = _replaced(groups[k], name, prior)
    return replace(
        priors,
        beta=beta,
        groups=tuple(groups),
        sigma=sigma,
        centred_intercept=centred,
        replaced=priors.replaced | set(given),
    )


def _replaced(group: GroupPriors, name: str, prior: Distribution) -> GroupPriors:
    """A group's priors with the one under this name replaced, or all of a kind."""
    if name == f"sd_{group.group}" or name in group.sd_keys():
        checked = _scalar(name, prior, positive=True)
        own = zip(group.sd_keys(), group.sd, strict=True)
        return replace(group, sd=tuple(checked if name in (key, f"sd_{group.group}") else old for key, old in own))
    own = zip(group.cor_keys(), group.blocks, group.cor, strict=True)
    return replace(
        group,
        cor=tuple(
            _correlation(key, prior, block) if name in (key, f"cor_{group.group}") else old for key, block, old in own
        ),
    )


def _limits(block: Block) -> tuple[float, float] | None:
    """The range of the one correlation of a correlated block; None where its prior is of a correlation matrix."""
    correlation = correlation_of(block)
    assert correlation is not None
    return None if correlation.limits is None else correlation.limits(block.size)


def _default_correlation(block: Block) -> Distribution:
    """LKJ(2), or where all correlations follow from one, that one uniform over its range."""
    import numpyro.distributions as dist

    limits = _limits(block)
    if limits is None:
        return dist.LKJCholesky(block.size, LKJ_CONCENTRATION, validate_args=False)
    return dist.Uniform(*limits, validate_args=False)


def _correlation(name: str, prior: Distribution, block: Block) -> Distribution:
    """A prior for the correlations of a block, in the form that its structure needs."""
    limits = _limits(block)
    if limits is None:
        return _lkj(name, prior, block.size)
    low, high = limits
    support: Any = _scalar(name, prior, positive=False).support
    inside = support(np.array([low - 1e-6, high + 1e-6]))
    if bool(np.any(np.asarray(inside))):
        raise ModelError(
            f"the prior of `{name}` allows values that one correlation of {block.size} columns cannot have",
            found=describe(prior),
            expected=f"a distribution between {low:.3g} and {high:.3g}, such as dist.Uniform({low:.3g}, {high:.3g})",
        )
    return prior


def _scalar(name: str, prior: Distribution, *, positive: bool) -> Distribution:
    if prior.event_shape or prior.batch_shape:
        raise ModelError(
            f"the prior of `{name}` is not that of one number",
            found=f"batch shape {prior.batch_shape}, event shape {prior.event_shape}",
            expected="a distribution with no batch and no event dimensions",
        )
    support: Any = prior.support
    inside = support(np.array([-1.0, 1.0]))
    if positive and bool(np.any(np.asarray(inside)[0])):
        raise ModelError(
            f"the prior of `{name}` allows negative values, and `{name}` is a standard deviation",
            found=describe(prior),
            expected="a distribution of positive numbers, such as dist.HalfNormal(10) or dist.Exponential(0.1)",
        )
    return prior


def _lkj(name: str, prior: Distribution, size: int) -> Distribution:
    """The LKJ prior on Cholesky factors for a block of `size` columns, whatever form of it was given."""
    import numpyro.distributions as dist

    if not isinstance(prior, dist.LKJ | dist.LKJCholesky):
        raise ModelError(
            f"the prior of `{name}` is not one of correlation matrices",
            found=describe(prior),
            expected=f"dist.LKJ({size}, concentration)",
        )
    return dist.LKJCholesky(size, prior.concentration)


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
    return f"{type(prior).__name__}({_arguments(prior)})"


def _arguments(prior: Distribution) -> str:
    return ", ".join(_short(getattr(prior, name)) for name in prior.arg_constraints if hasattr(prior, name))


def _short(value: Any) -> str:
    return f"{float(np.asarray(value)):.4g}"
