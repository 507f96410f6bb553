"""NUTS on densities whose moments are known, and its parts against plain counterparts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hier.kernel.programs.precision import float64
from hier.posterior import nuts
from hier.posterior.trajectory import DEEPEST, _random, _remember, _turned_within
from hier.posterior.whitening import Whitening
from hier.settings import Sampling


@dataclass(frozen=True)
class Curved:
    """x_1 ~ Normal(0, 1), x_2 given x_1 ~ Normal(x_1^2 / 2, 1), and x_3 a logistic variable."""

    size: int = 3
    n_dense: int = 3

    def neg2_log_density(self, vector: Any, arrays: Any) -> Any:
        a, b, c = vector
        return a**2 + (b - 0.5 * arrays * a**2) ** 2 + 2.0 * (c + 2.0 * jnp.logaddexp(0.0, -c))


NONE = Whitening(np.zeros(3), np.eye(3), np.zeros(0))


def run(density: Any = None, **settings: Any) -> nuts.Trace:
    density = density or Curved()
    chosen = Sampling(**{"chains": 4, "draws": 200, "warmup": 100, "seed": 3} | settings)
    return nuts.run_nuts(density, np.float64(1.0), NONE, chosen, lambda done: None)


def test_moments_are_those_of_the_density():
    x = run(draws=20_000, warmup=1000).x
    moments = {
        "mean": (x, [0.0, 0.5, 0.0]),
        "square": (x**2, [1.0, 1.75, np.pi**2 / 3]),
        "mixed": ((x[..., :1] ** 2 * x[..., 1:2]), [1.5]),
    }
    for name, (values, expected) in moments.items():
        batches = values.reshape(4 * 40, 500, -1).mean(axis=1)
        error = batches.std(axis=0, ddof=1) / np.sqrt(len(batches))
        assert (np.abs(batches.mean(axis=0) - expected) < 4.5 * error).all(), (name, batches.mean(axis=0), error)
        assert (error < 0.1).all(), name


@pytest.mark.parametrize("target", [0.6, 0.95])
def test_steps_accept_as_often_as_asked_for(target):
    trace = run(draws=2000, warmup=2000, target_accept=target)
    assert abs(trace.acceptance_rate.mean() - target) < 0.1
    assert np.ptp(trace.step_size, axis=1).max() == 0.0


def test_trees_stop_at_the_depth_asked_for():
    assert run(max_tree_depth=1).n_steps.max() == 1
    assert run(max_tree_depth=2).n_steps.max() == 3


def test_draws_do_not_depend_on_how_iterations_are_cut_into_calls(monkeypatch):
    whole = run()
    monkeypatch.setattr(nuts, "FIRST_PIECE", 7)
    monkeypatch.setattr(nuts, "SECONDS_A_PIECE", 0.0)
    for field, same in zip(whole[:-2], run()[:-2], strict=True):  # without where they end
        np.testing.assert_array_equal(field, same)


def test_draws_of_a_chain_do_not_depend_on_the_others(monkeypatch):
    four, few = run(warmup=20, draws=20), {}
    for cores in (1, 4):
        monkeypatch.setattr(nuts, "cores", lambda n=cores: n)
        few[cores] = run(warmup=20, draws=20)
    for other in few.values():
        np.testing.assert_allclose(other.x, four.x, rtol=1e-5, atol=1e-5)


def test_a_chain_leaves_a_point_without_density():
    @dataclass(frozen=True)
    class Positive(Curved):
        def neg2_log_density(self, vector: Any, arrays: Any) -> Any:
            a, b, c = vector
            return jnp.where(a > 0.0, a**2 + b**2 + c**2, jnp.nan)

    trace = run(Positive(), draws=500)
    assert (trace.x[..., 0] > 0.0).all()
    assert trace.diverging.any()


@float64
def test_random_numbers_are_those_of_splitmix64():
    golden = np.uint64(0x9E3779B97F4A7C15)
    turn, low, high = _random(jnp.asarray([golden]))
    bits = 0xE220A8397B1DCDAF  # the first of seed 0, as published with the generator
    assert (bool(turn[0]), int(low[0] * 2**31), int(high[0] * 2**32)) == (
        bool(bits & 1),
        bits >> 1 & 0x7FFFFFFF,
        bits >> 32,
    )
    with np.errstate(over="ignore"):
        seeds = np.arange(1, 100_001, dtype=np.uint64) * golden
    for values in _random(jnp.asarray(seeds)):
        values = np.asarray(values, float)
        expected = 0.5 if set(values) == {0.0, 1.0} else np.sqrt(1.0 / 12.0)
        assert abs(values.mean() - 0.5) < 0.005
        assert abs(values.std() - expected) < 0.005


@float64
def test_a_turn_is_looked_for_in_every_balanced_part():
    rng, c, m, n = np.random.default_rng(0), 6, 2, 32
    momenta = rng.normal(size=(n, c, m)) + 0.5
    sums = momenta.cumsum(axis=0)

    def turns(first: int, last: int) -> Any:
        part = momenta[first : last + 1]
        between = part.sum(axis=0) - 0.5 * (part[0] + part[-1])
        return ((part[0] * between).sum(axis=1) <= 0) | ((part[-1] * between).sum(axis=1) <= 0)

    left = jnp.zeros((c, DEEPEST + 2, 2, m))
    look, remember = jax.jit(_turned_within), jax.jit(_remember)
    found_any = False
    for k in range(n):
        at = jnp.full(c, k)
        left = remember(left, at, momenta[k], sums[k])
        starts = [k + 1 - size for size in (2, 4, 8, 16, 32) if (k + 1) % size == 0]
        expected = np.any([np.zeros(c, bool), *(turns(first, k) for first in starts)], axis=0)
        np.testing.assert_array_equal(np.asarray(look(left, at, momenta[k], sums[k])), expected)
        found_any = found_any or bool(expected.any() and not expected.all())
    assert found_any
