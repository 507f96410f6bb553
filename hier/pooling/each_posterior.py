"""No pooling by the posterior: each level's own, given its rows alone and the priors of the model without groups.

Of a Normal response with Normal or flat priors of the coefficients these are integrated out in closed form. That leaves
the residual standard deviation, whose density is tabulated for all levels at once and drawn by inversion, and the
coefficients are drawn exactly given it: independent draws, with no chains to check.
Source: Gelman et al. (2013), Bayesian Data Analysis, 3rd edition, sections 14.2 and 14.8.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import final

import numpy as np
import pandas as pd

from hier.design.owned import owned
from hier.errors import DataError, ModelError
from hier.estimate.printing import Table
from hier.kernel.programs.precision import float64
from hier.model import Specification
from hier.model.grouping_factor import find_factor
from hier.model.quadratic_prior import QuadraticPrior, log_prior, quadratic_prior
from hier.pooling.each_level import Each, each_level, level_model, level_triangles
from hier.posterior import Posterior
from hier.posterior.cross_validation import CrossValidation, left_out
from hier.posterior.sample import sample
from hier.printed import Printed, answering
from hier.settings import COUNT, DEFAULTS, SEED, check, of_kind, refuse_beyond_memory

POINTS = 400  # of each level's density of log sigma
FALL = 40.0  # of a log density: what is lower is nothing
WIDEST = 12.0  # how far log sigma is looked for above the largest scale there is
LEVELS_AT_ONCE = 64


@dataclass(frozen=True, repr=False)
class EachDraws(Printed):
    """Draws from the posterior of each level's own regression.

    `beta` (S, J, p): coefficients of the levels and terms of `none`; `sigma` (S, J): residual standard deviations, NaN
    where the response has none. `table`: mean, sd and central 95 percent interval of each level's coefficients.
    """

    none: Each = field(repr=False)
    beta: np.ndarray = field(repr=False)
    sigma: np.ndarray = field(repr=False)
    table: pd.DataFrame = owned()  # type: ignore[assignment]  # noqa: RUF009

    def _text(self) -> str:
        return f"Posterior of each level of {self.none.group} alone, {len(self.beta)} draws\n\n{self.table}"


@final
class NoPooling(Each):
    __doc__ = Each.__doc__

    def sample(self, draws: int = 4000, seed: int = DEFAULTS.seed) -> EachDraws:
        """Draws from the posterior of each level given its rows alone, under the priors of the model without groups.

        Of a Normal response with Normal or flat priors of the coefficients they are independent, drawn for all levels
        at once from the closed form; of others each level is sampled by NUTS, one after the other. Raises FitError for
        more draws than there is memory for.
        """
        return draw_each(self, draws, seed)


@answering
def no_pooling(model: Specification, group: str | None = None) -> NoPooling:
    """Fit each level of a grouping factor by itself: its rows' own regression on the fixed effects' columns.

    `group`: the factor, by default the one with the most levels. Of a Normal response all levels' least squares are
    computed at once; each is what `Model` gives for the level's rows alone. Levels with too few rows are left out and
    named. Raises ModelError for a model without such a factor, FitError where no level has enough rows.
    """
    model = of_kind("no_pooling", model, Specification, ModelError)
    return NoPooling(**vars(each_level(model, find_factor(model, group, "no pooling"))))


def draw_each(none: Each, draws: int, seed: int) -> EachDraws:
    """What `NoPooling.sample` says; of levels that have no regression of their own there are no draws."""
    draws, seed = check("draws", draws, COUNT), check("seed", seed, SEED)
    J, p = len(none.levels), len(none.rows.names)
    refuse_beyond_memory(
        f"{draws} draws of {J} levels", float(draws) * J * (p + 1), "some 1,000 draws do for most uses"
    )
    prior = quadratic_prior(none.rows.model.priors, none.rows.kept) if none.rows.model.is_linear_normal else None
    beta, sigma = _sampled(none, draws, seed) if prior is None else _drawn(none, prior, draws, seed)
    low, high = np.nanquantile(beta, [0.025, 0.975], axis=0).reshape(2, -1)
    table = Table(
        {"mean": beta.mean(axis=0).ravel(), "sd": beta.std(axis=0, ddof=1).ravel(), "conf_low": low, "conf_high": high},
        index=none.estimates.index,
    )
    return EachDraws(none, beta, sigma, table)


@float64
def _drawn(none: Each, prior: QuadraticPrior, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rows = none.rows
    R, nobs = level_triangles(rows.model, rows.codes, len(rows.levels))
    here = rows.levels.get_indexer(none.levels.index)
    R = np.linalg.qr(R[here][:, :, np.append(rows.kept, True)], mode="r")
    random = np.random.default_rng(seed)
    beta, sigma = np.empty((draws, len(R), len(rows.names))), np.empty((draws, len(R)))
    for start in range(0, len(R), LEVELS_AT_ONCE):
        some = slice(start, start + LEVELS_AT_ONCE)
        beta[:, some], sigma[:, some] = _of_levels(none, R[some], nobs[here][some], prior, (draws, random))
    return beta, sigma


def _of_levels(
    none: Each, R: np.ndarray, nobs: np.ndarray, prior: QuadraticPrior, how: tuple[int, np.random.Generator]
) -> tuple[np.ndarray, np.ndarray]:
    draws, random = how
    p = R.shape[1] - 1
    X, y, rss = R[:, :p, :p], R[:, :p, p], R[:, p, p] ** 2
    xx, xy, yy = np.swapaxes(X, 1, 2) @ X, np.einsum("jkl,jk->jl", X, y), rss + np.einsum("jk,jk->j", y, y)

    def posterior(log_sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The precision (J, G, p, p) and the linear part (J, G, p) of the coefficients at these log sigma (J, G)."""
        inverse = np.exp(-2.0 * log_sigma)
        precision = xx[:, None] * inverse[..., None, None] + prior.precision
        return precision, xy[:, None] * inverse[..., None] + prior.linear

    def log_density(log_sigma: np.ndarray) -> np.ndarray:
        """That of log sigma, the coefficients integrated out."""
        precision, linear = posterior(log_sigma)
        mean = np.linalg.solve(precision, linear[..., None])[..., 0]
        squares = yy[:, None] * np.exp(-2.0 * log_sigma) - np.einsum("jgk,jgk->jg", mean, linear)
        own = log_prior(none.rows.model.priors.sigma, np.exp(log_sigma))
        _, log_det = np.linalg.slogdet(precision)
        return own + log_sigma - nobs[:, None] * log_sigma - 0.5 * (log_det + squares)

    least = 0.5 * np.log(rss / nobs) - 2.0
    highest = 0.5 * np.log(yy / nobs) + WIDEST
    grid = np.linspace(least, highest, POINTS, axis=1)
    for _ in range(2):  # the second time where the density is
        values = log_density(grid)
        values = np.where(np.isnan(values), -np.inf, values - np.nanmax(values, axis=1, keepdims=True))
        inside = values > -FALL
        first, last = inside.argmax(axis=1), POINTS - 1 - inside[:, ::-1].argmax(axis=1)
        at = np.arange(len(grid))
        ends = grid[at, np.maximum(first - 1, 0)], grid[at, np.minimum(last + 1, POINTS - 1)]
        grid = np.linspace(*ends, POINTS, axis=1)
    values = log_density(grid)
    density = np.exp(values - np.nanmax(values, axis=1, keepdims=True))
    steps = 0.5 * (density[:, 1:] + density[:, :-1])
    share = np.concatenate([np.zeros((len(grid), 1)), np.cumsum(steps, axis=1)], axis=1)
    share /= share[:, -1:]
    uniform = random.random((len(grid), draws))
    log_sigma = np.stack([np.interp(u, s, g) for u, s, g in zip(uniform, share, grid, strict=True)])
    precision, linear = posterior(log_sigma)
    lower = np.linalg.cholesky(precision)
    half = np.linalg.solve(lower, linear[..., None])
    noise = random.standard_normal(half.shape)
    beta = np.linalg.solve(np.swapaxes(lower, -1, -2), half + noise)[..., 0]
    return np.moveaxis(beta, 1, 0), np.exp(log_sigma.T)


def _sampled(none: Each, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Level by level, by NUTS."""
    asked = dataclasses.replace(DEFAULTS, draws=-(-draws // DEFAULTS.chains), seed=seed, progress=False)
    J, p = len(none.levels), len(none.rows.names)
    if none.dropped:
        raise DataError(
            "a posterior of each level needs columns that its rows determine",
            found=f"`{none.dropped[0]}` does not vary within the levels of `{none.group}`",
            hint="leave it out of the fixed effects",
        )
    size = asked.draws * asked.chains
    beta, sigma = np.empty((size, J, p)), np.full((size, J), np.nan)
    for k, j in enumerate(none.rows.levels.get_indexer(none.levels.index)):
        own = sample(level_model(none.rows, int(j)), asked)
        beta[:, k] = own.beta.reshape(size, p)
        if "sigma" in own.draws:
            sigma[:, k] = own.draws["sigma"].reshape(size)
    return beta, sigma


def each_loo(drawn: EachDraws, whole: Posterior) -> CrossValidation:
    """Leave-one-out of the rows, each level alone, of a Normal response; `whole`: the posterior of as many draws of the
    same rows without groups.
    """
    rows = drawn.none.rows
    design = rows.model.design
    y = design.y if design.offset is None else design.y - design.offset
    at = drawn.none.levels.index.get_indexer(rows.levels)[rows.codes]
    mean = np.einsum("snp,np->sn", drawn.beta[:, at], design.X[:, rows.kept])
    sigma = drawn.sigma[:, at] / (1.0 if design.weights is None else np.sqrt(design.weights))
    found = -0.5 * np.log(2.0 * np.pi) - np.log(sigma) - 0.5 * ((y - mean) / sigma) ** 2
    return left_out(whole, found, "loo", "Rows left out one at a time, each level alone", None, False)
