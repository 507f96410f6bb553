"""Priors: weakly informative defaults scaled from the data, and the user's own in their place.

A prior is a `numpyro.distributions` object. Those of standard deviations and of fixed effects hold for the columns as
the user wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.design import Block, Design, RandomEffects
from hier.errors import ModelError, did_you_mean
from hier.kernel.covariance import lowest_correlation

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

SCALE = 2.5  # default prior scales, in standard deviations of the response: wide, yet of the data's magnitude
STUDENT_DF = 3.0
LKJ_CONCENTRATION = 2.0


@dataclass(frozen=True)
class Priors:
    """The prior of every parameter of a model.

    `beta`: by fixed-effects column. `sd`: by random-effects column (of the grouping factor `group`), in the design's
    order. `cor`: one LKJ distribution of the correlation matrix for each block with correlations. `sigma`: residual sd.
    `centred_intercept`: whether the prior under `Intercept` is that of the mean response at the means `column_means`
    of the other columns (the default, as in brms and Bambi) or of the intercept itself (a prior that the user gave).
    `replaced`: names of the priors that the user gave.
    """

    group: str
    beta: Mapping[str, Distribution]
    sd: tuple[Distribution, ...]
    sd_names: tuple[str, ...]
    cor: tuple[Distribution, ...]
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
        rows += [
            (f"sd_{self.group}[{name}]", describe(prior)) for name, prior in zip(self.sd_names, self.sd, strict=True)
        ]
        rows += [(f"cor_{self.group}", describe(prior)) for prior in self.cor]
        return [*rows, ("sigma", describe(self.sigma))]


def default_priors(design: Design, random: RandomEffects | None = None) -> Priors:
    """Weakly informative priors on the scale of the data; `random`: the grouping factor, where there are several.

    Fixed effects: Normal(0, 2.5 sd(y) / sd(x)); the intercept, at the means of the other columns, Normal(mean(y), 2.5
    sd(y)). Group sds:
    half-Student-t(3, 0, 2.5 sd(y) / sd(x)), sigma: half-Student-t(3, 0, 2.5 sd(y)), correlations: LKJ(2).

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
    random = design.random if random is None else random
    has_intercept = "Intercept" in design.names
    return Priors(
        group=random.group,
        beta=beta,
        sd=tuple(half_student_t(STUDENT_DF, spread / _spread(column), validate_args=False) for column in random.Z.T),
        sd_names=random.names,
        cor=tuple(_default_correlation(block) for block in random.blocks if block.size > 1),
        sigma=half_student_t(STUDENT_DF, spread, validate_args=False),
        centred_intercept=has_intercept,
        column_means=design.X.mean(axis=0),
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


def replace_priors(priors: Priors, given: Mapping[str, Any], blocks: tuple[Block, ...]) -> Priors:
    """The same priors with the user's own in place of some.

    Names: a column (`week`, `Intercept`), `beta` for all columns but the intercept, `sd_GROUP[column]`, `sd_GROUP`
    for all its columns, `cor_GROUP`, `sigma`. A prior given for `Intercept` is that of the intercept as it is
    reported, where every column is zero. Raises ModelError for a name that the model does not have, and for a prior
    whose support does not fit.
    """
    import numpyro.distributions as dist

    beta, sd = dict(priors.beta), list(priors.sd)
    cor, sigma, centred = priors.cor, priors.sigma, priors.centred_intercept
    sd_keys = [f"sd_{priors.group}[{name}]" for name in priors.sd_names]
    known = ["beta", *beta, f"sd_{priors.group}", *sd_keys, *([f"cor_{priors.group}"] if cor else []), "sigma"]
    # general names first, so that a prior for one column wins over one for all of them
    for name, prior in sorted(given.items(), key=lambda item: item[0] not in ("beta", f"sd_{priors.group}")):
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
        if name.startswith("cor_") and name not in beta:
            cor = tuple(_correlation(name, prior, block) for block in blocks if block.size > 1)
        elif name in beta:
            beta[name] = _scalar(name, prior, positive=False)
            centred = centred and name != "Intercept"
        elif name == "beta":
            beta |= {key: _scalar(name, prior, positive=False) for key in beta if key != "Intercept"}
        elif name == "sigma":
            sigma = _scalar(name, prior, positive=True)
        else:
            for position, key in enumerate(sd_keys):
                if name in (key, f"sd_{priors.group}"):
                    sd[position] = _scalar(name, prior, positive=True)
    return Priors(
        priors.group,
        beta,
        tuple(sd),
        priors.sd_names,
        cor,
        sigma,
        centred,
        priors.column_means,
        priors.replaced | set(given),
    )


def _default_correlation(block: Block) -> Distribution:
    """LKJ(2), or where all correlations are one, that one uniform over its range."""
    import numpyro.distributions as dist

    if block.structure == "us":
        return dist.LKJCholesky(block.size, LKJ_CONCENTRATION, validate_args=False)
    return dist.Uniform(lowest_correlation(block.size), 1.0, validate_args=False)


def _correlation(name: str, prior: Distribution, block: Block) -> Distribution:
    """A prior for the correlations of a block, in the form that its structure needs."""
    if block.structure == "us":
        return _lkj(name, prior, block.size)
    low = lowest_correlation(block.size)
    support: Any = _scalar(name, prior, positive=False).support
    inside = support(np.array([low - 1e-6, 1.0 + 1e-6]))
    if bool(np.any(np.asarray(inside))):
        raise ModelError(
            f"the prior of `{name}` allows values that one correlation of {block.size} columns cannot have",
            found=describe(prior),
            expected=f"a distribution between {low:.3g} and 1, such as dist.Uniform({low:.3g}, 1)",
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
