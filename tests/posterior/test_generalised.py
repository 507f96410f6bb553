"""The posterior of models that are not Normal: the density that is sampled, and what a user gets."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pytest

import hier
from hier.posterior.diagnostics import ess_bulk, rhat
from tests.model.data import table
from tests.posterior.densities import at_random_points

MODELS = {
    "bernoulli, random slope": ("yes ~ x + f + (x | g)", {"family": "bernoulli"}),
    "poisson, nested": ("count ~ x + offset(log(e)) + (1 | g/h)", {"family": "poisson"}),
    "negbinomial, no correlation": ("count ~ x + (x || g)", {"family": "negbinomial", "weights": "w"}),
    "cumulative": ("rating ~ x + f + (1 | g)", {"family": "cumulative"}),
    "beta, phi": (hier.Formula("share ~ x + (1 | g)", phi="~ x"), {"family": "beta"}),
    "zero_inflated_poisson": ("count ~ x + (1 | g)", {"family": "zero_inflated_poisson"}),
    "gaussian, sigma": (hier.Formula("y ~ x + (x | g)", sigma="~ x"), {"weights": "w"}),
    "bernoulli, crossed": ("yes ~ x + (x | g) + (1 | h)", {"family": "bernoulli", "link": "cloglog"}),
    # sampled on the way that other priors than those of all numbers need
    "poisson, positive slope": ("count ~ x + (1 | g)", {"family": "poisson", "priors": {"x": dist.HalfNormal(1.0)}}),
}
SLOW = {
    "student": ("y ~ x + (1 | g)", {"family": "student"}),
    "hurdle, hu": (hier.Formula("count ~ x + (1 | g)", hu="~ f"), {"family": "hurdle_negbinomial"}),
    "hurdle_poisson": ("count ~ x + (1 | g)", {"family": "hurdle_poisson"}),
    "beta_binomial, nested": (hier.Formula("s / n ~ x + (1 | g/h)", phi="~ x"), {"family": "beta_binomial"}),
    "gamma, compound symmetry": ("positive ~ f + cs(0 + f | g)", {"family": "gamma"}),
    "poisson, autoregression": ("count ~ f + ar1(0 + f | g)", {"family": "poisson", "link": "sqrt"}),
    "inverse_gaussian, three factors": (
        "positive ~ x + (1 | g) + (1 | h) + (0 + x | f)",
        {"family": "inverse_gaussian", "link": "log"},
    ),
    "cumulative, given cutpoints": (
        "rating ~ x + (1 | g)",
        {
            "family": "cumulative",
            "link": "probit",
            "priors": {"Intercept[1]": dist.Normal(-1.0, 1.0), "Intercept[2]": dist.Normal(1.0, 2.0)},
        },
    ),
}


@pytest.mark.parametrize("name", [*MODELS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_the_density_that_is_sampled_is_that_of_the_full_program(name):
    """Exactly, up to one constant, wherever the deviations are placed."""
    formula, options = (MODELS | SLOW)[name]
    found = at_random_points(hier.Model(formula, table(), **options))
    assert np.ptp(found.sampled) > 1.0
    np.testing.assert_allclose(np.diff(found.sampled), np.diff(found.program), atol=1e-9)


@pytest.fixture(scope="module")
def model() -> hier.Model:
    return hier.Model(hier.Formula("y ~ x + (x | g)", sigma="~ f"), table(), priors={"x": dist.Normal(0.0, 0.5)})


@pytest.fixture(scope="module")
def post(model) -> hier.Posterior:
    return model.sample(chains=4, draws=400, warmup=600, seed=4, progress=False)


def test_draws_are_named_and_labelled(post):
    assert "NUTS on all parameters" in post.method
    shapes = {
        "beta": ("coef",),
        "beta_sigma": ("sigma_coef",),
        "sd_g": ("g_coef",),
        "sd_g_centred": ("g_coef",),
        "cor_g": ("g_pair",),
        "cor_g_centred": ("g_pair",),
        "b_g": ("g", "g_coef"),
    }
    tree = post.data["posterior"].dataset
    assert {name: tree[name].dims for name in tree.data_vars} == {
        name: ("chain", "draw", *dims) for name, dims in shapes.items()
    }
    assert tree["coef"].to_numpy().tolist() == ["Intercept", "x"]
    assert tree["sigma_coef"].to_numpy().tolist() == ["Intercept", "f[T.b]", "f[T.c]"]
    assert tree["g"].to_numpy().tolist() == list(range(8))
    assert tree["g_coef"].to_numpy().tolist() == ["Intercept", "x"]
    assert (tree.sizes["draw"], tree.sizes["chain"]) == (400, 4)
    for draws in post.draws.values():
        assert np.isfinite(draws).all()
    assert (post.draws["sd_g"] > 0).all()


def test_chains_mix(post):
    for name, draws in post.draws.items():
        own = draws[:, :, draws.std(axis=(0, 1)) > 1e-9] if draws.ndim > 2 else draws[..., None]
        assert rhat(own.reshape(4, 400, -1)).max() < 1.03, name
        assert ess_bulk(own.reshape(4, 400, -1)).min() > 200, name
    assert post.stats["diverging"].mean() < 0.01


def test_the_same_seed_gives_the_same_draws(model, post, tmp_path):
    again = model.sample(chains=4, draws=400, warmup=600, seed=4, progress=False)
    other = model.sample(chains=4, draws=400, warmup=600, seed=5, progress=False)
    post.save(tmp_path / "post.nc")
    back = hier.load_posterior(tmp_path / "post.nc")
    for name, draws in post.draws.items():
        np.testing.assert_array_equal(again.draws[name], draws)
        np.testing.assert_array_equal(back.draws[name], draws)
        assert not (other.draws[name] == draws).all()
    assert back.method == post.method
    assert back.family == "gaussian"
    assert back.priors == post.priors
