"""A model that is not Normal as the arrays that the kernel takes: its rows in the kernel's units, and a start."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hier.kernel.algebra.crossproducts import root_mean_square
from hier.kernel.covariance.theta import n_columns, starts, theta_of
from hier.kernel.laplace.likelihood import apply_link, natural
from hier.kernel.laplace.row_products import Columns, RowArrays, RowUnits, rows_of
from hier.model.prior_arrays import PriorArrays
from hier.model.problem import refuse_large_dense, term_arrays

if TYPE_CHECKING:
    from hier.model.specification import Specification

FIRST_SD = 0.3  # of each column's deviations, on the scale of the linear predictor, where scores say nothing better
LEAST_MEAN = 0.1  # of the mean response: where a search begins for a row whose response is not positive


class RowProblem(NamedTuple):
    """What a compiled program is given: rows, their map to the user's units, and priors; None for likelihoods."""

    rows: RowArrays
    units: RowUnits
    priors: PriorArrays | None


def row_problem(model: Specification) -> RowProblem:
    """The rows of a model, without priors. Raises FitError where its crossed factors are too large for this machine."""
    design, n = model.design, model.design.nobs
    refuse_large_dense(model)
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


def has_response_unit(model: Specification) -> bool:
    """Whether the likelihood is the same in any unit of the response, and of the mean's linear predictor."""
    at, links = model.family.precision_at, model.likelihood.links
    if at is None or not model.family.location_scale:
        return False
    return links[0].name == "identity" and links[1 + at].name == "log"


def _response_unit(model: Specification) -> float:
    """The spread of the response, where the likelihood is the same in any unit; otherwise 1.

    A residual standard deviation whose logarithm is modelled takes the unit up in its offset.
    """
    if not has_response_unit(model):
        return 1.0
    y = model.design.y if model.design.offset is None else model.design.y - model.design.offset
    return root_mean_square(y - y.mean()) or 1.0


def first_coefficients(model: Specification, rows: RowArrays) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Where searches begin, in the kernel's units: the coefficients of each further parameter, the cutpoints, and the
    fixed effects.

    The fixed effects are those of least squares on the scale of the predictor, each response moved off the limits of
    what a mean can be. Source: R's `glm.fit`, whose families have such starting means.
    """
    likelihood, y = model.likelihood, np.asarray(rows.y)
    others = [np.zeros(columns.shape[1]) for columns in rows.others]
    if likelihood.n_cutpoints:
        return others, _cutpoints(model, y), np.zeros(rows.X.shape[1])
    beta, _ = _first_fixed(model, rows)
    precision = model.family.precision_at
    if precision is not None:
        eta = rows.offsets[0] + rows.X @ beta
        rest = np.log(y) - eta if model.family.response_scale == "log" else y - natural(likelihood.links[0], eta)[0]
        spread = float(np.std(rest)) or 1.0
        columns, link = rows.others[precision], likelihood.links[1 + precision]
        others[precision] = columns.T @ (apply_link(link, np.float64(spread)) - rows.offsets[1 + precision]) / len(y)
    return others, np.zeros(0), beta


def first_predictor(model: Specification, rows: RowArrays) -> np.ndarray:
    """A linear predictor (n,) near each response."""
    link, y = model.likelihood.links[0], np.asarray(rows.y)
    if link.onto == "unit":
        return apply_link(link, (y + 0.5) / (rows.trials + 1.0))
    if model.family.response_scale == "log":
        return np.log(y)
    if link.name == "identity" and not _is_one_sided(model):
        return y
    # a mean that the link cannot have, or that would be near a pole, is moved to the side of the mean of all rows
    mean = float(y.mean())
    side = -1.0 if link.onto == "real" and mean < 0 else 1.0
    size = side * mean if side * mean > 0 else float(np.abs(y).mean())
    return apply_link(link, side * np.maximum(side * y, LEAST_MEAN * max(size, 1e-300)))


def _is_one_sided(model: Specification) -> bool:
    """Whether the linear predictor of the mean cannot cross zero: an inverse has a pole there, and a mean that must be
    positive ends there.
    """
    link, kind = model.likelihood.links[0].name, model.family.response
    return link == "inverse" or (link == "identity" and kind in ("positive", "count"))


def _first_fixed(model: Specification, rows: RowArrays) -> tuple[np.ndarray, float]:
    """Fixed effects (p,) by least squares on the scale of the predictor, and the spread of what they leave.

    Where the predictor must keep its side of zero, errors count relative to it, and all rows are drawn to a constant
    as far as they must be for none to be near zero.
    """
    eta = first_predictor(model, rows)
    target = eta - rows.offsets[0]
    flat = lambda values: rows.X.T @ values / len(values)  # noqa: E731 - the columns are orthogonal, their mean squares 1
    if not _is_one_sided(model):
        beta = flat(target)
        return beta, float(np.std(target - rows.X @ beta)) or 1.0
    root = 1.0 / np.abs(eta)
    beta = np.linalg.lstsq(root[:, None] * rows.X, root * target, rcond=None)[0] if rows.X.shape[1] else np.zeros(0)
    error = root * (target - rows.X @ beta)
    unit = float(np.sqrt(np.mean(error**2) / np.mean(root**2))) or 1.0
    centre = np.sign(eta[0]) / np.mean(root)  # the harmonic mean
    constant = flat(centre - rows.offsets[0])
    sides = [np.sign(centre) * (rows.offsets[0] + rows.X @ own) / abs(centre) for own in (constant, beta)]
    # the share of the distance from the constant at which the first row comes near to zero
    falls = (sides[0] - LEAST_MEAN) / np.where(sides[1] < sides[0], sides[0] - sides[1], np.inf)
    share = float(np.clip(falls[sides[1] < LEAST_MEAN].min(initial=1.0), 0.0, 1.0))
    return constant + share * (beta - constant), unit


def _cutpoints(model: Specification, y: np.ndarray) -> np.ndarray:
    """The cutpoints at which each category has its share of the rows, as the kernel's numbers without bounds."""
    n_cutpoints = model.likelihood.n_cutpoints
    below = np.cumsum(np.bincount(y.astype(int), minlength=n_cutpoints + 1))[:-1]
    cut = apply_link(model.likelihood.links[0], (below + 0.5) / (len(y) + 1.0))
    return np.append(cut[:1], np.log(np.maximum(np.diff(cut), 1e-3)))


def exact_predictor(model: Specification) -> np.ndarray:
    """The linear predictor (n,) whose mean is the response itself; not finite where no predictor has it."""
    y = np.asarray(model.design.observed)
    if model.family.response_scale == "log":
        return np.log(y)
    with np.errstate(invalid="ignore", divide="ignore"):
        return apply_link(model.likelihood.links[0], y)


def predictor_unit(model: Specification, rows: RowArrays) -> float:
    """The scale of the mean's linear predictor: 1 for a logarithm, a logit and the like, and where it has the
    response's own unit, the spread that least squares leave of it.
    """
    if model.likelihood.links[0].onto != "real" or model.family.response_scale == "log" or model.likelihood.n_cutpoints:
        return 1.0
    return _first_fixed(model, rows)[1]


def likelihood_starts(model: Specification, rows: RowArrays, *, with_fixed: bool) -> np.ndarray:
    """Where searches of a likelihood begin (s, m)."""
    terms = model.terms
    others, cut, beta = first_coefficients(model, rows)
    sd = FIRST_SD * predictor_unit(model, rows)
    theta = theta_of([sd**2 * np.eye(n_columns(blocks)) for blocks in terms], terms)
    rest = [*others, cut] if with_fixed else [*others, cut, beta]
    return starts(np.concatenate([theta, *rest]), terms)
