"""What a posterior is given on request: log-likelihoods, replicated responses and priors, in ArviZ's schema."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest

import hier
from hier.kernel.arrays.random_numbers import DRAWN
from hier.kernel.programs.precision import float64
from hier.model.families import FAMILIES
from hier.posterior import prediction as predictions
from tests.posterior.made_up import group, made_up, of_model


def table(n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    return pd.DataFrame(
        {
            "g": rng.integers(0, 5, n),
            "h": rng.integers(0, 3, n),
            "x": rng.normal(size=n),
            "w": rng.uniform(0.5, 3.0, n),
            "real": rng.normal(size=n),
            "positive": rng.gamma(2.0, size=n),
            "unit": rng.beta(2.0, 3.0, n),
            "count": rng.poisson(2.0, n),
            "binary": rng.integers(0, 2, n),
            "successes": rng.binomial(5, 0.4, n),
            "trials": np.full(n, 5) + rng.integers(0, 4, n),
            "ordered": np.array([1, 2, 4, 5])[rng.integers(0, 4, n)],
        },
        index=np.arange(n) + 100,
    )


DATA = table()
OF_RESPONSE = {"successes": "successes | trials(trials)"}


def written(family: str, right: str = "x + (x | g) + (1 | h)", **options) -> hier.Model:
    response = FAMILIES[family].response
    return hier.Model(f"{OF_RESPONSE.get(response, response)} ~ {right}", DATA, family=family, **options)


OTHERS = {
    "weighted": lambda: written("poisson", weights="w"),
    "precision": lambda: written("gaussian", weights="w"),
    "spread": lambda: hier.Model(hier.Formula("real ~ x + (1 | g)", sigma="~ x"), DATA),
    "shares": lambda: hier.Model("successes / trials ~ x + (1 | g)", DATA, family="binomial"),
    "log link": lambda: written("gaussian", link="log"),
    "no fixed effects": lambda: hier.Model("real ~ 0 + (1 | g)", DATA),
}
SOME = ("student", "cumulative", "beta_binomial", "zero_inflated_negbinomial")  # of the rest the densities are tested
MODELS = {name: lambda name=name: written(name) for name in SOME} | OTHERS


@pytest.fixture(scope="module", params=MODELS, ids=MODELS)
def posterior(request):
    return of_model(MODELS[request.param](), (2, 4))


@float64
def by_numpyro(posterior) -> dict[str, np.ndarray]:
    """Log densities of every site of the program, (8, ...)."""
    program = posterior.model.numpyro_model(noncentred=False)
    sites = {name: values.reshape(8, *values.shape[2:]) for name, values in posterior.draws.items()}

    def one(draws):
        conditioned = numpyro.handlers.condition(program, draws)
        trace = numpyro.handlers.trace(numpyro.handlers.seed(conditioned, 0)).get_trace(y=posterior.model.design.y)
        return {name: site["fn"].log_prob(site["value"]) for name, site in trace.items() if site["type"] == "sample"}

    return jax.tree.map(np.asarray, jax.vmap(one)(sites))


def test_log_likelihoods_are_those_of_the_program(posterior, monkeypatch) -> None:
    monkeypatch.setattr(predictions, "AT_ONCE", 8 * 7)
    n, found = len(DATA), posterior.with_log_likelihood().data
    values = found["log_likelihood"][posterior.response]
    assert values.dims == ("chain", "draw", "obs")
    assert list(values["obs"].to_numpy()) == list(found["observed_data"]["obs"].to_numpy()) == list(DATA.index)
    rows = by_numpyro(posterior)["y"].reshape(8, n)
    np.testing.assert_allclose(values.to_numpy().reshape(8, n), rows, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["gaussian", "cumulative"])
def test_log_priors_are_those_of_the_program(name: str) -> None:
    posterior = of_model(written(name), (2, 4))
    expected = by_numpyro(posterior)
    found = posterior.with_prior(3).data
    prior = found["log_prior"].dataset
    assert set(prior.data_vars) == {name for name in expected if name != "y" and not name.startswith("b_")}
    for variable, own in prior.data_vars.items():
        whole = expected[str(variable)].reshape(8, -1).sum(axis=1)
        np.testing.assert_allclose(own.to_numpy().ravel(), whole, rtol=1e-8, atol=1e-8, err_msg=str(variable))
    assert found["prior_predictive"][posterior.response].shape == (1, 3, len(DATA))
    assert set(found["prior"].data_vars) <= set(found["posterior"].data_vars)


def test_responses_are_those_of_the_family(posterior) -> None:
    found = posterior.with_predictive(seed=3).data
    replicated, observed = found["posterior_predictive"][posterior.response], found["observed_data"]
    assert replicated.shape == (2, 4, len(DATA))
    assert replicated.dtype == observed[posterior.response].dtype
    again = posterior.with_predictive(seed=3).data["posterior_predictive"][posterior.response]
    np.testing.assert_array_equal(again, replicated)
    assert (posterior.with_predictive(seed=4).data["posterior_predictive"][posterior.response] != replicated).any()
    other = posterior.with_predictive(DATA[:6].assign(g=[0, 1, 2, 9, 9, 0]), new_levels="zero").data
    assert other["predictions"][posterior.response].shape == (2, 4, 6)
    assert "posterior_predictive" not in other.children


@pytest.mark.parametrize("family", list(FAMILIES))
def test_replicated_responses_have_the_mean_of_the_family(family: str) -> None:
    """The family's own mean against that of many responses of one draw, drawn by NumPy."""
    model = written(family, "x + (1 | g)")
    posterior = of_model(model, (1, 4))
    few = {name: np.repeat(values[:, :1], 4000, axis=1) for name, values in posterior.draws.items()}
    mild = {name: np.full_like(own, {"beta": 0.3, "b_g": 0.1, "nu": 8.0}.get(name, 1.2)) for name, own in few.items()}
    mild |= {name: np.full_like(few[name], 0.3) for name in ("zi", "hu") if name in few}
    if "cutpoints" in few:
        mild["cutpoints"] = np.broadcast_to([-1.0, 0.2, 1.0], few["cutpoints"].shape)
    many = dataclasses.replace(posterior, draws=mild, settings=posterior.settings._replace(draws=4000), stats={})
    drawn = many.with_predictive(seed=1).data["posterior_predictive"][posterior.response].to_numpy()[0]
    mean = many.predict()["fit"].to_numpy() * (1.0 if model.design.trials is None else model.design.trials)
    se = drawn.std(axis=0) / np.sqrt(4000)
    assert (np.abs(drawn.mean(axis=0) - mean) < 5.0 * se).all()


def test_small_shapes_keep_their_digits_and_nan_stays_nan() -> None:
    generator = np.random.default_rng(0)
    small = DRAWN["loggamma"](generator, np.full(1000, 1e-3), (1000,))
    assert np.isfinite(small).all()
    assert small.min() < -1000
    for name, arguments in {"poisson": (), "binomial": (np.ones(2),)}.items():
        found = DRAWN[name](generator, *arguments, np.array([np.nan, 0.5]), (2,))
        assert np.isnan(found[0])
        assert np.isfinite(found[1])


def test_a_family_of_the_users_own() -> None:
    def density(observed, mu, sigma):
        return dist.Laplace(mu.value, sigma.value).log_prob(observed.y)

    def draw(key, observed, mu, sigma):
        return mu.value + sigma.value * jax.random.laplace(key, mu.eta.shape, mu.eta.dtype)

    own = hier.Family("double", ("mu", ("sigma", ("log",), "gamma(2, 1)")), density, draw=draw)
    posterior = of_model(hier.Model("real ~ x + (1 | g)", DATA, family=own), (2, 4))
    values = posterior.with_log_likelihood().data["log_likelihood"]["real"].to_numpy().reshape(8, -1)
    np.testing.assert_allclose(values, by_numpyro(posterior)["y"], rtol=1e-10)
    drawn = posterior.with_predictive().data["posterior_predictive"]["real"].to_numpy()
    assert np.isfinite(drawn).all()
    assert len(np.unique(drawn)) == drawn.size


def test_they_are_saved_and_read(tmp_path) -> None:
    model = written("poisson", "x + (1 | g)")
    whole = of_model(model, (2, 50)).with_log_likelihood().with_predictive(seed=2).with_prior(5)
    read = hier.load_posterior(whole.save(tmp_path / "all.nc"))
    for name in ("log_likelihood", "posterior_predictive", "log_prior", "prior", "prior_predictive"):
        assert read.data[name].dataset.equals(whole.data[name].dataset)
    assert read.loo().elpd == whole.loo().elpd


def test_what_cannot_be_is_one_sentence(tmp_path) -> None:
    model = written("binomial", "x + (1 | g)")
    read = hier.load_posterior(of_model(model).save(tmp_path / "some.nc"))
    for verb in (read.with_log_likelihood, read.with_predictive, read.with_prior):
        with pytest.raises(hier.FitError, match=r"read from a file.*\n(.|\n)*load_posterior"):
            verb()
    with pytest.raises(hier.FitError, match="read from a file"):
        made_up([group("g", [1, 2])]).with_log_likelihood()
    failures = DATA.assign(failures=DATA.trials - DATA.successes)
    cbind = of_model(hier.Model("cbind(successes, failures) ~ x + (1 | g)", failures, family="binomial"))
    with pytest.raises(hier.DataError, match="numbers of trials"):
        cbind.with_predictive(failures[:3])
    with pytest.raises(hier.DataError, match="`trials`"):
        of_model(model).with_predictive(DATA[:3].drop(columns="trials"))
    with pytest.raises(hier.DataError, match="levels that the fit has not seen"):
        of_model(model).with_predictive(DATA[:3].assign(g=99))
    with pytest.raises(hier.FitError, match="`seed` cannot be"):
        of_model(model).with_predictive(seed=-1)
    flat = hier.Model("real ~ x + (1 | g)", DATA, priors={"x": dist.ImproperUniform(dist.constraints.real, (), ())})
    proper = of_model(written("gaussian", "x + (1 | g)"))
    with pytest.raises(hier.ModelError, match="flat prior has no draws"):
        dataclasses.replace(proper, model=flat).with_prior()
