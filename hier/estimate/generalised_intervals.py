"""Wald intervals of the parameters of a model that is not Normal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from hier.errors import FitError, did_you_mean
from hier.estimate.generalised_setup import set_up
from hier.estimate.intervals import AT_LIMIT, variance_parameter, wald_note
from hier.estimate.named import EXPECTED, named_parameters
from hier.estimate.predict import check_choice, normal_quantile
from hier.estimate.printing import Table
from hier.kernel.laplace.likelihood import natural
from hier.kernel.laplace.point_fit_rows import spreads_at
from hier.settings import PROBABILITY, check, names_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from hier.estimate.generalised_result import GeneralisedEstimate


class Scaled(NamedTuple):
    """A parameter on the scale on which its estimate is nearly Normal: `value`, standard error `se`, and the way `back`
    to the user's scale.
    """

    value: float
    se: float
    back: Callable[[np.ndarray], np.ndarray]


def confint(
    estimate: GeneralisedEstimate, method: str, level: float, parameters: str | Sequence[str] | None
) -> pd.DataFrame:
    """What `GeneralisedEstimate.confint` says."""
    check_choice("method", method, ("wald",))
    level = check("level", level, PROBABILITY)
    known = {**_fixed(estimate), **_further(estimate), **_spreads(estimate)}
    names = _chosen(known, len(estimate.fixef), parameters)
    sides = np.array([-1.0, 1.0]) * normal_quantile(0.5 + level / 2)
    bounds = np.full((len(names), 2), np.nan)
    for bound, name in zip(bounds, names, strict=True):
        own = known[name]
        if np.isfinite(own.se):
            bound[:] = np.sort(own.back(own.value + sides * own.se))
    table = Table(bounds, index=names, columns=["lower", "upper"])
    limited = [name for name in names if np.isnan(known[name].se)]
    note = wald_note(limited, [name for name in names if np.isinf(known[name].se)])
    table.attrs = {"method": method, "level": level, "note": note}
    return table


def _chosen(known: dict[str, Scaled], n_fixed: int, asked: str | Sequence[str] | None) -> list[str]:
    names = list(known)
    if asked is None:
        return names
    if isinstance(asked, str) and asked not in known and asked in ("fixed", "random"):
        return names[:n_fixed] if asked == "fixed" else names[n_fixed:]
    chosen = names_in("parameters", asked, EXPECTED)
    for name in chosen:
        if name not in known:
            raise FitError(f"there is no parameter `{name}`", expected=EXPECTED, hint=did_you_mean(name, known))
    return chosen


def _same(values: np.ndarray) -> np.ndarray:
    return values


def _fixed(estimate: GeneralisedEstimate) -> dict[str, Scaled]:
    se = np.where(estimate.arrays.unknown, np.nan, estimate.arrays.standard_errors(np.eye(len(estimate.fixef))))
    return {
        str(name): Scaled(float(value), float(own), _same)
        for name, value, own in zip(estimate.fixef.index, estimate.fixef, se, strict=True)
    }


def _further(estimate: GeneralisedEstimate) -> dict[str, Scaled]:
    """Cutpoints, and the further parameters on the scale of their predictors."""
    found = {str(n): Scaled(float(v), float(se), _same) for n, v, se in estimate.cutpoints.itertuples()}
    sd, at = np.sqrt(np.maximum(np.diag(estimate.further.covariance), 0.0)), 0
    links = estimate.model.likelihood.links[1:]
    for own, values, link in zip(estimate.model.design.parameters, estimate.further.others, links, strict=True):
        for key, value in zip(own.keys(), values, strict=True):
            back = _same if own.has_formula else (lambda ends, link=link: natural(link, ends)[0])
            found[key] = Scaled(float(value), float(sd[at]), back)
            at += 1
    return found


def _spreads(estimate: GeneralisedEstimate) -> dict[str, Scaled]:
    """Standard deviations and correlations of the deviations, NaN for what is at its limit."""
    model = estimate.model
    problem, approximation = set_up(model, estimate.method, estimate.nagq)
    order, units, p = model.structure.order, problem.units.random, len(problem.units.basis)
    asked = [own for own in named_parameters(model) if own.kind in ("sd", "cor")]
    parameters = [variance_parameter(own, p, units, order.index(own.group)) for own in asked]
    values, slopes = spreads_at(estimate.arrays.search, parameters, problem, approximation)
    curvature = estimate.arrays.curvature
    with np.errstate(invalid="ignore"):
        se = np.sqrt(np.einsum("bm,mk,bk->b", slopes, curvature.covariance, slopes))
    se = np.where(curvature.moves(slopes), np.inf, se)
    found = {}
    for own, value, spread in zip(asked, values, se, strict=True):
        if own.kind == "sd":
            length = units[order.index(own.group)].direction(own.i)[1] * problem.units.y
            found[own.name] = _finite(value + np.log(length), spread, np.exp)
        else:
            inside = abs(np.tanh(value)) < 1.0 - AT_LIMIT
            found[own.name] = _finite(value if inside else np.nan, spread, np.tanh)
    return found


def unknown_spreads(estimate: GeneralisedEstimate) -> list[str]:
    """The standard deviations and correlations along which the likelihood is flat; mostly none."""
    if not estimate.arrays.curvature.flat.shape[1]:
        return []
    return [name for name, own in _spreads(estimate).items() if np.isinf(own.se)]


def _finite(value: float, se: float, back: Callable[[np.ndarray], np.ndarray]) -> Scaled:
    """Not a number for what is at a limit, of infinite standard error for what the data do not determine."""
    if not (np.isfinite(value) and se > 0):
        return Scaled(np.nan, np.nan, back)
    return Scaled(float(value), float(se), back)
