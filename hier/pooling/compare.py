"""Estimate against posterior, group by group: complete, no and partial pooling side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.design.owned import owned
from hier.errors import ModelError
from hier.estimate import Estimate
from hier.estimate.printing import Table
from hier.model.specification import refuse_without_groups
from hier.pooling.least_squares import own_least_squares, shrinkage
from hier.posterior import Posterior
from hier.posterior.grouping import Group, covariance_matrices, largest_first
from hier.posterior.same_model import refuse_other_model
from hier.printed import Printed
from hier.text import blocks

DRAWS_FOR_SHRINKAGE = 400  # enough for a mean whose own spread is small


@dataclass(frozen=True, repr=False)
class SideBySide(Printed):
    """An estimate and a posterior of one model, side by side.

    `table`: a row for each level and coefficient: the level's own least squares, the conditional mode of its
    deviation and its standard error, the posterior mean and sd of the deviation, and both shrinkage factors.
    `shrinkage`: for the same rows, the coefficient without, with complete and with partial pooling, and the factors.
    Both are indexed by level and term; with several grouping factors by `group`, `level` and `term`. What is said of
    one factor then holds given the others: a level's own least squares are those of its rows less the other factors'
    deviations at their conditional modes, and the shrinkage factors are from the same rows. For a response that is not
    Normal all this is on the scale of the linear predictor, the least squares being those of the estimate's
    `working_rows`.
    `parameters`: fixed effects, sds, correlations and sigma by both.
    """

    estimate: Estimate = field(repr=False)
    posterior: Posterior = field(repr=False)
    table: pd.DataFrame = owned()  # type: ignore[assignment]  # noqa: RUF009
    shrinkage: pd.DataFrame = owned()  # type: ignore[assignment]  # noqa: RUF009
    parameters: pd.DataFrame = owned()  # type: ignore[assignment]  # noqa: RUF009

    def _text(self) -> str:
        return summarise(self)


class PooledTables(NamedTuple):
    """The tables of a comparison, as `SideBySide` describes them."""

    table: pd.DataFrame
    shrinkage: pd.DataFrame
    parameters: pd.DataFrame


def pooled(estimate: Estimate, posterior: Posterior) -> PooledTables:
    """The tables of an estimate and a posterior of the same model, side by side.

    Raises ModelError where they are not of the same model on the same data.
    """
    _refuse_others(estimate, posterior)
    refuse_other_model(
        estimate.model,
        posterior,
        what="the estimate and the posterior are not of the same model on the same data",
        expected="two results of one model",
        hint="fit both from one Model object",
    )
    refuse_without_groups("a comparison by level", estimate.model.formula, estimate.model.design.random_effects)
    shrunk = [_shrinkage_table(estimate, posterior, k) for k in range(len(posterior.groups))]
    tables = [
        _level_table(estimate, posterior, group.name, own) for group, own in zip(posterior.groups, shrunk, strict=True)
    ]
    names = [group.name for group in posterior.groups]
    return PooledTables(_stacked(tables, names), _stacked(shrunk, names), _parameter_table(estimate, posterior))


def of_group(table: pd.DataFrame, group: str) -> pd.DataFrame:
    """The rows of one grouping factor in a comparison's `table` or `shrinkage`, indexed by level and term."""
    if table.index.nlevels == 2:
        return table
    rows = pd.DataFrame(table.loc[table.index.get_level_values("group") == group])
    return rows.droplevel("group").rename_axis([group, "term"])


def _stacked(tables: list[pd.DataFrame], names: list[str]) -> pd.DataFrame:
    """The tables of all grouping factors as one, with the factor as the first level of its index where there are
    several.
    """
    return tables[0] if len(tables) == 1 else pd.concat(tables, keys=names).rename_axis(["group", "level", "term"])


def _refuse_others(estimate: Any, posterior: Any) -> None:
    """Refuse what is not an estimate and a posterior, in this order."""
    if isinstance(estimate, Estimate) and isinstance(posterior, Posterior):
        return
    swapped = isinstance(estimate, Posterior) and isinstance(posterior, Estimate)
    raise ModelError(
        "the two results stand in the wrong order" if swapped else "a comparison is of an estimate and a posterior",
        found=f"{type(estimate).__name__} and {type(posterior).__name__}",
        expected="what Model.estimate() gives, and what Model.sample() gives",
        hint="hier.compare(estimate, posterior)"
        + (
            "; two estimates are compared by estimate.anova(other)"
            if isinstance(estimate, Estimate) and isinstance(posterior, Estimate)
            else ""
        ),
    )


def _level_table(estimate: Estimate, posterior: Posterior, group: str, shrunk: pd.DataFrame) -> pd.DataFrame:
    """The rows of one grouping factor in a comparison's `table`."""
    columns = {
        "least_squares": shrunk["least_squares"],
        "mode": _long(estimate.ranef[group]),
        "mode_se": _long(estimate.ranef_se[group]),
        "posterior_mean": _long(posterior.ranef[group]),
        "posterior_sd": _long(posterior.ranef_se[group]),
        "shrinkage_estimate": shrunk["shrinkage_estimate"],
        "shrinkage_posterior": shrunk["shrinkage_posterior"],
    }
    return Table(columns, index=shrunk.index)


def _shrinkage_table(estimate: Estimate, posterior: Posterior, k: int) -> pd.DataFrame:
    """The rows of grouping factor `k` in a comparison's `shrinkage`."""
    design, group, terms = estimate.model.design, posterior.groups[k], estimate.arrays.terms
    deviations = [term.deviations for term in terms]
    own, information = own_least_squares(design, k, estimate.arrays.beta, deviations, estimate.working_rows)
    by_estimate = shrinkage(information, terms[k].covariance, np.float64(estimate.dispersion))
    covariance, sigma2 = _covariance_draws(posterior, group, is_normal=estimate.model.is_linear_normal)
    by_posterior = shrinkage(information, covariance, sigma2).mean(axis=0)
    modes = estimate.coef[group.name][list(group.names)]
    population = estimate.fixef.reindex(modes.columns).fillna(0.0).to_numpy()
    columns = {
        "least_squares": own,
        "complete_pooling": np.broadcast_to(population, own.shape),
        "estimate": modes,
        "posterior_mean": posterior.coef[group.name][list(group.names)],
        "shrinkage_estimate": by_estimate,
        "shrinkage_posterior": by_posterior,
    }
    index = pd.MultiIndex.from_product([modes.index, modes.columns], names=[group.name, "term"])
    return Table({name: _long(values) for name, values in columns.items()}, index=index)


def _covariance_draws(posterior: Posterior, group: Group, *, is_normal: bool) -> tuple[np.ndarray, np.ndarray]:
    """Draws of the deviations' covariance (S, q, q) and of sigma^2 (S,), evenly thinned; 1 for the latter where the
    weights of the rows have a scale of their own.
    """
    sd, cor = posterior.draws[group.variables.sd], posterior.draws.get(group.variables.cor)
    q, count = sd.shape[-1], sd.shape[0] * sd.shape[1]
    keep = np.linspace(0, count - 1, min(DRAWS_FOR_SHRINKAGE, count)).astype(int)
    pairs = None if cor is None else cor.reshape(count, -1)[keep]
    covariance = covariance_matrices(sd.reshape(-1, q)[keep], pairs, group.blocks)
    return covariance, posterior.draws["sigma"].reshape(-1)[keep] ** 2 if is_normal else np.ones(len(keep))


def _parameter_table(estimate: Estimate, posterior: Posterior) -> pd.DataFrame:
    point = estimate.tidy()[["effect", "group", "term", "estimate", "std_error"]]
    draws = posterior.tidy()[["effect", "term", "group", "estimate", "std_error", "conf_low", "conf_high"]]
    names = {"estimate": "posterior_mean", "std_error": "posterior_sd"}
    draws = pd.DataFrame(draws).rename(columns=names)
    keys = ["effect", "group", "term"]
    return point.fillna({"group": ""}).merge(draws.fillna({"group": ""}), on=keys, how="left", validate="one_to_one")


def _long(values: pd.DataFrame | np.ndarray) -> np.ndarray:
    """Levels x terms as one column, the terms changing fastest."""
    return np.asarray(values, dtype=float).ravel()


def summarise(comparison: SideBySide) -> str:
    """The parameters by both, and how strongly the levels are pooled."""
    from hier.estimate.text_columns import align, significant

    head = ["", "", comparison.estimate.method.upper(), "std.err", "posterior", "sd", "l-95%", "u-95%"]
    names = ["estimate", "std_error", "posterior_mean", "posterior_sd", "conf_low", "conf_high"]
    rows = [
        [row["group"], row["term"], *("" if np.isnan(row[name]) else significant(row[name], 4) for name in names)]
        for _, row in comparison.parameters.iterrows()
    ]
    table = comparison.table
    difference = (table["mode"] - table["posterior_mean"]).abs() / table["posterior_sd"]
    pooling = [line for group in largest_first(comparison.posterior.groups) for line in _pooling(comparison, group)]
    apart = f"Largest difference between conditional mode and posterior mean: {difference.max():.3f} posterior sds"
    return blocks(
        [
            [f"Comparison of {comparison.posterior.formula}"],
            align([head, *rows], left=2),
            [*pooling, apart],
        ]
    )


def _pooling(comparison: SideBySide, group: Group) -> list[str]:
    """How strongly the levels of one grouping factor are pooled."""
    mean = mean_shrinkage(comparison, group.name)
    method = comparison.estimate.method.upper()
    return [
        f"Mean shrinkage of the {group.n_levels} levels of {group.name} (0: own least squares, 1: population):",
        *(f"  {term}: {est:.3f} by {method}, {post:.3f} by the posterior" for term, est, post in mean.itertuples()),
    ]


def mean_shrinkage(comparison: SideBySide, group: str) -> pd.DataFrame:
    """The mean of `shrinkage_estimate` and `shrinkage_posterior` over the levels of a grouping factor, by term."""
    factors = of_group(comparison.shrinkage, group)[["shrinkage_estimate", "shrinkage_posterior"]]
    return pd.DataFrame(factors.groupby(level="term", sort=False).mean())
