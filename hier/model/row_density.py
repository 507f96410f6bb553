"""The posterior density of all parameters of a model that is not Normal, as a function of numbers without bounds.

One vector x holds, in this order, the group sds, the correlations, each further parameter of the response's
distribution, the cutpoints, and the fixed effects. A parameter on its own scale is mapped to its prior's support;
coefficients are in the kernel's units, in which their columns are orthogonal, as long as their priors allow all
numbers. MAP maximises this density over the parameters themselves, NUTS samples it with the volume of the map counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hier.kernel.algebra.marginal import solve_upper
from hier.kernel.algebra.scaling import ColumnUnits
from hier.kernel.covariance.theta import Terms, correlations, sd_columns
from hier.kernel.covariance.unconstrained import (
    Ordered,
    as_float64,
    correlated_factor,
    join,
    split_vector,
    unconstrained,
)
from hier.kernel.laplace.conditional import Outer, ascending
from hier.kernel.laplace.likelihood import Likelihood
from hier.kernel.laplace.row_products import RowUnits
from hier.kernel.programs.precision import float64, kept_programs
from hier.model.density import by_factor, constrained, log_prior_of_groups
from hier.model.problem import anchored_units, terms_of
from hier.model.row_problem import FIRST_SD, RowProblem, first_coefficients, row_problem

if TYPE_CHECKING:
    from hier.model.specification import Specification as Model


class CoefficientPriors(NamedTuple):
    """Priors of linear functions of some coefficients: `at` (k, k) gives the functions, `priors` one each, and `back`
    the coefficients from them.

    Each function is a coefficient of the columns as written or of the anchored ones.
    """

    at: np.ndarray
    back: np.ndarray
    priors: tuple[Ordered, ...]


class RowPriors(NamedTuple):
    """The priors of everything that is sampled or maximised; sds and correlations in the kernel's order of factors,
    and `anchored`, the way of each factor between the kernel's deviations and those that they are of.

    `own`: of each further parameter without a formula, on its own scale; `others`: of the coefficients of those with
    one. `cutpoints`: one each, of the cutpoints less `shift` (c, p) times the fixed effects. `beta`: of these.
    """

    sd: tuple[tuple[Ordered, ...], ...]
    cor: tuple[tuple[Ordered, ...], ...]
    own: tuple[Ordered, ...]
    others: tuple[CoefficientPriors, ...]
    cutpoints: tuple[Ordered, ...]
    shift: np.ndarray
    beta: CoefficientPriors
    anchored: tuple[ColumnUnits, ...]


class Natural(NamedTuple):
    """All parameters on the user's scale: `sd` (q,) and `cor` of each factor's anchored columns, `others` (k,) of each
    further parameter, on its own scale or with a formula its coefficients, `cutpoints` (c,), `beta` (p,).
    """

    sd: tuple[Any, ...]
    cor: tuple[tuple[Any, ...], ...]
    others: tuple[Any, ...]
    cutpoints: Any
    beta: Any


@dataclass(frozen=True)
class RowDensity:
    """The density of a structure: `terms`, `likelihood`, the number of coefficients of each further parameter (0 for
    one on its own scale) and of `n_fixed` fixed effects, known when it is compiled.

    `is_free`: whether every fixed effect may be any number. `with_volume`: whether it is a density of x (NUTS) or of
    the parameters (MAP).
    """

    terms: Terms
    likelihood: Likelihood
    n_coefficients: tuple[int, ...]
    n_fixed: int
    is_free: bool
    with_volume: bool

    @property
    def _sizes(self) -> list[int]:
        counts = [own.count(block.size) for blocks in self.terms for block, own in correlations(blocks)]
        others = [max(1, size) for size in self.n_coefficients]
        return [1] * self._n_sds + counts + others + [self.likelihood.n_cutpoints, self.n_fixed]

    @property
    def n_grouped(self) -> int:
        """How many numbers say how the deviations vary."""
        return sum(self._sizes[: len(self._sizes) - len(self.n_coefficients) - 2])

    @property
    def _n_sds(self) -> int:
        return sum(len(sd_columns(blocks)) for blocks in self.terms)

    @property
    def size(self) -> int:
        return sum(self._sizes)

    def natural(self, x: Any, problem: Any) -> tuple[Natural, Any]:
        """The parameters at x (m,), and the log volume of the map as far as it depends on x."""
        priors, units = problem.priors, problem.units
        n_groups = len(self._sizes) - len(self.n_coefficients) - 2
        pieces = split_vector(x, self._sizes)
        grouped, others, (cut, beta) = pieces[:n_groups], pieces[n_groups:-2], pieces[-2:]
        nodes = [own.node for group in (*priors.sd, *priors.cor) for own in group]
        values, volume = constrained(grouped, nodes)
        sd, cor = by_factor(iter(values), self.terms)
        own_priors = iter(priors.own)
        further = []
        for piece, size, basis in zip(others, self.n_coefficients, units.others, strict=True):
            if size:
                further.append(basis @ piece)
            else:
                (value,), own_volume = constrained([piece], [next(own_priors).node])
                further.append(value[None])
                volume = volume + own_volume
        if self.is_free:
            fixed = units.basis @ beta
        else:
            held, own_volume = constrained(beta[:, None], [own.node for own in priors.beta.priors])
            fixed = priors.beta.back @ join(held)
            volume = volume + own_volume
        return Natural(sd, cor, tuple(further), ascending(cut), fixed), volume + cut[1:].sum()

    def outer(self, x: Any, problem: Any) -> Outer:
        """The parameters at x in the kernel's units."""
        natural, _ = self.natural(x, problem)
        return self.in_kernel_units(natural, problem)

    def in_kernel_units(self, natural: Natural, problem: Any) -> Outer:
        units = problem.units
        factors = tuple(
            own.kernel_factor(correlated_factor(sd, cor, blocks), units.y)
            for sd, own, cor, blocks in zip(natural.sd, problem.priors.anchored, natural.cor, self.terms, strict=True)
        )
        others = []
        for value, size, basis, link in zip(
            natural.others, self.n_coefficients, units.others, self.likelihood.links[1:], strict=True
        ):
            others.append(_solved(basis, value if size else link.apply(value)))
        return Outer(factors, tuple(others), natural.cutpoints, _solved(units.basis, natural.beta))

    def neg2_log_prior(self, x: Any, problem: Any) -> Any:
        """-2 log prior density, without the constants of the change of units."""
        priors = problem.priors
        natural, volume = self.natural(x, problem)
        total = log_prior_of_groups(natural, self.terms, priors, with_volume=self.with_volume)
        own, coefficients = iter(priors.own), iter(priors.others)
        for value, size in zip(natural.others, self.n_coefficients, strict=True):
            total = total + (_log_prior(value, next(coefficients)) if size else next(own).node.log_prob(value[0]))
        for cutpoint, prior, shift in zip(natural.cutpoints, priors.cutpoints, priors.shift, strict=True):
            total = total + prior.node.log_prob(cutpoint - shift @ natural.beta)
        total = total + _log_prior(natural.beta, priors.beta)
        return -2.0 * (total + (volume if self.with_volume else 0.0))


def _solved(basis: Any, value: Any) -> Any:
    return solve_upper(basis, value) if value.shape[0] else value


def _log_prior(coefficients: Any, own: CoefficientPriors) -> Any:
    values = own.at @ coefficients
    return sum(prior.node.log_prob(value) for prior, value in zip(own.priors, values, strict=True))


@kept_programs
@float64
def row_start(model: Model, density: RowDensity, problem: Any) -> Any:
    """Where searches begin: every sd `FIRST_SD` of the linear predictor, no correlation, and the rest as a likelihood
    is searched from.
    """
    from numpyro.distributions import biject_to

    priors, units = problem.priors, problem.units
    others, cut, beta = first_coefficients(model, problem.rows)
    guesses: list[Any] = [
        FIRST_SD * units.y * own.to_user[start, start]
        for own, blocks in zip(priors.anchored, density.terms, strict=True)
        for start, _ in sd_columns(blocks)
    ]
    guesses += [own.none(block.size) for blocks in density.terms for block, own in correlations(blocks)]
    nodes = [own.node for group in (*priors.sd, *priors.cor) for own in group]
    parts = [unconstrained(guesses, [biject_to(node.support) for node in nodes])]
    own_priors = iter(priors.own)
    for value, size, basis, link in zip(
        others, density.n_coefficients, units.others, density.likelihood.links[1:], strict=True
    ):
        if size:
            parts.append(value)
        else:
            support = next(own_priors).node.support
            parts.append(unconstrained([link.inverse((basis @ value)[0])], [biject_to(support)]))
    parts.append(cut)
    if density.is_free:
        parts.append(beta)
    else:
        values = priors.beta.at @ (units.basis @ beta)
        parts.append(unconstrained(values, [biject_to(own.node.support) for own in priors.beta.priors]))
    return join(parts)


def row_density(model: Model, *, with_volume: bool) -> RowDensity:
    """The density of a model's parameters."""
    from numpyro.distributions import constraints

    return RowDensity(
        terms=terms_of(model.design, model.structure),
        likelihood=model.likelihood,
        n_coefficients=tuple(len(own.names) if own.has_formula else 0 for own in model.design.parameters),
        n_fixed=len(model.design.names),
        is_free=all(prior.support == constraints.real for prior in model.priors.beta.values()),
        with_volume=with_volume,
    )


def posterior_rows(model: Model) -> RowProblem:
    """The rows of a model with its priors. Raises FitError as `row_problem` does."""
    problem = row_problem(model)
    return problem._replace(priors=_row_priors(model, problem.units))


def _row_priors(model: Model, units: RowUnits) -> RowPriors:
    """A model's priors as arguments of compiled programs; `units`: those of its rows."""
    priors = model.priors
    groups = [priors.groups[k] for k in model.structure.order]
    found = RowPriors(
        sd=tuple(tuple(map(Ordered, group.sd)) for group in groups),
        cor=tuple(tuple(map(Ordered, group.cor)) for group in groups),
        own=tuple(Ordered(*own.priors.values()) for own in priors.parameters if not own.has_formula),
        others=tuple(_coefficient_priors(own.priors, own.at) for own in priors.parameters if own.has_formula),
        cutpoints=tuple(map(Ordered, priors.cutpoints.values())),
        shift=priors.shift,
        beta=_coefficient_priors(priors.beta, priors.at),
        anchored=anchored_units(groups, units.random),
    )
    return as_float64(found)


def _coefficient_priors(priors: Mapping[str, Any], at: np.ndarray) -> CoefficientPriors:
    """The priors of coefficients by name, each of the combination in a row of `at`."""
    return CoefficientPriors(at, np.linalg.inv(at), tuple(map(Ordered, priors.values())))
