"""What compiles nothing: other settings of the sampler."""

from __future__ import annotations

import pytest

import hier
from hier.kernel.programs import compiled


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
