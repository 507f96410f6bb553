"""The posterior density of all parameters of a model that is not Normal, as a function of numbers without bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.kernel.algebra.marginal import solve_upper
from hier.kernel.algebra.padding import with_identity
from hier.kernel.covariance.theta import Terms, sd_columns
from hier.kernel.covariance.unconstrained import correlated_factor
from hier.kernel.laplace.conditional import Outer
from hier.kernel.laplace.likelihood import Likelihood
from hier.kernel.programs.precision import computed
from hier.model.parameter_space import Parameters, ParameterSpace
from hier.model.prior_arrays import Coefficients, PriorArrays, prior_arrays
from hier.model.row_problem import FIRST_SD, RowProblem, first_coefficients, row_problem

if TYPE_CHECKING:
    from hier.model.specification import Specification


@dataclass(frozen=True)
class RowDensity:
    """The density of the parameters in a `space`, of which `likelihood` has those of the response's distribution."""

    space: ParameterSpace
    likelihood: Likelihood

    @property
    def terms(self) -> Terms:
        return self.space.terms

    @property
    def n_grouped(self) -> int:
        """How many numbers say how the deviations vary."""
        return self.space.n_grouped

    @property
    def size(self) -> int:
        return self.space.size

    def constrain(self, x: Any, problem: RowProblem) -> tuple[Parameters, Any]:
        """The parameters at x, and the log volume of the map."""
        return self.space.constrain(x, _priors(problem))

    def outer(self, x: Any, problem: RowProblem) -> Outer:
        """The parameters at x in the kernel's units."""
        return self.in_kernel_units(self.constrain(x, problem)[0], problem)

    def in_kernel_units(self, parameters: Parameters, problem: RowProblem) -> Outer:
        units, anchored = problem.units, _priors(problem).anchored
        factors = tuple(
            own.kernel_factor(correlated_factor(sd, cor, blocks), units.y)
            for sd, own, cor, blocks in zip(parameters.sd, anchored, parameters.cor, self.terms, strict=True)
        )
        own = zip(parameters.others, self.space.n_coefficients, units.others, self.likelihood.links[1:], strict=True)
        others = tuple(_solved(basis, value if size else link.apply(value)) for value, size, basis, link in own)
        return Outer(factors, others, parameters.cutpoints, _solved(units.basis, parameters.beta))

    def are_numbers(self, problem: RowProblem) -> bool:
        """Whether every prior is in the table of those that NumPy computes."""
        return _priors(problem).are_numbers

    def neg2_log_prior(self, x: Any, problem: RowProblem) -> Any:
        """-2 log prior density, without the constants of the change of units."""
        parameters, volume = self.constrain(x, problem)
        return self.space.neg2_log_prior(parameters, volume, _priors(problem))


def _priors(problem: RowProblem) -> PriorArrays:
    assert problem.priors is not None
    return problem.priors


def _solved(basis: Any, value: Any) -> Any:
    return solve_upper(basis, value) if value.shape[0] else value


@computed
def row_start(model: Specification, density: RowDensity, problem: RowProblem) -> Any:
    """Where searches begin: every sd `FIRST_SD` of the linear predictor, no correlation, and the rest as a likelihood
    is searched from.
    """
    space, priors, units = density.space, _priors(problem), problem.units
    others, cut, beta = first_coefficients(model, problem.rows)
    sds = [
        FIRST_SD * units.y * own.to_user[start, start]
        for own, blocks in zip(priors.anchored, space.terms, strict=True)
        for start, _ in sd_columns(blocks)
    ]
    own = zip(others, space.n_coefficients, units.others, density.likelihood.links[1:], strict=True)
    further = [value if size else link.inverse((basis @ value)[0]) for value, size, basis, link in own]
    return space.start(sds, further, cut, beta if space.is_free else priors.beta.at @ (units.basis @ beta), priors)


def row_density(model: Specification, *, with_volume: bool, n_more: int = 0) -> RowDensity:
    """The density of a model's parameters, and of so many fixed effects more as `posterior_rows` is asked for."""
    space = ParameterSpace(
        terms=model.terms,
        n_coefficients=tuple(len(own.names) if own.has_formula else 0 for own in model.design.parameters),
        n_cutpoints=model.likelihood.n_cutpoints,
        n_fixed=len(model.design.names) + n_more,
        is_free=_is_free(model),
        with_volume=with_volume,
    )
    return RowDensity(space, model.likelihood)


def _is_free(model: Specification) -> bool:
    """Whether every fixed effect may be any number."""
    from numpyro.distributions import constraints

    return all(prior.support == constraints.real for prior in model.priors.beta.values())


def posterior_rows(model: Specification, n_more: int = 0) -> RowProblem:
    """The rows of a model with its priors. Raises FitError as `row_problem` does.

    `n_more`: fixed effects of columns of zeros, with standard Normal priors, after the model's own.
    """
    from numpyro.distributions import Normal

    problem, priors = row_problem(model), model.priors
    rows, units = problem.rows, problem.units
    units = units._replace(basis=with_identity(units.basis, after=n_more))
    at = with_identity(priors.at, after=n_more)
    beta = Coefficients(at, units.basis if _is_free(model) else np.linalg.inv(at))
    fixed = [*priors.beta.values(), *[Normal(0.0, 1.0)] * n_more]
    own = prior_arrays(priors, model.structure, units.random, units.others, beta, fixed)
    own = own._replace(shift=np.pad(own.shift, ((0, 0), (0, n_more))))
    return RowProblem(rows._replace(X=np.pad(rows.X, ((0, 0), (0, n_more)))), units, own)
