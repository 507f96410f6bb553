"""The parameters of a model by name: fixed effects, and the standard deviations and correlations behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hier.errors import FitError, did_you_mean
from hier.estimate.fitted import Fitted
from hier.estimate.tables import correlated_pairs
from hier.model import Specification
from hier.model.identifiability import parameter_name
from hier.model.names import COLUMN, find, told_apart
from hier.settings import names_in

FIXED, RANDOM = "fixed", "random"
EXPECTED = f'"{FIXED}", "{RANDOM}", or names of parameters'


class NamedParameter(NamedTuple):
    """A parameter of a model: its name, `kind` "fixed", "sd", "cor", "sigma" or "further", and where it stands.

    A fixed effect stands in column `i` of the design; a standard deviation or correlation in the columns `i` and `j`
    of the grouping factor `group`, by its place in the design; a further parameter of a response whose likelihood is
    approximated, or a cutpoint, at place `i` among these.
    """

    name: str
    kind: str
    group: int = 0
    i: int = 0
    j: int = 0


def named_parameters(model: Specification) -> list[NamedParameter]:
    """All parameters: the fixed effects, the cutpoints and further parameters of the response's distribution, then the
    rows of `varcorr` in its order, with `sigma` of a Normal response.

    Names are those of the columns, `sd_GROUP[column]`, `cor_GROUP[column,column]` and `sigma`; a column that is called
    as another parameter is, is `beta[sigma]`.
    """
    design = model.design
    found = [] if model.is_linear_normal else _further(model)
    effects = design.random_effects
    for k in sorted(range(len(effects)), key=lambda k: -effects[k].n_levels):
        own = effects[k]
        found += [NamedParameter(parameter_name(own, i, i), "sd", k, i) for i in range(len(own.names))]
        found += [NamedParameter(parameter_name(own, i, j), "cor", k, i, j) for i, j in correlated_pairs(own.blocks)]
    if model.is_linear_normal:
        found.append(NamedParameter("sigma", "sigma"))
    columns = told_apart(design.names, {own.name for own in found})
    return [*[NamedParameter(name, "fixed", i=k) for k, name in enumerate(columns)], *found]


def _further(model: Specification) -> list[NamedParameter]:
    """The cutpoints, then the further parameters, whose places are before those of the cutpoints."""
    keys = [key for own in model.design.parameters for key in (*own.keys(),)]
    cutpoints = enumerate(model.design.cutpoint_names, len(keys))
    return [NamedParameter(name, "further", i=i) for i, name in [*cutpoints, *enumerate(keys)]]


def chosen_parameters(model: Specification, asked: str | Sequence[str] | None) -> list[NamedParameter]:
    """The parameters that `asked` names: all (None), "fixed", "random" (the others), a name, or a list of names.

    Names are compared as terms, `I(week^2)` with `I(week ** 2)`. Raises FitError for a name that is not there, and for
    one that a column and another parameter share.
    """
    known = named_parameters(model)
    if asked is None:
        return known
    by_name = {own.name: own for own in known}
    by_name |= {COLUMN.format(model.design.names[own.i]): own for own in known if own.kind == "fixed"}
    if isinstance(asked, str) and asked not in by_name and asked in (FIXED, RANDOM):
        return [own for own in known if (own.kind == "fixed") == (asked == FIXED)]
    found = []
    for name in names_in("parameters", asked, EXPECTED):
        there = find(name, list(by_name))
        if there in model.design.names and by_name[there].kind != "fixed":
            raise FitError(
                f"`{there}` is the name of a column and of another parameter",
                expected=f"`{COLUMN.format(there)}` for the column's coefficient",
                hint=f'"{RANDOM}" for the other parameters',
            )
        if there is None:
            raise FitError(
                f"there is no parameter `{name}`",
                expected=EXPECTED,
                hint=did_you_mean(name, by_name),
            )
        found.append(by_name[there])
    return found


def estimates_of(estimate: Fitted, parameters: Sequence[NamedParameter]) -> list[float]:
    """The parameters' estimates; NaN for a correlation with a column that does not vary."""
    found = []
    for own in parameters:
        if own.kind == "fixed":
            found.append(float(estimate.arrays.beta[own.i]))
        elif own.kind == "sigma":
            found.append(estimate.sigma)
        else:
            covariance, size = estimate.arrays.terms[own.group].sized
            a, b = float(covariance[own.i, own.i]) ** 0.5, float(covariance[own.j, own.j]) ** 0.5
            if own.kind == "sd":
                found.append(a * float(size[own.i]))
            else:
                found.append(float(covariance[own.i, own.j]) / (a * b) if a * b > 0 else float("nan"))
    return found
