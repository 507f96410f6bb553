"""What a posterior mode must know of its priors: where they end, where they have no derivative, where no mode is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from hier.errors import FitError
from hier.kernel.programs.precision import float64
from hier.model import Specification
from hier.model.prior_text import describe, limits_of

AT_BOUND = 1e-4  # of a standard error: nearer than that a search that a bound has stopped ends
ROUNDING = 1e-6  # of an end's own size
KINKED = ("Laplace", "AsymmetricLaplace", "AsymmetricLaplaceQuantile")  # whose density has no derivative at `loc`


class Bounded(NamedTuple):
    """Fixed effects (p,), of which some are `at_bound` (p,); `given` (p, p) times errors of them all are those of the
    others where these are known.
    """

    beta: np.ndarray
    at_bound: np.ndarray
    given: np.ndarray


@float64
def refuse_without_mode(model: Specification) -> None:
    """Refuse priors that are infinite at an end of their support: the posterior density is largest there, whatever the
    data say. Raises FitError.
    """
    if not model.priors.replaced:
        return
    for name, prior in _named_priors(model):
        if prior.event_shape:  # that of a correlation matrix
            ends = ["a correlation of 1"] if float(prior.concentration) < 1.0 else []
        else:
            ends = [f"{end:g}" for end in limits_of(prior.support) if _is_infinite(prior, end)]
        if ends:
            raise FitError(
                f"the prior of `{name}` is infinite at {ends[0]}, so the posterior has no mode",
                found=describe(prior),
                expected="a prior whose density is finite",
                hint="sample() draws from this posterior",
            )


def refuse_kinks(model: Specification, beta: np.ndarray, vcov: np.ndarray, *, converged: bool) -> None:
    """Refuse a mode of the fixed effects where a prior has no derivative, or a search that was stopped nearby: one by
    derivatives does not find it. Raises FitError.
    """
    if not model.priors.replaced:
        return
    near = (1e-3 if converged else 0.1) * np.sqrt(np.diag(vcov))
    for (name, prior), value, spread in zip(model.priors.beta.items(), beta, near, strict=True):
        kink = _kink(prior)
        if kink is not None and not abs(value - kink) > spread:
            raise FitError(
                f"the posterior mode of `{name}` is at a kink of its prior, where a search by derivatives never ends",
                found=f"{describe(prior)}, and a mode near {value:.4g}",
                expected="a smooth prior, such as dist.StudentT(3, 0, 1)",
                hint="sample() draws from this posterior",
            )


def bounded(model: Specification, beta: np.ndarray, vcov: np.ndarray) -> Bounded:
    """Fixed effects that a search took to the end of their prior's support put there; `vcov` (p, p) is their covariance
    as it would be without such ends.
    """
    p, found = len(beta), beta.copy()
    at_bound = np.zeros(p, bool)
    for k, name in enumerate(model.design.names):
        end = end_reached(model, name, beta[k], AT_BOUND * float(np.sqrt(vcov[k, k])))
        if end is not None:
            found[k], at_bound[k] = end, True
    given = np.eye(p)
    if at_bound.any():
        given[:, at_bound] = 0.0
        free = ~at_bound
        given[np.ix_(free, at_bound)] = -np.linalg.solve(
            vcov[np.ix_(at_bound, at_bound)], vcov[np.ix_(at_bound, free)]
        ).T
    return Bounded(found, at_bound, given)


def _named_priors(model: Specification) -> Iterator[tuple[str, Any]]:
    """All priors by the names under which they are given."""
    priors = model.priors
    yield from priors.beta.items()
    yield from priors.cutpoints.items()
    for group in priors.groups:
        yield from zip(group.sd_keys(), group.sd, strict=True)
        yield from zip(group.cor_keys(), group.cor, strict=True)
    for own in priors.parameters:
        yield from own.priors.items()


def end_reached(model: Specification, name: str, value: float, near: float = 0.0) -> float | None:
    """The end of the support of a parameter's prior that a search has come to, within `near` or rounding; else None."""
    if not model.priors.replaced:
        return None
    ends = limits_of(dict(_named_priors(model))[name].support) if name in dict(_named_priors(model)) else ()
    scale = max([abs(end) for end in ends if np.isfinite(end)], default=0.0)
    reached = [end for end in ends if np.isfinite(end) and abs(value - end) <= max(near, ROUNDING * scale)]
    return reached[0] if reached else None


def _is_infinite(prior: Any, end: float) -> bool:
    """Whether a prior's density grows without limit towards an end of its support."""
    low, high = limits_of(prior.support)
    if not np.isfinite(end) or (not np.isfinite(high - low) and end != 0.0):
        return False
    steps = np.array([1e-8, 1e-15]) * (high - low) if np.isfinite(high - low) else np.array([1e-100, 1e-200])
    near = end + steps if end == low else end - steps
    first, second = (float(np.asarray(prior.log_prob(at))) for at in near)
    return second - first > 1.0


def _kink(prior: Any) -> float | None:
    """Where a prior's density has no derivative inside of its support; None where there is no such place."""
    base = getattr(prior, "base_dist", prior)
    if type(base).__name__ not in KINKED:
        return None
    low, high = limits_of(prior.support)
    at = float(np.asarray(base.loc))
    return at if low < at < high else None
