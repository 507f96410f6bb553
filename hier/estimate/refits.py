"""Estimates of many responses on one design: refits of a bootstrap, or columns of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from hier.design.owned import owned
from hier.errors import DataError, FitError
from hier.estimate.progress import progress_bar
from hier.estimate.satterthwaite import in_basis
from hier.estimate.tables import correlated_pairs
from hier.kernel.algebra.crossproducts import FactorColumns
from hier.kernel.normal.many_responses import ManyFits, Rows, Searches, fit_many
from hier.kernel.search.moments import start_of
from hier.model import Specification
from hier.model.parameter_names import cor_name, sd_name
from hier.model.problem import Problem, likelihood_problem
from hier.printed import answering
from hier.settings import as_given, of_kind, written


@dataclass(frozen=True)
class ManyEstimates:
    """Point estimates of many responses on one design, a row each, with the labels that the responses came with.

    `method`: "reml" or "ml". `fixef`, `std_error`: fixed effects and their standard errors, by column. `objective`:
    REML criteria or -2 log-likelihoods. `converged`: whether each search did. `covariances`: of each grouping factor's
    deviations, (B, q, q). `sigma`: residual standard deviations.
    """

    model: Specification = field(repr=False)
    method: str
    fixef: pd.DataFrame
    std_error: pd.DataFrame = field(repr=False)
    objective: pd.Series = field(repr=False)
    converged: pd.Series = field(repr=False)
    covariances: dict[str, np.ndarray] = field(repr=False)
    sigma: pd.Series = field(repr=False)

    @owned
    def sdcor(self) -> pd.DataFrame:
        """Standard deviations and correlations, a column each: `sd_GROUP[term]`, `cor_GROUP[term1,term2]`, `sigma`.

        A correlation with a column whose variance is zero is NaN.
        """
        columns: dict[str, np.ndarray] = {}
        for random in self.model.design.random_effects:
            covariance, names = self.covariances[random.group], random.names
            sd = np.sqrt(np.einsum("bkk->bk", covariance))
            columns |= {sd_name(random.group, name): sd[:, k] for k, name in enumerate(names)}
            for i, j in correlated_pairs(random.blocks):
                with np.errstate(invalid="ignore", divide="ignore"):
                    correlation = covariance[:, i, j] / (sd[:, i] * sd[:, j])
                columns[cor_name(random.group, names[i], names[j])] = correlation
        return pd.DataFrame({**columns, "sigma": self.sigma.to_numpy()}, index=self.fixef.index)

    def __len__(self) -> int:
        return len(self.fixef)


@answering
def estimate_many(model: Specification, Y: Any, method: str = "reml", *, progress: bool = True) -> ManyEstimates:
    """REML or maximum-likelihood estimates of many responses on the rows, columns and groups of one model.

    `Y`: a table or array (n, B), a response each column, row for row with the model's data after the rows with missing
    values were dropped; a table is matched by its index where it has the model's. The model's own response is not used.
    The fits run side by side as batches of one program, and are those that single fits give.

    Raises DataError where Y does not fit the model's rows, FitError for an unknown method.
    Source: the likelihood is that of `Model.estimate`.
    """
    model = of_kind("hier.estimate_many", model, Specification)
    method = method.lower() if isinstance(method, str) else method
    if not isinstance(method, str) or method not in ("reml", "ml"):
        raise FitError(f"many responses cannot be fitted by the method {as_given(method)}", expected='"reml" or "ml"')
    if not model.is_linear_normal:
        raise FitError(
            "many responses are fitted at once where they are Normal with one residual variance",
            found=f"the family `{model.family.name}` with the {model.link} link",
            hint="fit them one by one: the program is compiled once",
        )
    values, labels = _responses(model, Y)
    problem = likelihood_problem(model)
    start = start_of(problem.first, model.terms)[0]
    with progress_bar(values.shape[1], "Fitting", shown=progress) as on_progress:
        return fit_responses(model, values, labels, problem, start, method, on_progress)


def fit_responses(
    model: Specification,
    Y: np.ndarray,
    labels: pd.Index,
    problem: Problem,
    start: np.ndarray,
    method: str,
    on_progress: Callable[[int], None] = lambda done: None,
) -> ManyEstimates:
    """Estimates of every column of `Y` (n, B), searched from `start`, in the user's units."""
    design = model.design
    random = model.structure.ordered(design.random_effects)
    fits = fit_many(
        Y if design.offset is None else Y - design.offset[:, None],
        Rows(design.X, [FactorColumns(own.Z, own.codes, own.n_levels) for own in random], design.weights),
        problem.cross,
        problem.units,
        Searches(start, model.terms, method == "reml", on_progress),
    )
    return in_user_units(model, fits, problem, labels, method, design.nobs)


def in_user_units(
    model: Specification, fits: ManyFits, problem: Problem, labels: pd.Index, method: str, n: int | np.ndarray
) -> ManyEstimates:
    """The fits in the user's units, with a label each; `n`: the rows of all of them, or of each (B,)."""
    design, units = model.design, problem.units
    basis = units.basis / units.y
    beta = (fits.centre + fits.y[:, None] * fits.beta) @ basis.T
    own, size = in_basis(np.eye(len(basis)), basis)
    std_error = np.sqrt(np.einsum("ia,bac,ic->bi", own, fits.vcov, own)) * size * fits.y[:, None]
    objective = fits.value + 2.0 * n * np.log(fits.y)
    if method == "reml":
        objective = objective - 2.0 * (units.log_det_basis + len(basis) * np.log(fits.y / units.y))
    covariances = {}
    for random, own, kernel in zip(
        model.structure.ordered(design.random_effects), units.random, fits.factors, strict=True
    ):
        factor = own.factor(kernel, (fits.sigma * fits.y)[:, None, None])
        covariances[random.group] = factor @ factor.swapaxes(1, 2)
    names = list(design.names)
    return ManyEstimates(
        model=model,
        method=method,
        fixef=pd.DataFrame(beta, index=labels, columns=names),
        std_error=pd.DataFrame(std_error, index=labels, columns=names),
        objective=pd.Series(objective, index=labels, name="objective"),
        converged=pd.Series(fits.converged, index=labels, name="converged"),
        covariances={random.group: covariances[random.group] for random in design.random_effects},
        sigma=pd.Series(fits.sigma * fits.y, index=labels, name="sigma"),
    )


def _responses(model: Specification, Y: Any) -> tuple[np.ndarray, pd.Index]:
    """The responses as numbers (n, B), and a label for each."""
    design = model.design
    try:
        table = Y if isinstance(Y, pd.DataFrame) else pd.DataFrame(np.asarray(Y))
    except ValueError as error:
        raise DataError(
            "the responses are no table", found=written(Y), expected=f"an array or a table of {design.nobs} rows"
        ) from error
    if isinstance(Y, pd.DataFrame) and len(table) != design.nobs and design.index.isin(table.index).all():
        table = table.loc[design.index]  # rows that the model dropped
    if len(table) != design.nobs:
        raise DataError(
            "the responses do not match the model's rows",
            found=f"{len(table)} rows of responses",
            expected=f"{design.nobs} rows, or a table with the index of the model's data",
        )
    try:
        values = table.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError("a response is not numeric", expected="numbers in every column") from error
    bad = ~np.isfinite(values).all(axis=0)
    if bad.any():
        raise DataError(
            "a response has missing or infinite values",
            where=f"column {table.columns[int(np.argmax(bad))]!r}",
            expected="a number in every row: the fits share one design",
        )
    return values, pd.Index(table.columns)
