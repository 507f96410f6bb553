"""Fits of one, nested and crossed grouping factors that several tests read, and their dense algebra."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import hier
from tests.reference import dense

DATA = Path(__file__).parents[1] / "oracle" / "data"
FORMULAS = {
    "one": "y ~ x + (x | g)",
    "nested": "y ~ x + (x | inner) + (1 | outer)",
    "crossed": "y ~ x + (x | g) + (1 | item) + (1 | day)",
}


def table(kind: str) -> pd.DataFrame:
    """Unbalanced random data; the inner factor of the nested ones is labelled without its outer."""
    rng = np.random.default_rng(3)
    n = 90
    x, e = 2.0 + rng.normal(size=n), rng.normal(size=n)
    frame = pd.DataFrame({"x": x, "w": rng.uniform(0.5, 2.0, n), "off": rng.normal(size=n)})
    if kind == "nested":
        inner = np.concatenate([np.arange(14), rng.integers(0, 14, n - 14)])
        outer = rng.permutation(np.arange(14) % 4)[inner]
        effect = (
            1.5 * rng.normal(size=14)[inner] + 0.7 * rng.normal(size=14)[inner] * x + 1.5 * rng.normal(size=4)[outer]
        )
        frame = frame.assign(inner=[f"i{k}" for k in inner], outer=[f"o{k}" for k in outer])
    else:
        g = np.concatenate([np.arange(12), rng.integers(0, 12, n - 12)])
        effect = rng.normal(size=12)[g] + 0.7 * rng.normal(size=12)[g] * x
        frame = frame.assign(g=[f"g{k}" for k in g])
    if kind == "crossed":
        item, day = rng.integers(0, 6, n), rng.integers(0, 5, n)
        effect = effect + 1.2 * rng.normal(size=6)[item] + 0.8 * rng.normal(size=5)[day]
        frame = frame.assign(item=[f"t{k}" for k in item], day=day)
    return frame.assign(y=3.0 + x + frame["off"] + effect + e / np.sqrt(frame["w"]))


class Dense(NamedTuple):
    """All matrices of a fit: X, Z with every deviation (those of a level side by side), their covariance G and that of
    the residuals R; `blocks`: where each factor's deviations stand.
    """

    X: Any
    Z: Any
    G: Any
    R: Any

    @property
    def V(self):
        return self.Z @ self.G @ self.Z.T + self.R

    def errors(self, X, Z):
        """Covariance of x'(beta^ - beta) + z'(b^ - b) from the inverse of the mixed model equations."""
        W, T = np.linalg.inv(self.R), np.column_stack([self.X, self.Z])
        p = self.X.shape[1]
        equations = T.T @ W @ T
        equations[p:, p:] += np.linalg.inv(self.G)
        rows = np.column_stack([X, Z])
        return rows @ np.linalg.inv(equations) @ rows.T


def as_dense(fit) -> Dense:
    design = fit.model.design
    terms = [(own.Z, own.codes, own.n_levels) for own in design.random_effects]
    Z, spread = dense.full_deviations(terms, [own.factor for own in fit.arrays.terms])
    weights = np.ones(design.nobs) if design.weights is None else design.weights
    return Dense(design.X, Z, spread @ spread.T, fit.sigma**2 * np.diag(1.0 / weights))


@pytest.fixture(scope="session", params=list(FORMULAS))
def kind(request):
    return request.param


@pytest.fixture(scope="session")
def fits():
    """REML fits by structure, with weights and an offset; each is made when it is first asked for."""
    made = {}

    def fit(kind: str):
        if kind not in made:
            made[kind] = hier.Model(FORMULAS[kind], table(kind), weights="w", offset="off").estimate()
        return made[kind]

    return fit


@pytest.fixture(scope="session")
def fit(kind, fits):
    return fits(kind)


@pytest.fixture(scope="session")
def sleepstudy():
    return pd.read_csv(DATA / "sleepstudy.csv", dtype={"Subject": str})


@pytest.fixture(scope="session")
def sleepstudy_reml(sleepstudy):
    return hier.Model("Reaction ~ Days + (Days | Subject)", sleepstudy).estimate()


@pytest.fixture(scope="module")
def machines() -> pd.DataFrame:
    return pd.read_csv(DATA / "Machines.csv", dtype={"Worker": str})
