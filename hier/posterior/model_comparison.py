"""Several models side by side by how well they predict what they have not seen."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd

from hier.design import Digest, differences
from hier.errors import ModelError
from hier.estimate import Estimate
from hier.estimate.anova import likelihood_ratio_table
from hier.estimate.printing import Table
from hier.posterior.cross_validation import CrossValidation, loo
from hier.posterior.posterior import Posterior

OF_DATA = ("the response", "the weights", "the trials", "the categories")  # in a digest, what is not the model's own
KINDS = (Posterior, CrossValidation, Estimate)


def compare_models(models: Mapping[str, Posterior | CrossValidation | Estimate]) -> pd.DataFrame:
    """Models of the same data by name, the best first.

    Posteriors, or what their `loo` and `logo` gave: `elpd` and its standard error `se`; `elpd_diff`, how much less than
    the best, and the standard error `se_diff` of this difference, which is of the same rows; `p`, the effective number
    of parameters; `weight` by stacking of predictive distributions; `n_bad`, the units with a Pareto k that is too
    large. Of posteriors `loo()` is taken. Estimates: `npar, aic, bic, caic, loglik, deviance`, and `chisq, df, p_value`
    of likelihood-ratio tests of each against the one before it, in the order of their numbers of parameters, fitted by
    maximum likelihood where they are not; NaN where they are not nested. `caic` is that of the estimate as it was
    fitted, NaN where the response is not Normal.

    Source: Yao, Vehtari, Simpson and Gelman (2018), Bayesian Anal. 13, 917, for the weights. Raises ModelError for
    fewer than two models, for what is no result, for posteriors beside estimates, for results of different data, and
    for rows left out beside groups.
    """
    if not isinstance(models, Mapping) or len(models) < 2 or not all(isinstance(name, str) for name in models):
        raise ModelError(
            "a comparison is of two models or more",
            found=", ".join(map(str, models)) if isinstance(models, Mapping) else type(models).__name__,
            expected='results by name: hier.compare_models({"a": posterior, "b": other})',
        )
    for name, one in models.items():
        if not isinstance(one, KINDS):
            raise ModelError(
                f"`{name}` cannot be compared",
                found=type(one).__name__,
                expected="a posterior, what its loo() or logo() gave, or an estimate",
                hint="draws from the prior have no log-likelihood to compare: sample() the posterior",
            )
    estimates = {name: one for name, one in models.items() if isinstance(one, Estimate)}
    if not estimates:
        return _by_elpd({name: one for name, one in models.items() if not isinstance(one, Estimate)})
    if len(estimates) < len(models):
        raise ModelError(
            "posteriors and estimates do not compare: one has an expected density, the other a likelihood",
            found=", ".join(f"`{name}`: {type(one).__name__}" for name, one in models.items()),
            expected="posteriors alone, or estimates alone",
        )
    _refuse_other_data({name: one.model.digest for name, one in estimates.items()})
    return _by_likelihood(estimates)


def _by_elpd(models: Mapping[str, Posterior | CrossValidation]) -> pd.DataFrame:
    from arviz_stats.loo import compare

    _refuse_other_data({name: one.digest for name, one in models.items()})
    found = {
        name: one if isinstance(one, CrossValidation) else loo(one, integrated=False) for name, one in models.items()
    }
    units = {f"{one.kind} of {one.unit}" for one in found.values()}
    if len(units) > 1 or any(one.arviz is None for one in found.values()):
        raise ModelError(
            "these are not the same kind of cross-validation",
            found=", ".join(sorted(units)),
            expected="loo() of every model, or logo() of the same grouping factor",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pareto k, which the table counts
        table = compare({name: one.arviz for name, one in found.items()}, round_to="none")
    names = [str(name) for name in table.index]
    columns = {name: table[of].to_numpy(float) for name, of in COLUMNS.items()}
    whole = Table({**columns, "n_bad": [found[name].n_bad for name in names]}, index=names)
    bad = [name for name in names if found[name].n_bad]
    if bad:
        whole.attrs["note"] = f"Pareto k is too large in some {found[bad[0]].unit} of {', '.join(bad)}"
    return whole


COLUMNS = {"elpd": "elpd", "se": "se", "elpd_diff": "elpd_diff", "se_diff": "dse", "p": "p", "weight": "weight"}


def _by_likelihood(estimates: Mapping[str, Estimate]) -> pd.DataFrame:
    """The table of likelihood-ratio tests of models that need not be nested, each tested against the one before it."""
    names = sorted(estimates, key=lambda name: estimates[name].n_parameters)
    pairs = itertools.pairwise(estimates[name] for name in names)
    tables = [likelihood_ratio_table(pair, refit=True, nested=False) for pair in pairs]
    rows = [tables[0].iloc[0], *(table.iloc[1] for table in tables)]
    columns = max((table.columns for table in tables), key=len)  # some tests are at a boundary, and have more to say
    values = np.array([row.reindex(columns).to_numpy(float) for row in rows])
    whole = Table(values, index=names, columns=columns)
    notes = dict.fromkeys(note for table in tables if (note := table.attrs.get("note")))
    whole.attrs["note"] = "; ".join(notes)
    conditional = [own.caic if own.model.is_linear_normal else np.nan for own in (estimates[name] for name in names)]
    whole.insert(list(whole.columns).index("bic") + 1, "caic", conditional)
    return whole.astype({"npar": np.int64})


def _refuse_other_data(digests: Mapping[str, Digest]) -> None:
    (first, own), *others = digests.items()
    for name, other in others:
        parts = differences({part: own.get(part) for part in OF_DATA}, {part: other.get(part) for part in OF_DATA})
        if parts:
            raise ModelError(
                "these models are not of the same data, so they do not compare",
                found=f"`{first}` and `{name}` differ in {', '.join(parts)}",
                expected="the same response, rows and weights in every model",
                hint="fit all of them to the rows that are complete in every variable",
            )
