"""Cross-validation in folds: rows, or levels of a grouping factor, left out some at a time by sampling again."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hier.errors import FitError
from hier.estimate.printing import Table
from hier.estimate.progress import progress_bar
from hier.posterior.cross_validation import CrossValidation, as_arviz, group_named, kept_log_likelihood, standard_error
from hier.posterior.left_out_by_quadrature import level_by_quadrature
from hier.posterior.posterior_draws import PosteriorDraws
from hier.posterior.prediction import model_of
from hier.posterior.refitting import held_out, log_mean
from hier.settings import SEED, check, whole


def kfold(posterior: PosteriorDraws, k: int, group: str | None, seed: int, progress: bool) -> CrossValidation:
    """What `Posterior.kfold` says."""
    model_of(posterior)
    own = None if group is None else group_named(posterior, group)
    index = pd.Index(posterior.index) if own is None else own.levels
    k, n, unit = check("k", k, whole(2)), len(index), "rows" if own is None else f"levels of `{own.name}`"
    if k > n:
        raise FitError(f"there are fewer {unit} than folds", found=f"{n} {unit}, k={k}", expected=f"k from 2 to {n}")
    fold = np.random.default_rng(check("seed", seed, SEED)).permutation(n) % k
    elpd = np.empty(n)
    with progress_bar(k, "Refitting", shown=progress) as on_progress:
        for own_fold in range(k):
            units = np.flatnonzero(fold == own_fold)
            elpd[units] = held_out(posterior, units, own)
            on_progress(own_fold + 1)
    seen = kept_log_likelihood(posterior) if own is None else level_by_quadrature(posterior, own)
    table = Table({"elpd": elpd, "p": log_mean(posterior, seen) - elpd, "pareto_k": np.nan, "fold": fold}, index=index)
    words = "" if own is None else ", all of their rows jointly"
    return CrossValidation(
        kind="kfold",
        unit=unit,
        method=f"{unit[0].upper()}{unit[1:]} left out in {k} folds{words}; the model is sampled again without each",
        elpd=float(elpd.sum()),
        se=standard_error(elpd),
        p=float(table["p"].sum()),
        n_draws=len(seen),
        good_k=float("nan"),
        table=table,
        digest=posterior.digest,
        arviz=as_arviz(posterior, elpd, float(table["p"].sum())),
    )
