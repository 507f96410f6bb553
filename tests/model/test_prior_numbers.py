"""Priors as numbers have the log densities, maps and gradients of NumPyro's distributions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions import biject_to, constraints

from hier.kernel.programs.precision import float64
from hier.model.prior_numbers import TABLE, MatrixPrior, correlation_prior, numbers_of, scalar_priors

PRIORS: dict[str, Any] = {
    "normal": dist.Normal(-1.3, 2.5),
    "half normal": dist.HalfNormal(0.7),
    "student": dist.StudentT(3.0, 1.0, 2.5),
    "half student": dist.FoldedDistribution(dist.StudentT(3.0, 0.0, 4.0)),
    "folded normal": dist.FoldedDistribution(dist.Normal(0.0, 4.0)),
    "cauchy": dist.Cauchy(0.5, 2.0),
    "half cauchy": dist.HalfCauchy(3.0),
    "laplace": dist.Laplace(0.2, 1.7),
    "exponential": dist.Exponential(0.3),
    "gamma": dist.Gamma(0.4, 2.0),
    "gamma of large shape": dist.Gamma(30.0, 2.0),
    "inverse gamma": dist.InverseGamma(3.0, 2.0),
    "log normal": dist.LogNormal(0.3, 1.2),
    "uniform": dist.Uniform(-2.0, 5.0),
    "flat": dist.ImproperUniform(constraints.real, (), ()),
    "flat and positive": dist.ImproperUniform(constraints.positive, (), ()),
}
APART: dict[str, Any] = {
    "truncated": dist.TruncatedNormal(0.0, 1.0, low=0.5),
    "folded, not at zero": dist.FoldedDistribution(dist.Normal(1.0, 1.0)),
    "beta": dist.Beta(2.0, 0.5),
    "weibull": dist.Weibull(2.0, 1.5),
    "gumbel": dist.Gumbel(0.0, 1.0),
    "flat above": dist.ImproperUniform(constraints.greater_than(2.0), (), ()),
}
FREE = [-700.0, -30.0, -3.0, -0.4, 1e-9, 0.7, 2.0, 25.0, 340.0]


@float64
def both(prior: Any, free: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """By the numbers and by NumPyro: value, volume, log density, and its derivative in the number without bounds, at
    each of some.
    """
    own = scalar_priors([prior])

    def by_numbers(at: Any) -> Any:
        values, volume = own.constrain(at[None])
        return own.log_density(values), (values[0], volume)

    def by_numpyro(at: Any) -> Any:
        transform = biject_to(prior.support)
        value = transform(at)
        return jnp.asarray(prior.log_prob(value)), (value, transform.log_abs_det_jacobian(at, value))

    found = []
    for function in (by_numbers, by_numpyro):
        in_all = jax.jit(jax.vmap(jax.value_and_grad(function, has_aux=True)))
        (log_densities, rest), slopes = in_all(jnp.asarray(free))
        found.append(np.array([*rest, log_densities, slopes]).T)
    return found[0], found[1]


def test_every_entry_of_the_table_is_compared():
    names = {type(own).__name__ for own in PRIORS.values()}
    assert set(TABLE) <= names


@pytest.mark.parametrize("name", PRIORS)
def test_numbers_say_what_numpyro_says(name):
    assert numbers_of(PRIORS[name]) is not None
    for ours, theirs in zip(*both(PRIORS[name], FREE), strict=True):
        if np.isfinite(theirs).all():
            np.testing.assert_allclose(ours, theirs, rtol=2e-13, atol=1e-13)
        else:  # NumPyro's own terms overflow; where ours are not a number, its are not either
            assert not (np.isnan(ours) & ~np.isnan(theirs)).any(), (ours, theirs)


@pytest.mark.parametrize("name", APART)
def test_other_distributions_stay_numpyros(name):
    assert numbers_of(APART[name]) is None
    np.testing.assert_allclose(*both(APART[name], [-3.0, 0.5, 2.0]), rtol=1e-14)


@float64
def test_several_at_once_are_the_sum_of_each():
    every = [PRIORS["normal"], APART["weibull"], PRIORS["gamma"], PRIORS["uniform"], APART["truncated"]]
    free = jnp.asarray([0.3, -0.2, 1.1, 0.4, 0.9])
    values, volume = scalar_priors(every).constrain(free)
    alone = [scalar_priors([prior]).constrain(free[k : k + 1]) for k, prior in enumerate(every)]
    np.testing.assert_allclose(values, [own[0] for own, _ in alone], rtol=1e-14)
    assert float(volume) == pytest.approx(float(sum(own for _, own in alone)), rel=1e-14)
    total = sum(scalar_priors([prior]).log_density(values[k : k + 1]) for k, prior in enumerate(every))
    assert float(scalar_priors(every).log_density(values)) == pytest.approx(float(total), rel=1e-13)


@float64
def test_unconstrained_is_the_way_back():
    every = [*PRIORS.values(), *APART.values()]
    priors = scalar_priors(every)
    free = jnp.linspace(-1.5, 1.5, len(every))
    values, _ = priors.constrain(free)
    np.testing.assert_allclose(priors.unconstrain(values), free, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(priors.unconstrain(np.asarray(values)), free, rtol=1e-12, atol=1e-12)
    outside = scalar_priors([PRIORS["gamma"], PRIORS["uniform"], PRIORS["half cauchy"]])
    np.testing.assert_array_equal(outside.unconstrain(np.array([-1.0, 9.0, -1.5])), np.zeros(3))


@float64
@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("concentration", [0.5, 1.0, 2.0, 17.0])
def test_a_correlation_matrix_has_the_density_of_lkj(size, concentration):
    own, known = correlation_prior(dist.LKJCholesky(size, concentration)), dist.LKJCholesky(size, concentration)
    assert isinstance(own, MatrixPrior)
    free = np.random.default_rng(0).normal(size=size * (size - 1) // 2)
    factor, volume = own.constrain(jnp.asarray(free))
    transform = biject_to(known.support)
    np.testing.assert_allclose(factor, transform(free), rtol=1e-14)
    assert float(volume) == pytest.approx(float(transform.log_abs_det_jacobian(free, factor)), rel=1e-13)
    assert float(own.log_density(factor)) == pytest.approx(float(known.log_prob(factor)), rel=1e-12, abs=1e-13)
    np.testing.assert_allclose(own.unconstrain(factor), free, rtol=1e-12)
