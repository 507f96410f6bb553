"""Default priors: weakly informative, scaled from the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import block_diag

from hier.design import Anchor, Block, Design, ParameterDesign, RandomEffects, anchor, bar_anchors
from hier.kernel.covariance.theta import correlation_blocks, correlations, sd_columns
from hier.kernel.laplace.links import LINKS
from hier.kernel.programs.precision import float64, kept_programs
from hier.model.families import Family, FamilyParameter
from hier.model.prior_text import read_prior
from hier.model.priors import GroupPriors, ParameterPriors, Priors, correlation_limits, half_student_t, lkj_cholesky

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

SCALE = 2.5  # default prior scales, in standard deviations of the response: wide, yet of the data's magnitude
STUDENT_DF = 3.0
LKJ_CONCENTRATION = 2.0


def default_priors(design: Design, family: Family, link: str, *, centred: bool = True) -> Priors:
    """Weakly informative priors on the scale of the data.

    They are those of the anchored columns (see `hier.design.anchor`), so that the posterior stays the same when a
    covariate is shifted or scaled. Fixed effects: Normal(0, 2.5 s / sd(x)); the intercept, which is then the value at
    the means of the columns, Normal(m, 2.5 s); a factor's columns that stand for it, Normal(m, 2.5 s / sd(x)). Group
    sds: half-Student-t(3, 0, 2.5 s / sd(x)), where columns share one with the root mean square of their sd(x).
    Correlations: LKJ(2), and one that all of a block's correlations follow from: uniform over its range. With the
    identity link m and s are mean and sd of the response (of a lognormal one, of its logarithm); with any other, m is
    the link of the mean response and s is 1. Cutpoints: Student-t(3, 0, 2.5), as in brms.

    Further parameters without a formula: that of their record, or half-Student-t(3, 0, 2.5 sd(y)). With one: Normal(0,
    2.5 / sd(x)) on the link scale, the intercept Normal(log(sd(y)), 2.5) for a standard deviation, else Normal(0, 2.5).

    Not `centred`: the same priors are those of the columns as the user wrote them.

    Source: the scales are those of rstanarm's vignette "Prior distributions for rstanarm models"; LKJ: Lewandowski,
    Kurowicka and Joe (2009), J. Multivar. Anal. 100, 1989.
    """
    # nothing is checked here: the values are computed, and each check is a JAX program that a new process has to load
    y, offset = _on_scale_of_mu(design, family), 0.0 if design.offset is None else design.offset
    identity = link == "identity"
    spread_of_y = float(np.std(y - offset if identity else y, ddof=1))
    location = float(np.mean(y - offset)) if identity else _linked(link, y, design) - float(np.mean(offset))
    spread = SCALE * spread_of_y if identity else SCALE
    ordered = design.n_cutpoints > 0
    own = anchor(design.X, design.fixed, design.kept, constant=ordered, centred=centred)
    return Priors(
        beta=_coefficients(design.names, own, location, spread),
        at=own.to_anchored,
        cutpoints={f"Intercept[{k + 1}]": _student_t(SCALE) for k in range(design.n_cutpoints)},
        shift=np.tile(own.mean if centred else np.zeros(len(design.names)), (design.n_cutpoints, 1)),
        groups=tuple(_default_group(random, spread, centred=centred) for random in design.random_effects),
        parameters=tuple(
            _default_parameter(record, further, spread_of_y, centred=centred)
            for record, further in zip(family.parameters[1:], design.parameters, strict=True)
        ),
    )


def _on_scale_of_mu(design: Design, family: Family) -> np.ndarray:
    """The response on the scale on which its mean, through the link, is modelled: a share of its trials, or as the
    family's record says a logarithm.
    """
    if family.response_scale == "log":
        return np.log(design.y)
    return design.y if design.trials is None else design.y / design.trials


@kept_programs
@float64
def _linked(link: str, y: np.ndarray, design: Design) -> float:
    """The link of the mean response, kept inside the range in which the link is finite; 0 for an ordered one."""
    if design.n_cutpoints:
        return 0.0
    n, mean = len(y), float(np.mean(y))
    if LINKS[link].onto == "unit":
        mean = (n * mean + 0.5) / (n + 1.0)
    found = float(LINKS[link].apply(np.float64(mean))) if mean > 0 else 0.0
    return found if np.isfinite(found) else 0.0


def _coefficients(
    names: tuple[str, ...], own: Anchor, location: float, spread: float, prefix: str = ""
) -> dict[str, Distribution]:
    """Normal priors of the coefficients of anchored columns, scaled by the columns' spreads."""
    import numpyro.distributions as dist

    return {
        f"{prefix}{name}": dist.Normal(location if level else 0.0, spread / size, validate_args=False)
        for name, level, size in zip(names, own.level, own.spread.tolist(), strict=True)
    }


def _default_parameter(
    record: FamilyParameter, own: ParameterDesign, spread_of_y: float, *, centred: bool
) -> ParameterPriors:
    is_spread = record.prior is None
    if own.has_formula:
        location = float(np.log(spread_of_y)) if is_spread else 0.0
        columns = anchor(own.X, own.encoder, own.determined.kept, centred=centred)
        priors = _coefficients(own.names, columns, location, SCALE, f"{own.name}_")
        return ParameterPriors(own.name, priors, True, columns.to_anchored)
    if is_spread:
        prior: Any = half_student_t(STUDENT_DF, SCALE * spread_of_y, validate_args=False)
    else:
        prior = read_prior(record.prior) if isinstance(record.prior, str) else record.prior
    return ParameterPriors(own.name, {own.name: prior}, False, np.eye(1))


def _student_t(scale: float) -> Distribution:
    import numpyro.distributions as dist

    return dist.StudentT(STUDENT_DF, 0.0, scale, validate_args=False)


def _default_group(random: RandomEffects, spread: float, *, centred: bool) -> GroupPriors:
    blocks, bars = random.blocks, random.bars
    anchors = bar_anchors(random, centred=centred)
    columns = np.concatenate([own.spread for own in anchors])
    scales = [spread / np.sqrt(np.mean(columns[start:stop] ** 2)) for start, stop in sd_columns(blocks)]
    return GroupPriors(
        group=random.group,
        sd_names=tuple(random.names[a] if b - a == 1 else bars[a] for a, b in sd_columns(blocks)),
        sd=tuple(half_student_t(STUDENT_DF, float(scale), validate_args=False) for scale in scales),
        cor_names=tuple(bars[start] for start, _ in correlation_blocks(blocks)),
        cor=tuple(_default_correlation(block) for block, _ in correlations(blocks)),
        blocks=tuple(block for block, _ in correlations(blocks)),
        all_blocks=blocks,
        to_user=block_diag(*(own.to_user for own in anchors)),
        moved=any(own.moved for own in anchors),
    )


def _default_correlation(block: Block) -> Distribution:
    """LKJ(2), or where all correlations follow from one, that one uniform over its range."""
    import numpyro.distributions as dist

    limits = correlation_limits(block)
    if limits is None:
        return lkj_cholesky(block.size, LKJ_CONCENTRATION)
    return dist.Uniform(*limits, validate_args=False)
