"""Pictures of checks: each is drawn for each kind of response, with what it says it shows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier
from hier.plots import plot_calibration, plot_predictive_check, plot_prior_predictive, plot_priors, plot_residuals
from hier.plots.uniform import uniform_band
from tests.posterior.made_up import of_model

RNG = np.random.default_rng(3)
N = 90
DATA = pd.DataFrame({"g": RNG.integers(0, 6, N), "x": RNG.normal(size=N), "real": RNG.normal(size=N)})
DATA["positive"], DATA["count"] = RNG.gamma(2.0, size=N), RNG.poisson(3.0, N)
DATA["binary"], DATA["ordered"] = RNG.integers(0, 2, N), RNG.integers(1, 5, N)
DATA["many"] = RNG.negative_binomial(1, 0.01, N)
OF_KIND = {
    "gaussian": ("real", "density"),
    "gamma": ("positive", "density"),
    "poisson": ("count", "rootogram"),
    "negbinomial": ("many", "rootogram"),
    "bernoulli": ("binary", "bars"),
    "cumulative": ("ordered", "bars"),
}


def model_of(family: str) -> hier.Model:
    return hier.Model(f"{OF_KIND[family][0]} ~ x + (1 | g)", DATA, family=family)


def words(figure) -> str:
    return " ".join(own.get_text() for own in figure.legends[0].get_texts())


@pytest.mark.parametrize("family", OF_KIND)
def test_each_kind_of_response_has_its_picture(family: str) -> None:
    posterior = of_model(model_of(family), (2, 60))
    figure = plot_predictive_check(posterior)
    assert figure._suptitle.get_text() == f"Posterior predictive check: {OF_KIND[family][0]}"
    assert "observed" in words(figure)
    assert len(figure.to_bytes("png")) > 5000
    (axes,) = figure.axes
    if OF_KIND[family][1] == "density":
        assert len(axes.lines) == 51
    else:
        bars = np.array([own.get_height() for own in axes.patches])
        total = (bars**2).sum() if OF_KIND[family][1] == "rootogram" else bars.sum()
        assert total == pytest.approx(N)
    panels = [axes for axes in plot_predictive_check(posterior, group="g").axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == list("012345")
    assert "uniform numbers" in words(plot_predictive_check(posterior, "pit"))


def test_a_test_quantity_is_drawn_beside_its_observed_value() -> None:
    posterior = of_model(model_of("poisson"), (2, 60))
    figure = plot_predictive_check(posterior, quantity=lambda y: (y == 0).mean())
    line = figure.axes[0].lines[0].get_xdata()[0]
    assert line == np.mean(DATA["count"] == 0)
    with pytest.raises(hier.ModelError, match=r"no predictive check `densty`(.|\n)*`density`"):
        plot_predictive_check(posterior, "densty")
    with pytest.raises(hier.ModelError, match="needs a Posterior"):
        plot_predictive_check(posterior.model)


@pytest.mark.parametrize("family", ["gaussian", "poisson", "cumulative"])
def test_what_priors_expect(family: str) -> None:
    model = model_of(family)
    assert "from the priors" in words(plot_prior_predictive(model))
    assert "observed" in words(plot_prior_predictive(model, observed=True))
    assert len(plot_priors(model).axes) >= len(model.prior_table())


def test_residuals_and_calibration_of_both_results() -> None:
    model = model_of("bernoulli")
    for result in (model.estimate(), of_model(model, (2, 60))):
        figure = plot_residuals(result)
        assert len(figure.axes) == 2
        assert "quartiles of the residuals" in words(figure)
        assert "observed frequency" in words(plot_calibration(result))
    with pytest.raises(hier.FitError, match="calibration is of probabilities"):
        plot_calibration(of_model(model_of("poisson"), (2, 60)))
    with pytest.raises(hier.ModelError, match="needs a Posterior"):
        plot_residuals(model)


def test_the_band_holds_uniform_numbers() -> None:
    at, half = np.linspace(0.0, 1.0, 101)[1:-1], uniform_band(50)
    random = np.random.default_rng(9)
    inside = 0
    for _ in range(400):
        own = np.sort(random.random(50))
        inside += (np.abs(np.searchsorted(own, at, side="right") / 50 - at) <= half).all()
    assert inside / 400 == pytest.approx(0.95, abs=0.035)
