"""Links: how a parameter of a distribution follows from its linear predictor, with logarithms that keep their digits.

A probability of 1e-20 and one of 1 - 1e-20 are ordinary values of a logit predictor; their logarithms are computed
from the predictor, never from the probability.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hier.kernel.arrays.library import Array, xp


class Link(NamedTuple):
    """One link function. `onto`: the values that it can give: "real", "positive" or "unit" (the interval (0, 1)).

    `apply(value)`: the linear predictor. `inverse(eta)`: the value. `log(eta)`, `log_complement(eta)`: the logarithms
    of the value and of one less the value. `has_branches`: whether predictors above and below zero are two branches,
    which give the same values, or values without bound where they meet.
    """

    name: str
    onto: str
    apply: Callable[[Any], Any]
    inverse: Callable[[Any], Any]
    log: Callable[[Any], Any]
    log_complement: Callable[[Any], Any]
    has_branches: bool = False

    def __repr__(self) -> str:
        return f"<link {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:  # type: ignore[override]
        """A link is pickled and copied by its name, which its functions need not have."""
        return _named, (self.name,)


class Linked(NamedTuple):
    """A parameter of a distribution in every row, by its linear predictor `eta` (n,) and its link."""

    link: Link
    eta: Any

    @property
    def value(self) -> Any:
        return self.link.inverse(self.eta)

    @property
    def log(self) -> Any:
        return self.link.log(self.eta)

    @property
    def log_complement(self) -> Any:
        """log(1 - value), of a probability."""
        return self.link.log_complement(self.eta)


def _named(name: str) -> Link:
    return LINKS[name]


def _none(eta: Array) -> Any:
    return xp.full_like(eta, xp.nan)


def _log_failure(eta: Array) -> Any:
    """log(1 - exp(-exp(eta))); for very small exp(eta) that is eta."""
    return xp.where(eta < -30.0, eta, xp.log(-xp.expm1(-xp.exp(xp.maximum(eta, -30.0)))))


LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        Link("identity", "real", lambda v: v, lambda e: e, xp.log, lambda e: xp.log1p(-e)),
        Link("log", "positive", xp.log, xp.exp, lambda e: e, _none),
        Link("inverse", "real", lambda v: 1.0 / v, lambda e: 1.0 / e, lambda e: -xp.log(e), _none, True),
        Link("sqrt", "positive", xp.sqrt, xp.square, lambda e: xp.log(xp.square(e)), _none, True),
        Link(
            "logit",
            "unit",
            lambda v: xp.log(v) - xp.log1p(-v),
            xp.sigmoid,
            lambda e: -xp.softplus(-e),
            lambda e: -xp.softplus(e),
        ),
        Link("probit", "unit", xp.ndtri, xp.ndtr, xp.log_ndtr, lambda e: xp.log_ndtr(-e)),
        Link(
            "cloglog",
            "unit",
            lambda v: xp.log(-xp.log1p(-v)),
            lambda e: -xp.expm1(-xp.exp(e)),
            _log_failure,
            lambda e: -xp.exp(e),
        ),
        Link(
            "cauchit",
            "unit",
            lambda v: xp.tan(np.pi * (v - 0.5)),
            lambda e: xp.arctan2(1.0, -e) / np.pi,
            lambda e: xp.log(xp.arctan2(1.0, -e) / np.pi),
            lambda e: xp.log(xp.arctan2(1.0, e) / np.pi),
        ),
    )
}
