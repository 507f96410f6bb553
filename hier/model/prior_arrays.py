"""The priors of a model as arguments of compiled programs, all of them on the user's scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hier.kernel.algebra.elimination import Elimination
from hier.kernel.algebra.scaling import ColumnUnits
from hier.kernel.covariance.unconstrained import as_float64
from hier.model.prior_numbers import MatrixPrior, OnePrior, ScalarPriors, correlation_prior, scalar_priors

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

    from hier.model.priors import GroupPriors, Priors


class Coefficients(NamedTuple):
    """Coefficients whose priors are those of linear functions of them: `at` (k, k) gives the functions.

    Each function is a coefficient of the columns as written or of the anchored ones. `into` (k, k): the coefficients
    from the numbers that a density has for them: those in the kernel's units where all may be any number, otherwise the
    functions.
    """

    at: np.ndarray
    into: np.ndarray


class PriorArrays(NamedTuple):
    """The priors of everything that is sampled or maximised; sds, of all factors, and correlations in the kernel's
    order of factors, and `anchored`, the map of each factor between the kernel's deviations and those that they are of.

    `scalars`: of the sds of all factors, and of each further parameter of the response's distribution without a
    formula, on its own scale. `others`: of the coefficients of those with one. `shift` (c, p): the priors of the
    cutpoints are those of the cutpoints less this times the fixed effects. `beta` and `fixed`: the fixed effects that
    are not integrated out, and the priors of their functions. `every`: `scalars`, and after them those of the
    cutpoints, of `others`, and `fixed`.
    """

    scalars: ScalarPriors
    cor: tuple[tuple[OnePrior | MatrixPrior, ...], ...]
    others: tuple[Coefficients, ...]
    shift: np.ndarray
    beta: Coefficients
    fixed: ScalarPriors
    anchored: tuple[ColumnUnits, ...]
    every: ScalarPriors

    @property
    def are_numbers(self) -> bool:
        """Whether no prior is an object of NumPyro's."""
        return self.every.are_numbers and all(prior.are_numbers for own in self.cor for prior in own)


def prior_arrays(
    priors: Priors,
    structure: Elimination,
    random: Sequence[ColumnUnits],
    bases: Sequence[np.ndarray],
    beta: Coefficients,
    fixed: Sequence[Distribution],
) -> PriorArrays:
    """A model's priors, the grouping factors in the kernel's order, in which their units `random` stand.

    `bases`: of the columns of each further parameter, from the kernel's units to the user's. `beta` and `fixed`: of the
    fixed effects that are not integrated out.
    """
    groups = structure.ordered(priors.groups)
    formulas = [(own, basis) for own, basis in zip(priors.parameters, bases, strict=True) if own.has_formula]
    scalars = [prior for group in groups for prior in group.sd]
    scalars += [prior for own in priors.parameters if not own.has_formula for prior in own.priors.values()]
    others = [prior for own, _ in formulas for prior in own.priors.values()]
    found = PriorArrays(
        scalars=scalar_priors(scalars),
        cor=tuple(tuple(map(correlation_prior, group.cor)) for group in groups),
        others=tuple(Coefficients(own.at, basis) for own, basis in formulas),
        shift=priors.shift,
        beta=beta,
        fixed=scalar_priors(fixed),
        anchored=tuple(map(_anchored, groups, random)),
        every=scalar_priors([*scalars, *priors.cutpoints.values(), *others, *fixed]),
    )
    return as_float64(found)


def _anchored(own: GroupPriors, units: ColumnUnits) -> ColumnUnits:
    """The map between the kernel's deviations and those of the anchored columns."""
    to_anchored = np.linalg.inv(own.to_user) if own.moved else own.to_user
    return ColumnUnits(to_anchored @ units.to_user, units.to_kernel @ own.to_user)
