"""Default priors of families, a user's own in their place, and how such models are printed."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pytest

import hier
from tests.model.data import LEFT, table

DATA = table()
LOG_POSITIVE = np.log(DATA["positive"])


def priors_of(formula, **options) -> dict[str, str]:
    return dict(hier.Model(formula, DATA, **options).priors.rows())


@pytest.mark.parametrize(
    ("name", "further"),
    [
        ("student", {"nu": "Gamma(2, 0.1)"}),
        ("negbinomial", {"shape": "Gamma(2, 0.1)"}),
        ("beta", {"phi": "Gamma(2, 0.1)"}),
        ("zero_inflated_poisson", {"zi": "Beta(1, 1)"}),
        ("hurdle_negbinomial", {"shape": "Gamma(2, 0.1)", "hu": "Beta(1, 1)"}),
        ("cumulative", {f"Intercept[{k}]": "Student-t(3, 0, 2.5) at the means of the columns" for k in (1, 2)}),
    ],
)
def test_defaults_of_further_parameters(name: str, further: dict[str, str]) -> None:
    rows = priors_of(f"{LEFT[name]} ~ x + (1 | g)", family=name)
    assert further.items() <= rows.items()


@pytest.mark.parametrize(
    ("formula", "options", "location", "scale"),
    [
        ("count ~ x + (1 | g)", {"family": "poisson"}, np.log(DATA["count"].mean()), 1.0),
        ("positive ~ x + (1 | g)", {"family": "gamma", "link": "inverse"}, 1.0 / DATA["positive"].mean(), 1.0),
        ("positive ~ x + (1 | g)", {"family": "lognormal"}, LOG_POSITIVE.mean(), LOG_POSITIVE.std()),
        ("y ~ x + offset(e) + (1 | g)", {}, (DATA["y"] - DATA["e"]).mean(), (DATA["y"] - DATA["e"]).std()),
    ],
)
def test_location_and_scale_follow_the_link(formula, options, location: float, scale: float) -> None:
    priors = hier.Model(formula, DATA, **options).priors
    intercept, slope = priors.beta["Intercept"], priors.beta["x"]
    assert isinstance(intercept, dist.Normal)
    assert isinstance(slope, dist.Normal)
    assert float(intercept.loc) == pytest.approx(location, rel=1e-6)
    assert float(intercept.scale) == pytest.approx(2.5 * scale, rel=1e-6)
    assert float(slope.scale) == pytest.approx(2.5 * scale / DATA["x"].std(), rel=1e-6)


def test_all_priors_can_be_replaced_by_name() -> None:
    formula = hier.Formula("count ~ x + (1 | g)", zi="~ x + f")
    given = {"zi_x": dist.Normal(0, 1), "zi": dist.Normal(0, 3), "zi_Intercept": dist.Normal(-1, 1)}
    rows = priors_of(formula, family="zero_inflated_negbinomial", priors=given | {"shape": dist.Exponential(0.2)})
    assert rows["zi_x"] == "Normal(0, 1)"
    assert rows["zi_f[T.b]"] == "Normal(0, 3)"
    assert rows["zi_Intercept"] == "Normal(-1, 1)"
    assert rows["shape"] == "Exponential(0.2)"
    cutpoints = {"Intercept": dist.Normal(0, 4), "Intercept[2]": dist.Normal(1, 1)}
    rows = priors_of("rating ~ x + (1 | g)", family="cumulative", priors=cutpoints)
    assert (rows["Intercept[1]"], rows["Intercept[2]"]) == ("Normal(0, 4)", "Normal(1, 1)")


@pytest.mark.parametrize(
    ("name", "prior", "message"),
    [
        ("zi", dist.Normal(0, 1), "allows other values, and `zi` is between 0 and 1"),
        ("shape", dist.Normal(0, 1), "allows negative values, and `shape` is positive"),
        ("phi", dist.Exponential(1), "no parameter `phi`"),
        ("Intercept[1]", dist.Normal(0, 1), "no parameter `Intercept\\[1\\]`"),
    ],
)
def test_priors_that_do_not_fit_the_family(name: str, prior: dist.Distribution, message: str) -> None:
    with pytest.raises(hier.ModelError, match=message):
        hier.Model("count ~ x + (1 | g)", DATA, family="zero_inflated_negbinomial", priors={name: prior})


@pytest.mark.parametrize(
    ("formula", "options", "lines", "latex"),
    [
        (
            "count ~ x + offset(log(e)) + (1 | g)",
            {"family": "poisson"},
            ["count[i] ~ Poisson(μ[i])", "log(μ[i]) = β₀ + β₁·x[i] + offset[i] + b₀[g[i]]"],
            r"\mathrm{count}_i &\sim \text{Poisson}(\mu_i)",
        ),
        (
            "s / n ~ x + (1 | g)",
            {"family": "beta_binomial", "link": "probit"},
            ["Family: beta_binomial, probit link", "s[i] ~ Beta-Binomial(trials[i], μ[i], φ)", "probit(μ[i]) ="],
            r"\mathrm{probit}(\mu_i) &=",
        ),
        (
            hier.Formula("y ~ x + (1 | g)", sigma="~ x"),
            {"weights": "w"},
            ["Hierarchical model: y ~ x + (1 | g), sigma ~ x", "log(σ[i]) = γ₀ + γ₁·x[i] - log(weight[i]) / 2"],
            r"\log(\sigma_i) &= \gamma_{0} + \gamma_{1}\,\mathrm{x}_i - \tfrac{1}{2} \log w_i",
        ),
        (
            "rating ~ x + (1 | g)",
            {"family": "cumulative"},
            ["Categories: low < mid < high, with 2 cutpoints", "logit(P(rating[i] ≤ k)) = cutpoint[k] - (β₀·x[i] + b"],
            r"\mathrm{logit}(P(\mathrm{rating}_i \le k)) &= c_k - (",
        ),
    ],
)
def test_models_are_written_out(formula, options, lines: list[str], latex: str) -> None:
    model = hier.Model(formula, DATA, **options)
    for line in lines:
        assert line in str(model)
    assert latex in model.latex()
