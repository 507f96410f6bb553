"""The block that brms prints, of a posterior."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hier.estimate.printing import Table
from hier.estimate.tables import correlated_pairs
from hier.estimate.text_columns import align, significant
from hier.model.parameter_names import RESIDUAL, SIGMA, coefficient_names, printed_term, varcorr_term
from hier.posterior.diagnostics import ess_bulk, ess_tail, rhat
from hier.posterior.grouping import largest_first
from hier.posterior.posterior_draws import PosteriorDraws
from hier.text import blocks

FURTHER = "further"  # the effect of a further parameter in a table
HEADS = ["Estimate", "Est.Error", "l-95% CI", "u-95% CI", "Rhat", "Bulk_ESS", "Tail_ESS"]


def parameter_table(posterior: PosteriorDraws) -> pd.DataFrame:
    """A row for each parameter that is not a group deviation.

    Columns `effect, group, term, estimate` (posterior mean), `std_error` (posterior sd), `conf_low, conf_high` (2.5 and
    97.5 percent quantiles), `rhat, ess_bulk, ess_tail`. Terms are named, and stand, as in an estimate's `tidy()`.
    """
    found, draws = parameter_draws(posterior)
    flat = draws.reshape(-1, draws.shape[-1])
    low, high = np.quantile(flat, [0.025, 0.975], axis=0)
    found["estimate"], found["std_error"] = flat.mean(axis=0), flat.std(axis=0, ddof=1)
    found["conf_low"], found["conf_high"] = low, high
    found["rhat"], found["ess_bulk"], found["ess_tail"] = rhat(draws), ess_bulk(draws), ess_tail(draws)
    return found


def parameter_draws(posterior: PosteriorDraws) -> tuple[pd.DataFrame, np.ndarray]:
    """The columns `effect, group, term` of each parameter that is not a group deviation, and their draws (C, D, k)."""
    labels: list[tuple[str, str | None, str]] = [("fixed", None, name) for name in posterior.coef_names]
    columns = [posterior.beta]
    for name, own in posterior.further.items():
        if name != SIGMA:
            labels += [(FURTHER, name, label) for label in further_labels(name, own)]
            columns.append(posterior.draws[name].reshape(*posterior.draws[name].shape[:2], -1))
    for group in largest_first(posterior.groups):
        names, pairs = group.names, correlated_pairs(group.blocks)
        labels += [("ran_pars", group.name, varcorr_term(name)) for name in names]
        columns.append(posterior.draws[group.variables.sd])
        if pairs:
            labels += [("ran_pars", group.name, varcorr_term(names[i], names[j])) for i, j in pairs]
            columns.append(posterior.draws[group.variables.cor])
    if SIGMA in posterior.draws:
        labels.append(("ran_pars", "Residual", RESIDUAL))
        columns.append(posterior.draws[SIGMA][:, :, None])
    draws = np.concatenate(columns, axis=-1)
    columns_of = zip(*labels, strict=True)
    return Table(dict(zip(("effect", "group", "term"), map(list, columns_of), strict=True))), draws


def further_labels(name: str, labels: Sequence[str] | None) -> list[str]:
    """The entries of a further variable as they are listed: `shape`, `sigma_x`, `1|2`."""
    if labels is None:
        return [name]
    return list(labels) if name == "cutpoints" else coefficient_names(name, tuple(labels))


def summarise(posterior: PosteriorDraws) -> str:
    """Head, group-level effects, regression coefficients, further parameters, and what the sampler did."""
    table, settings = parameter_table(posterior), posterior.settings
    total = settings.chains * settings.draws
    random = table[table["effect"] == "ran_pars"]
    further, residual = table[table["effect"] == FURTHER], random[random["group"] == "Residual"]
    others = further[further["group"] != "cutpoints"]
    head = [
        f"Family: {posterior.family}",
        f"Formula: {posterior.formula}",
        f"Rows: {len(posterior.observed)}",
        f"Draws: {settings.chains} chains of {settings.draws} after {settings.warmup} warm-up iterations, "
        + (f"one of {settings.thin} kept, " if settings.thin > 1 else "")
        + f"{total} in all",
        *(["Note: Ctrl-C ended the sampling early; extend(draws) goes on"] if settings.stopped else []),
        *(f"Note: {note}" for note in posterior.notes),
    ]
    parts = [head]
    for k, group in enumerate(largest_first(posterior.groups)):
        title = ["Group-level effects:"] if k == 0 else []
        own = random[random["group"] == group.name]
        parts.append([*title, f"~{group.name} (Number of levels: {group.n_levels})", *_lines(own, printed_term)])
    first = table[(table["effect"] == "fixed") | (table["group"] == "cutpoints")]
    if len(first):
        parts.append(["Regression coefficients:", *_lines(first, str)])
    if len(residual):
        parts.append(["Residual:", *_lines(residual, lambda term: SIGMA)])
    if len(others):
        parts.append([f"Further parameters of the {posterior.family} family:", *_lines(others, str)])
    parts.append([f"{posterior.method}: {_quality(posterior)}"])
    return blocks(parts)


def _quality(posterior: PosteriorDraws) -> str:
    """What the sampler did, or how good the approximation is."""
    if posterior.is_approximate:
        return f"Pareto k of the importance weights {posterior.pareto_k:.2f}"
    divergences, steps = int(posterior.stats["diverging"].sum()), posterior.stats["n_steps"].mean()
    return f"{divergences} divergences, {steps:.1f} leapfrog steps a draw"


def _lines(table: pd.DataFrame, label: Callable[[Any], str]) -> list[str]:
    rows = [
        [
            label(row.term),
            *(significant(value, 4) for value in (row.estimate, row.std_error, row.conf_low, row.conf_high)),
            f"{row.rhat:.3f}",
            f"{row.ess_bulk:.0f}",
            f"{row.ess_tail:.0f}",
        ]
        for row in table.itertuples()
    ]
    return align([["", *HEADS], *rows], left=1)
