"""A model as the arrays that the kernel takes: cross-products, and priors in the kernel's units."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hier.design import Design, one_blas_thread
from hier.design.rank import column_lengths, triangular_factor
from hier.errors import DataError
from hier.kernel.algebra.crossproducts import CrossProducts, FactorColumns, cross_products, with_empty_columns
from hier.kernel.algebra.elimination import refuse_too_large
from hier.kernel.algebra.marginal import LOG_2PI, FixedPrior
from hier.kernel.algebra.padding import padded_columns, with_identity
from hier.kernel.algebra.scaling import Units
from hier.kernel.covariance.theta import sd_columns, unstructured_columns
from hier.kernel.programs.precision import float64, kept_programs
from hier.kernel.search.moments import Moments, moments
from hier.model.prior_arrays import Coefficients, PriorArrays, prior_arrays

if TYPE_CHECKING:
    from hier.model.priors import Priors
    from hier.model.specification import Specification


MANY_LEVELS = 256  # from here on a search takes longer over all levels than finding those that are equal


class Problem(NamedTuple):
    """What a compiled program is given: data and priors are arguments, never constants, so that the same program
    serves all.

    `order` (p,): the fixed-effects column at each place of the kernel's order. `first`: first estimates of the
    variances. `priors` is None for REML and ML.
    """

    cross: CrossProducts
    units: Units
    first: Moments
    order: np.ndarray
    fixed: FixedPrior
    priors: PriorArrays | None


@one_blas_thread
def likelihood_problem(model: Specification, *, once: bool = False) -> Problem:
    """The problem under flat priors: the likelihood alone. `once`: for a single search, in which taking equal levels
    together costs more than it saves unless they are many.
    """
    p = len(model.design.names)
    order = np.arange(p)
    cross, units = _cross_products(model, order, MANY_LEVELS if once else 0)
    first = moments(cross, model.terms)
    return Problem(cross, units, first, order, FixedPrior(np.zeros((p + 1, p + 1)), np.zeros(())), None)


@kept_programs
@float64
def posterior_problem(model: Specification) -> Problem:
    """The problem with its priors."""
    from numpyro.distributions import ImproperUniform, Normal

    priors = model.priors
    held = np.array([not isinstance(prior, Normal | ImproperUniform) for prior in priors.beta.values()], dtype=bool)
    order = np.argsort(held, kind="stable")
    cross, units = _cross_products(model, order)
    columns = list(priors.beta.values())
    own = [columns[k] for k in order if held[k]]  # given by the user, and so those of the coefficients themselves
    beta = Coefficients(np.eye(len(own)), np.eye(len(own)))
    arrays = prior_arrays(priors, model.structure, units.random, [np.eye(1)], beta, own)
    fixed = _fixed_prior(priors, units, order, len(own))
    first = moments(cross, model.terms)
    return Problem(cross, units, first, order, fixed, arrays)


def padded(problem: Problem) -> Problem:
    """The problem of a posterior with columns of zeros before its own, so that formulas with about as many fixed
    effects share their programs. Their coefficients have standard Normal priors and stand after the model's own in the
    user's order; nothing else depends on them.
    """
    p, priors = len(problem.order), problem.priors
    n = padded_columns(p) - p
    if n == 0 or priors is None:
        return problem
    units = problem.units
    return problem._replace(
        cross=with_empty_columns(problem.cross, n),
        units=units._replace(centre=np.append(np.zeros(n), units.centre), basis=with_identity(units.basis, before=n)),
        order=np.append(np.arange(p, p + n), problem.order),
        fixed=FixedPrior(with_identity(problem.fixed.quadratic, before=n), problem.fixed.constant + n * LOG_2PI),
        priors=priors._replace(shift=np.pad(priors.shift, ((0, 0), (n, 0)))),
    )


def refuse_large_dense(model: Specification) -> None:
    """Raise FitError where crossed factors leave more than this machine can hold."""
    crossed = [model.design.random_effects[k] for k in model.structure.dense]
    refuse_too_large([r.group for r in crossed], [r.n_levels * len(r.names) for r in crossed])


def term_arrays(design: Design) -> list[FactorColumns]:
    """The random effects as the kernel takes them, in the design's order."""
    terms = []
    for random in design.random_effects:
        one_unit = tuple((start, stop) for start, stop in sd_columns(random.blocks) if stop - start > 1)
        unstructured = unstructured_columns(random.blocks)
        terms.append(FactorColumns(random.Z, random.codes, random.n_levels, one_unit, unstructured))
    return terms


def _cross_products(model: Specification, order: np.ndarray, merged_from: int = 0) -> tuple[CrossProducts, Units]:
    refuse_large_dense(model)
    design = model.design
    y = design.y if design.offset is None else design.y - design.offset
    X, R = design.X, design.triangle
    if not np.array_equal(order, np.arange(len(order))):
        X, R = X[:, order], triangular_factor(R[:, np.append(order, len(order))])
    cross, units = cross_products(y, X, R, term_arrays(design), model.structure, design.weights, merged_from)
    if not np.isfinite(units.log_det_basis):
        _refuse_units(design)
    return cross, units


def _refuse_units(design: Design) -> None:
    """Refuse a response and covariates in units so far apart that slopes are no floating-point numbers."""
    y, *sizes = np.log10(column_lengths(np.column_stack([design.y, design.X])))
    exponents = y - np.array(sizes)
    k = int(np.abs(exponents).argmax())
    raise DataError(
        f"the response and the column `{design.names[k]}` are in units so far apart that a slope is no number",
        found=f"a slope of the order of 1e{exponents[k]:.0f}",
        expected="slopes between 1e-300 and 1e300",
        hint="measure them in other units",
    )


def _fixed_prior(priors: Priors, units: Units, order: np.ndarray, n_held: int) -> FixedPrior:
    """Independent Normal priors of linear combinations of the fixed effects, as one quadratic form in the kernel's
    units.

    The prior of combination a'beta, Normal(m, s^2), has -2 log density ((a'beta - m) / s)^2 + log(2 pi s^2), and beta
    is centre + basis @ (beta in the kernel's units). The volume of that change of units is counted here too, so that
    the integral over the kernel's units is the one over the user's.
    """
    from numpyro.distributions import Normal

    p = len(priors.beta)
    form = np.zeros((p + 1, p + 1))
    constant = -2.0 * np.log(np.diag(units.basis)[: p - n_held]).sum()
    for prior, combination in zip(priors.beta.values(), priors.at[:, order], strict=True):
        if not isinstance(prior, Normal):
            continue
        mean, sd = float(prior.loc), float(prior.scale)
        row = np.append(combination @ units.basis, mean - combination @ units.centre) / sd
        form += np.outer(row, row)
        constant += LOG_2PI + 2.0 * np.log(sd)
    return FixedPrior(form, np.float64(constant))
