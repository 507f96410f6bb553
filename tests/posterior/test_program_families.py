"""The NumPyro program of every family: its log density is that of records and priors, and it draws from the prior."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density

import hier
from hier.kernel.laplace.log_densities import Observed
from hier.kernel.programs.precision import float64
from tests.model.data import LEFT, table

# models with more than one predictor, by name: the formula and what stands beside it
FURTHER = {
    "sigma": (hier.Formula("y ~ x + (x | g)", sigma="~ x + f"), {"weights": "w"}),
    "sqrt": ("count ~ f + offset(log(e)) + (1 | g) + (1 | h)", {"family": "poisson", "link": "sqrt"}),
    "zi": (hier.Formula("count ~ x + (1 | g)", zi="~ 0 + f"), {"family": "zero_inflated_negbinomial", "weights": "w"}),
    "phi": (hier.Formula("s / n ~ x + (1 | g/h)", phi="~ x"), {"family": "beta_binomial"}),
    "inverse": ("y ~ x + (1 | g)", {"link": "inverse", "weights": "w"}),
    "one cutpoint's prior": ("rating ~ f + (1 | g)", {"family": "cumulative", "link": "cloglog"}),
}
MODELS = {name: (f"{LEFT[name]} ~ x + f + (x | g)", {"family": name}) for name in LEFT} | FURTHER


def model_of(name: str) -> hier.Model:
    import numpyro.distributions as dist

    formula, options = MODELS[name]
    given = {"Intercept[2]": dist.Normal(0.5, 1.5)} if name == "one cutpoint's prior" else None
    return hier.Model(formula, table(), priors=given, **options)


def log_density_of_rows(model: hier.Model, values) -> float:
    """The record's density of all rows, at the predictors written out anew from the values of sites."""
    design = model.design
    eta = design.X @ np.asarray(values["beta"])
    for random in design.random_effects:
        b = np.asarray(values[f"b_{random.group}"])
        eta = eta + np.einsum("nk,nk->n", random.Z, b[random.codes])
    eta = eta if design.offset is None else eta + design.offset
    predictors = [eta]
    for own, link in zip(design.parameters, model.likelihood.links[1:], strict=True):
        if own.has_formula:
            further = own.X @ np.asarray(values[f"beta_{own.name}"])
        else:
            further = np.full(design.nobs, np.asarray(link.apply(values[own.name])))
        weighted = model.family.precision == own.name and design.weights is not None
        predictors.append(further - 0.5 * np.log(design.weights) if weighted else further)
    cutpoints = values["cutpoints"] if model.priors.cutpoints else jnp.zeros(0)
    rows = Observed(design.y, np.ones(design.nobs) if design.trials is None else design.trials, cutpoints)
    densities = np.asarray(model.likelihood.log_density(rows, predictors))
    weights = 1.0 if model.family.precision or design.weights is None else design.weights
    return float((weights * densities).sum())


@pytest.mark.parametrize("name", MODELS)
def test_the_log_density_is_that_of_records_and_priors(name: str) -> None:
    @float64
    def checked() -> None:
        model = model_of(name)
        program = model.numpyro_model(noncentred=False)
        trace = handlers.trace(handlers.seed(program, jax.random.key(1))).get_trace(y=model.design.y)
        values = {name: site["value"] for name, site in trace.items() if site["type"] != "plate"}
        free = {k: site for k, site in trace.items() if site["type"] == "sample" and not site["is_observed"]}
        found, _ = log_density(program, (), {}, {name: values[name] for name in free})
        own = sum(float(site["fn"].log_prob(site["value"]).sum()) for site in free.values())
        assert float(found) == pytest.approx(own + log_density_of_rows(model, values), rel=1e-9)

    checked()


DRAWN = ("cumulative", "inverse_gaussian", "sigma")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in DRAWN else pytest.mark.slow) for name in MODELS]
)
def test_draws_from_the_prior_are_responses_of_the_family(name: str) -> None:
    model = model_of(name)
    tree = model.sample_prior(40, seed=2)
    y = tree["prior_predictive"].dataset[model.design.response].to_numpy()
    assert y.shape == (1, 40, 48)
    assert np.isfinite(y).all()
    kind = model.family.response
    if kind in ("count", "binary", "successes", "ordered"):
        assert (y == np.floor(y)).all()
        assert y.min() == (1 if kind == "ordered" else 0)
    if kind in ("binary", "successes", "ordered"):
        highest = {"binary": 1, "ordered": 3}.get(kind, model.design.trials)
        assert (y <= highest).all()
    if kind in ("positive", "unit"):
        assert y.min() > 0
    prior = tree["prior"].dataset
    if model.family.has_cutpoints:
        assert (np.diff(prior["cutpoints"].to_numpy(), axis=-1) > 0).all()
        assert prior["cutpoints"].coords["cutpoint"].to_numpy().tolist() == ["low|mid", "mid|high"]
    for own in model.design.parameters:
        assert prior[f"beta_{own.name}" if own.has_formula else own.name].shape[2:] == (
            (len(own.names),) if own.has_formula else ()
        )


def test_cutpoints_and_coefficients_have_their_priors_at_the_means() -> None:
    """The default prior is that of the threshold, and of log sigma, at the means of the columns."""
    data = table()
    tree = hier.Model("rating ~ x + (1 | g)", data, family="cumulative").sample_prior(4000, seed=3)["prior"].dataset
    at_means = tree["cutpoints"].to_numpy()[0] - tree["beta"].to_numpy()[0] * data["x"].mean()
    # the mean of two independent Student-t(3, 0, 2.5) is 0, and sorting does not change it
    assert abs(np.median(at_means.mean(axis=1))) < 0.15
    assert np.median(np.abs(at_means)) == pytest.approx(0.7649 * 2.5, rel=0.06)
    model = hier.Model(hier.Formula("y ~ x + (1 | g)", sigma="~ x"), data)
    drawn = model.sample_prior(4000, seed=3)["prior"].dataset["beta_sigma"].to_numpy()[0]
    log_sigma = drawn[:, 0] + drawn[:, 1] * data["x"].mean()
    assert log_sigma.mean() == pytest.approx(np.log(np.std(data["y"], ddof=1)), abs=0.15)
    assert log_sigma.std() == pytest.approx(2.5, rel=0.05)


def test_weights_of_a_record_multiply_its_log_density() -> None:
    """Doubling all weights doubles what the rows add."""

    @float64
    def checked() -> None:
        found = []
        for weight in (1.0, 2.0):
            data = table().assign(w=weight)
            program = hier.Model("count ~ x + (1 | g)", data, family="poisson", weights="w").numpyro_model()
            trace = handlers.trace(handlers.seed(program, jax.random.key(1))).get_trace(y=data["count"].to_numpy())
            found.append(float(trace["y"]["fn"].log_prob(trace["y"]["value"]).sum()))
        assert found[1] == pytest.approx(2.0 * found[0], rel=1e-12)

    checked()
