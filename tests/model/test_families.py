"""The table of families, a model's likelihood, and families of a user's own."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import hier
from hier.model.families import BUILT_IN, FAMILIES, find_family
from tests.model.data import LEFT, table


@pytest.fixture
def own_names():
    """What a test registers is forgotten after it."""
    before = dict(FAMILIES)
    yield
    FAMILIES.clear()
    FAMILIES.update(before)


def weibull(rows, mu, shape):
    """Weibull with scale mu."""
    z = shape.log - mu.log + (shape.value - 1.0) * (jnp.log(rows.y) - mu.log)
    return z - (rows.y / mu.value) ** shape.value


WEIBULL = hier.Family("weibull", ("mu", ("shape", "log", "gamma(2, 0.5)")), weibull, "positive")


def test_every_family_has_what_the_others_have() -> None:
    assert set(LEFT) == {name for name in FAMILIES if name in BUILT_IN}
    assert len(LEFT) == 17
    for family in FAMILIES.values():
        assert family.parameter_names[0] == "mu"
        assert family.mean is not None
        assert family.draw is not None
        assert all(find_family(alias) is family for alias in family.aliases)
    assert find_family("nbinom2") is FAMILIES["negbinomial"]
    assert find_family("normal") is FAMILIES["gaussian"]
    assert find_family("Gamma") is FAMILIES["gamma"]


@pytest.mark.parametrize("name", LEFT)
def test_the_likelihood_of_a_model(name: str) -> None:
    model = hier.Model(f"{LEFT[name]} ~ x + (1 | g)", table(), family=name)
    likelihood, design = model.likelihood, model.design
    assert likelihood.family == model.family.name == name
    assert [link.name for link in likelihood.links] == [each.links[0] for each in model.family.parameters]
    assert likelihood.is_kept
    assert likelihood.n_cutpoints == design.n_cutpoints == (2 if name == "cumulative" else 0)
    assert model.is_linear_normal == (name == "gaussian")
    assert ("Intercept" in design.names) == (name != "cumulative")
    assert [own.name for own in design.parameters] == list(model.family.parameter_names[1:])
    for own in design.parameters:
        assert own.names == ("Intercept",)
        assert not own.has_formula
        assert own.X.shape == (48, 1)
        assert (own.X == 1.0).all()


def test_other_links_and_formulas_are_not_the_exact_normal_model() -> None:
    data = table()
    assert hier.Model("count ~ x + (1 | g)", data, family="poisson", link="sqrt").likelihood.links[0].name == "sqrt"
    assert not hier.Model("y ~ x + (1 | g)", data, link="log").is_linear_normal
    assert not hier.Model(hier.Formula("y ~ x + (1 | g)", sigma="~ x"), data).is_linear_normal


def test_binomial_without_trials_is_bernoulli() -> None:
    is_yes = table()["yes"] == "yes"
    for values in (table()["yes"], is_yes, is_yes * 1.0):
        model = hier.Model("yes ~ 1 + (1 | g)", table().assign(yes=values), family="binomial", link="probit")
        assert (model.family.name, model.link) == ("bernoulli", "probit")
        assert np.array_equal(model.design.y, is_yes)


def test_a_family_of_ones_own(own_names) -> None:
    hier.register_family(WEIBULL)
    data = table()
    model = hier.Model(hier.Formula("positive ~ x + (1 | g)", shape="~ f"), data, family="weibull")
    assert not model.likelihood.is_kept
    assert [key for key, _ in model.priors.rows()][-3:] == ["shape_Intercept", "shape_f[T.b]", "shape_f[T.c]"]
    assert "positive[i] ~ Weibull(μ[i], shape[i])" in str(model)
    assert dict(hier.Model("positive ~ x + (1 | g)", data, family=WEIBULL).priors.rows())["shape"] == "Gamma(2, 0.5)"
    with pytest.raises(hier.ModelError, match="`weibull` does not say how a response is drawn"):
        model.sample_prior(3)
    with pytest.raises(hier.DataError, match="is not positive"):
        hier.Model("y ~ x + (1 | g)", data.assign(y=0.0), family="weibull")
    with pytest.raises(hier.ModelError, match=r"no family `weibul`[\s\S]*did you mean `weibull`"):
        hier.Model("positive ~ x + (1 | g)", data, family="weibul")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "poisson"}, "`poisson` comes with hier and cannot be replaced"),
        ({"aliases": ("nbinom2",)}, "`nbinom2` comes with hier"),
        ({"name": "my family"}, "a family needs a name"),
        ({"response": "positiv"}, r"unknown kind of response `positiv`[\s\S]*mean `positive`"),
        ({"parameters": (("mu", "lgo"),)}, r"unknown link `lgo`[\s\S]*mean `log`"),
        ({"parameters": ()}, "need a name each"),
        ({"parameters": ("mu", "mu")}, "need a name each"),
        ({"parameters": (("mu", "log", None, 3),)}, "a parameter of the family `weibull` is not described"),
        ({"parameters": (3,)}, "a parameter of the family `weibull` is not described"),
        ({"density": None}, "density of the family `weibull` is not a function"),
        ({"mean": 3}, "mean of the family `weibull` is not a function"),
        ({"precision": "sigma"}, "unknown parameter `sigma`"),
    ],
)
def test_records_that_do_not_hold_together(change, message: str, own_names) -> None:
    fields = {"name": "weibull", "parameters": ("mu", "shape"), "density": weibull, "response": "positive"}
    with pytest.raises(hier.ModelError, match=message):
        hier.register_family(hier.Family(**(fields | change)))


def test_what_is_no_record() -> None:
    with pytest.raises(hier.ModelError, match=r"this is not a family[\s\S]*hier.Family"):
        hier.register_family("poisson")  # type: ignore[arg-type]
    with pytest.raises(hier.ModelError, match=r"no link `logt`[\s\S]*mean `logit`"):
        hier.Model("yes ~ 1 + (1 | g)", table(), family="bernoulli", link="logt")


def test_a_family_by_its_name_elsewhere_is_named() -> None:
    with pytest.raises(hier.ModelError, match="did you mean `cumulative`"):
        find_family("ordinal")
