"""Names of parameters: terms and not text, and no column takes a parameter's place."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import hier
from hier.model.names import find


def frame(**columns) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"x": rng.normal(size=80), "z": rng.normal(size=80), "g": np.repeat(np.arange(8), 10)})
    y = 1 + 0.5 * data["x"] + rng.normal(size=8)[data["g"]] + 0.5 * rng.normal(size=80)
    return data.assign(y=y, h=np.tile(list("pqrs"), 20), **columns)


SAME = {
    "I(z^2)": ["I(z^2)", "I(z ** 2)", "I( z**2 )", "I((z)^2)"],
    "poly(z, 2)": ["poly(z,2)[1]", "poly(z, 2)[1]", "poly( z,2 )[1]"],
    "log(z + 9)": ["log(z+9)", "log(z + 9)"],
    "log(z + 1e3)": ["log(z + 1e3)", "log(z+1000.0)"],
    "z:x": ["z:x", "x:z"],
    "h:z": ["h[T.q]:z", "z:h[T.q]"],
    "factor(h)": ["factor(h)[T.q]", "factor( h )[T.q]"],
    "I(z^2):x": ["x:I(z^2)", "I(z ** 2):x"],
    "`the z`": ["the z", "`the z`"],
}


@pytest.mark.parametrize("term", SAME)
def test_a_prior_is_named_as_a_formula_writes_its_term(term):
    data = frame().assign(**{"the z": lambda d: d["z"]})
    model = hier.Model(f"y ~ {term} + x + z + (1 | g)", data)
    for name in SAME[term]:
        before, after = (
            dict(model.priors.rows()),
            dict(model.with_priors({name: dist.Normal(0.0, 0.123)}).priors.rows()),
        )
        changed = [key for key in before if before[key] != after[key]]
        assert len(changed) == 1, (name, changed)
        assert after[changed[0]] == "Normal(0, 0.123)"
    assert find("z:z2", list(dict(model.priors.rows()))) is None


def test_priors_of_deviations_are_named_as_terms_too():
    model = hier.Model("y ~ x + (I(z^2) | g)", frame(), priors={"sd_g[I(z^2)]": dist.HalfNormal(0.123)})
    assert dict(model.priors.rows())["sd_g[I(z ** 2)]"].startswith("HalfNormal(0.123)")


def test_confidence_intervals_are_asked_for_by_term():
    fit = hier.Model("y ~ I(z^2) + x:z + (1 | g)", frame()).estimate()
    assert list(fit.confint("wald", parameters=["I(z^2)", "z:x"]).index) == ["I(z ** 2)", "x:z"]


CALLED = [
    "sigma",
    "sd_g",
    "beta",
    "cor_g",
    "b_g",
    "sd_g[Intercept]",
    "obs",
    "chain",
    "draw",
    "coef",
    "g_coef",
    "y",
    "shape",
]


@pytest.mark.parametrize("name", CALLED)
def test_a_column_may_be_called_as_anything_is(name):
    """Every prior has a name of its own, by which it is replaced, and it alone."""
    data = frame().rename(columns={"y": "response", "x": name})
    model = hier.Model(f"response ~ `{name}` + z + (x | g)", data.assign(x=data["z"] ** 2))
    rows = dict(model.priors.rows())
    assert len(rows) == 7
    assert len(model.priors.rows()) == 7
    named = {"coefficient": f"beta[{name}]", "sigma": "parameter[sigma]" if name == "sigma" else "sigma"}
    for parameter, own in named.items():
        after = dict(model.with_priors({own: dist.HalfNormal(0.123)}).priors.rows())
        changed = [key for key in rows if rows[key] != after[key]]
        if parameter == "sigma":
            assert changed == ["sigma"]
        else:
            assert changed in ([name], [f"beta[{name}]"])


@pytest.mark.parametrize("name", ["sigma", "sd_g", "beta", "cor_g", "sd_g[Intercept]"])
def test_a_name_of_two_things_is_refused_with_both(name):
    data = frame().rename(columns={"x": name}).assign(x=lambda d: d["z"] ** 2)
    with pytest.raises(hier.ModelError, match="is the name of a column and of a parameter") as caught:
        hier.Model(f"y ~ `{name}` + (x | g)", data, priors={name: dist.HalfNormal(1.0)})
    assert f"`beta[{name}]`" in str(caught.value)
    assert f"`parameter[{name}]`" in str(caught.value)


def test_intervals_of_a_column_called_sigma():
    """The slope of `sigma` is that of `x`, and the residual sd that of the same model."""
    plain = hier.Model("y ~ x + (1 | g)", frame()).estimate()
    fit = hier.Model("y ~ sigma + (1 | g)", frame().rename(columns={"x": "sigma"})).estimate()
    expected, found = plain.confint("wald"), fit.confint("wald")
    assert list(found.index) == ["Intercept", "beta[sigma]", "sd_g[Intercept]", "sigma"]
    np.testing.assert_allclose(found.to_numpy(float), expected.to_numpy(float), rtol=1e-12)
    (asked,) = fit.confint("wald", parameters="beta[sigma]").to_numpy(float)
    np.testing.assert_allclose(asked, expected.loc["x"].to_numpy(float), rtol=1e-12)
    with pytest.raises(hier.FitError, match="`sigma` is the name of a column and of another parameter"):
        fit.confint("wald", parameters="sigma")


@pytest.mark.parametrize(
    "formula", ["y ~ Intercept + (1 | g)", "y ~ z + (Intercept | g)", "y ~ z + (0 + Intercept | g)"]
)
def test_a_variable_called_intercept_is_no_intercept(formula):
    with pytest.raises(hier.FormulaError, match="`Intercept`") as caught:
        hier.Model(formula, frame().rename(columns={"x": "Intercept"}))
    assert "rename the column" in str(caught.value)
    assert "^" in str(caught.value)


def test_a_variable_called_intercept_can_stand_where_there_is_none():
    design = hier.Model("y ~ 0 + Intercept + (0 + Intercept | g)", frame(Intercept=1.0)).design
    assert design.names == ("Intercept",)


def test_levels_of_interactions_are_told_apart():
    """`x:y` with `z`, and `x` with `y:z`; labels without a colon are joined as they always were."""
    two = frame(a=np.tile(["x:y", "x"], 40), b=np.tile(["z", "y:z"], 40))
    (random,) = hier.Model("y ~ 1 + (1 | a:b)", two).design.random_effects
    assert sorted(random.levels) == ["`x:y`:z", "x:`y:z`"]
    assert [random.levels[code] for code in random.codes[:2]] == ["`x:y`:z", "x:`y:z`"]
    fit = hier.Model("y ~ 1 + (1 | a:b)", two).estimate("ml")
    assert fit.ranef["a:b"].index.is_unique
    kinds = frame(a=pd.Series([1, "1"] * 40, dtype=object), b="c")
    (random,) = hier.Model("y ~ 1 + (1 | a:b)", kinds).design.random_effects
    assert random.levels.is_unique
    (random,) = hier.Model("y ~ 1 + (1 | g:h)", frame()).design.random_effects
    assert "0:p" in random.levels
    (random,) = hier.Model("y ~ 1 + (1 | a:h)", two).design.random_effects
    assert "x:y:p" in random.levels


@pytest.mark.parametrize("name", ["(weights)", "(offset)"])
def test_columns_are_not_called_as_what_stands_beside_the_formula(name):
    with pytest.raises(hier.DataError, match="a column cannot be named"):
        hier.Model(f"y ~ `{name}` + (1 | g)", frame(**{name: np.arange(80.0)}))
