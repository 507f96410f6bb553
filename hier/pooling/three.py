"""Complete, no and partial pooling as one: a table, a test and a comparison of what they predict."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hier.design.owned import owned
from hier.errors import ModelError
from hier.estimate import Estimate, estimate
from hier.estimate.anova import likelihood_ratio_table
from hier.estimate.linear_predictors import variances
from hier.estimate.predicted_rows import PredictedRows
from hier.estimate.printing import Table
from hier.model import Specification
from hier.model.grouping_factor import find_factor
from hier.pooling.complete import without_groups
from hier.pooling.each_level import Each, each_level
from hier.pooling.each_posterior import EachDraws, draw_each, each_loo
from hier.posterior import Posterior, compare_models
from hier.posterior.sample import sample
from hier.printed import Printed, answering
from hier.settings import DEFAULTS, of_kind
from hier.text import blocks

KINDS = ("complete", "none", "partial")


class Fits(NamedTuple):
    """The estimates of the three poolings."""

    complete: Estimate
    none: Each
    partial: Estimate


class Posteriors(NamedTuple):
    """The posteriors of the three poolings."""

    complete: Posterior
    none: EachDraws
    partial: Posterior


@dataclass(frozen=True, repr=False)
class Pooling(Printed):
    """Three answers to one question: the groups ignored, each level alone, and the mixed model between them.

    `table`: a row for each level and term. By the likelihood the coefficients `complete`, `none` and `partial`, with
    standard errors `complete_se` and so on (of `partial` those of prediction); where posteriors were asked for, their
    means `complete_mean` and so on, with `complete_sd`. `criteria`: a row for each kind, its
    parameters, log-likelihood at the maximum and AIC. `complete`, `none`, `partial`: the fits. `posteriors`: theirs,
    None where none was asked for.
    """

    complete: Estimate = field(repr=False)
    none: Each = field(repr=False)
    partial: Estimate = field(repr=False)
    posteriors: Posteriors | None = field(repr=False)
    table: pd.DataFrame = owned()  # type: ignore[assignment]  # noqa: RUF009
    criteria: pd.DataFrame = owned()  # type: ignore[assignment]  # noqa: RUF009

    def anova(self) -> pd.DataFrame:
        """The likelihood-ratio test of complete against partial pooling; `p_boundary` is the p-value by the mixture of
        chi-squared variables that belongs to variances of zero.
        """
        return likelihood_ratio_table([self.complete, self.partial], refit=True)

    def loo(self) -> pd.DataFrame:
        """The three by leave-one-out of their posteriors, as `compare_models` has it; no pooling is among them where
        the response is Normal and no level is left out. Raises ModelError where no posterior was asked for.
        """
        if self.posteriors is None:
            raise ModelError(
                "leave-one-out needs posteriors, and none was asked for",
                expected="hier.pool(model), without posterior=False",
            )
        complete, none, partial = self.posteriors
        both: dict[str, Any] = {"complete": complete, "partial": partial}
        return compare_models(both | ({"none": each_loo(none, complete)} if self._has_each else {}))

    @property
    def _has_each(self) -> bool:
        """Whether every row is in a regression of its level alone whose density is known."""
        return self.complete.model.is_linear_normal and not self.none.left_out

    def _text(self) -> str:
        model, group = self.partial.model, self.none.group
        head = [f"Three poolings of {model.formula}, by level of {group}"]
        spread = self.table.groupby("term", sort=False)[list(KINDS)].std()
        of_levels = spread.to_string(float_format="{:.4g}".format).splitlines()
        return blocks(
            [
                head,
                str(self.criteria).splitlines(),
                [f"Standard deviations of the coefficients between the levels of {group}:", *of_levels],
                ["Complete against partial pooling:", *str(self.anova()).splitlines()],
            ]
        )


@answering
def pool(
    model: Specification,
    group: str | None = None,
    *,
    posterior: bool = True,
    draws: int = DEFAULTS.draws,
    seed: int = DEFAULTS.seed,
    progress: bool = DEFAULTS.progress,
) -> Pooling:
    """Fit a model by complete, no and partial pooling, and lay the three side by side.

    `group`: the grouping factor, by default the one with the most levels. `posterior`: whether to sample the three
    posteriors too, with `draws` of each of four chains. `hier.plots.plot_pooling` draws what it gives.
    Raises ModelError for a model without such a factor, FitError where no level has enough rows for its own regression.
    """
    model = of_kind("pool", model, Specification, ModelError)
    k = find_factor(model, group, "pooling")
    settings = dataclasses.replace(DEFAULTS, draws=draws, seed=seed, progress=progress) if posterior else None
    alone, none = without_groups(model), each_level(model, k)
    complete, partial = estimate(alone), estimate(model)
    posteriors = None
    if settings is not None:
        settings = settings.checked()
        each = draw_each(none, settings.chains * settings.draws, int(settings.seed or 0))
        posteriors = Posteriors(sample(alone, settings), each, sample(model, settings))
    table = _table(Fits(complete, none, partial), posteriors, k)
    return Pooling(complete, none, partial, posteriors, table, _criteria(complete, none, partial))


def _table(fits: Fits, posteriors: Posteriors | None, k: int) -> pd.DataFrame:
    complete, none, partial = fits
    levels, names = none.rows.levels, list(none.rows.names)
    index = pd.MultiIndex.from_product([levels, names], names=[none.group, "term"])
    each, J = none.estimates.reindex(index), len(levels)
    values, se = _partial(partial, k, none)
    found = {
        "complete": np.tile(complete.fixef[names], J),
        "complete_se": np.tile(complete.coefficients.loc[names, "std_error"], J),
        "none": each["estimate"].to_numpy(),
        "none_se": each["std_error"].to_numpy(),
        "partial": values,
        "partial_se": se,
    }
    if posteriors is not None:
        for kind, (mean, sd) in {
            "complete": _of_posterior(posteriors.complete, none, None),
            "none": tuple(posteriors.none.table[["mean", "sd"]].reindex(index).to_numpy().T),
            "partial": _of_posterior(posteriors.partial, none, k),
        }.items():
            found |= {f"{kind}_mean": mean, f"{kind}_sd": sd}
    return Table(found, index=index)


def _partial(partial: Estimate, k: int, none: Each) -> tuple[np.ndarray, np.ndarray]:
    """Each level's own coefficients by the mixed model (J p,), and their standard errors, those of prediction."""
    design, arrays = partial.model.design, partial.arrays
    random = design.random_effects[k]
    J, names = random.n_levels, none.rows.names
    X = np.tile(np.eye(len(design.names))[none.rows.kept], (J, 1))
    Z = np.tile([[float(own == name) for own in random.names] for name in names], (J, 1))
    codes = np.repeat(np.arange(J), len(names))
    values = X @ arrays.beta + np.einsum("ij,ij->i", Z, arrays.terms[k].deviations[codes])
    count, effects, included = len(codes), [], []
    for at, own in enumerate(design.random_effects):
        columns = Z if at == k else np.zeros((count, len(own.names)))
        effects.append(dataclasses.replace(own, Z=columns, codes=codes if at == k else np.zeros(count, int)))
        included.append(np.full(len(own.names), at == k))
    seen = [np.full(count, -1) for _ in effects]
    rows = PredictedRows(X, None, effects, included, (), np.ones(count, bool), pd.RangeIndex(count), seen)
    return values, partial.size * np.sqrt(variances(partial, rows))


def _of_posterior(own: Posterior, none: Each, k: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means and sds of each level's coefficients (J p,), with the deviations of grouping factor `k`."""
    J, names = len(none.rows.levels), none.rows.names
    beta = own.beta.reshape(-1, own.beta.shape[-1])[:, none.rows.kept]
    if k is None:
        return np.tile(beta.mean(axis=0), J), np.tile(beta.std(axis=0, ddof=1), J)
    group = own.groups[k]
    b = own.draws[group.variables.b].reshape(len(beta), J, -1)
    mean, sd = np.empty((2, J, len(names)))
    for at, name in enumerate(names):
        draws = beta[:, at, None] + (b[:, :, group.names.index(name)] if name in group.names else 0.0)
        mean[:, at], sd[:, at] = draws.mean(axis=0), draws.std(axis=0, ddof=1)
    return mean.ravel(), sd.ravel()


def _criteria(complete: Estimate, none: Each, partial: Estimate) -> pd.DataFrame:
    """Parameters, log-likelihood at the maximum, and AIC of each kind of pooling."""
    whole, between = (own if own.method == "ml" else estimate(own.model, "ml") for own in (complete, partial))
    rows = [whole.n_parameters, none.n_parameters, between.n_parameters]
    logliks = [whole.loglik, none.loglik, between.loglik]
    aics = [whole.aic, none.aic, between.aic]
    return Table({"npar": rows, "loglik": logliks, "aic": aics}, index=list(KINDS))
