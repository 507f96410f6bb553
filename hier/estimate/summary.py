"""The block that lme4 and lmerTest print, of an estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hier.estimate import approximations
from hier.estimate.satterthwaite import in_basis
from hier.text import blocks, shown

if TYPE_CHECKING:
    from hier.design import Design
    from hier.estimate.result import Estimate

TITLES = {
    "reml": "Linear mixed model fit by REML",
    "ml": "Linear mixed model fit by maximum likelihood",
    "map": "Linear mixed model, posterior mode (MAP)",
}
MOST_CORRELATED = 12  # fixed effects whose correlations are printed
WIDTH = 80  # of a terminal
OBJECTIVES = {"reml": "REML criterion", "ml": "-2 log-likelihood", "map": "-2 log posterior density"}


def summarise(estimate: Estimate, ddf: str) -> str:
    """Title, objective, scaled residuals, random effects, fixed effects and their correlations."""
    design = estimate.model.design
    table = estimate.tests(ddf)
    tests = f"; t-tests use {approximations.title(estimate, ddf)}" if design.names else ""
    parts = [
        [f"{TITLES[estimate.method]}{tests}", f"Formula: {estimate.model.formula}"],
        [
            f"{OBJECTIVES[estimate.method]}: {estimate.objective:.4f}   AIC: {estimate.aic:.2f}   "
            f"BIC: {estimate.bic:.2f}   logLik: {estimate.loglik:.3f}   df.resid: {estimate.df_resid}"
        ],
        ["Scaled residuals:", *_scaled_residuals(estimate)],
        [
            "Random effects:",
            *random_effects_lines(estimate),
            f"Number of obs: {estimate.nobs}, groups: {groups_line(design)}",
        ],
    ]
    if design.names:
        parts.append(["Fixed effects:", *fixed_effects_lines(table)])
    if len(design.names) > 1:
        parts.append(["Correlation of fixed effects:", *correlation_lines(fixed_correlations(estimate))])
    parts.append([f"Search: {estimate.message}", *(f"Note: {note}" for note in design.notes())])
    return blocks(parts)


def groups_line(design: Design) -> str:
    """The grouping factors and their numbers of levels, the largest first, as lme4 has them."""
    ordered = sorted(design.random_effects, key=lambda random: -random.n_levels)
    return "; ".join(f"{random.group}, {random.n_levels}" for random in ordered)


def _scaled_residuals(estimate: Estimate) -> list[str]:
    weights = estimate.model.design.weights
    scaled = estimate.residuals.to_numpy() / estimate.sigma * (1.0 if weights is None else np.sqrt(weights))
    quartiles = np.quantile(scaled, [0.0, 0.25, 0.5, 0.75, 1.0])
    heads = ["Min", "1Q", "Median", "3Q", "Max"]
    return ["".join(f"{head:>9}" for head in heads), "".join(f"{value:9.4f}" for value in quartiles)]


def random_effects_lines(estimate: Estimate) -> list[str]:
    """The table of variances, standard deviations and correlations."""
    table = estimate.varcorr.to_numpy().tolist()
    correlations = {(group, a, b): value for group, a, b, _, value in table if b is not None}
    rows: list[list[str]] = []
    names: dict[str, list[str]] = {}
    for group, name, other, variance, sd in table:
        if other is not None:
            continue
        before = names.setdefault(group, [])
        found = [correlations[group, own, name] for own in before if (group, own, name) in correlations]
        label = "" if before else group
        rows.append([label, name or "", significant(variance), significant(sd), " ".join(map(_correlation, found))])
        before.append(name)
    return align([["Groups", "Name", "Variance", "Std.Dev.", "Corr" if correlations else ""], *rows], left=2)


def _correlation(value: float) -> str:
    return "  NaN" if np.isnan(value) else f"{value:5.2f}"


def fixed_effects_lines(table: pd.DataFrame) -> list[str]:
    """The table of coefficients, with lmerTest's heads."""
    rows = [
        [str(name), coefficient(b), significant(se), f"{df:.2f}", f"{t:.3f}", p_value(p)]
        for name, (b, se, df, t, p) in zip(table.index, table.to_numpy().tolist(), strict=True)
    ]
    return align([["", "Estimate", "Std. Error", "df", "t value", "Pr(>|t|)"], *rows], left=1)


def coefficient(value: float) -> str:
    """An estimate with five decimals; with significant digits where these would show fewer, or more than there are."""
    if 0 < abs(value) < 0.1:
        return significant(value)
    return f"{value:.5f}" if abs(value) < 1e5 else f"{value:.6g}"


def fixed_correlations(estimate: Estimate) -> pd.DataFrame:
    """The covariance of the fixed effects, each over its size: of correlations, where variances are no numbers."""
    names, arrays = estimate.fixef.index, estimate.arrays
    own, _ = in_basis(np.eye(len(names)), arrays.basis)
    return pd.DataFrame(own @ arrays.basis_vcov @ own.T, index=names, columns=names)


def correlation_lines(vcov: pd.DataFrame) -> list[str]:
    """The lower triangle of the correlations of the fixed effects; of many, as in lme4, only what has them."""
    if len(vcov) > MOST_CORRELATED:
        return [
            f"not shown for {len(vcov)} of them, more than {MOST_CORRELATED}; "
            "`vcov` has their covariances, to see and to scale"
        ]
    sd = np.sqrt(np.diag(vcov))
    correlation = vcov.to_numpy() / np.outer(sd, sd)
    names = [str(name) for name in vcov.index]
    rows = [[names[i], *(f"{correlation[i, j]:.3f}" for j in range(i))] for i in range(1, len(names))]
    return align_in_blocks([["", *names[:-1]], *(row + [""] * (len(names) - len(row)) for row in rows)], left=1)


def significant(value: float, digits: int = 5) -> str:
    """A number to so many significant digits, without an exponent where it is of ordinary size."""
    if value == 0 or not np.isfinite(value):
        return f"{value:.{digits - 1}f}"
    magnitude = int(np.floor(np.log10(abs(value))))
    return f"{value:.{max(0, digits - 1 - magnitude)}f}" if -4 <= magnitude < 7 else f"{value:.{digits - 1}e}"


def p_value(value: float) -> str:
    """A p-value as R prints it: `<2e-16` below that."""
    return "<2e-16" if value < 2e-16 else f"{value:.3g}" if value < 0.001 else f"{value:.4f}"


def align_in_blocks(rows: list[list[str]], left: int, width: int = WIDTH) -> list[str]:
    """As `align`; rows that are wider go on in further blocks of lines, which begin with the same `left` columns."""
    rows = [[shown(cell) for cell in row] for row in rows]
    widths = [max(len(row[k]) for row in rows) + 2 for k in range(len(rows[0]))]
    blocks_of: list[list[int]] = [[]]
    room = free = width + 1 - sum(widths[:left])
    for k in range(left, len(widths)):
        if widths[k] > room and blocks_of[-1]:
            blocks_of.append([])
            room = free
        blocks_of[-1].append(k)
        room -= widths[k]
    found: list[str] = []
    for block in blocks_of:
        lines = align([[*row[:left], *(row[k] for k in block)] for row in rows], left)
        found += [*([""] if found else []), *lines]
    return found


def align(rows: list[list[str]], left: int) -> list[str]:
    """Rows as lines of equal columns, the first `left` columns flush left and the others flush right; a row is one line
    whatever its cells hold.
    """
    rows = [[shown(cell) for cell in row] for row in rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(w) if k < left else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(" " + "  ".join(cells).rstrip())
    return lines
