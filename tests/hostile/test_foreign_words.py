"""Words of other programs, misspelt names and exchanged arguments: each is answered with what was meant."""

from __future__ import annotations

import pytest

import hier

FORMULA = "weight ~ week + (1 | id)"


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"REML": False}, 'model.estimate("ml")'),
        ({"control": None}, "the search chooses its own settings"),
        ({"correlation": "AR1"}, "ar1(0 + visit | id)"),
        ({"dispformula": "~ x"}, 'sigma="~ x"'),
        ({"ziformula": "~ 1"}, 'zi="~ x"'),
        ({"nAGQ": 5}, "model.estimate(nagq=...)"),
        ({"prior": {}}, "priors="),
        ({"chains": 2}, "model.sample(chains=...)"),
        ({"famly": "poisson"}, "did you mean `family`?"),
    ],
)
def test_arguments_of_other_programs_are_answered(pigs, argument, said) -> None:
    with pytest.raises(hier.ModelError) as refused:
        hier.Model(FORMULA, pigs, **argument)
    assert f"no argument `{next(iter(argument))}`" in str(refused.value)
    assert said in str(refused.value)


def test_exchanged_arguments_are_said(pigs) -> None:
    with pytest.raises(hier.ModelError, match="the formula comes first, and then the data"):
        hier.Model(pigs, FORMULA)
    with pytest.raises(hier.ModelError, match="begins with its formula"):
        hier.Model(3, pigs)


@pytest.mark.parametrize(
    "text",
    [
        "lmer(weight ~ week + (1 | id), pigs)",
        "m <- lme4::glmer(weight ~ week + (1 | id), data = pigs, family = poisson)",
        "brms::brm(weight ~ week + (1 | id), pigs)",
        "bf(weight ~ week + (1 | id), sigma ~ week)",
        "bmb.Model('weight ~ week + (1 | id)', pigs)",
    ],
)
def test_a_pasted_call_is_named(pigs, text) -> None:
    with pytest.raises(hier.FormulaError) as refused:
        hier.Model(text, pigs)
    assert "not a formula" in str(refused.value)
    assert "hier.Model" in str(refused.value)


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ("cosy(0 + week | id)", "cs(0 + f | g)"),
        ("unstr(0 + week | id)", "us(0 + f | g)"),
        ("ar(0 + week | id)", "ar1(0 + f | g)"),
        ("ar(week, id)", "ar1(0 + f | g)"),
    ],
)
def test_structures_of_other_programs_are_answered(pigs, term, said) -> None:
    with pytest.raises(hier.FormulaError) as refused:
        hier.Model(f"weight ~ week + {term}", pigs)
    assert said in str(refused.value)


def test_results_show_themselves(pigs_model, pigs_reml) -> None:
    assert repr(pigs_reml) == pigs_reml.summary()
    for shown in (pigs_model, pigs_reml):
        page = shown._repr_html_()
        assert page.startswith("<pre>")
        assert "<pre>" not in page[5:]
        assert "Pr(>" not in page  # escaped: Pr(&gt;
    assert "weight ~ week" in pigs_model._repr_html_()


def test_a_misspelt_attribute_is_answered(pigs_model, pigs_reml) -> None:
    with pytest.raises(AttributeError, match="did you mean `coefficients`"):
        _ = pigs_reml.coeficients
    with pytest.raises(AttributeError, match="did you mean `estimate`"):
        _ = pigs_model.estimte
    assert not hasattr(pigs_reml, "nothing_like_it")
