"""Priors as text: what is read, and that nothing else ever is."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pytest

from hier.errors import ModelError
from hier.interface import Model
from hier.kernel.programs.precision import float64
from hier.model.prior_text import KINDS, describe, limits_of, parse_prior, read_prior, rounded, usage
from hier.model.priors import half_student_t


@pytest.mark.parametrize(
    ("text", "expected", "at"),
    [
        ("normal(0, 5)", dist.Normal(0.0, 5.0), -1.3),
        (" normal ( -1.5e1 ,\t.5 ) ", dist.Normal(-15.0, 0.5), -14.2),
        ("student_t(3, 1, 10)", dist.StudentT(3.0, 1.0, 10.0), 4.0),
        ("uniform(0, 5)", dist.Uniform(0.0, 5.0), 2.0),
        ("half_normal(10)", dist.HalfNormal(10.0), 3.0),
        ("half_student_t(3, 0, 2)", half_student_t(3.0, 2.0), 3.0),
        ("half_cauchy(2)", dist.HalfCauchy(2.0), 3.0),
        ("exponential(1)", dist.Exponential(1.0), 3.0),
        ("gamma(2, 0.1)", dist.Gamma(2.0, 0.1), 3.0),
        ("flat()", dist.ImproperUniform(dist.constraints.real, (), ()), 3.0),
        ("flat( )", dist.ImproperUniform(dist.constraints.real, (), ()), 3.0),
    ],
)
def test_a_prior_is_the_numpyro_distribution_of_its_name(text: str, expected: dist.Distribution, at: float) -> None:
    found = read_prior(text)
    assert type(found) is type(expected)
    assert found.support == expected.support
    np.testing.assert_allclose(found.log_prob(at), expected.log_prob(at), rtol=1e-6)


def test_lkj_is_the_prior_of_correlations_with_that_concentration() -> None:
    found = read_prior("lkj(2)")
    assert isinstance(found, dist.LKJ)
    assert float(found.concentration) == 2.0


def test_every_kind_is_read() -> None:
    for name, kind in KINDS.items():
        numbers = {"0": "0", "low": "0", "mean": "0", "location": "0"}
        text = f"{name}({', '.join(numbers.get(argument, '2') for argument in kind.arguments)})"
        assert isinstance(read_prior(text), dist.Distribution), usage(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os')", "`'os'` is not|no prior called `__import__`"),
        ("__import__('os').system('true')", "not a prior that hier can read"),
        ("eval(1)", "no prior called `eval`"),
        ("norml(0, 5)", "did you mean `normal`"),
        ("Norml(0, 5)", "did you mean `Normal`"),
        ("Poisson(5)", "no prior called `Poisson`"),
        ("half-normal(5)", "no prior called `half-normal`"),
        ("Distribution()", "no prior called `Distribution`"),
        ("Normal(0, nan)", "`nan` is not a finite number"),
        ("Normal(0, -1)", "this is no prior: (.|\n)*scale"),
        ("Uniform(2, 1)", "its low end is not below its high end"),
        ("Normal(0, 1, 2)", "`Normal` cannot have the argument `2`"),
        ("Normal(loc=0, 1)", "`Normal` cannot have the argument `1`"),
        ("Normal(0, loc=0)", "`Normal` cannot have the argument `loc=0`"),
        ("StudentT()", "`StudentT` needs its df"),
        ("Normal(0, validate_args=1)", "cannot have the argument `validate_args=1`"),
        ("TruncatedNormal(0, 1, low=3, high=1)", "low end is not below"),
        ("flat(low=2, high=1)", "low end is not below"),
        ("normal(1e999, 1)", "`1e999` is not a finite number"),
        ("normal(nan, 1)", "`nan` is not a finite number"),
        ("normal(inf, 1)", "`inf` is not a finite number"),
        ("normal(1_0, 1)", "`1_0` is not a finite number"),
        ("normal(0x10, 1)", "`0x10` is not a finite number"),
        ("normal(٣, 1)", "`٣` is not a finite number"),
        ("normal(, 1)", "`` is not a finite number"),
        ("normal(normal(0, 1), 1)", "not a prior that hier can read"),
        ("normal(0, 1) + 1", "not a prior that hier can read"),
        ("normal(0, 1); flat()", "not a prior that hier can read"),
        ("normal", "not a prior that hier can read"),
        ("", "not a prior that hier can read"),
        ("normal(" + "0" * 100_000 + ", 1)", "not a prior that hier can read"),
        ("(" * 50_000, "not a prior that hier can read"),
        ("normal(0)", "`normal` cannot have 1 argument\n"),
        ("normal(0, 1, 2)", "`normal` cannot have 3 arguments"),
        ("flat(1)", "`flat` cannot have 1 argument"),
        ("normal(0, 0)", "the sd of `normal` has to be positive"),
        ("half_normal(-1)", "the sd of `half_normal` has to be positive"),
        ("lkj(0)", "the concentration of `lkj` has to be positive"),
        ("half_student_t(3, 1, 2)", "folded at 0, not at 1"),
        ("uniform(5, 0)", "low end of `uniform` is not below"),
    ],
)
def test_anything_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as refusal:
        parse_prior(text)
    assert len(str(refusal.value)) < 600


PRIORS = [
    dist.AsymmetricLaplace(0.5, 1.5, 2.0),
    dist.AsymmetricLaplaceQuantile(0.5, 1.5, 0.25),
    dist.Beta(1.5, 2.5),
    dist.BetaProportion(0.25, 4.0),
    dist.Cauchy(-1.0, 2.5),
    dist.Chi2(3.0),
    dist.Dagum(1.5, 2.5, 3.5),
    dist.DoublyTruncatedPowerLaw(-1.5, 1.0, 2.0),
    dist.Exponential(1 / 3),
    dist.FoldedDistribution(dist.Normal(0.0, 2.0)),
    dist.FoldedDistribution(dist.Cauchy(1.0, 2.0)),
    dist.Gamma(2.0, 0.1),
    dist.Gompertz(1.5, 0.5),
    dist.Gumbel(1.0, 0.5),
    dist.HalfCauchy(2.5),
    dist.HalfNormal(1e-9),
    dist.ImproperUniform(dist.constraints.real, (), ()),
    dist.ImproperUniform(dist.constraints.positive, (), ()),
    dist.ImproperUniform(dist.constraints.interval(-1.5, 2.5), (), ()),
    dist.InverseGamma(3.0, 1.5),
    dist.Kumaraswamy(1.5, 2.5),
    dist.Laplace(0.5, 1.5),
    dist.Levy(-1.0, 0.5),
    dist.LogNormal(0.25, 1.5),
    dist.LogUniform(0.5, 2.5),
    dist.Logistic(0.5, 1.5),
    dist.LowerTruncatedPowerLaw(-2.5, 0.5),
    dist.Normal(123456.789012345, 2 / 3),
    dist.Pareto(1.5, 2.5),
    dist.SoftLaplace(0.5, 1.5),
    dist.StudentT(3.0, -0.5, 2.5),
    dist.TruncatedCauchy(0.5, 1.5, low=-1.0, high=2.0),
    dist.TruncatedDistribution(dist.Laplace(0.5, 1.5), high=0.25),
    dist.TruncatedDistribution(dist.StudentT(3.0, 0.5, 1.5), low=0.25),
    dist.TruncatedGamma(2.0, 0.5, high=4.0),
    dist.TruncatedNormal(10, 5, low=0),
    dist.TruncatedNormal(10.0, 5.0, high=12.5),
    dist.TruncatedNormal(10.0, 5.0, low=-2.0, high=12.5),
    dist.Uniform(0, 2),
    dist.VonMises(0.5, 1.5),
    dist.Weibull(1.5, 2.5),
    half_student_t(3.0, 41.2345678901234),
]


@pytest.mark.parametrize("prior", PRIORS, ids=describe)
def test_a_prior_that_was_written_with_all_digits_is_read_again(prior: dist.Distribution) -> None:
    text = describe(prior, None)
    found = read_prior(text)
    assert describe(found, None) == text
    assert type(found) is type(prior)
    low, high = limits_of(prior.support)
    assert limits_of(found.support) == (low, high)
    inside = np.array([0.1, 0.35, 0.8])
    ends = low if np.isfinite(low) else -3.0, high if np.isfinite(high) else max(low, 0.0) + 5.0
    at = ends[0] + inside * (ends[1] - ends[0])
    if not isinstance(prior, dist.ImproperUniform):
        densities = float64(lambda: (found.log_prob(at), prior.log_prob(at)))()
        np.testing.assert_allclose(*densities, rtol=1e-6)


def test_what_is_written_has_the_name_and_the_numbers_that_were_given() -> None:
    assert describe(dist.TruncatedNormal(10, 5, low=0), None) == "TruncatedNormal(10, 5, low=0)"
    assert describe(dist.Normal(0.0, 0.123456789), None) == "Normal(0, 0.123456789)"
    assert describe(dist.Normal(0.0, 0.123456789)) == "Normal(0, 0.1235)"
    assert describe(half_student_t(3.0, 2.5), None) == "half-Student-t(3, 0, 2.5)"
    normals = dist.Normal(np.array([0.0, 3.0]), 1.5)
    mixed = dist.MixtureSameFamily(dist.CategoricalProbs(np.array([0.25, 0.75])), normals)
    for number in ("0.25", "0.75", "3", "1.5"):
        assert number in describe(mixed, None)


def test_a_model_takes_priors_that_were_text() -> None:
    rng = np.random.default_rng(0)
    data = {"y": rng.normal(size=12), "x": rng.normal(size=12), "g": np.repeat([1, 2, 3], 4)}
    texts = {"x": "normal(0, 5)", "sd_g[x]": "half_student_t(3, 0, 2)", "cor_g": "lkj(4)", "sigma": "exponential(1)"}
    model = Model("y ~ x + (x | g)", data, priors={name: read_prior(text) for name, text in texts.items()})
    rows = dict(model.priors.rows())
    assert rows["x"] == "Normal(0, 5)"
    assert rows["sd_g[x]"] == "half-Student-t(3, 0, 2)"
    assert rows["cor_g"] == "LKJ(4) at the means of the columns"
    assert rows["sigma"] == "Exponential(1)"


def test_priors_for_people_have_four_digits():
    assert rounded("Normal(50.405092592592595, 41.60282) at the means") == "Normal(50.41, 41.6) at the means"
    assert rounded("half-Student-t(3, 0, 1.2346e-07)") == "half-Student-t(3, 0, 1.235e-07)"
    assert rounded("LKJ(2)") == "LKJ(2)"
