"""The block that lme4 prints of a generalised model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hier.estimate.summary import (
    TITLES,
    align,
    coefficient,
    correlation_lines,
    fixed_correlations,
    groups_line,
    p_value,
    random_effects_lines,
    significant,
)
from hier.text import blocks

if TYPE_CHECKING:
    import pandas as pd

    from hier.estimate.generalised_result import GeneralisedEstimate

FITTED_BY = {
    "ml": "maximum likelihood",
    "reml": "restricted maximum likelihood, the fixed effects integrated out by the same approximation",
    "map": "posterior mode (MAP)",
}


def summarise(estimate: GeneralisedEstimate) -> str:
    """Title, family and link, criteria, random effects, further parameters, cutpoints, fixed effects."""
    model, design = estimate.model, estimate.model.design
    parts = [
        [
            _title(estimate),
            f"Family: {model.family.name} ({model.link})",
            f"Formula: {model.formula}",
        ],
        [
            f"AIC: {estimate.aic:.2f}   BIC: {estimate.bic:.2f}   logLik: {estimate.loglik:.4f}   "
            f"-2*log(L): {-2.0 * estimate.loglik:.4f}   df.resid: {estimate.df_resid}"
        ],
        [
            "Random effects:",
            *random_effects_lines(estimate),
            f"Number of obs: {estimate.nobs}, groups: {groups_line(design)}",
        ],
    ]
    if len(estimate.family_parameters):
        parts.append([f"Parameters of the {model.family.name} family:", *_two_columns(estimate.family_parameters)])
    if len(estimate.cutpoints):
        parts.append(["Cutpoints:", *_two_columns(estimate.cutpoints)])
    if design.names:
        parts.append(["Fixed effects:", *_fixed_effects(estimate.coefficients)])
    if len(design.names) > 1:
        parts.append(["Correlation of fixed effects:", *correlation_lines(fixed_correlations(estimate))])
    parts.append([f"Search: {estimate.message}", *(f"Note: {note}" for note in design.notes())])
    return blocks(parts)


def _title(estimate: GeneralisedEstimate) -> str:
    """How the model was fitted; with several residual variances it is linear still, and its likelihood exact."""
    if estimate.model.has_normal_rows:
        return f"{TITLES[estimate.method]}, sigma with a formula of its own; z-tests"
    points = estimate.nagq
    by = "Laplace approximation" if points == 1 else f"adaptive Gauss-Hermite quadrature, nAGQ = {points}"
    return f"Generalized linear mixed model fit by {FITTED_BY[estimate.method]} ({by})"


def _two_columns(table: pd.DataFrame) -> list[str]:
    rows = [[str(name), coefficient(value), significant(se)] for name, value, se in table.itertuples()]
    return align([["", "Estimate", "Std. Error"], *rows], left=1)


def _fixed_effects(table: pd.DataFrame) -> list[str]:
    rows = [
        [str(name), coefficient(b), significant(se), f"{z:.3f}", p_value(p)]
        for name, b, se, z, p in table[["estimate", "std_error", "statistic", "p_value"]].itertuples()
        if np.isfinite(b)
    ]
    return align([["", "Estimate", "Std. Error", "z value", "Pr(>|z|)"], *rows], left=1)
