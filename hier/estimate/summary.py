"""The block that lme4 and lmerTest print, of an estimate."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hier.design import Design
from hier.estimate import approximations
from hier.estimate.contrasts import coefficient_table
from hier.estimate.expected import residuals
from hier.estimate.fitted import Fitted, once
from hier.estimate.satterthwaite import in_basis
from hier.estimate.text_columns import align, align_in_blocks, p_value, significant
from hier.estimate.wald import family_parameters
from hier.text import blocks

TITLES = {"reml": " fit by REML", "ml": " fit by maximum likelihood", "map": ", posterior mode (MAP)"}
LEAST_SQUARES = {"reml": " fit by least squares"}  # without groups, what REML is
MOST_CORRELATED = 12  # fixed effects whose correlations are printed
OBJECTIVES = {"reml": "REML criterion", "ml": "-2 log-likelihood", "map": "-2 log posterior density"}
FITTED_BY = {
    "ml": "maximum likelihood",
    "reml": "restricted maximum likelihood, the fixed effects integrated out by the same approximation",
    "map": "posterior mode (MAP)",
}


def summarise(estimate: Fitted, ddf: str) -> str:
    """Title, criteria, scaled residuals, random effects, further parameters, cutpoints, fixed effects and their
    correlations.
    """
    design, table = estimate.model.design, coefficient_table(estimate, ddf)
    exact = estimate.model.is_linear_normal
    parts = _exact_head(estimate, ddf) if exact else _approximate_head(estimate)
    parts.append(_groups_lines(estimate) if design.random_effects else _rows_lines(estimate))
    if not exact and design.parameters:
        heading = f"Parameters of the {estimate.model.family.name} family:"
        parts.append([heading, *_two_columns(family_parameters(estimate))])
    if design.n_cutpoints:
        parts.append(["Cutpoints:", *_two_columns(estimate.cutpoints)])
    if design.names:
        parts.append(["Fixed effects:", *(_t_lines(table) if exact else _z_lines(table))])
    if len(design.names) > 1:
        parts.append(["Correlation of fixed effects:", *correlation_lines(fixed_correlations(estimate))])
    parts.append([f"Search: {estimate.message}", *(f"Note: {note}" for note in design.notes())])
    return blocks(parts)


def _exact_head(estimate: Fitted, ddf: str) -> list[list[str]]:
    design, method = estimate.model.design, f"; t-tests use {approximations.title(estimate, ddf)}"
    if not design.random_effects and estimate.method == "reml":
        method = "; t-tests"  # all methods agree
    tests = method if design.names else ""
    criterion = f"{OBJECTIVES[estimate.method]}: {estimate.objective:.4f}   "
    if not design.random_effects and estimate.method == "reml":
        criterion = ""  # the rest is of the maximum of the likelihood, as R's `lm` has it
    return [
        [f"{_linear_title(estimate)}{tests}", f"Formula: {estimate.model.formula}"],
        [
            f"{criterion}AIC: {estimate.aic:.2f}   "
            f"BIC: {estimate.bic:.2f}   logLik: {estimate.loglik:.3f}   df.resid: {estimate.df_resid}"
        ],
        ["Scaled residuals:", *_residual_lines(estimate)],
    ]


def _approximate_head(estimate: Fitted) -> list[list[str]]:
    model = estimate.model
    return [
        [_title(estimate), f"Family: {model.family.name} ({model.link})", f"Formula: {model.formula}"],
        [
            f"AIC: {estimate.aic:.2f}   BIC: {estimate.bic:.2f}   logLik: {estimate.loglik:.4f}   "
            f"-2*log(L): {-2.0 * estimate.loglik:.4f}   df.resid: {estimate.df_resid}"
        ],
    ]


def _title(estimate: Fitted) -> str:
    """How the model was fitted; with several residual variances it is linear still, and its likelihood exact."""
    if estimate.model.has_normal_rows:
        return f"{_linear_title(estimate)}, sigma with a formula of its own; z-tests"
    if not estimate.model.design.random_effects:
        return f"Generalized linear model fit by {FITTED_BY[estimate.method]}"
    points = estimate.nagq
    by = "Laplace approximation" if points == 1 else f"adaptive Gauss-Hermite quadrature, nAGQ = {points}"
    return f"Generalized linear mixed model fit by {FITTED_BY[estimate.method]} ({by})"


def _linear_title(estimate: Fitted) -> str:
    if estimate.model.design.random_effects:
        return f"Linear mixed model{TITLES[estimate.method]}"
    exact = estimate.model.is_linear_normal
    return "Linear model" + (LEAST_SQUARES if exact else {}).get(estimate.method, TITLES[estimate.method])


def _groups_lines(estimate: Fitted) -> list[str]:
    """The random effects, and the numbers of rows and levels."""
    counts = f"Number of obs: {estimate.nobs}, groups: {groups_line(estimate.model.design)}"
    return ["Random effects:", *random_effects_lines(estimate), counts]


def _rows_lines(estimate: Fitted) -> list[str]:
    """Without groups: the number of rows; of a linear model the residual standard error."""
    rows = f"Number of obs: {estimate.nobs}, no groups"
    if not estimate.model.is_linear_normal:
        return [rows]
    n, p = estimate.nobs, len(estimate.model.design.names)
    return [rows, f"Residual standard error: {significant(estimate.sigma)} on {n - p} degrees of freedom"]


def groups_line(design: Design) -> str:
    """The grouping factors and their numbers of levels, the largest first, as lme4 has them."""
    ordered = sorted(design.random_effects, key=lambda random: -random.n_levels)
    return "; ".join(f"{random.group}, {random.n_levels}" for random in ordered)


@once
def scaled_residuals(estimate: Fitted) -> np.ndarray:
    """The smallest, the quartiles and the largest of the residuals over their standard deviations (5,)."""
    weights = estimate.model.design.weights
    scaled = residuals(estimate).to_numpy() / estimate.sigma * (1.0 if weights is None else np.sqrt(weights))
    return np.quantile(scaled, [0.0, 0.25, 0.5, 0.75, 1.0])


def _residual_lines(estimate: Fitted) -> list[str]:
    heads = ["Min", "1Q", "Median", "3Q", "Max"]
    values = scaled_residuals(estimate)
    return ["".join(f"{head:>9}" for head in heads), "".join(f"{value:9.4f}" for value in values)]


def random_effects_lines(estimate: Fitted) -> list[str]:
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


def _t_lines(table: pd.DataFrame) -> list[str]:
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


def fixed_correlations(estimate: Fitted) -> pd.DataFrame:
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


def _two_columns(table: pd.DataFrame) -> list[str]:
    rows = [[str(name), coefficient(value), significant(se)] for name, value, se in table.itertuples()]
    return align([["", "Estimate", "Std. Error"], *rows], left=1)


def _z_lines(table: pd.DataFrame) -> list[str]:
    rows = [
        [str(name), coefficient(b), significant(se), f"{z:.3f}", p_value(p)]
        for name, b, se, z, p in table[["estimate", "std_error", "statistic", "p_value"]].itertuples()
        if np.isfinite(b)
    ]
    return align([["", "Estimate", "Std. Error", "z value", "Pr(>|z|)"], *rows], left=1)
