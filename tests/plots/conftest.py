"""Comparisons of several kinds of model.

To be fast, two kinds are estimated and the others have made-up numbers around each level's least squares; all have
made-up draws. Pictures cannot tell, and the tests of reports have the real thing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest

import hier
from hier.estimate.fitted import Arrays, TermArrays
from hier.estimate.result import Estimate
from hier.kernel.search.curvature import Curvature
from hier.pooling.least_squares import own_least_squares
from hier.posterior.grouping import groups_of
from hier.posterior.posterior import Posterior, Settings


def table(levels: int, rows: int, seed: int = 0) -> pd.DataFrame:
    """Levels called `$0_x$`, `$1_x$` and so on; numeric x and z, a factor a, weights w and an offset o."""
    random = np.random.default_rng(seed)
    n, codes = levels * rows, np.repeat(np.arange(levels), rows)
    data = pd.DataFrame(
        {
            "g": [f"${j}_x$" for j in codes],
            "x": random.normal(size=n),
            "z": random.normal(size=n),
            "a": random.choice(list("uvw"), n),
            "w": random.uniform(0.5, 2.0, n),
            "o": random.normal(size=n),
        }
    )
    b = random.normal(size=(levels, 2))
    return data.assign(y=2 + b[codes, 0] + (1 + b[codes, 1]) * data["x"] + data["o"] + random.normal(size=n))


def made_up_estimate(model: hier.Model) -> hier.Estimate:
    """Least squares for all rows, and deviations that are 0.8 times those of each level's own least squares, of one
    grouping factor after the other.
    """
    design = model.design
    y = design.y - (0.0 if design.offset is None else design.offset)
    beta = np.linalg.lstsq(design.X, y, rcond=None)[0]
    fixed, p = pd.Series(beta, index=list(design.names)), len(beta)
    deviations = [np.zeros((random.n_levels, len(random.names))) for random in design.random_effects]
    terms, variances = [], []
    for k, random in enumerate(design.random_effects):
        own, information = own_least_squares(design, k, beta, deviations)
        deviations[k] = np.nan_to_num(0.8 * (own - fixed.reindex(list(random.names)).fillna(0.0).to_numpy()))
        q = len(random.names)
        factor = np.linalg.cholesky(np.atleast_2d(np.cov(deviations[k].T)) + 0.01 * np.eye(q))
        terms.append(TermArrays(factor, deviations[k]))
        variances.append(np.einsum("jkk->jk", np.linalg.inv(information + np.eye(q))))
    arrays = Arrays(
        beta=beta,
        basis=np.eye(p),
        basis_vcov=np.linalg.inv(design.X.T @ design.X),
        vcov_jacobian=np.broadcast_to(0.1 * np.eye(p)[:, :, None], (p, p, 1)),
        curvature=Curvature(np.eye(1), np.ones(1), np.zeros((1, 0))),
        unknown=np.zeros(len(beta), bool),
        search=np.zeros(1),
        terms=tuple(terms),
    )
    estimate = Estimate(
        model, "reml", 1.0, -0.5, p + 1, 3.0, 5.0, design.nobs, design.nobs - p, True, False, "made up", 1.0, arrays
    )
    # as if it had been asked for before: what these parameters imply would be compiled for every structure
    vars(estimate)["ranef_se"] = {
        random.group: pd.DataFrame(np.sqrt(own), index=random.levels, columns=list(random.names))
        for random, own in zip(design.random_effects, variances, strict=True)
    }
    return estimate


def made_up(model: hier.Model, estimate: hier.Estimate, chains: int = 2, draws: int = 60) -> Posterior:
    """A posterior around the estimate, of the right shapes and names."""
    random, design, shape = np.random.default_rng(1), model.design, (chains, draws)
    groups = groups_of(design)
    values = {
        "beta": estimate.arrays.beta + 0.1 * random.normal(size=(*shape, len(design.names))),
        "sigma": estimate.sigma * np.exp(0.05 * random.normal(size=shape)),
    }
    for group, term in zip(groups, estimate.arrays.terms, strict=True):
        q = len(group.names)
        values[f"sd_{group.stem}"] = np.abs(random.normal(size=(*shape, q))) + 0.1
        if group.is_correlated:
            values[f"cor_{group.stem}"] = random.uniform(-0.9, 0.9, (*shape, q * (q - 1) // 2))
        noise = 0.3 * random.normal(size=(*shape, *term.deviations.shape))
        values[f"b_{group.stem}"] = term.deviations + noise
    stats = {name: np.zeros(shape, dtype=int) for name in ("tree_depth", "n_steps")}
    return Posterior(
        formula=str(model.formula),
        family=model.family.name,
        response=design.response,
        coef_names=design.names,
        groups=groups,
        further={"sigma": None},
        settings=Settings(chains, draws, 20, 1, 10),
        method="made up",
        priors={},
        notes=(),
        draws=values,
        stats={**stats, "diverging": random.uniform(size=shape) < 0.05, "energy": random.normal(size=shape)},
        observed=design.y,
        digest=model.digest,
        index=design.index.to_numpy(),
    )


def _gaps() -> pd.DataFrame:
    """The first level has one row, and the second has two."""
    data = table(12, 6)
    return data.drop(index=[1, 2, 3, 4, 5, 8, 9, 10, 11])


def crossed() -> pd.DataFrame:
    """The same with a second factor h of four levels, crossed with g, whose deviations have a slope in x too."""
    data, random = table(9, 12), np.random.default_rng(2)
    h = random.integers(0, 4, len(data))
    b = random.normal(size=(4, 2)) * [2.0, 0.5]
    return data.assign(h=h + 10, y=data["y"] + b[h, 0] + b[h, 1] * data["x"])


KINDS: dict[str, Callable[[], tuple[str, pd.DataFrame, dict[str, str]]]] = {
    "slopes": lambda: ("y ~ x + (x | g)", table(9, 8), {}),
    "intercepts": lambda: ("y ~ 1 + (1 | g)", table(9, 8), {}),
    "one slope": lambda: ("y ~ x + (0 + x | g)", table(9, 8), {}),
    "uncorrelated": lambda: ("y ~ x + (x || g)", table(9, 8), {}),
    "factor": lambda: ("y ~ a + (a | g)", table(9, 12), {}),
    "three": lambda: ("y ~ x + z + (x + z | g)", table(9, 12), {}),
    "two levels": lambda: ("y ~ x + (x | g)", table(2, 20), {}),
    "gaps": lambda: ("y ~ x + (x | g)", _gaps(), {}),
    "weights": lambda: ("y ~ x + a + (x | g)", table(9, 8), {"weights": "w", "offset": "o"}),
    "curve": lambda: ("y ~ x + I(x**2) + a + x:a + (x | g)", table(9, 12), {}),
    "many": lambda: ("y ~ x + (x | g)", table(150, 4), {}),
    "many, no covariate": lambda: ("y ~ 1 + (1 | g)", table(150, 4), {}),
    "crossed": lambda: ("y ~ x + a + (x | g) + (x || h)", crossed(), {}),
    "crossed intercepts": lambda: ("y ~ 1 + (1 | h) + (1 | g)", crossed(), {}),
    "nested": lambda: ("y ~ x + (1 | h/g) + (0 + x | h)", crossed(), {"weights": "w"}),
    "singular": lambda: ("Y ~ X + (X | Group)", hier.load_dataset("sim757"), {}),
}


ESTIMATED = ("slopes", "singular", "crossed")


@cache
def comparison_of(kind: str) -> hier.Comparison:
    formula, data, options = KINDS[kind]()
    model = hier.Model(formula, data, **options)
    estimate = model.estimate() if kind in ESTIMATED else made_up_estimate(model)
    return hier.compare(estimate, made_up(model, estimate))


@pytest.fixture(params=list(KINDS))
def any_kind(request: pytest.FixtureRequest) -> hier.Comparison:
    return comparison_of(request.param)


@pytest.fixture
def of_kind() -> Callable[[str], hier.Comparison]:
    return comparison_of
