"""The priors of a model as arguments of compiled programs, all of them on the user's scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hier.kernel.algebra.elimination import Elimination
from hier.kernel.algebra.scaling import ColumnUnits
from hier.kernel.covariance.unconstrained import Ordered, as_float64

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

    from hier.model.priors import GroupPriors, Priors


class CoefficientPriors(NamedTuple):
    """Priors of linear functions of some coefficients: `at` (k, k) gives the functions, `priors` one each.

    Each function is a coefficient of the columns as written or of the anchored ones. `into` (k, k): the coefficients
    from the numbers that a density has for them: those in the kernel's units where all may be any number, otherwise the
    functions.
    """

    at: np.ndarray
    into: np.ndarray
    priors: tuple[Ordered, ...]


class PriorArrays(NamedTuple):
    """The priors of everything that is sampled or maximised; sds and correlations in the kernel's order of factors,
    and `anchored`, the map of each factor between the kernel's deviations and those that they are of.

    `own`: of each further parameter of the response's distribution without a formula, on its own scale; `others`: of
    the coefficients of those with one. `cutpoints`: one each, of the cutpoints less `shift` (c, p) times the fixed
    effects. `beta`: of the fixed effects that are not integrated out.
    """

    sd: tuple[tuple[Ordered, ...], ...]
    cor: tuple[tuple[Ordered, ...], ...]
    own: tuple[Ordered, ...]
    others: tuple[CoefficientPriors, ...]
    cutpoints: tuple[Ordered, ...]
    shift: np.ndarray
    beta: CoefficientPriors
    anchored: tuple[ColumnUnits, ...]


def prior_arrays(
    priors: Priors,
    structure: Elimination,
    random: Sequence[ColumnUnits],
    bases: Sequence[np.ndarray],
    beta: CoefficientPriors,
) -> PriorArrays:
    """A model's priors, the grouping factors in the kernel's order, in which their units `random` stand.

    `bases`: of the columns of each further parameter, from the kernel's units to the user's. `beta`: the priors of the
    fixed effects.
    """
    groups = structure.ordered(priors.groups)
    formulas = [(own, basis) for own, basis in zip(priors.parameters, bases, strict=True) if own.has_formula]
    found = PriorArrays(
        sd=tuple(tuple(map(Ordered, group.sd)) for group in groups),
        cor=tuple(tuple(map(Ordered, group.cor)) for group in groups),
        own=tuple(Ordered(*own.priors.values()) for own in priors.parameters if not own.has_formula),
        others=tuple(coefficient_priors(own.priors.values(), own.at, basis) for own, basis in formulas),
        cutpoints=tuple(map(Ordered, priors.cutpoints.values())),
        shift=priors.shift,
        beta=beta,
        anchored=tuple(map(_anchored, groups, random)),
    )
    return as_float64(found)


def coefficient_priors(priors: Iterable[Distribution], at: np.ndarray, into: np.ndarray) -> CoefficientPriors:
    """Priors of coefficients, each of the combination in a row of `at`."""
    return CoefficientPriors(at, into, tuple(map(Ordered, priors)))


def _anchored(own: GroupPriors, units: ColumnUnits) -> ColumnUnits:
    """The map between the kernel's deviations and those of the anchored columns."""
    to_anchored = np.linalg.inv(own.to_user) if own.moved else own.to_user
    return ColumnUnits(to_anchored @ units.to_user, units.to_kernel @ own.to_user)
