"""Analysis of variance tables: F-tests of the terms of the fixed effects, and likelihood-ratio tests between models."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from hier.design import Design
from hier.errors import FitError, ModelError
from hier.estimate.approximations import find_approximation, title
from hier.estimate.assemble import criteria
from hier.estimate.boundary import boundary_p
from hier.estimate.chi_squared import chi_squared_p
from hier.estimate.fit import fit
from hier.estimate.fitted import Fitted
from hier.estimate.laplace_fit import allows_quadrature
from hier.estimate.printing import Table
from hier.estimate.routes import route_of
from hier.estimate.term_hypotheses import TYPES, beside_covariates
from hier.settings import TRUTH, check, written

ROMAN = {1: "I", 2: "II", 3: "III"}
SPANNED = 1e-7  # relative: columns whose rest is smaller lie in the space of the others
WORSE = 1e-4  # on the scale of the log-likelihood: a larger model that fits worse by more does not hold the smaller one


def f_table(estimate: Fitted, *, type: int, ddf: str) -> pd.DataFrame:
    """The table of F-tests that `Estimate.anova` describes."""
    type = _type(type)
    approximation = find_approximation(estimate, ddf)
    rows = {}
    for label, functions in TYPES[type](estimate.model.design).items():
        test = approximation.f_test(functions, functions @ estimate.arrays.beta)
        mean_sq = test.statistic / test.scale * route_of(estimate).dispersion(estimate)
        rows[label] = (mean_sq * test.num_df, mean_sq, test.num_df, test.den_df, test.statistic, test.p_value)
    columns = ["sum_sq", "mean_sq", "num_df", "den_df", "statistic", "p_value"]
    table = Table(list(rows.values()), index=pd.Index(list(rows), dtype=object), columns=columns)
    table = table.astype(dict.fromkeys(columns, np.float64) | {"num_df": np.int64})
    said = [f"type {ROMAN[type]} tests with {title(estimate, ddf)}"]
    if type == 2:
        said += beside_covariates(estimate.model.design)
    table.attrs["note"] = "; ".join(said)
    return table


def _type(given: Any) -> int:
    """The type of an analysis of variance, which other programs write as `"II"` or `"2"` too. Raises FitError."""
    known = {name: k for k, roman in ROMAN.items() for name in (k, str(k), roman)}
    found = known.get(given) if isinstance(given, str | int | float | np.number) else None
    if found is None or isinstance(given, bool):
        said = given if isinstance(given, str) else written(given)
        raise FitError(f"there is no analysis of variance of type {said}", expected='1, 2 or 3 ("I", "II" or "III")')
    return found


def likelihood_ratio_table(estimates: Sequence[Fitted], *, refit: bool, nested: bool = True) -> pd.DataFrame:
    """The table of likelihood-ratio tests that `Estimate.anova` describes. `nested`: whether models that are not nested
    are refused; otherwise their tests are NaN.
    """
    refit = check("refit", refit, TRUTH)
    _refuse_incomparable(estimates)
    note = "log-likelihoods at the maximum-likelihood estimates"
    restricted = any(each.method == "reml" for each in estimates)
    if refit and (restricted or _several_approximations(estimates)):
        estimates, note = _refitted(estimates)
    elif not refit:
        _refuse_approximations(estimates)
        if restricted:
            _refuse_restricted(estimates)
            estimates = [_restricted(each) for each in estimates]
            note = "restricted log-likelihoods, of models with the same fixed effects"
    stray = [str(each.model.formula) for each in estimates if not each.converged]
    if stray:
        note += f"; no convergence: {', '.join(f'`{text}`' for text in stray)}"
    ordered = sorted(estimates, key=lambda each: each.n_parameters)
    tested = [np.nan, *(_is_tested(*pair, nested=nested) for pair in itertools.pairwise(ordered))]
    table = Table(
        {
            "npar": [each.n_parameters for each in ordered],
            "aic": [each.aic for each in ordered],
            "bic": [each.bic for each in ordered],
            "loglik": [each.loglik for each in ordered],
            "deviance": [-2.0 * each.loglik for each in ordered],
        },
        index=[str(each.model.formula) for each in ordered],
    )
    chisq = np.maximum(2.0 * np.diff(table["loglik"], prepend=np.nan), 0.0) * tested
    df = np.diff(table["npar"].to_numpy(dtype=float), prepend=np.nan) * tested
    table = table.assign(chisq=chisq, df=df, p_value=chi_squared_p(chisq, df))
    if not all(each.model.terms for each in ordered):
        pairs = zip(chisq[1:], itertools.pairwise(ordered), strict=True)
        table["p_boundary"] = [np.nan, *(boundary_p(value, *pair) for value, pair in pairs)]
    table.attrs["note"] = note
    return table


def _is_tested(smaller: Fitted, larger: Fitted, *, nested: bool) -> float:
    """1 where one model holds the other, otherwise NaN; where they are said to be `nested`, what is not is refused."""
    try:
        _refuse_not_nested(smaller, larger)
    except ModelError:
        if nested:
            raise
        return np.nan
    return 1.0


def _restricted(estimate: Fitted) -> Fitted:
    """The estimate with its restricted log-likelihood: that of least squares has, as R's `lm`, another one."""
    return replace(estimate, **criteria(estimate.objective, estimate.n_parameters, estimate.model.design))


def _several_approximations(estimates: Sequence[Fitted]) -> bool:
    """Whether the likelihoods of some are integrals by other numbers of points than those of others."""
    return len({each.nagq for each in _approximated(estimates)}) > 1


def _approximated(estimates: Sequence[Fitted]) -> list[Fitted]:
    """Those whose likelihood is an integral that is approximated; without groups there is none."""
    return [each for each in estimates if each.nagq is not None and each.model.terms]


def _refitted(estimates: Sequence[Fitted]) -> tuple[list[Fitted], str]:
    """The estimates by maximum likelihood, all by the finest approximation that each of the models can have, and a note
    on which were refitted.
    """
    approximate = _approximated(estimates)
    all_allow = all(allows_quadrature(each.model) for each in approximate)
    nagq = max((each.nagq or 1 for each in approximate), default=1) if all_allow else 1
    found, by_reml, by_other = [], 0, 0
    for each in estimates:
        other = bool(each.model.terms) and each.nagq not in (None, nagq)
        by_reml, by_other = by_reml + (each.method == "reml"), by_other + other
        found.append(fit(each.model, "ml", nagq) if other or each.method == "reml" else each)
    said = []
    if by_reml:
        said.append(
            f"{by_reml} of {len(found)} models were fitted by REML and have been refitted by maximum likelihood"
        )
    if by_other:
        how = "Laplace's approximation" if nagq == 1 else f"nagq={nagq}"
        said.append(
            f"{by_other} of {len(found)} models were fitted by another approximation and have been refitted by {how}"
        )
    return found, "; ".join(said)


def _refuse_incomparable(estimates: Sequence[Fitted]) -> None:
    """Likelihoods compare where they are those of the same numbers, and at their maximum."""
    first = estimates[0].model.design
    for each in estimates:
        if each.method == "map":
            raise ModelError(
                "a posterior mode has no likelihood-ratio test",
                found='a fit with method="map"',
                expected='method="ml" or "reml"',
            )
        differs = _difference(first, each.model.design)
        if differs is not None:
            raise ModelError(
                "these models are not of the same data, so their likelihoods do not compare",
                found=differs,
                expected="the same response, rows and weights in every model",
                hint="fit all of them to the rows that are complete in every variable",
            )


def _difference(one: Design, other: Design) -> str | None:
    """In what two designs differ that likelihood ratios need to be equal."""
    if one.formula.response.text != other.formula.response.text:
        return f"the responses `{one.formula.response.text}` and `{other.formula.response.text}`"
    if one.nobs != other.nobs:
        return f"{one.nobs} rows and {other.nobs} rows"
    if not np.array_equal(one.y, other.y):
        return "other values of the response, or in another order"
    parts = (
        ("weights", one.weights, other.weights, 1.0),
        ("trials", one.trials, other.trials, 1.0),
        ("offsets", one.offset, other.offset, 0.0),
    )
    for name, left, right, default in parts:
        left = np.full(one.nobs, default) if left is None else left
        right = np.full(one.nobs, default) if right is None else right
        if not np.array_equal(left, right):
            return f"other {name}"
    return None


def _refuse_restricted(estimates: Sequence[Fitted]) -> None:
    """Restricted likelihoods are of contrasts of the response that are free of the fixed effects."""
    methods = {each.method for each in estimates}
    first = estimates[0].model.design.X
    for each in estimates:
        X = each.model.design.X
        if len(methods) > 1 or not (_spans(first, X) and _spans(X, first)):
            raise ModelError(
                "restricted likelihoods compare only between REML fits with the same fixed effects",
                found="fits by REML and by ML" if len(methods) > 1 else "other fixed effects",
                hint="leave refit=True, which refits by maximum likelihood",
            )


def _refuse_approximations(estimates: Sequence[Fitted]) -> None:
    """Likelihoods compare where the same approximation stands for their integrals."""
    if not _several_approximations(estimates):
        return
    points = sorted({each.nagq for each in _approximated(estimates)})
    names = ", ".join("Laplace's approximation" if nagq == 1 else f"nagq={nagq}" for nagq in points)
    raise ModelError(
        "these log-likelihoods are different approximations, so they do not compare",
        found=names,
        expected="the same `nagq` in every fit",
        hint="leave refit=True, which refits with one of them",
    )


def _refuse_not_nested(smaller: Fitted, larger: Fitted) -> None:
    """The larger model must hold the smaller one."""
    names = f"`{smaller.model.formula}` and `{larger.model.formula}`"
    if smaller.n_parameters == larger.n_parameters:
        raise ModelError(
            "two models with equally many parameters are not nested, so there is no likelihood-ratio test",
            found=f"{names}, {larger.n_parameters} parameters each",
            hint="compare their aic and bic",
        )
    if not _spans(larger.model.design.X, smaller.model.design.X):
        raise ModelError(
            "the fixed effects of the smaller model are not among those of the larger one",
            found=names,
            hint="compare their aic and bic",
        )
    if larger.converged and smaller.converged and larger.loglik < smaller.loglik - WORSE:
        raise ModelError(
            "the model with more parameters has the lower likelihood, so it does not hold the smaller one",
            found=f"{names}, log-likelihoods {smaller.loglik:.4f} and {larger.loglik:.4f}",
            hint="compare their aic and bic",
        )


def _spans(X: np.ndarray, columns: np.ndarray) -> bool:
    """Whether all columns lie in the space of those of X."""
    if columns.shape[1] == 0:
        return True
    lengths = np.linalg.norm(columns, axis=0)
    if X.shape[1] == 0:
        return bool((lengths == 0).all())
    rest = columns - X @ np.linalg.lstsq(X, columns, rcond=None)[0]
    return bool((np.linalg.norm(rest, axis=0) <= SPANNED * lengths).all())
