"""The user's own priors in place of the defaults, each checked: its name, its shape, its support."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.design import Block
from hier.errors import ModelError
from hier.kernel.laplace.links import LINKS
from hier.model.families import Family
from hier.model.parameter_names import cor_name, sd_name
from hier.model.prior_names import Target, target_of
from hier.model.prior_text import bad_parameters, describe, limits_of, read_prior
from hier.model.priors import GroupPriors, ParameterPriors, Priors, correlation_limits, lkj_cholesky

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

# the range that a prior's values must not leave, what is said of a parameter that has it, and an example
_RANGES = {
    "real": (-math.inf, math.inf, "may be any number", "numbers, such as dist.Normal(0, 10)"),
    "positive": (0.0, math.inf, "is positive", "positive numbers, such as dist.HalfNormal(10)"),
    "unit": (0.0, 1.0, "is between 0 and 1", "numbers between 0 and 1, such as dist.Beta(1, 1)"),
}
_MASSES = ("Delta", "Unit", "Hurdle", "ZeroInflated", "Censored")  # in the names of distributions with point masses
_SLACK = 1e-6  # of a correlation's range, which is printed with few digits


def replace_priors(priors: Priors, family: Family, given: Mapping[str, Any]) -> Priors:
    """The same priors with the user's own in place of some.

    Names: a column (`week`, `Intercept`), `beta` for all columns but the intercept, `sd_GROUP[column]`, `sd_GROUP`
    for all its columns, `cor_GROUP`, `sigma` and the family's other parameters, or with a formula their coefficients
    (`sigma_Intercept`, `sigma_week`; `sigma` is then all but the intercept's). Where the columns of a bar share one sd,
    its name has what stands before the bar, as in `sd_GROUP[0 + machine]`; so have correlations where several bars on
    one factor have some, `cor_GROUP[1 + week]`, and `cor_GROUP` is then all of them. A prior given for a coefficient is
    that of the coefficient as it is reported: for `Intercept`, of the value where every column is zero; of an ordered
    response, `Intercept` is all cutpoints and `Intercept[1]` one. Priors of group sds and correlations are those of the
    same deviations as the defaults that they replace. Names are compared as terms, `I(week^2)` with `I(week ** 2)`;
    where a column has a parameter's name, `beta[sigma]` is the column's and `parameter[sigma]` the parameter's. Raises
    ModelError for a name that the model does not have, and for a prior that is not one of such a parameter.
    """
    import numpyro.distributions as dist

    targets = {name: target_of(priors, name) for name in given}
    # general names first, so that a prior for one column wins over one for all of them
    for name, target in sorted(targets.items(), key=lambda item: not item[1].is_general):
        prior = _read(name, given[name]) if isinstance(given[name], str) else given[name]
        if not isinstance(prior, dist.Distribution):
            raise ModelError(
                f"the prior of `{name}` is not a distribution",
                found=repr(prior)[:80],
                expected='text such as "normal(0, 10)", or an object of numpyro.distributions',
            )
        priors = _of_target(priors, family, target, prior)
    return replace(priors, replaced=priors.replaced | {own.name for own in targets.values()})


def _read(name: str, text: str) -> Distribution:
    """The prior that is given as text. Raises ModelError, which says of what parameter."""
    try:
        return read_prior(text)
    except ModelError as error:
        where, found, expected, hint = f"prior of `{name}`", error.found, error.expected, error.hint
        raise ModelError(error.what, where=where, found=found, expected=expected, hint=hint) from None


def _of_target(priors: Priors, family: Family, target: Target, prior: Distribution) -> Priors:
    """The priors with those of a target replaced; a column that has a parameter's name is not the parameter."""
    if target.is_column:
        return _with(priors, family, target.name, prior)
    if target.name == "beta":
        for name in priors.beta:
            priors = priors if name == "Intercept" else _with(priors, family, name, prior)
        return priors
    found = _with(replace(priors, beta={}), family, target.name, prior)
    return replace(found, beta=priors.beta)


def _with(priors: Priors, family: Family, name: str, prior: Distribution) -> Priors:
    """The priors with those under one name replaced."""
    if name in priors.beta:
        beta, at = _of_columns(priors.beta, priors.at, {name}, _scalar(name, prior))
        return replace(priors, beta=beta, at=at)
    if name in priors.cutpoints or (name == "Intercept" and priors.cutpoints):
        checked, named = _scalar(name, prior, everywhere=True), [name in (key, "Intercept") for key in priors.cutpoints]
        own = {key: checked if mine else old for (key, old), mine in zip(priors.cutpoints.items(), named, strict=True)}
        return replace(priors, cutpoints=own, shift=np.where(np.array(named)[:, None], 0.0, priors.shift))
    for k, further in enumerate(priors.parameters):
        if name == further.name or name in further.priors:
            changed = _of_parameter(further, family, name, prior)
            return replace(priors, parameters=(*priors.parameters[:k], changed, *priors.parameters[k + 1 :]))
    groups = tuple(
        _replaced(group, name, prior)
        if name in (sd_name(group.group), cor_name(group.group), *group.sd_keys(), *group.cor_keys())
        else group
        for group in priors.groups
    )
    return replace(priors, groups=groups)


def _of_parameter(own: ParameterPriors, family: Family, name: str, prior: Distribution) -> ParameterPriors:
    """The priors of a further parameter with one replaced, or with a formula under its name all but the intercept's."""
    if not own.has_formula:
        record = next(each for each in family.parameters if each.name == own.name)
        return replace(own, priors={name: _scalar(name, prior, LINKS[record.links[0]].onto)})
    named = {key for key in own.priors if key == name or (name == own.name and key != own.intercept)}
    changed, at = _of_columns(own.priors, own.at, named, _scalar(name, prior, everywhere=True))
    return replace(own, priors=changed, at=at)


def _of_columns(
    priors: Mapping[str, Distribution], at: np.ndarray, named: set[str], prior: Distribution
) -> tuple[dict[str, Distribution], np.ndarray]:
    """Priors of coefficients with those of some in place, which are of the coefficients themselves."""
    own = np.array([key in named for key in priors], dtype=bool)
    found = {key: prior if key in named else old for key, old in priors.items()}
    return found, np.where(own[:, None], np.eye(len(at)), at)


def _replaced(group: GroupPriors, name: str, prior: Distribution) -> GroupPriors:
    """A group's priors with the one under this name replaced, or all of a kind."""
    every_sd, every_cor = sd_name(group.group), cor_name(group.group)
    if name == every_sd or name in group.sd_keys():
        checked = _scalar(name, prior, "positive")
        own = zip(group.sd_keys(), group.sd, strict=True)
        return replace(group, sd=tuple(checked if name in (key, every_sd) else old for key, old in own))
    own = zip(group.cor_keys(), group.blocks, group.cor, strict=True)
    return replace(
        group,
        cor=tuple(_correlation(key, prior, block) if name in (key, every_cor) else old for key, block, old in own),
    )


def _correlation(name: str, prior: Distribution, block: Block) -> Distribution:
    """A prior for the correlations of a block, in the form that its structure needs."""
    limits = correlation_limits(block)
    if limits is None:
        return _lkj(name, prior, block.size)
    low, high = limits
    least, most = limits_of(_scalar(name, prior).support)
    if least < low - _SLACK or most > high + _SLACK:
        raise ModelError(
            f"the prior of `{name}` allows values that one correlation of {block.size} columns cannot have",
            found=describe(prior),
            expected=f"a distribution between {low:.3g} and {high:.3g}, such as dist.Uniform({low:.3g}, {high:.3g})",
        )
    return prior


def _scalar(name: str, prior: Distribution, onto: str = "real", *, everywhere: bool = False) -> Distribution:
    """The prior, if it is a density of one number whose values are `onto`: "real", "positive" or "unit"; `everywhere`:
    if it also allows all of these.
    """
    if prior.event_shape or prior.batch_shape:
        raise ModelError(
            f"the prior of `{name}` is not that of one number",
            found=f"{describe(prior)} with batch shape {prior.batch_shape}, event shape {prior.event_shape}",
            expected="a distribution with no batch and no event dimensions",
        )
    low, high, is_what, example = _RANGES[onto]
    _refuse_odd(name, prior, f"a density of {example}")
    least, most = limits_of(prior.support)
    if least < low or most > high:
        raise ModelError(
            f"the prior of `{name}` allows {'negative values' if onto == 'positive' else 'other values'}, and "
            f"`{name}` {is_what}",
            found=describe(prior),
            expected=f"a distribution of {example}",
        )
    if everywhere and (least > low or most < high):
        raise ModelError(
            f"the prior of `{name}` rules some numbers out, and `{name}` {is_what}",
            found=f"{describe(prior)}, from {least:g} to {most:g}",
            expected=f"a distribution of all {example}",
        )
    return prior


def _refuse_odd(name: str, prior: Distribution, expected: str) -> None:
    """Refuse a distribution that has no density, whose density cannot be mapped to all numbers, or whose parameters
    are not what they have to be.
    """
    from numpyro.distributions import biject_to

    kind = type(prior).__name__
    said = bad_parameters(prior)
    if prior.is_discrete:
        said = "it is discrete, and the parameter continuous"
    elif any(mass in kind for mass in _MASSES):
        said = "it has probability at single values, and no density there"
    elif said is None:
        try:
            biject_to(prior.support)
        except NotImplementedError:
            said = "no map from all numbers to its support is known"
    if said:
        raise ModelError(f"the prior of `{name}` cannot be one: {said}", found=describe(prior), expected=expected)


def _lkj(name: str, prior: Distribution, size: int) -> Distribution:
    """The LKJ prior on Cholesky factors for a block of `size` columns, whatever form of it was given."""
    import numpyro.distributions as dist

    if not isinstance(prior, dist.LKJ | dist.LKJCholesky):
        raise ModelError(
            f"the prior of `{name}` is not one of correlation matrices",
            found=describe(prior),
            expected=f"dist.LKJ({size}, concentration)",
        )
    said = bad_parameters(prior)
    if said:
        raise ModelError(f"the prior of `{name}` cannot be one: {said}", found=describe(prior))
    return lkj_cholesky(size, prior.concentration)
