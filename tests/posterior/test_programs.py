"""What compiles nothing: other settings of the sampler, and other priors."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pytest

import hier
from hier.kernel.programs import at_once, compiled


@pytest.fixture
def made(monkeypatch):
    """The names of the programs that are compiled or loaded during a test."""
    names: list[str] = []
    before = compiled.load

    def noted(name, *rest):
        names.append(name)
        return before(name, *rest)

    monkeypatch.setattr(compiled, "load", noted)
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
    with at_once.only(numpy=True):  # however slow the machine
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


FORMULAS = [
    (
        "count ~ week + noise + (1 | id)",
        "count ~ age * sex + (1 | id)",
    ),
    ("weight ~ 1 + (week | id)", "weight ~ week + (week | id)", "weight ~ age + (age | id)"),
    (
        "weight ~ week + noise + (week | id)",
        "weight ~ week * sex + (week | id)",
        "weight ~ poly(week, 2) + noise + (week | id)",
    ),
    (
        "weight ~ week + noise + (1 | id) + (1 | litter)",
        "weight ~ sex * week + (1 | id) + (1 | litter)",
    ),
]


@pytest.mark.parametrize("formulas", FORMULAS, ids=["counts", "two columns", "four columns", "crossed"])
def test_formulas_of_about_as_many_columns_share_their_programs(formulas, pigs, made):
    rng = np.random.default_rng(2)
    table = pigs.assign(
        noise=rng.normal(size=len(pigs)),
        age=7.0 * pigs["week"] + 21.0,
        sex=np.where(pigs["id"].astype("category").cat.codes % 2, "f", "m"),
        litter=rng.integers(0, 9, len(pigs)),
        count=pigs["weight"].round().astype(int),
    )
    few, family = {"draws": 20, "warmup": 20, "progress": False}, "poisson" if "count" in formulas[0] else "gaussian"
    with at_once.only(numpy=True):
        hier.Model(formulas[0], table, family=family).sample(**few)
        made.clear()
        for other in formulas[1:]:
            model = hier.Model(other, table, family=family)
            post = model.sample(**few)
            assert list(post.draws["beta"].shape[2:]) == [len(model.design.names)], other
            assert made == [], other
        fewer = table[table["id"] != table["id"].iloc[0]].iloc[1:]
        post = hier.Model(formulas[0], fewer, family=family).sample(**few)
        assert post.draws["b_id"].shape[2] == fewer["id"].nunique()
        assert made == [], "one group and one row fewer"
