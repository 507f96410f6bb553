"""Priors as text, and all of them as a table."""

from __future__ import annotations

import numpyro.distributions as dist
import pandas as pd
import pytest

import hier

DATA = pd.DataFrame(
    {"y": [1.0, 2.0, 4.0, 3.0, 5.0, 2.5], "x": [0.0, 1.0, 2.0, 0.0, 1.0, 2.0], "g": list("aabbcc"), "o": [1, 2, 3] * 2}
)
FORMULA = "y ~ x + (x | g)"


def test_text_is_the_prior_that_it_says() -> None:
    written = {"x": "normal(0, 5)", "sd_g[x]": "half_student_t(3, 0, 2)", "cor_g": "lkj(4)", "sigma": "exponential(2)"}
    objects = {"x": dist.Normal(0, 5), "cor_g": dist.LKJ(2, 4.0), "sigma": dist.Exponential(2.0)}
    by_text = hier.Model(FORMULA, DATA, priors=written)
    by_object = hier.Model(FORMULA, DATA, priors=objects | {"sd_g[x]": "half_student_t(3, 0, 2)"})
    assert by_text.priors.rows(None) == by_object.priors.rows(None)
    assert hier.Model(FORMULA, DATA).with_priors(written).priors.rows(None) == by_text.priors.rows(None)


def test_the_table_has_every_prior_and_is_read_again() -> None:
    model = hier.Model(FORMULA, DATA, priors={"x": "normal(0, 5)", "sd_g": "half_normal(3)"})
    table = model.prior_table().set_index("parameter")
    assert list(table.index) == ["Intercept", "x", "sd_g[Intercept]", "sd_g[x]", "cor_g", "sigma"]
    assert list(table["source"]) == ["default", "user", "user", "user", "default", "default"]
    assert table.loc["x", "prior"] == "Normal(0, 5)"
    assert table.loc["x", "of"] == "as written"
    assert table.loc["Intercept", "of"] == table.loc["sd_g[Intercept]", "of"] == "at the means of the columns"
    read = ["x", "sd_g[Intercept]", "sd_g[x]", "cor_g", "sigma"]
    again = hier.Model(FORMULA, DATA, priors=dict(table.loc[read, "prior"]))
    assert again.priors.rows(None) == model.priors.rows(None)
    assert set(again.prior_table()["source"]) == {"user", "default"}


def test_the_table_of_other_families() -> None:
    ordered = hier.Model("o ~ x + (1 | g)", DATA, family="cumulative", priors={"Intercept": "normal(0, 3)"})
    table = ordered.prior_table().set_index("parameter")
    assert list(table.loc[["Intercept[1]", "Intercept[2]"], "source"]) == ["user", "user"]
    assert table.loc["x", "source"] == "default"
    spread = hier.Model(hier.Formula("y ~ x + (1 | g)", sigma="~ x"), DATA, priors={"sigma_Intercept": "normal(0, 1)"})
    table = spread.prior_table().set_index("parameter")
    assert table.loc["sigma_Intercept", "source"] == "user"
    assert table.loc["sigma_x", "source"] == "default"


@pytest.mark.parametrize(
    ("priors", "words"),
    [
        ({"x": "nomal(0, 5)"}, r"no prior called `nomal`(.|\n)*prior of `x`(.|\n)*normal"),
        ({"x": "normal(0)"}, r"cannot have 1 argument(.|\n)*prior of `x`"),
        ({"x": "__import__('os')"}, r"no prior called `__import__`(.|\n)*prior of `x`"),
        ({"sigma": "normal(0, 1)"}, "allows negative values"),
        ({"z": "normal(0, 1)"}, "no parameter `z`"),
        ({"x": 3}, r"not a distribution(.|\n)*text such as"),
    ],
)
def test_text_that_is_no_prior_of_that_parameter(priors, words: str) -> None:
    with pytest.raises(hier.ModelError, match=words):
        hier.Model(FORMULA, DATA, priors=priors)
