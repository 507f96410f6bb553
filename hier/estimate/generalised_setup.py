"""What is optimised for each method of estimating a model that is not Normal."""

from __future__ import annotations

from hier.kernel.laplace.approximation import Approximation
from hier.kernel.laplace.conditional import Conditional, Theta
from hier.model import Specification as Model
from hier.model.problem import terms_of
from hier.model.row_density import posterior_rows, row_density
from hier.model.row_problem import RowProblem, row_problem


def set_up(model: Model, method: str, nagq: int) -> tuple[RowProblem, Approximation]:
    """The arrays of a model, and the approximate density of which they are the arguments."""
    if method == "map":
        density = row_density(model, with_volume=False)
        return posterior_rows(model), Approximation(Conditional(model.likelihood), density, nagq)
    with_fixed = method == "reml" and bool(model.design.names)  # with none, REML is maximum likelihood
    parameters = Theta(terms_of(model.design, model.structure), model.likelihood.n_cutpoints, with_fixed)
    return row_problem(model), Approximation(Conditional(model.likelihood, with_fixed), parameters, nagq)
