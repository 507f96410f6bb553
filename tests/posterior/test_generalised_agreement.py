"""Models that are not Normal against long runs of plain non-centred NumPyro programs, written out here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro.infer import MCMC, NUTS

import hier
from hier.kernel.programs.precision import float64
from tests.posterior.test_agreement import assert_same_distribution

SIZES = [2, 9, 5, 7, 4, 8, 6]
G = np.repeat(np.arange(7), SIZES)
N = len(G)


def data() -> pd.DataFrame:
    """Seven unbalanced groups, crossed by four, simulated."""
    rng = np.random.default_rng(12)
    h, x = rng.integers(0, 4, N), rng.normal(size=N)
    b, c = 0.9 * rng.normal(size=7), 0.7 * rng.normal(size=4)
    eta = 0.4 + 0.6 * x + b[G] + c[h]
    latent = eta + rng.logistic(size=N)
    return pd.DataFrame(
        {
            "g": G,
            "h": h,
            "x": x,
            "yes": (latent > 0).astype(int),
            "count": rng.poisson(np.exp(eta)),
            "clumped": rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, N)),
            "rating": (latent[:, None] > [-0.5, 1.0]).sum(axis=1),
        }
    )


def deviations(group: str, J: int) -> Any:
    sd = numpyro.sample(f"sd_{group}_", dist.HalfNormal(1.0))
    numpyro.deterministic(f"sd_{group}", sd[None])
    z = numpyro.sample(f"z_{group}", dist.Normal(0.0, 1.0).expand([J]).to_event(1))
    return numpyro.deterministic(f"b_{group}", (sd * z)[:, None])[:, 0]


def linear(frame: pd.DataFrame) -> Any:
    beta = numpyro.sample("beta", dist.Normal(jnp.zeros(2), jnp.array([2.0, 1.0])).to_event(1))
    return beta[0] + beta[1] * frame["x"].to_numpy() + deviations("g", 7)[G]


def bernoulli(frame: pd.DataFrame) -> None:
    numpyro.sample("y", dist.Bernoulli(logits=linear(frame)).to_event(1), obs=frame["yes"].to_numpy())


def crossed(frame: pd.DataFrame) -> None:
    eta = linear(frame) + deviations("h", 4)[frame["h"].to_numpy()]
    numpyro.sample("y", dist.Bernoulli(logits=eta).to_event(1), obs=frame["yes"].to_numpy())


def poisson(frame: pd.DataFrame) -> None:
    numpyro.sample("y", dist.Poisson(jnp.exp(linear(frame))).to_event(1), obs=frame["count"].to_numpy())


def negbinomial(frame: pd.DataFrame) -> None:
    shape = numpyro.sample("shape", dist.Gamma(2.0, 0.5))
    found = dist.NegativeBinomial2(jnp.exp(linear(frame)), shape)
    numpyro.sample("y", found.to_event(1), obs=frame["clumped"].to_numpy())


def cumulative(frame: pd.DataFrame) -> None:
    slope = numpyro.sample("slope", dist.Normal(0.0, 1.0))
    numpyro.deterministic("beta", slope[None])
    first = numpyro.sample("first", dist.Normal(0.0, 2.0))
    gap = numpyro.sample("gap", dist.HalfNormal(10.0))
    numpyro.factor("second", dist.Normal(0.0, 2.0).log_prob(first + gap) - dist.HalfNormal(10.0).log_prob(gap))
    cutpoints = numpyro.deterministic("cutpoints", jnp.stack([first, first + gap]))
    eta = slope * frame["x"].to_numpy() + deviations("g", 7)[G]
    numpyro.sample("y", dist.OrderedLogistic(eta, cutpoints).to_event(1), obs=frame["rating"].to_numpy())


GIVEN = {"Intercept": dist.Normal(0.0, 2.0), "x": dist.Normal(0.0, 1.0), "sd_g": dist.HalfNormal(1.0)}
ORDERED = {"Intercept[1]": dist.Normal(0.0, 2.0), "Intercept[2]": dist.Normal(0.0, 2.0)}
CASES: dict[str, tuple[str, dict[str, Any], Callable[[pd.DataFrame], None]]] = {
    "bernoulli": ("yes ~ x + (1 | g)", GIVEN, bernoulli),
    "poisson": ("count ~ x + (1 | g)", GIVEN, poisson),
    "negbinomial": ("clumped ~ x + (1 | g)", GIVEN | {"shape": dist.Gamma(2.0, 0.5)}, negbinomial),
    "cumulative": ("rating ~ x + (1 | g)", {k: GIVEN[k] for k in ("x", "sd_g")} | ORDERED, cumulative),
    "crossed": ("yes ~ x + (1 | g) + (1 | h)", GIVEN | {"sd_h": dist.HalfNormal(1.0)}, crossed),
}


@float64
def long_run(program: Callable[[pd.DataFrame], None], draws: int) -> dict[str, np.ndarray]:
    kernel = NUTS(program, target_accept_prob=0.95)
    mcmc = MCMC(kernel, num_warmup=1000, num_samples=draws, num_chains=4, chain_method="vectorized", progress_bar=False)
    mcmc.run(jax.random.key(5), data())
    return {name: np.asarray(values) for name, values in mcmc.get_samples(group_by_chain=True).items()}


def agree(name: str, draws: int) -> None:
    formula, priors, program = CASES[name]
    family = "bernoulli" if name == "crossed" else name
    model = hier.Model(formula, data(), family=family, priors=priors)
    post = model.sample(chains=4, draws=draws, seed=1, target_accept=0.9, progress=False)
    assert set(post.draws) >= {"beta", "sd_g", "b_g"}
    assert_same_distribution(post, long_run(program, draws))


def test_poisson_is_that_of_a_plain_program():
    agree("poisson", 4_000)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_posterior_is_that_of_a_plain_program(name):
    agree(name, 8_000)
