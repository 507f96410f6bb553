"""A model that is not Normal as the arrays that the kernel takes: its rows in the kernel's units, and a start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hier.kernel.covariance import n_columns, starts, theta_of
from hier.kernel.crossproducts import root_mean_square
from hier.kernel.likelihood import apply_link
from hier.kernel.rows import Columns, Rows, RowUnits, rows_of
from hier.model.problem import refuse_large_dense, term_arrays, terms_of

if TYPE_CHECKING:
    from hier.model.model import Model

FIRST_SD = 0.3  # of each column's deviations, on the scale of the linear predictor, where scores say nothing better
LEAST_MEAN = 0.1  # of the mean response: where a search begins for a row whose response is not positive


class RowProblem(NamedTuple):
    """What a compiled program is given: rows, the way back to the user's units, and priors; None for likelihoods."""

    rows: Rows
    units: RowUnits
    priors: Any


def row_problem(model: Model) -> RowProblem:
    """The rows of a model, without priors. Raises FitError where its crossed factors are too large for this machine."""
    design, n = model.design, model.design.nobs
    refuse_large_dense(design, model.structure)
    ones, zeros = np.ones(n), np.zeros(n)
    unit = _response_unit(model)
    parameters = [Columns(design.X, zeros if design.offset is None else design.offset)]
    for k, own in enumerate(design.parameters):
        offset = zeros if own.offset is None else own.offset
        in_unit = unit != 1.0 and k == model.family.precision_at
        parameters.append(Columns(np.asarray(own.X), offset - np.log(unit) if in_unit else offset))
    rows, units = rows_of(
        y=design.y,
        trials=ones if design.trials is None else design.trials,
        counts=ones if model.row_weights is None else model.row_weights,
        parameters=parameters,
        terms=term_arrays(design),
        structure=model.structure,
        unit=unit,
    )
    return RowProblem(rows, units, None)


def has_response_unit(model: Model) -> bool:
    """Whether the likelihood is the same in any unit of the response, and of the mean's linear predictor."""
    at, links = model.family.precision_at, model.likelihood.links
    if at is None or not model.family.location_scale:
        return False
    return links[0].name == "identity" and links[1 + at].name == "log"


def _response_unit(model: Model) -> float:
    """The spread of the response, where the likelihood is the same in any unit; otherwise 1.

    A residual standard deviation whose logarithm is modelled takes the unit up in its offset.
    """
    if not has_response_unit(model):
        return 1.0
    y = model.design.y if model.design.offset is None else model.design.y - model.design.offset
    return root_mean_square(y - y.mean()) or 1.0


def first_coefficients(model: Model, rows: Rows) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Where searches begin, in the kernel's units: the coefficients of each further parameter, the cutpoints, and the
    fixed effects.

    The fixed effects are those of least squares on the scale of the predictor, each response moved off the limits of
    what a mean can be. Source: R's `glm.fit`, whose families have such starting means.
    """
    likelihood, y = model.likelihood, np.asarray(rows.y)
    others = [np.zeros(columns.shape[1]) for columns in rows.others]
    if likelihood.n_cutpoints:
        return others, _cutpoints(model, y), np.zeros(rows.X.shape[1])
    eta = first_predictor(model, rows)
    target = eta - rows.offsets[0]
    beta = rows.X.T @ target / len(y)  # the columns are orthogonal, their mean squares 1
    precision = model.family.precision_at
    if precision is not None:
        spread = float(np.std(target - rows.X @ beta)) or 1.0
        columns, link = rows.others[precision], likelihood.links[1 + precision]
        others[precision] = columns.T @ (apply_link(link, np.float64(spread)) - rows.offsets[1 + precision]) / len(y)
    return others, np.zeros(0), beta


def first_predictor(model: Model, rows: Rows) -> np.ndarray:
    """A linear predictor (n,) near each response."""
    link, y = model.likelihood.links[0], np.asarray(rows.y)
    if link.onto == "unit":
        return apply_link(link, (y + 0.5) / (rows.trials + 1.0))
    if model.family.response_scale == "log":
        return np.log(y)
    if link.name == "identity":
        return y
    return apply_link(link, np.maximum(y, LEAST_MEAN * max(float(y.mean()), 1e-300)))


def _cutpoints(model: Model, y: np.ndarray) -> np.ndarray:
    """The cutpoints at which each category has its share of the rows, as the kernel's numbers without bounds."""
    n_cutpoints = model.likelihood.n_cutpoints
    below = np.cumsum(np.bincount(y.astype(int), minlength=n_cutpoints + 1))[:-1]
    cut = apply_link(model.likelihood.links[0], (below + 0.5) / (len(y) + 1.0))
    return np.append(cut[:1], np.log(np.maximum(np.diff(cut), 1e-3)))


def likelihood_starts(model: Model, rows: Rows, *, with_fixed: bool) -> np.ndarray:
    """Where searches of a likelihood begin (s, m)."""
    terms = terms_of(model.design, model.structure)
    others, cut, beta = first_coefficients(model, rows)
    theta = theta_of([FIRST_SD**2 * np.eye(n_columns(blocks)) for blocks in terms], terms)
    rest = [*others, cut] if with_fixed else [*others, cut, beta]
    return starts(np.concatenate([theta, *rest]), terms)
