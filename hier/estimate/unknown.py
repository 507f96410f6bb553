"""What an estimate must not claim to know: parameters along which the objective is flat, and those at a limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hier.kernel.covariance.theta import n_theta
from hier.kernel.search.curvature import Curvature, curvature_of
from hier.model import Specification
from hier.model.row_problem import has_response_unit

VAST = 1e10  # the variance of a flat direction in units of a parameter's own size, where a covariance needs a number
MOST_NAMES = 8  # in a sentence


def curvature_at(model: Specification, fit: Any, method: str) -> Curvature:
    """The curvature of a Normal likelihood, or of a posterior density, at the end of a search `fit`.

    A likelihood's parameters are relative standard deviations and the like, whose own size counts where it is above 1,
    and last the logarithm of sigma. The size of a posterior density's is not known.
    """
    if method == "map":
        return curvature_of(fit.gradient, fit.hessian)
    size = np.maximum(np.abs(fit.x), 1.0)
    size[-1] = 1.0
    return curvature_of(fit.gradient, fit.hessian, size)


def curvature_of_rows(model: Specification, fit: Any, method: str) -> Curvature:
    """The same of a likelihood of rows, whose deviations and fixed effects are on the scale of the mean's predictor:
    that of a logarithm or a logit, and of a response in the kernel's unit, but for other links that leave the mean its
    own unit.
    """
    if method == "map":
        return curvature_of(fit.gradient, fit.hessian)
    in_units = model.likelihood.links[0].onto == "real" and not has_response_unit(model)
    unit = float(np.sqrt(np.mean(fit.eta**2))) or 1.0 if in_units else 1.0
    size = np.ones(len(fit.x))
    count = n_theta(model.terms)
    size[:count] = np.maximum(np.abs(fit.x[:count]), unit)
    if in_units and method == "ml":
        fixed = slice(len(fit.x) - len(model.design.names), None)
        size[fixed] = np.maximum(np.abs(fit.x[fixed]), unit)
    return curvature_of(fit.gradient, fit.hessian, size)


def covariance_with_flat(slopes: np.ndarray, curvature: Curvature) -> np.ndarray:
    """The covariance (c, c) of quantities with these derivatives (c, m), vast along the flat directions."""
    along = (slopes * curvature.scale) @ curvature.flat
    return slopes @ curvature.covariance @ slopes.T + VAST * along @ along.T


def flat_sentences(model: Specification, names: Sequence[str]) -> list[str]:
    """What the data leave open of these parameters, along which the likelihood is flat, and why: a sentence each."""
    said = [own.sentence for own in model.undetermined if set(own.names) & set(names)]
    known = {name for own in model.undetermined for name in own.names}
    rest = [name for name in names if name not in known]
    if rest:
        listed = ", ".join(rest[:MOST_NAMES]) + (", ..." if len(rest) > MOST_NAMES else "")
        said.append(f"the likelihood does not depend on {listed} here, so that the data say nothing of them")
    return said


def limit_sentence(name: str, limit: str) -> str:
    """That a parameter of the response's distribution is estimated at a limit of its range."""
    return (
        f"the likelihood leads `{name}` to {limit}, a limit of what it can be, so that it has no standard error and no "
        "interval, and a simpler family fits as well"
    )
