"""A response that its fixed effects and deviations fit exactly has no residual variance: the likelihood has no maximum.

Looked for only where a fit's residual variance came out suspiciously small, so that other fits pay nothing for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hier.errors import FitError

if TYPE_CHECKING:
    from hier.design import Design, RandomEffects
    from hier.model import Specification

SUSPICIOUS = 1e-3  # of the spread of the response: a residual standard deviation below it is looked into
NOTHING = 1e-8  # of that spread: what is left is not told from rounding
LAST_DIGITS = 32.0  # of the unit of rounding of the largest response
TIGHT = 1e-15  # tolerance of the least squares


def refuse_exact_fit(model: Specification, target: np.ndarray) -> None:
    """Raise FitError where `target` (n,), the response on the scale of the mean's predictor and without its offset, is
    fitted by fixed effects and deviations but for rounding, and another response would not be.
    """
    design = model.design
    limit = max(NOTHING * _spread(target, design.X), LAST_DIGITS * np.finfo(float).eps * float(np.abs(target).max()))
    for random in design.random_effects:
        if "Intercept" in random.names and _within(target, random) <= limit and _repeats(random):
            raise _refusal(f"the response is constant within the levels of `{random.group}`", design, target, random)
    if _left_over(design, target) > limit:
        return
    noise = np.random.default_rng(0).standard_normal(len(target))
    if _left_over(design, noise) <= NOTHING:
        return  # as many columns as rows fit everything, which says nothing of this response
    groups = " and ".join(f"`{random.group}`" for random in design.random_effects)
    raise _refusal(
        f"the fixed effects and the deviations of {groups} fit every row exactly: within their levels nothing is left",
        design,
        target,
    )


def _refusal(what: str, design: Design, target: np.ndarray, random: RandomEffects | None = None) -> FitError:
    left = _left_over(design, target) if random is None else _within(target, random)
    return FitError(
        f"{what}, so that there is no residual variance to estimate",
        found=f"a spread of {left:.2g} within, of {float(np.std(target)):.2g} in all, in {len(target)} rows",
        expected="a response that varies between the rows of a level",
        hint="keep one row for each level and leave the random effect out, or group by another column",
    )


def _spread(target: np.ndarray, X: np.ndarray) -> float:
    """The root mean square of what the fixed effects leave of the response."""
    beta = np.linalg.lstsq(X, target, rcond=None)[0] if X.shape[1] else np.zeros(0)
    return float(np.sqrt(np.mean((target - X @ beta) ** 2)))


def _within(target: np.ndarray, random: RandomEffects) -> float:
    """The root mean square of the rows' distances from their levels' means."""
    rows = np.maximum(random.rows_per_level, 1)
    mean = np.bincount(random.codes, target, random.n_levels) / rows
    return float(np.sqrt(np.mean((target - mean[random.codes]) ** 2)))


def _repeats(random: RandomEffects) -> bool:
    """Whether any level has several rows."""
    return bool((random.rows_per_level > 1).any())


def _left_over(design: Design, target: np.ndarray) -> float:
    """The root mean square of what fixed effects and deviations, all of them free, leave of a response."""
    from scipy import sparse
    from scipy.sparse.linalg import lsqr

    n, rows = len(target), np.arange(len(target))
    steps = 20 * (design.X.shape[1] + sum(random.Z.shape[1] * random.n_levels for random in design.random_effects))
    pieces = [sparse.csr_array(design.X)]
    for random in design.random_effects:
        for column in random.Z.T:
            pieces.append(sparse.csr_array((column, (rows, random.codes)), shape=(n, random.n_levels)))
    columns = sparse.hstack(pieces).tocsc()
    length = np.sqrt(np.asarray(columns.multiply(columns).sum(axis=0)).ravel())
    columns = columns @ sparse.diags_array(1.0 / np.where(length > 0.0, length, 1.0))
    solved = lsqr(columns, target, atol=TIGHT, btol=TIGHT, iter_lim=steps + 100)[0]
    # once more on what is left, for the last digits
    rest = target - columns @ solved
    rest = rest - columns @ lsqr(columns, rest, atol=TIGHT, btol=TIGHT, iter_lim=steps + 100)[0]
    return float(np.sqrt(np.mean(rest**2)))
