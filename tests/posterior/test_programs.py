"""What compiles nothing: other settings of the sampler, and other priors."""

from __future__ import annotations

import numpyro.distributions as dist
import pytest

import hier
from hier.kernel.programs import at_once, compiled


@pytest.fixture
def made(monkeypatch):
    """The names of the programs that are compiled or loaded during a test."""
    names: list[str] = []
    before = compiled.load_or_compile

    def noted(name, *rest):
        names.append(name)
        return before(name, *rest)

    monkeypatch.setattr(compiled, "load_or_compile", noted)
    return names


@pytest.fixture(params=["gaussian", "poisson"])
def sampled(request, pigs):
    table = pigs.assign(count=pigs["weight"].round().astype(int))
    response = {"gaussian": "weight", "poisson": "count"}[request.param]
    model = hier.Model(f"{response} ~ week + (1 | id)", table, family=request.param)
    model.sample(draws=20, warmup=20, progress=False)
    return model


SETTINGS = [
    {"chains": 1},
    {"chains": 3},
    {"chains": 7},
    {"draws": 37},
    {"warmup": 60},
    {"target_accept": 0.9},
    {"max_tree_depth": 4},
    {"seed": 5},
]


def test_other_settings_compile_nothing(sampled, made):
    for other in SETTINGS:
        post = sampled.sample(**{"draws": 20, "warmup": 20, "progress": False} | other)
        chains, draws = other.get("chains", 4), other.get("draws", 20)
        assert post.draws["beta"].shape == (chains, draws, 2)
    assert made == []


PRIORS = [
    {"sd_id": dist.HalfNormal(3.0)},
    {"sd_id": dist.Exponential(0.5)},
    {"sd_id": dist.HalfCauchy(2.0)},
    {"sd_id": dist.Gamma(2.0, 0.5)},
    {"sd_id": dist.InverseGamma(2.0, 3.0)},
    {"sd_id": dist.LogNormal(0.0, 1.0)},
    {"sd_id": dist.Uniform(0.0, 40.0)},
    {"week": dist.Normal(0.0, 3.0)},
]
OF_FAMILY = {
    "gaussian": [{"sigma": dist.Gamma(2.0, 0.5)}, {"cor_id": dist.LKJ(2, 5.0)}],
    "poisson": [
        {"week": dist.StudentT(4.0, 0.0, 1.0)},
        {"week": dist.Laplace(0.0, 1.0), "Intercept": dist.Cauchy(2.0, 1.0)},
    ],
}


@pytest.mark.parametrize("family", OF_FAMILY)
def test_other_priors_compile_nothing(family, pigs, made):
    table = pigs.assign(count=pigs["weight"].round().astype(int))
    formula = {"gaussian": "weight ~ week + (week | id)", "poisson": "count ~ week + (1 | id)"}[family]
    few = {"draws": 20, "warmup": 20, "progress": False}
    with at_once.only(numpy=True):  # however slow the machine
        hier.Model(formula, table, family=family).sample(**few)
        made.clear()
        for other in (*PRIORS, *OF_FAMILY[family]):
            hier.Model(formula, table, family=family, priors=other).sample(**few)
            assert made == [], other
