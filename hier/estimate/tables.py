"""Tables that estimates and posteriors have in common."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from hier.design import Block
from hier.estimate.printing import Table
from hier.kernel.covariance.theta import correlation_blocks


@functools.lru_cache(maxsize=256)
def _index(names: tuple[str, ...]) -> pd.Index:
    return pd.Index(names)


def labels(names: tuple[str, ...]) -> pd.Index:
    """An index of names; made once for all, since making one takes pandas longer than a small fit's tests."""
    return _index(names).view()  # whose name a user can set without changing others'


GroupCovariance = tuple[str, tuple[str, ...], tuple[Block, ...], np.ndarray, np.ndarray]


def varcorr_table(groups: Sequence[GroupCovariance], residual_sd: float | None) -> pd.DataFrame:
    """Rows of lme4's `as.data.frame(VarCorr(m))`: of each grouping factor, given as its name, columns, blocks and
    covariance (q, q) of its deviations over their sizes (q,), the variances, then the covariances of each correlated
    block; then the residual, if there is one.

    Columns `group, term1, term2, vcov, sdcor`; `term2` is None for a variance. A correlation with a column whose
    variance is zero is not defined, and NaN.
    """
    rows: list[tuple[str, str | None, str | None, float, float]] = []
    for group, names, blocks, covariance, size in groups:
        sd = np.sqrt(np.diag(covariance))
        with np.errstate(over="ignore", under="ignore"):  # a variance may be no number where its root is one
            own = size[:, None] * covariance * size
        rows += [(group, name, None, own[k, k], size[k] * sd[k]) for k, name in enumerate(names)]
        for i, j in correlated_pairs(blocks):
            product = sd[i] * sd[j]
            correlation = covariance[i, j] / product if product > 0 else np.nan
            rows.append((group, names[i], names[j], own[i, j], correlation))
    if residual_sd is not None:
        rows.append(("Residual", None, None, residual_sd * residual_sd, residual_sd))
    *texts, variances, sizes = zip(*rows, strict=True) if rows else ((),) * 5
    # as objects, since pandas' own text has no None
    columns = {name: pd.Series(own, dtype=object) for name, own in zip(("group", "term1", "term2"), texts, strict=True)}
    return Table({**columns, "vcov": np.array(variances, float), "sdcor": np.array(sizes, float)})


def correlated_pairs(blocks: tuple[Block, ...]) -> list[tuple[int, int]]:
    """Pairs of columns that have a correlation, in the order of lme4: by the first column, then by the second."""
    ranges = correlation_blocks(blocks)
    return [(i, j) for start, stop in ranges for i in range(start, stop) for j in range(i + 1, stop)]


def coef_table(fixef: pd.Series, ranef: pd.DataFrame) -> pd.DataFrame:
    """Coefficients of each level: fixed effects plus deviations; a column that only varies has no fixed part."""
    columns = [*fixef.index, *(name for name in ranef.columns if name not in fixef.index)]
    values = np.zeros((len(ranef), len(columns)))
    for k, name in enumerate(columns):
        values[:, k] = fixef.get(name, 0.0)
        if name in ranef.columns:
            values[:, k] += ranef[name].to_numpy()
    return Table(values, index=ranef.index, columns=columns)
