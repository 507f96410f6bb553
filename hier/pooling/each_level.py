"""No pooling: a regression for each level of a grouping factor, from its own rows alone."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from hier.design.owned import owned
from hier.errors import DataError, FitError
from hier.estimate.fit import fit
from hier.estimate.printing import Table
from hier.model import Specification
from hier.model.specification import on_rows
from hier.pooling.complete import without_groups
from hier.printed import Printed
from hier.text import blocks

ALIASED = 1e-9  # of a column's length: what the columns before it leave of one that they determine
SHOWN = 12  # levels that are printed
NAMED = 5  # levels that are named where they are left out


class LevelRows(NamedTuple):
    """The levels of one grouping factor, and the columns of their regressions: `names` (p,), and the `kept` ones of the
    design's fixed effects, those that vary in some level; `codes` (n,) of the rows, and the `levels` (J,).
    """

    model: Specification
    group: str
    levels: pd.Index
    codes: np.ndarray
    names: tuple[str, ...]
    kept: np.ndarray


class Triangles(NamedTuple):
    """The triangular factors (J, p + 1, p + 1) of each level's [X y], weighted, and its numbers of rows (J,)."""

    R: np.ndarray
    nobs: np.ndarray


@dataclass(frozen=True, repr=False)
class Each(Printed):
    """A regression for each level of a grouping factor, from the rows of that level alone.

    `estimates`: a row for each level and term, with `estimate, std_error, df, statistic, p_value`; t-tests on the
    level's own degrees of freedom where the response is Normal, otherwise z-tests. `levels`: a row for each level, with
    its `nobs`, residual standard deviation `sigma` (NaN where the response has none) and log-likelihood `loglik` at its
    maximum. `loglik`, `n_parameters` and `aic` of all levels together. `left_out`: levels with too few rows for their
    regression, or with rows that do not determine it. `dropped`: columns that are constant within every level, or
    determined there by the others.
    """

    rows: LevelRows = field(repr=False)
    estimates: pd.DataFrame = owned()  # type: ignore[assignment]  # noqa: RUF009
    levels: pd.DataFrame = owned()  # type: ignore[assignment]  # noqa: RUF009
    left_out: tuple = ()
    dropped: tuple[str, ...] = ()
    n_parameters: int = 0

    @property
    def group(self) -> str:
        """The grouping factor."""
        return self.rows.group

    @property
    def loglik(self) -> float:
        """The log-likelihood of all levels, NaN where some are left out."""
        return float("nan") if self.left_out else float(self.levels["loglik"].sum())

    @property
    def aic(self) -> float:
        """AIC of all regressions together, NaN where some are left out."""
        return 2.0 * self.n_parameters - 2.0 * self.loglik

    @property
    def coef(self) -> pd.DataFrame:
        """The coefficients, levels x terms."""
        table = pd.DataFrame(self.estimates["estimate"].unstack("term"))
        return pd.DataFrame(table.reindex(index=self.rows.levels, columns=list(self.rows.names)))

    def _text(self) -> str:
        model = self.rows.model
        table = pd.DataFrame(self.coef.head(SHOWN))
        table["sigma"] = self.levels["sigma"].reindex(table.index)
        head = [
            f"No pooling: {model.formula.left} ~ {model.formula.fixed}, for each level of {self.group}",
            f"{len(self.levels)} levels, {self.n_parameters} parameters, log-likelihood {self.loglik:.3f}",
            *self._notes(),
        ]
        more = [f"... and {len(self.levels) - SHOWN} more"] if len(self.levels) > SHOWN else []
        return blocks([head, [*table.to_string(float_format="{:.5g}".format).splitlines(), *more]])

    def _notes(self) -> list[str]:
        said = []
        if self.left_out:
            some = ", ".join(map(str, self.left_out[:NAMED])) + (", ..." if len(self.left_out) > NAMED else "")
            said.append(f"Note: {len(self.left_out)} levels have too few rows for their own regression: {some}")
        if self.dropped:
            said.append(f"Note: left out, since no level's rows determine them: {', '.join(self.dropped)}")
        return said


def each_level(model: Specification, k: int) -> Each:
    """Each level's own regression on the fixed effects' columns, of grouping factor `k`.

    Of a Normal response with one residual variance all levels' least squares at once, by orthogonal triangles; of any
    other one fit after the other, which is that of the level's rows alone. Raises FitError where no level has enough
    rows.
    """
    alone = without_groups(model)
    random = model.design.random_effects[k]
    triangles = level_triangles(alone, random.codes, random.n_levels)
    aliased = _aliased(triangles.R)
    kept = ~aliased.all(axis=0)
    names = tuple(name for name, keep in zip(alone.design.names, kept, strict=True) if keep)
    rows = LevelRows(alone, random.group, random.levels.rename(random.group), random.codes, names, kept)
    R = np.linalg.qr(triangles.R[:, :, np.append(kept, True)], mode="r")
    enough = (triangles.nobs > len(names)) & ~_aliased(R).any(axis=1)
    if not enough.any():
        raise FitError(
            f"no level of `{random.group}` has enough rows for a regression of its own",
            found=f"at most {int(triangles.nobs.max())} rows in a level, {len(names)} coefficients",
            expected=f"more than {len(names)} rows",
            hint="leave columns out of the fixed effects",
        )
    by = _least_squares if model.is_linear_normal else _one_by_one
    each = by(rows, Triangles(R, triangles.nobs), enough)
    found = np.flatnonzero(each.found)
    dropped = tuple(name for name, keep in zip(alone.design.names, kept, strict=True) if not keep)
    return Each(
        rows=rows,
        estimates=_table(rows, each, found),
        levels=Table(
            {"nobs": triangles.nobs[found], "sigma": each.sigma[found], "loglik": each.loglik[found]},
            index=rows.levels[found],
        ),
        left_out=tuple(rows.levels[~each.found]),
        dropped=dropped,
        n_parameters=each.n_parameters * len(found),
    )


class _Found(NamedTuple):
    """What the regressions of all levels give: `beta`, `se` (J, p), `df` (J,), `sigma`, `loglik` (J,), which levels
    were `found` (J,), and the parameters of one.
    """

    beta: np.ndarray
    se: np.ndarray
    df: np.ndarray
    sigma: np.ndarray
    loglik: np.ndarray
    found: np.ndarray
    n_parameters: int


def level_triangles(model: Specification, codes: np.ndarray, n_levels: int) -> Triangles:
    """The triangular factors of each level's weighted [X y], y less its offset; levels with equally many rows at once.

    Source: Golub and Van Loan (2013), Matrix Computations, section 5.3.
    """
    design = model.design
    y = design.y if design.offset is None else design.y - design.offset
    rows = np.column_stack([design.X, y])
    if design.weights is not None:
        rows = rows * np.sqrt(design.weights)[:, None]
    width = rows.shape[1]
    nobs = np.bincount(codes, minlength=n_levels)
    order = np.argsort(codes, kind="stable")
    starts = np.cumsum(nobs) - nobs
    R = np.zeros((n_levels, width, width))
    for count in np.unique(nobs[nobs > 0]):
        which = np.flatnonzero(nobs == count)
        stacked = rows[order[starts[which][:, None] + np.arange(count)]]
        if count < width:
            stacked = np.concatenate([stacked, np.zeros((len(which), width - count, width))], axis=1)
        R[which] = np.linalg.qr(stacked, mode="r")
    return Triangles(R, nobs)


def _aliased(R: np.ndarray) -> np.ndarray:
    """Which columns of X (J, p) the columns before them determine in a level, from triangles (J, p + 1, p + 1)."""
    lengths = np.linalg.norm(R, axis=1)[:, :-1]
    return np.abs(np.einsum("jkk->jk", R)[:, :-1]) <= ALIASED * np.maximum(lengths, np.finfo(float).tiny)


def _least_squares(rows: LevelRows, triangles: Triangles, enough: np.ndarray) -> _Found:
    p, nobs = len(rows.names), triangles.nobs.astype(float)
    R = triangles.R[enough]
    inverse = np.linalg.inv(R[:, :p, :p])
    beta, se = np.full((2, len(nobs), p), np.nan)
    beta[enough] = np.einsum("jkl,jl->jk", inverse, R[:, :p, p])
    rss = np.where(enough, triangles.R[:, p, p] ** 2, np.nan)
    df = nobs - p
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = np.sqrt(rss / df)
        loglik = -0.5 * nobs * (np.log(2.0 * np.pi * rss / nobs) + 1.0)
    weights = rows.model.design.weights
    if weights is not None:
        loglik = loglik + 0.5 * np.bincount(rows.codes, np.log(weights), len(nobs))
    se[enough] = sigma[enough][:, None] * np.linalg.norm(inverse, axis=2)
    return _Found(beta, se, df, sigma, loglik, enough, p + 1)


def _one_by_one(rows: LevelRows, triangles: Triangles, enough: np.ndarray) -> _Found:
    J, p = len(triangles.nobs), len(rows.names)
    beta, se = np.full((2, J, p), np.nan)
    sigma, loglik = np.full((2, J), np.nan)
    found, count = np.zeros(J, bool), 0
    for j in np.flatnonzero(enough):
        with contextlib.suppress(DataError, FitError):
            own = fit(level_model(rows, int(j)), "ml")
            beta[j], se[j] = own.arrays.beta, own.arrays.standard_errors(np.eye(p))
            sigma[j], loglik[j] = own.sigma if own.has_sigma else np.nan, own.loglik
            found[j], count = True, own.n_parameters
    return _Found(beta, se, np.full(J, np.inf), sigma, loglik, found, count)


def level_model(rows: LevelRows, j: int) -> Specification:
    """The model of the rows of one level. Raises DataError where these do not determine its fixed effects."""
    return on_rows(rows.model, rows.codes == j)


def _table(rows: LevelRows, each: _Found, found: np.ndarray) -> pd.DataFrame:
    p = len(rows.names)
    beta, se = each.beta[found].ravel(), each.se[found].ravel()
    df = np.repeat(each.df[found], p)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = beta / se
    p_value = 2.0 * np.where(np.isinf(df), special.ndtr(-np.abs(statistic)), special.stdtr(df, -np.abs(statistic)))
    index = pd.MultiIndex.from_product([rows.levels[found], list(rows.names)], names=[rows.group, "term"])
    return Table({"estimate": beta, "std_error": se, "df": df, "statistic": statistic, "p_value": p_value}, index=index)
