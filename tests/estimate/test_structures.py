"""Covariance structures other than the unstructured: against R, against dense algebra, and on the boundary."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy import optimize
from scipy.linalg import block_diag, toeplitz

import hier
from hier.design import Block
from hier.kernel.normal.point_fit import fit_likelihood
from hier.kernel.search.moments import start_of
from hier.model.problem import likelihood_problem
from tests.reference import dense

MACHINES = Path(__file__).parents[1] / "oracle" / "data" / "Machines.csv"


@pytest.fixture(scope="module")
def machines() -> pd.DataFrame:
    return pd.read_csv(MACHINES, dtype={"Worker": str})


class Expected(NamedTuple):
    objective: float
    sd: list[float]
    correlations: list[float]
    sigma: float
    std_error: list[float]
    n_parameters: int


# glmmTMB 1.1.5 (cs, ar1) and nlme 3.1-162 (pdCompSymm, pdIdent), R 4.2.2, with tolerances of 1e-12 or less
BY_R = {
    ("machines", "cs(0 + Machine | Worker)", "reml"): Expected(
        209.220442314,
        [4.11448503, 8.41974232, 4.46180031],
        [0.73571012, 0.73571012, 0.73571012],
        0.962148609,
        [1.694971173, 2.498797432, 1.319182458],
        8,
    ),
    ("machines", "cs(0 + Machine | Worker)", "ml"): Expected(
        217.498594928,
        [3.74816513, 7.68635915, 4.06530346],
        [0.73808649, 0.73808649, 0.73808649],
        0.962404473,
        [1.546904578, 2.281014959, 1.204148042],
        8,
    ),
    ("machines", "cs(0 + Machine | Worker, hom = TRUE)", "reml"): Expected(
        215.687568008,
        [6.063654116] * 3,
        [0.6216956551] * 3,
        0.9615766374,
        [2.485830214, 2.176975476, 2.176975476],
        6,
    ),
    ("machines", "ar1(0 + Machine | Worker)", "reml"): Expected(
        216.239110782,
        [5.73220917] * 3,
        [0.53838939, 0.28986314, 0.53838939],
        0.961614572,
        [2.351115201, 2.271265286, 2.807256598],
        6,
    ),
    ("machines", "diag(0 + Machine | Worker, hom = TRUE)", "ml"): Expected(
        231.951073389, [5.530691583] * 3, [], 0.9615766374, [2.269242137, 3.209193007, 3.209193007], 5
    ),
    # columns of different size share one sd on the user's scale
    ("pigs", "diag(week | id, hom = TRUE)", "reml"): Expected(
        1810.239732551, [1.680586383] * 2, [], 1.287027576, [0.2775864281, 0.2437543984], 4
    ),
    ("pigs", "cs(week | id, hom = TRUE)", "reml"): Expected(
        1810.225617354, [1.68228017] * 2, [-0.01780073005], 1.286828787, [0.2777899665, 0.2439973265], 5
    ),
}


@pytest.mark.parametrize(("data", "bar", "method"), list(BY_R))
def test_estimates_equal_those_of_r(data, bar, method, request):
    expected = BY_R[data, bar, method]
    fixed = "score ~ Machine" if data == "machines" else "weight ~ week"
    fit = hier.Model(f"{fixed} + {bar}", request.getfixturevalue(data)).estimate(method)
    q, table = len(expected.sd), fit.varcorr["sdcor"].to_numpy(dtype=float)
    assert fit.converged
    assert not fit.is_singular
    assert fit.objective == pytest.approx(expected.objective, abs=2e-8)
    np.testing.assert_allclose(table[:q], expected.sd, rtol=2e-6)
    np.testing.assert_allclose(table[q:-1], expected.correlations, rtol=1e-5)
    assert fit.sigma == pytest.approx(expected.sigma, rel=2e-6)
    np.testing.assert_allclose(fit.coefficients["std_error"], expected.std_error, rtol=2e-6)
    assert fit.aic == pytest.approx(fit.objective + 2 * expected.n_parameters, abs=1e-9)
    assert fit.nobs - fit.df_resid == expected.n_parameters


class Spec(NamedTuple):
    """A block of k columns as a textbook has it: `cs`, `ar1`, `us` or `diag`, and whether its sds are one."""

    kind: str
    hom: bool
    k: int

    @property
    def bounds(self):
        if self.kind == "us":
            return [(None, None)] * (self.k * (self.k + 1) // 2)
        low = {"cs": -1 / max(self.k - 1, 1), "ar1": -1.0}.get(self.kind)
        return [(0.0, None)] * (1 if self.hom else self.k) + ([] if low is None else [(low, 1.0)])

    def covariance(self, x):
        if self.kind == "us":
            lower = np.zeros((self.k, self.k))
            lower[np.tril_indices(self.k)] = x
            return lower @ lower.T
        sd = np.full(self.k, x[0]) if self.hom else np.asarray(x[: self.k])
        unit = np.eye(self.k)
        shape = {
            "diag": unit,
            "cs": np.where(unit > 0, 1.0, x[-1]),
            "ar1": toeplitz(np.power(x[-1], np.arange(self.k))),
        }
        return sd[:, None] * sd * shape[self.kind]


def best(model, specs, *, seeds=(0,)):
    """The highest REML criterion by dense algebra, found by bounded searches over sds and correlations themselves."""
    design = model.design
    weights = np.ones(design.nobs) if design.weights is None else design.weights
    wide = [dense.full_Z(r.Z, r.codes, r.n_levels) for r in design.random_effects]
    bounds = [bound for own in specs for spec in own for bound in spec.bounds]

    def objective(x):
        V, at = np.diag(np.exp(2 * x[-1]) / weights), 0
        for Z, random, own in zip(wide, design.random_effects, specs, strict=True):
            parts = []
            for spec in own:
                parts.append(spec.covariance(x[at : at + len(spec.bounds)]))
                at += len(spec.bounds)
            V = V + Z @ np.kron(np.eye(random.n_levels), joined(parts)) @ Z.T
        return dense.neg2_log_likelihood(design.y, design.X, V, reml=True)

    found = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        # correlations begin anywhere in their range: there may be a maximum on its edge beside one inside
        x = [rng.uniform(low, high) if high == 1.0 else rng.uniform(0.0, 1.5) for low, high in bounds] + [0.0]
        options = {"ftol": 1e-15, "gtol": 1e-9, "maxfun": 100_000}
        every = [*bounds, (None, None)]
        found.append(optimize.minimize(objective, x, method="L-BFGS-B", bounds=every, options=options))
    return min(found, key=lambda result: result.fun)


def joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.asarray(block_diag(*parts))


def simulated() -> pd.DataFrame:
    """Twelve levels of g, nested in four of g2, by four conditions f; six of h across them."""
    rng = np.random.default_rng(5)
    g, f = np.repeat(np.arange(12), 8), np.tile(np.arange(4), 24)
    n = len(g)
    h, x = rng.integers(0, 6, size=n), 2.0 * rng.normal(size=n)
    by_g = rng.multivariate_normal(np.zeros(4), 2.0 * toeplitz(0.6 ** np.arange(4)), size=12)
    by_h = rng.normal(size=(6, 2)) * [1.0, 0.6]
    y = 2.0 + 0.5 * x + by_g[g, f] + by_h[h, 0] + by_h[h, 1] * x + 0.7 * rng.normal(size=n)
    y += rng.normal(size=4)[g // 3]
    return pd.DataFrame({"y": y, "x": x, "g": g, "g2": g // 3, "h": h, "f": f, "w": rng.uniform(0.5, 2.0, size=n)})


MIXED = [
    ("ar1(0 + factor(f) | g) + (x | h)", [[Spec("ar1", True, 4)], [Spec("us", False, 2)]], None),
    ("ar1(0 + factor(f) | g, hom = FALSE) + cs(x | h)", [[Spec("ar1", False, 4)], [Spec("cs", False, 2)]], "w"),
    (
        "diag(x | g, hom = TRUE) + cs(0 + factor(f) | g) + (1 | g2)",
        [[Spec("diag", True, 2), Spec("cs", False, 4)], [Spec("diag", False, 1)]],
        None,
    ),
]


@pytest.mark.parametrize(
    ("bars", "specs", "weights"),
    [MIXED[0], *(pytest.param(*own, marks=pytest.mark.slow) for own in MIXED[1:])],
    ids=["crossed", "weighted", "two bars, nested"],
)
def test_several_factors_and_bars_are_at_the_optimum_of_the_dense_likelihood(bars, specs, weights):
    model = hier.Model(f"y ~ x + {bars}", simulated(), weights=weights)
    fit, found = model.estimate(), best(model, specs, seeds=range(8))
    assert fit.converged
    assert fit.objective == pytest.approx(found.fun, abs=1e-7)
    assert fit.sigma == pytest.approx(np.exp(found.x[-1]), rel=1e-5)
    assert fit.nobs - fit.df_resid == len(found.x) + 2
    at = 0
    for own, random, of_blocks in zip(fit.arrays.terms, model.design.random_effects, specs, strict=True):
        parts = []
        for spec in of_blocks:
            parts.append(spec.covariance(found.x[at : at + len(spec.bounds)]))
            at += len(spec.bounds)
        np.testing.assert_allclose(own.covariance, joined(parts), atol=2e-4)
        assert len(random.names) == sum(spec.k for spec in of_blocks)


@pytest.mark.slow
def test_one_correlation_of_two_columns_is_the_unstructured_model(pigs):
    other = hier.Model("weight ~ week + us(week | id)", pigs).estimate()
    for bar in ("cs(week | id)", "ar1(week | id, hom = FALSE)"):
        one = hier.Model(f"weight ~ week + {bar}", pigs).estimate()
        assert one.objective == pytest.approx(other.objective, abs=1e-8)
        np.testing.assert_allclose(
            one.varcorr["vcov"].to_numpy(dtype=float), other.varcorr["vcov"].to_numpy(dtype=float), rtol=1e-5
        )
        np.testing.assert_allclose(one.coefficients.iloc[:, :4], other.coefficients.iloc[:, :4], rtol=1e-5)


def test_diag_is_the_double_bar_for_factors_too(machines):
    for inside in ("Machine", "0 + Machine"):
        one = hier.Model(f"score ~ Machine + diag({inside} | Worker)", machines).estimate()
        other = hier.Model(f"score ~ Machine + ({inside} || Worker)", machines).estimate()
        assert one.objective == other.objective
        assert one.model.design.random_effects[0].blocks == (Block(1),) * 3
        assert len(one.varcorr) == 4


def test_what_has_no_correlation_and_no_partner_is_a_plain_block(machines):
    data = machines.assign(x=np.linspace(-1, 1, len(machines)))
    bars = "cs(0 + Machine | Worker) + ar1(1 | Worker) + diag(0 + x | Worker, hom = TRUE)"
    (random,) = hier.Model(f"score ~ Machine + {bars}", data).design.random_effects
    assert random.blocks == (Block(3, "cs"), Block(1), Block(1))
    assert random.bars == {0: "0 + Machine", 3: "1", 4: "0 + x"}
    (random,) = hier.Model("score ~ Machine + diag(x | Worker, hom = TRUE)", data).design.random_effects
    assert random.blocks == (Block(2, "diag", True),)
    assert random.bars == {0: "1 + x"}


def conditions(seed: int, covariance: np.ndarray) -> pd.DataFrame:
    """Twelve levels by three conditions, three rows of each."""
    rng = np.random.default_rng(seed)
    g, f = np.repeat(np.arange(12), 9), np.tile(np.repeat(np.arange(3), 3), 12)
    b = rng.multivariate_normal(np.zeros(3), covariance, size=12, method="svd")
    return pd.DataFrame({"y": 1.0 + 0.3 * f + b[g, f] + rng.normal(size=len(g)), "f": f, "g": g})


ONE, ALTERNATING = np.ones((3, 3)), toeplitz([1.0, -1.0, 1.0])
LOWEST = np.where(np.eye(3) > 0, 1.0, -0.5)
NO_SECOND = np.array([[1.0, 0, 0.6], [0, 0, 0], [0.6, 0, 1.0]])


@pytest.mark.parametrize(
    ("kind", "hom", "seed", "covariance", "sd", "correlation"),
    [
        ("cs", False, 2, NO_SECOND, [1, 0, 1], None),  # a variance of zero
        ("cs", False, 104, LOWEST, [1, 1, 1], -0.5),
        ("cs", True, 3, ONE, [1, 1, 1], 1.0),
        pytest.param("ar1", False, 5, ONE, [1, 1, 1], 1.0, marks=pytest.mark.slow),
        pytest.param("ar1", True, 106, ALTERNATING, [1, 1, 1], -1.0, marks=pytest.mark.slow),
        ("ar1", True, 7, np.zeros((3, 3)), [0, 0, 0], None),
    ],
    ids=["sd 0", "lowest", "all one", "ar1 one", "ar1 -1", "all sds 0"],
)
def test_the_boundary_is_found_exactly(kind, hom, seed, covariance, sd, correlation):
    model = hier.Model(f"y ~ factor(f) + {kind}(0 + factor(f) | g, hom = {str(hom).upper()})",
                       conditions(seed, covariance))  # fmt: skip
    fit, found = model.estimate(), best(model, [[Spec(kind, hom, 3)]])
    assert fit.converged
    assert fit.is_singular
    assert "boundary (singular) fit" in fit.message
    assert fit.objective <= found.fun + 1e-8
    table = fit.varcorr["sdcor"].to_numpy(dtype=float)
    np.testing.assert_array_equal(table[:3] == 0.0, np.array(sd) == 0)
    if correlation is not None:
        assert table[3] == pytest.approx(correlation, abs=1e-12)
    assert np.isfinite(fit.coefficients.to_numpy(dtype=float)).all()


def several_maxima() -> pd.DataFrame:
    """Twenty levels by four conditions, of which two hardly vary: the likelihood has several maxima."""
    rng = np.random.default_rng(0)
    g, f = np.repeat(np.arange(20), 12), np.tile(np.arange(4), 60)
    sd = np.exp(0.7 * rng.normal(size=4)) * rng.choice([0.3, 1.0])
    covariance = sd[:, None] * sd * toeplitz(rng.uniform(-0.9, 0.9) ** np.arange(4))
    b = rng.multivariate_normal(np.zeros(4), covariance, size=20)
    return pd.DataFrame({"y": 2.0 + b[g, f] + rng.normal(size=240), "g": g, "f": f})


def test_the_best_of_several_maxima_is_taken():
    model = hier.Model("y ~ 1 + ar1(0 + factor(f) | g, hom = FALSE)", several_maxima())
    terms = model.terms
    problem = likelihood_problem(model)
    every = start_of(problem.first, terms)
    values = [float(fit_likelihood(x, problem.cross, terms, reml=True).value) for x in every]
    assert values[0] > min(values) + 1.0  # the first search alone ends at a lower maximum
    assert float(fit_likelihood(every, problem.cross, terms, reml=True).value) == min(values)
