"""First estimates of variances against the same equations in dense algebra, and those of scores against simulation."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import hier
from hier.design import Block
from hier.estimate.laplace_route import set_up
from hier.kernel.covariance.theta import columns_of
from hier.kernel.laplace import point_fit_rows as generalised
from hier.kernel.programs.precision import float64
from hier.kernel.search import moments as under_test
from hier.kernel.search.moments import LARGEST, SMALLEST, moments, moments_of_scores
from hier.model.row_problem import likelihood_starts
from tests.reference.test_kernel import data

CASES = [
    ("one", ((Block(2),),)),
    ("one", ((Block(1), Block(2)),)),
    ("nested", ((Block(1),), (Block(2),))),
    ("nested twice", ((Block(1),),) * 3),
    ("crossed", ((Block(1),), (Block(1),))),
    ("crossed", ((Block(2),), (Block(1), Block(1)))),
    ("crossed thrice", ((Block(1),), (Block(2),), (Block(1),))),
]


def level_blocks(term, units):
    """Z of every level of a factor in the kernel's units (J, n, q)."""
    of_level = term.codes[None] == np.arange(term.n_levels)[:, None]
    return of_level[:, :, None] * units.columns(term.Z)[None]


def by_dense_algebra(drawn, units, weights):
    """Covariances (q, q) and sigma of one round, `weights` (J, q, q) of each factor's levels."""
    root = np.sqrt(drawn.weights)
    y, X = root * drawn.y / units.y, root[:, None] * drawn.X
    n = len(y)
    M = np.eye(n) - X @ np.linalg.solve(X.T @ X, X.T)
    r = M @ y
    Z = [root[None, :, None] * level_blocks(t, own) for t, own in zip(drawn.ordered, units.random, strict=True)]
    entries = [
        (k, a, b)
        for k, blocks in enumerate(drawn.blocks)
        for start, stop in columns_of(blocks)
        for a in range(start, stop)
        for b in range(start, a + 1)
    ]
    unit = []  # the covariance matrix of y for each entry, and for the residual
    for k, a, b in entries:
        own = np.einsum("jn,jm->nm", Z[k][:, :, a], Z[k][:, :, b])
        unit.append(own if a == b else own + own.T)
    unit.append(np.eye(n))
    system, right = [], []
    for k, a, b in entries:
        seen = np.einsum("jab,jnb->jan", weights[k], Z[k]) @ M  # (J, q, n)
        right.append(np.sum((seen[:, a] @ y) * (seen[:, b] @ y)))
        system.append([np.einsum("jn,nm,jm->", seen[:, a], V, seen[:, b]) for V in unit])
    right.append(r @ r)
    system.append([np.trace(M @ V) for V in unit])
    solved = np.linalg.solve(np.array(system), np.array(right))
    found = [np.zeros((z.shape[2], z.shape[2])) for z in Z]
    for value, (k, a, b) in zip(solved, entries, strict=False):
        found[k][a, b] = found[k][b, a] = value / solved[-1]
    return found, np.sqrt(solved[-1]), Z


@pytest.mark.parametrize(("arrangement", "blocks"), CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_moments_solve_their_equations(arrangement, blocks, seed, monkeypatch):
    monkeypatch.setattr(under_test, "_is_quick", lambda cross: False)
    drawn = data(seed, blocks, arrangement)
    cross, units = drawn.cross()
    got = moments(cross, drawn.blocks)
    identity = [np.broadcast_to(np.eye(t.Z.shape[1]), (t.n_levels, *[t.Z.shape[1]] * 2)) for t in drawn.ordered]
    expected, sigma, Z = by_dense_algebra(drawn, units, identity)
    expected = [inside(own) for own in expected]
    if cross.dense:
        weights = [
            np.linalg.inv(np.eye(len(own)) + np.einsum("jna,jnb->jab", z, z) @ own)
            for z, own in zip(Z, expected, strict=True)
        ]
        second, sigma, _ = by_dense_algebra(drawn, units, weights)
        expected = [inside(own) for own in second]
    assert got.sigma == pytest.approx(sigma, rel=1e-8)
    for one, other in zip(got.covariances, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)


def inside(covariance):
    values, directions = np.linalg.eigh(covariance)
    return directions @ np.diag(np.maximum(values, SMALLEST**2)) @ directions.T


@pytest.mark.parametrize("arrangement", ["one", "nested", "crossed"])
def test_a_model_without_fixed_effects_has_moments(arrangement, monkeypatch):
    monkeypatch.setattr(under_test, "_is_quick", lambda cross: False)
    drawn = data(3, ((Block(1),),) * (1 if arrangement == "one" else 2), arrangement)
    cross, _ = drawn._replace(X=np.zeros((len(drawn.y), 0))).cross()
    got = moments(cross, drawn.blocks)
    assert got.sigma > 0
    assert all(np.isfinite(own).all() for own in got.covariances)


def scores(covariance, A, seed):
    """Scores g = A b + e, with b of the covariance and e of A: (q, J) for A (q, q, J)."""
    rng = np.random.default_rng(seed)
    J, q = A.shape[2], len(covariance)
    b = rng.multivariate_normal(np.zeros(q), covariance, J).T
    roots = np.linalg.cholesky(np.moveaxis(A, 2, 0))
    return np.einsum("abj,bj->aj", A, b) + np.einsum("jab,bj->aj", roots, rng.normal(size=(q, J)))


@pytest.mark.parametrize("q", [1, 2, 3])
@float64
def test_moments_of_scores_find_the_covariance_of_many_levels(q):
    rng = np.random.default_rng(q)
    z = rng.normal(size=(q, 30, 20_000))
    A = np.einsum("anj,bnj->abj", z, z)
    root = np.tril(rng.uniform(-0.2, 0.2, (q, q)), -1) + 0.5 * np.eye(q)
    expected = root @ root.T
    start = 0.3 * np.eye(q)
    got = np.asarray(jax.jit(moments_of_scores)(start, A, scores(expected, A, q)))
    # an entry's standard error is some sqrt(2 / 20,000) of the variances
    np.testing.assert_allclose(got, expected, atol=4 * 0.01 * np.diag(expected).max())


@float64
def test_moments_of_scores_are_bounded_and_fall_back_on_the_first():
    A = np.full((1, 1, 50), 10.0)
    large = moments_of_scores(0.3 * jnp.eye(1), A, np.full((1, 50), 500.0))
    small = moments_of_scores(0.3 * jnp.eye(1), A, np.zeros((1, 50)))
    unknown = moments_of_scores(0.3 * jnp.eye(1), A, np.full((1, 50), np.nan))
    found = [float(own[0, 0]) for own in (large, small, unknown)]
    assert found == pytest.approx([LARGEST**2, SMALLEST**2, 0.3**2])


@float64
def test_levels_without_rows_say_nothing():
    rng = np.random.default_rng(4)
    A = rng.uniform(5.0, 20.0, (1, 1, 40))
    g = scores(np.array([[0.4]]), A, 4)
    start = 0.3 * jnp.eye(1)
    more = np.zeros((1, 1, 8))
    got = moments_of_scores(start, np.concatenate([A, more], axis=2), np.concatenate([g, more[0]], axis=1))
    np.testing.assert_allclose(got, moments_of_scores(start, A, g), rtol=1e-12)


@pytest.mark.slow
def test_a_search_from_moments_of_scores_is_shorter_and_ends_at_the_same_place(monkeypatch):
    data = pd.read_csv(Path(__file__).parents[1] / "oracle" / "data" / "Contraception.csv")
    model = hier.Model("use ~ age + urban + livch + (urban | district)", data, family="bernoulli")
    problem, approximation = set_up(model, "ml", 1)
    (start,) = likelihood_starts(model, problem.rows, with_fixed=False)
    terms = model.terms

    def search():
        generalised._program.cache_clear()  # what is compiled holds the function that is replaced below
        return generalised.fit_rows(start, problem, approximation, terms)

    moved = search()
    monkeypatch.setattr(generalised, "_spread", lambda x, *_: x)
    monkeypatch.setattr(generalised.Program, "_path", lambda *_: None)  # and so does a trace that is kept
    still = search()
    generalised._program.cache_clear()
    assert moved.steps < still.steps
    assert moved.value == pytest.approx(still.value, abs=1e-8)
    np.testing.assert_allclose(moved.x, still.x, atol=1e-6)
