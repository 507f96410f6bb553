"""Words of other programs, misspelt names and exchanged arguments: each is answered with what was meant."""

from __future__ import annotations

import pytest

import hier
from hier.printed import Printed

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


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m, f: m.estimate(REML=False), ["`Model.estimate` has no argument `REML`", "`method`"]),
        (lambda m, f: m.estimate(nAGQ=5), ["no argument `nAGQ`", "`nagq`"]),
        (lambda m, f: m.sample(iter=2000), ["`Model.sample` has no argument `iter`", "`draws`"]),
        (lambda m, f: m.sample(tune=500), ["no argument `tune`", "`warmup`"]),
        (lambda m, f: m.sample(2000), ["`Model.sample` cannot be called", "too many positional"]),
        (lambda m, f: m.sample(drawss=2), ["did you mean `draws`?"]),
        (lambda m, f: f.confint(alpha=0.05), ["no argument `alpha`", "`level`"]),
        (lambda m, f: f.confint(parm="week"), ["no argument `parm`", "`parameters`"]),
        (lambda m, f: f.predict(newdata=None), ["no argument `newdata`", "`data`"]),
        (lambda m, f: f.predict(re_form=None), ["no argument `re_form`", "`random`"]),
        (lambda m, f: f.simulate(nsim=2), ["no argument `nsim`", "`n`"]),
        (lambda m, f: f.emmeans(), ["missing a required argument: 'specs'"]),
        (lambda m, f: f.anova(test="F"), ["`Estimate.anova` has no argument `test`"]),
        (lambda m, f: hier.compare(f), ["`compare` cannot be called", "missing a required argument: 'posterior'"]),
        (lambda m, f: hier.estimate_many(m), ["`estimate_many` cannot be called", "'Y'"]),
        (lambda m, f: hier.plots.plot_data(f, groups="id"), ["no argument `groups`", "did you mean `group`?"]),
        (lambda m, f: hier.Model(FORMULA), ["`Model` cannot be called", "'data'"]),
    ],
)
def test_a_call_that_cannot_be_is_answered(pigs_model, pigs_reml, call, said) -> None:
    with pytest.raises(hier.HierError) as refused:
        call(pigs_model, pigs_reml)
    for piece in said:
        assert piece in str(refused.value)


def test_an_error_from_within_stays_what_it_is(pigs_reml) -> None:
    class Wrong(Printed):
        def fails(self) -> None:
            raise TypeError("from within")

    with pytest.raises(TypeError, match="from within"):
        Wrong().fails()


def test_words_as_other_programs_write_them_are_taken(pigs_reml) -> None:
    for roman, number in (("I", 1), ("II", 2), ("III", 3)):
        assert pigs_reml.anova(type=roman).equals(pigs_reml.anova(type=number))
    assert pigs_reml.tests("Kenward-Roger").equals(pigs_reml.tests("kenward-roger"))
    assert "Kenward and Roger's method" in pigs_reml.summary("Kenward-Roger")


def test_levels_in_a_question_are_of_the_types_that_they_have(pigs) -> None:
    table = pigs.assign(third=pigs["id"] % 3)
    means = hier.Model("weight ~ C(third) + week + (1 | id)", table).estimate()
    by_number = means.emmeans("third", at={"third": [1, 2]}).table
    assert means.emmeans("third", at={"third": ["1", "2"]}).table.equals(by_number)
    with pytest.raises(hier.FitError) as refused:
        means.emmeans("third", at={"third": [1, 7]})
    assert "no level 7" in str(refused.value)
    assert "one of 0, 1, 2 (whole numbers)" in str(refused.value)
