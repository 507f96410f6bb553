"""What a family's parameters say of rows in many draws: expected responses, probabilities of categories, responses."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hier.design import Design, numbers_beside
from hier.errors import DataError, FitError
from hier.formula.formula import CBIND
from hier.kernel.laplace.likelihood import draw_of_draws, of_draws
from hier.kernel.laplace.log_densities import Observed
from hier.kernel.laplace.responses import category_probabilities
from hier.model import Specification
from hier.model.families import drawing

OfDraws = Callable[[np.ndarray, Sequence[np.ndarray]], np.ndarray]


def function_of_draws(model: Specification, kind: str) -> OfDraws:
    """What gives draws (S, m), or (S, m, K) of probabilities, from draws of the cutpoints (S, K - 1) and of the linear
    predictor (S, m) of each parameter: of expected responses ("mean"), as shares where there are trials, of the
    predictor of the mean ("link"), of "probabilities". Raises FitError where there is no mean.
    """
    family, likelihood = model.family, model.likelihood
    if kind == "link" or model.mean_is_predictor:
        return lambda cutpoints, predictors: predictors[0]
    if not family.has_cutpoints:
        if family.mean is None:
            raise FitError(f"the family `{family.name}` does not say what its mean is", hint='use kind="link"')
        return functools.partial(of_draws, family.mean, likelihood)
    of_categories = functools.partial(category_probabilities, density=likelihood.density)
    probabilities = functools.partial(of_draws, of_categories, likelihood)
    if kind == "probabilities":
        return probabilities
    return lambda cutpoints, predictors: probabilities(cutpoints, predictors) @ model.design.category_values


def responses(
    model: Specification,
    cutpoints: np.ndarray,
    predictors: Sequence[np.ndarray],
    trials: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """A random response (S, m) of every row in every draw, as the numbers that the user's response has: counts of
    successes, or their shares, where the response is shares, and what ordered categories count as.

    Raises ModelError for a family that does not say how a response is drawn.
    """
    design = model.design
    observed = Observed(np.ones(len(trials)), trials, cutpoints)
    found = draw_of_draws(drawing(model.family), model.likelihood, observed, predictors, generator)
    if not design.outcome.is_continuous and np.isfinite(found).all():
        found = found.astype(np.int64)
    if design.shares:
        return found / trials
    return found if np.isnan(found).any() else design.in_numbers(found)


def trials_of(design: Design, data: Any, n: int) -> np.ndarray:
    """The numbers of trials (n,) of the rows of the fit, or of another table by the formula's column of them. Raises
    DataError where that table cannot say.
    """
    if design.trials is None:
        return np.ones(n)
    if data is None:
        return design.trials
    written = design.formula.trials
    if written is not None and written.factor is None:
        return np.full(n, float(written.number or 1))
    if written is None or written.factor is None or written.form == CBIND or not written.factor.is_column:
        raise DataError(
            "counts of new rows need their numbers of trials, which the table does not say",
            found=f"the response `{design.formula.left}`",
            expected="a column of trials in the formula: `successes | trials(n)` or `successes / n`",
        )
    name = written.factor.variables[0]
    return numbers_beside(design.read(data, name), "trials", name)
