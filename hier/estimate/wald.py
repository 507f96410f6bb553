"""Wald's intervals: estimates and standard errors on scales on which estimates are nearly Normal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from hier.estimate.approximations import satterthwaite
from hier.estimate.choices import normal_quantile
from hier.estimate.fitted import Fitted, once
from hier.estimate.kernel_parameters import Scaled, unscaled
from hier.estimate.named import NamedParameter, named_parameters
from hier.estimate.printing import Table
from hier.estimate.routes import route_of
from hier.estimate.unknown import flat_sentences
from hier.kernel.laplace.likelihood import natural

SPREADS = ("sd", "cor", "sigma")


def wald(estimate: Fitted, asked: Sequence[NamedParameter], level: float, df: str) -> tuple[np.ndarray, str]:
    """Estimate plus and minus a quantile of standard errors, and a note on what they are."""
    sides = np.array([-1.0, 1.0])
    quantile = np.full(len(asked), normal_quantile(0.5 + level / 2))
    if df == "satterthwaite":
        from scipy.special import stdtrit

        all_df = satterthwaite(estimate).df(np.eye(len(estimate.arrays.beta)))
        for k, own in enumerate(asked):
            if own.kind == "fixed":
                quantile[k] = stdtrit(all_df[own.i], 0.5 + level / 2)
    bounds = np.full((len(asked), 2), np.nan)
    found = scaled(estimate, asked)
    for bound, own, reach in zip(bounds, found, quantile, strict=True):
        if np.isfinite(own.se):
            bound[:] = np.sort(own.back(own.value + sides * reach * own.se))
    both = list(zip(asked, found, strict=True))
    limited = [one.name for one, own in both if np.isnan(own.se)]
    return bounds, _note(limited, [one.name for one, own in both if np.isinf(own.se)])


def _note(limited: Sequence[str], flat: Sequence[str]) -> str:
    """What Wald intervals are, and why some parameters have none: those at a limit, and those of which nothing is
    known.
    """
    said = ["Wald intervals; those of standard deviations and correlations on the log and Fisher's z scale"]
    if limited:
        said.append(f"none of what is estimated at a limit of its range ({', '.join(limited)})")
    if flat:
        said.append(f"none of what the data do not determine ({', '.join(flat)})")
    return "; ".join(said)


def scaled(estimate: Fitted, asked: Sequence[NamedParameter]) -> list[Scaled]:
    """Parameters on the scales of their intervals."""
    found: dict[NamedParameter, Scaled] = {}
    arrays, kinds = estimate.arrays, {own.kind for own in asked}
    if "fixed" in kinds:
        errors = np.where(arrays.unknown, np.nan, arrays.standard_errors(np.eye(len(arrays.beta))))
        for own in asked:
            if own.kind == "fixed":
                found[own] = Scaled(float(arrays.beta[own.i]), float(errors[own.i]), unscaled)
    if "further" in kinds:
        further = _further(estimate)
        found |= {own: further[own.i] for own in asked if own.kind == "further"}
    spread = [own for own in asked if own.kind in SPREADS]
    if spread:
        found |= dict(zip(spread, route_of(estimate).spreads(estimate, spread), strict=True))
    return [found[own] for own in asked]


def _further(estimate: Fitted) -> list[Scaled]:
    """Coefficients of further parameters on the scale of their predictors, and cutpoints, in the order of their
    covariance.
    """
    further, found = estimate.further, []
    links = estimate.model.likelihood.links[1:]
    for own, values, link in zip(estimate.model.design.parameters, estimate.others, links, strict=True):
        back = unscaled if own.has_formula else (lambda ends, link=link: natural(link, ends)[0])
        found += [(value, back) for value in values]
    found += [(value, unscaled) for value in further.cutpoints]
    return [Scaled(float(value), float(se), back) for (value, back), se in zip(found, further.sd, strict=True)]


def unknown_parameters(estimate: Fitted) -> list[str]:
    """The standard deviations, correlations and sigma along which the objective is flat; mostly none."""
    if not estimate.arrays.curvature.flat.shape[1]:
        return []
    asked = [own for own in named_parameters(estimate.model) if own.kind in SPREADS]
    return [own.name for own, found in zip(asked, scaled(estimate, asked), strict=True) if np.isinf(found.se)]


def with_unknown_said(estimate: Fitted) -> Fitted:
    """A fit whose message also names what the data leave open."""
    lost = unknown_parameters(estimate) if estimate.converged else []
    if not lost:
        return estimate
    return replace(estimate, message="; ".join([estimate.message, *flat_sentences(estimate.model, lost)]))


@once
def family_parameters(estimate: Fitted) -> pd.DataFrame:
    """What `Estimate.family_parameters` says."""
    rows: dict[str, tuple[float, float]] = {}
    asked = [own for own in named_parameters(estimate.model) if own.kind == "sigma"]
    sd = [own.se for own in (scaled(estimate, asked) if asked else _further(estimate))]
    links, at = estimate.model.likelihood.links[1:], 0
    for own, coefficients, link in zip(estimate.model.design.parameters, estimate.others, links, strict=True):
        se = sd[at : at + len(coefficients)]
        at += len(coefficients)
        if own.has_formula:
            rows |= dict(zip(own.keys(), zip(coefficients, se, strict=True), strict=True))
        else:
            value, slope = natural(link, coefficients)
            rows[own.name] = (float(value[0]), float(se[0] * abs(slope[0])))
    return Table(pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "std_error"], dtype=float))
