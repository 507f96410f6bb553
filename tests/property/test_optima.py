"""Random models of all families and structures: no fit that says it converged has a better optimum near by."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import hier
from hier.estimate.laplace_route import set_up
from hier.kernel.laplace.point_fit_rows import FROM_START, fit_rows
from hier.kernel.normal.point_fit import fit_likelihood
from hier.kernel.search.restarts import is_at_minimum, with_spread
from hier.model.problem import likelihood_problem
from hier.model.row_problem import likelihood_starts, predictor_unit

STARTS = 5
BETTER = 1e-4  # of -2 log likelihood
N, J, V = 120, 15, 8

FORMULAS = {
    "intercepts": "y ~ x + (1 | g)",
    "slopes": "y ~ x + (x | g)",
    "apart": "y ~ x + (x || g)",
    "crossed": "y ~ x + (1 | g) + (1 | h)",
    "nested": "y ~ x + (1 | p/g)",
    "equal": "y ~ x + cs(0 + v | g)",
    "visits": "y ~ x + ar1(0 + v | g, hom = TRUE)",
}


class Kind(NamedTuple):
    """Models that share a compiled program."""

    structure: str
    family: str = "gaussian"
    link: str | None = None
    method: str = "ml"


KINDS = [
    *(Kind(structure, method=method) for structure in FORMULAS for method in ("reml", "ml")),
    Kind("intercepts", "gaussian", "log"),
    Kind("intercepts", "gaussian", "inverse"),
    Kind("intercepts", "student"),
    Kind("slopes", "lognormal"),
    Kind("intercepts", "gamma"),
    Kind("slopes", "gamma"),
    Kind("intercepts", "gamma", "inverse"),
    Kind("crossed", "gamma"),
    Kind("intercepts", "gamma", "identity"),
    Kind("intercepts", "inverse_gaussian"),
    Kind("intercepts", "bernoulli"),
    Kind("slopes", "bernoulli"),
    Kind("crossed", "bernoulli", "probit"),
    Kind("intercepts", "binomial", "cloglog"),
    Kind("visits", "binomial"),
    Kind("intercepts", "beta_binomial"),
    Kind("intercepts", "poisson"),
    Kind("slopes", "poisson"),
    Kind("nested", "poisson"),
    Kind("equal", "poisson"),
    Kind("apart", "poisson", "sqrt"),
    Kind("intercepts", "negbinomial"),
    Kind("slopes", "negbinomial"),
    Kind("intercepts", "nbinom1"),
    Kind("intercepts", "beta"),
    Kind("apart", "beta"),
    Kind("intercepts", "cumulative"),
    Kind("intercepts", "zero_inflated_poisson"),
    Kind("intercepts", "hurdle_negbinomial"),
]


def spread(rng: np.random.Generator, low: float, high: float) -> float:
    """A size that is as likely between 0.1 and 1 as between 1 and 10."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def random_data(kind: Kind, rng: np.random.Generator) -> pd.DataFrame:
    """A table with a response of the kind: deviations of any size, none among them, a covariate in any unit."""
    g, v = np.repeat(np.arange(J), V), np.tile(np.arange(V), J)
    x = rng.normal(size=N)
    sds = [0.0 if rng.uniform() < 0.15 else spread(rng, 0.03, 4.0) for _ in range(3)]
    b = rng.multivariate_normal([0.0, 0.0], [[1.0, 0.6], [0.6, 1.0]], J) * sds[:2]
    between = {
        "intercepts": b[g, 0],
        "slopes": b[g, 0] + b[g, 1] * x,
        "apart": b[g, 0] + b[g, 1] * x,
        "crossed": b[g, 0] + rng.normal(0.0, 1.0, V)[v] * sds[1],
        "nested": b[g, 0] + rng.normal(0.0, 1.0, 5)[g % 5] * sds[1],
        "equal": b[g, 0] + rng.normal(0.0, 1.0, (J, V // 2))[g, v // 2] * sds[1],
        "visits": b[g, 0] + rng.normal(0.0, 1.0, (J, V // 2))[g, v // 2] * sds[1],
    }[kind.structure]
    eta = rng.normal(0.0, 1.0) + rng.normal(0.0, 0.7) * x + between
    data = pd.DataFrame({"g": g, "h": v, "p": g % 5, "v": [f"v{k // 2}" for k in v]})
    data["x"] = x * spread(rng, 1e-3, 1e3) + rng.normal(0.0, 10.0)
    return data.assign(**response(kind, eta, rng))


def response(kind: Kind, eta: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """Responses (n,) around a predictor, precise or hardly so, common or rare."""
    shape, unit = spread(rng, 0.5, 1e5), spread(rng, 1e-4, 1e4)
    mean = np.exp(np.clip(eta, -8.0, 8.0)) if kind.link != "sqrt" else np.square(np.clip(3.0 + 0.5 * eta, 0.2, None))
    rare = np.clip(eta, -20.0, 20.0) - rng.choice([0.0, 0.0, 3.0])
    p = 1.0 / (1.0 + np.exp(-rare))
    share = np.clip(rng.beta(shape * p + 1e-3, shape * (1.0 - p) + 1e-3), 1e-9, 1.0 - 1e-9)
    counts = rng.poisson(mean * rng.gamma(shape, 1.0 / shape, N))
    noise = spread(rng, 1e-3, 1e2) * rng.normal(size=N)
    sigma = spread(rng, 0.05, 1.0)
    if kind.family == "gaussian" and kind.link is not None:
        at = mean if kind.link == "log" else 1.0 / np.clip(np.abs(2.0 + 0.5 * eta), 0.2, None)
        return {"y": (at + sigma * at.mean() * rng.normal(size=N)) * unit}
    return {
        "gaussian": lambda: {"y": (eta + noise) * unit},
        "student": lambda: {"y": (eta + sigma * rng.standard_t(spread(rng, 2.0, 50.0), N)) * unit},
        "lognormal": lambda: {"y": np.exp(np.clip(eta + noise, -100.0, 100.0))},
        "gamma": lambda: {"y": unit * np.maximum(rng.gamma(shape, mean / shape), 1e-12)},
        "inverse_gaussian": lambda: {"y": unit * np.maximum(rng.wald(mean, shape), 1e-12)},
        "bernoulli": lambda: {"y": (rng.uniform(size=N) < p).astype(int)},
        "binomial": lambda: {"y": rng.binomial(10, p), "trials": 10},
        "beta_binomial": lambda: {"y": rng.binomial(10, share), "trials": 10},
        "poisson": lambda: {"y": rng.poisson(mean)},
        "negbinomial": lambda: {"y": counts},
        "nbinom1": lambda: {"y": counts},
        "beta": lambda: {"y": share},
        "cumulative": lambda: {
            "y": pd.Categorical(np.digitize(eta + rng.logistic(size=N), [-1.0, 0.5, 2.0]), range(4), ordered=True)
        },
        "zero_inflated_poisson": lambda: {"y": np.where(rng.uniform(size=N) < 0.3, 0, counts)},
        "hurdle_negbinomial": lambda: {"y": np.where(rng.uniform(size=N) < 0.3, 0, counts)},
    }[kind.family]()


def model_of(kind: Kind, data: pd.DataFrame) -> hier.Model:
    formula = FORMULAS[kind.structure]
    if "trials" in data:
        formula = formula.replace("y ~", "y | trials(trials) ~")
    return hier.Model(formula, data, family=kind.family, link=kind.link)


def other_ends(model: hier.Model, fit: hier.Estimate, rng: np.random.Generator) -> tuple[float, list[float]]:
    """The objective where the fit ended, and where searches from other starts end at a minimum."""
    terms = model.terms

    def moved(x: np.ndarray, unit: float, size: np.ndarray) -> np.ndarray:
        there = with_spread(x + size * rng.normal(size=len(x)), terms, unit * spread(rng, 0.03, 5.0))
        theta = np.arange(len(x)) < count
        return there * np.where(theta, np.exp(0.5 * rng.normal(size=len(x))), 1.0)

    if model.is_linear_normal:
        problem = likelihood_problem(model)
        count = len(fit.arrays.search) - 1

        search = functools.partial(fit_likelihood, cross=problem.cross, terms=terms, reml=fit.method == "reml")
        starts = [moved(np.zeros(count + 1), spread(rng, 0.1, 30.0), np.ones(count + 1)) for _ in range(STARTS)]
    else:
        problem, approximation = set_up(model, fit.method, 1)
        begin = likelihood_starts(model, problem.rows, with_fixed=False)[0]
        unit, p = predictor_unit(model, problem.rows), problem.rows.X.shape[1]
        count = approximation.parameters.n_grouped
        size = np.where(np.arange(len(begin)) < len(begin) - p, 1.0, 0.5 * unit)

        rows = {"problem": problem, "approximation": approximation, "terms": terms, "unit": unit, "kind": FROM_START}
        search = functools.partial(fit_rows, **rows)
        starts = [moved(begin, unit, size) for _ in range(STARTS)]
    ends = [end for end in map(search, starts) if is_at_minimum(end)]
    if model.is_linear_normal:
        return float(search(fit.arrays.search).value), [float(end.value) for end in ends]
    # a search from the fit's own parameters might end at other modes of the deviations than the fit did
    value = fit.objective - 2.0 * float(np.log(problem.units.y)) * float(np.sum(problem.rows.counts))
    if model.likelihood.links[0].has_branches:  # on both of which no fit says that it converged
        ends = [end for end in ends if end.eta.min() > 0.0 or end.eta.max() < 0.0]
    return value, [float(end.value) for end in ends]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(filter(None, kind)))
def test_what_converged_has_no_better_optimum_within_reach_of_five_other_starts(kind):
    missed, converged, tried = {}, 0, 12
    for seed in range(tried):
        rng = np.random.default_rng([KINDS.index(kind), seed])
        model = model_of(kind, random_data(kind, rng))
        try:
            fit = model.estimate(kind.method)
        except hier.HierError:
            continue
        if not fit.converged:
            continue
        converged += 1
        value, ends = other_ends(model, fit, rng)
        if min(ends, default=np.inf) < value - BETTER:
            missed[seed] = value - min(ends)
    assert not missed
    assert converged > tried / 2
