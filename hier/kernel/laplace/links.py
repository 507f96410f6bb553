"""Links: how a parameter of a distribution follows from its linear predictor, with logarithms that keep their digits.

A probability of 1e-20 and one of 1 - 1e-20 are ordinary values of a logit predictor; their logarithms are computed
from the predictor, never from the probability.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr, ndtr, ndtri


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


def _none(eta: jax.Array) -> Any:
    return jnp.full_like(eta, jnp.nan)


def _log_failure(eta: jax.Array) -> Any:
    """log(1 - exp(-exp(eta))); for very small exp(eta) that is eta."""
    return jnp.where(eta < -30.0, eta, jnp.log(-jnp.expm1(-jnp.exp(jnp.maximum(eta, -30.0)))))


LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        Link("identity", "real", lambda v: v, lambda e: e, jnp.log, lambda e: jnp.log1p(-e)),
        Link("log", "positive", jnp.log, jnp.exp, lambda e: e, _none),
        Link("inverse", "real", lambda v: 1.0 / v, lambda e: 1.0 / e, lambda e: -jnp.log(e), _none, True),
        Link("sqrt", "positive", jnp.sqrt, jnp.square, lambda e: jnp.log(jnp.square(e)), _none, True),
        Link(
            "logit",
            "unit",
            lambda v: jnp.log(v) - jnp.log1p(-v),
            jax.nn.sigmoid,
            lambda e: -jax.nn.softplus(-e),
            lambda e: -jax.nn.softplus(e),
        ),
        Link("probit", "unit", ndtri, ndtr, log_ndtr, lambda e: log_ndtr(-e)),
        Link(
            "cloglog",
            "unit",
            lambda v: jnp.log(-jnp.log1p(-v)),
            lambda e: -jnp.expm1(-jnp.exp(e)),
            _log_failure,
            lambda e: -jnp.exp(e),
        ),
        Link(
            "cauchit",
            "unit",
            lambda v: jnp.tan(np.pi * (v - 0.5)),
            lambda e: jnp.arctan2(1.0, -e) / np.pi,
            lambda e: jnp.log(jnp.arctan2(1.0, -e) / np.pi),
            lambda e: jnp.log(jnp.arctan2(1.0, e) / np.pi),
        ),
    )
}
