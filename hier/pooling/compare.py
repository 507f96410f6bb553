"""Estimate against posterior, group by group: complete, no and partial pooling side by side."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hier.errors import ModelError
from hier.estimate import Estimate
from hier.pooling.least_squares import own_least_squares, shrinkage
from hier.posterior import Posterior

DRAWS_FOR_SHRINKAGE = 400  # enough for a mean whose own spread is small


@dataclass(frozen=True)
class Comparison:
    """An estimate and a posterior of one model, side by side.

    `table`: a row for each level and coefficient: the level's own least squares, the conditional mode of its
    deviation and its standard error, the posterior mean and sd of the deviation, and both shrinkage factors.
    `shrinkage`: for the same rows, the coefficient without, with complete and with partial pooling, and the factors.
    `parameters`: fixed effects, sds, correlations and sigma by both.
    """

    estimate: Estimate = field(repr=False)
    posterior: Posterior = field(repr=False)
    table: pd.DataFrame
    shrinkage: pd.DataFrame = field(repr=False)
    parameters: pd.DataFrame = field(repr=False)

    def __str__(self) -> str:
        return summarise(self)


def compare(estimate: Estimate, posterior: Posterior) -> Comparison:
    """Lay an estimate and a posterior of the same model side by side.

    Raises ModelError where they are not of the same model on the same data.
    """
    _refuse_different(estimate, posterior)
    shrunk = _shrinkage_table(estimate, posterior)
    group = posterior.group
    columns = {
        "least_squares": shrunk["least_squares"],
        "mode": _long(estimate.ranef[group]),
        "mode_se": _long(estimate.ranef_se[group]),
        "posterior_mean": _long(posterior.ranef[group]),
        "posterior_sd": _long(posterior.ranef_se[group]),
        "shrinkage_estimate": shrunk["shrinkage_estimate"],
        "shrinkage_posterior": shrunk["shrinkage_posterior"],
    }
    return Comparison(estimate, posterior, pd.DataFrame(columns), shrunk, _parameter_table(estimate, posterior))


def _refuse_different(estimate: Estimate, posterior: Posterior) -> None:
    design = estimate.model.design
    same = (
        str(estimate.model.formula) == posterior.formula
        and np.array_equal(design.y, posterior.observed)
        and np.array_equal(design.random.codes, posterior.codes)
    )
    if not same:
        raise ModelError(
            "the estimate and the posterior are not of the same model on the same data",
            found=f"`{estimate.model.formula}` on {design.nobs} rows, and "
            f"`{posterior.formula}` on {len(posterior.observed)} rows",
            expected="two results of one model",
            hint="fit both from one Model object",
        )


def _shrinkage_table(estimate: Estimate, posterior: Posterior) -> pd.DataFrame:
    design, group = estimate.model.design, posterior.group
    own, information = own_least_squares(design, estimate.arrays.beta)
    factor = estimate.arrays.factor
    by_estimate = shrinkage(information, factor @ factor.T, np.float64(estimate.sigma**2))
    covariance, sigma2 = _covariance_draws(posterior)
    by_posterior = shrinkage(information, covariance, sigma2).mean(axis=0)
    modes = estimate.coef[group][list(design.random.names)]
    population = estimate.fixef.reindex(modes.columns).fillna(0.0).to_numpy()
    return pd.DataFrame(
        {
            "least_squares": _long(own, modes),
            "complete_pooling": _long(np.broadcast_to(population, own.shape), modes),
            "estimate": _long(modes),
            "posterior_mean": _long(posterior.coef[group][list(design.random.names)]),
            "shrinkage_estimate": _long(by_estimate, modes),
            "shrinkage_posterior": _long(by_posterior, modes),
        }
    )


def _covariance_draws(posterior: Posterior) -> tuple[np.ndarray, np.ndarray]:
    """Draws of the deviations' covariance (S, q, q) and of sigma^2 (S,), evenly thinned."""
    sd = posterior.draws[f"sd_{posterior.group}"]
    q = sd.shape[-1]
    sd = sd.reshape(-1, q)
    keep = np.linspace(0, len(sd) - 1, min(DRAWS_FOR_SHRINKAGE, len(sd))).astype(int)
    cor = posterior.draws.get(f"cor_{posterior.group}")
    shape = np.eye(q) if cor is None else cor.reshape(-1, q, q)[keep]
    return shape * sd[keep, :, None] * sd[keep, None, :], posterior.draws["sigma"].reshape(-1)[keep] ** 2


def _parameter_table(estimate: Estimate, posterior: Posterior) -> pd.DataFrame:
    point = estimate.tidy()[["effect", "group", "term", "estimate", "std_error"]]
    draws = posterior.tidy()[["effect", "term", "group", "estimate", "std_error", "conf_low", "conf_high"]]
    names = {"estimate": "posterior_mean", "std_error": "posterior_sd"}
    draws = pd.DataFrame(draws).rename(columns=names)
    keys = ["effect", "group", "term"]
    return point.fillna({"group": ""}).merge(draws.fillna({"group": ""}), on=keys, how="left", validate="one_to_one")


def _long(values: pd.DataFrame | np.ndarray, like: pd.DataFrame | None = None) -> pd.Series:
    """Levels x terms as one column, indexed by level and term; an array has the labels of the table `like`."""
    labels = like if like is not None else values
    index = pd.MultiIndex.from_product([labels.index, labels.columns], names=[labels.index.name, "term"])
    return pd.Series(np.asarray(values).ravel(), index=index)


def summarise(comparison: Comparison) -> str:
    """The parameters by both, and how strongly the levels are pooled."""
    from hier.estimate.summary import align, significant

    head = ["", "", comparison.estimate.method.upper(), "std.err", "posterior", "sd", "l-95%", "u-95%"]
    names = ["estimate", "std_error", "posterior_mean", "posterior_sd", "conf_low", "conf_high"]
    rows = [
        [row["group"], row["term"], *("" if np.isnan(row[name]) else significant(row[name], 4) for name in names)]
        for _, row in comparison.parameters.iterrows()
    ]
    group = comparison.posterior.group
    mean = comparison.shrinkage.groupby(level="term", sort=False)[["shrinkage_estimate", "shrinkage_posterior"]].mean()
    difference = (comparison.table["mode"] - comparison.table["posterior_mean"]).abs() / comparison.table[
        "posterior_sd"
    ]
    lines = [
        f"  {term}: {est:.3f} by {comparison.estimate.method.upper()}, {post:.3f} by the posterior"
        for term, est, post in mean.itertuples()
    ]
    return "\n".join(
        [
            f"Comparison of {comparison.posterior.formula}",
            "",
            *align([head, *rows], left=2),
            "",
            f"Mean shrinkage of the {len(comparison.posterior.levels)} levels of {group} "
            "(0: own least squares, 1: population):",
            *lines,
            f"Largest difference between conditional mode and posterior mean: {difference.max():.3f} posterior sds",
        ]
    )
