"""A model as the arrays that the kernel takes: cross-products, and priors in the kernel's units."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hier.design import Design
from hier.kernel.crossproducts import CrossProducts, Units, cross_products, ladder
from hier.kernel.marginal import LOG_2PI, FixedPrior
from hier.kernel.parameters import Ordered, as_float64
from hier.kernel.precision import float64

if TYPE_CHECKING:
    from hier.model.priors import Priors


class VariancePriors(NamedTuple):
    """Priors of what is not integrated out; all of them on the user's scale.

    `sd` (q of them), `cor` (one a block with correlations), `sigma`, and `held`: those of the fixed effects whose
    prior is neither Normal nor flat, which are sampled and stand last in the kernel's order.
    """

    sd: tuple[Ordered, ...]
    cor: tuple[Ordered, ...]
    sigma: Ordered
    held: tuple[Ordered, ...]


class Problem(NamedTuple):
    """What a compiled program is given: data and priors are arguments, never constants, so that the same program
    serves all.

    `order` (p,): the fixed-effects column at each place of the kernel's order. `priors` is None for REML and ML.
    """

    cross: CrossProducts
    units: Units
    order: np.ndarray
    fixed: FixedPrior
    priors: VariancePriors | None


def likelihood_problem(design: Design) -> Problem:
    """The problem under flat priors: the likelihood alone."""
    p = len(design.names)
    order = np.arange(p)
    cross, units = _cross_products(design, order)
    return Problem(cross, units, order, FixedPrior(np.zeros((p + 1, p + 1)), np.zeros(())), None)


@float64
def posterior_problem(design: Design, priors: Priors) -> Problem:
    """The problem with its priors."""
    from numpyro.distributions import ImproperUniform, Normal

    held = np.array([not isinstance(prior, Normal | ImproperUniform) for prior in priors.beta.values()], dtype=bool)
    order = np.argsort(held, kind="stable")
    cross, units = _cross_products(design, order)
    names = tuple(priors.beta)
    variance = VariancePriors(
        sd=tuple(map(Ordered, priors.sd)),
        cor=tuple(map(Ordered, priors.cor)),
        sigma=Ordered(priors.sigma),
        held=tuple(Ordered(priors.beta[names[k]]) for k in order if held[k]),
    )
    fixed = _fixed_prior(priors, units, order, int(held.sum()))
    return Problem(cross, units, order, fixed, as_float64(variance))


def _cross_products(design: Design, order: np.ndarray) -> tuple[CrossProducts, Units]:
    y = design.y if design.offset is None else design.y - design.offset
    random = design.random
    X = design.X if np.array_equal(order, np.arange(len(order))) else design.X[:, order]
    return cross_products(y, X, random.Z, random.codes, ladder(random.n_levels), design.weights)


def _fixed_prior(priors: Priors, units: Units, order: np.ndarray, n_held: int) -> FixedPrior:
    """Independent Normal priors of linear combinations of the fixed effects, as one quadratic form in the kernel's
    units.

    The prior of combination a'beta, Normal(m, s^2), has -2 log density ((a'beta - m) / s)^2 + log(2 pi s^2), and beta
    is centre + basis @ (beta in the kernel's units). The volume of that change of units is counted here too, so that
    the integral over the kernel's units is the one over the user's.
    """
    from numpyro.distributions import Normal

    names, p = tuple(priors.beta), len(priors.beta)
    form = np.zeros((p + 1, p + 1))
    constant = -2.0 * np.log(np.diag(units.basis)[: p - n_held]).sum()
    for name, prior in priors.beta.items():
        if not isinstance(prior, Normal):
            continue
        combination = np.zeros(p)
        combination[names.index(name)] = 1.0
        if name == "Intercept" and priors.centred_intercept:
            combination = priors.column_means.copy()
        combination = combination[order]
        mean, sd = float(prior.loc), float(prior.scale)
        row = np.append(combination @ units.basis, mean - combination @ units.centre) / sd
        form += np.outer(row, row)
        constant += LOG_2PI + 2.0 * np.log(sd)
    return FixedPrior(form, np.float64(constant))
