"""Log densities of every family and link: against scipy, as distributions, at extremes, and their derivatives."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from hier.kernel.laplace.links import LINKS
from hier.kernel.laplace.log_densities import Observed
from hier.kernel.programs.precision import float64
from hier.model.families import BUILT_IN, FAMILIES, likelihood_of
from tests.kernel.references import CUTPOINTS, DISTRIBUTION, LOG_DENSITY, SOME, TRIALS, VALUE, ordinary

FURTHER = {"sigma": 0.3, "nu": 1.2, "shape": 0.6, "phi": 0.9, "zi": -0.8, "hu": 0.4}  # linear predictors
CASES = [(name, link) for name, family in FAMILIES.items() if name in BUILT_IN for link in family.links]
# the trapezoidal rule on the whole line, whose error falls exponentially with the number of nodes: responses as
# functions of the nodes (shares of them no nearer to 1 than numbers can be), and their slopes
STEP = 0.01
NODES = np.arange(-36.0, 36.0, STEP)
MAPPED = {
    "real": (np.sinh, np.cosh),
    "positive": (np.exp, np.exp),
    "unit": (special.expit, lambda t: special.expit(t) * special.expit(-t)),
}
EXTREME = (-30.0, -12.0, 12.0, 30.0)


def with_slow(cases: list[tuple[str, str]]) -> list[Any]:
    """Each family with its default link, and each link with the first family that has it; the other pairs are slow."""
    quick = [(name, FAMILIES[name].links[0]) for name, _ in cases]
    quick += {link: (name, link) for name, link in reversed(cases)}.values()
    return [pytest.param(*case, marks=() if case in quick else pytest.mark.slow) for case in cases]


@float64
def log_density(name: str, link: str, y, eta, further=None) -> np.ndarray:
    """Of responses `y` (n,) under linear predictors `eta`, a number or (n,), of the mean."""
    family = FAMILIES[name]
    y = np.asarray(y, float)
    cutpoints = CUTPOINTS if family.has_cutpoints else np.zeros(0)
    own = [(further or FURTHER)[parameter] for parameter in family.parameter_names[1:]]
    predictors = [np.broadcast_to(value, y.shape).astype(float) for value in (eta, *own)]
    rows = Observed(y, np.full(y.shape, TRIALS), cutpoints)
    return np.asarray(likelihood_of(family, link, len(cutpoints)).log_density(rows, predictors))


def further_values(name: str) -> list[float]:
    return [VALUE[p.links[0]](FURTHER[p.name]) for p in FAMILIES[name].parameters[1:]]


@pytest.mark.parametrize(("name", "link"), [case for case in CASES if case[0] != "cumulative"])
def test_log_densities_are_those_of_scipy(name: str, link: str) -> None:
    y = SOME[FAMILIES[name].response]
    for eta in ordinary(link):
        expected = LOG_DENSITY[name](VALUE[link](eta), *further_values(name))(y)
        np.testing.assert_allclose(log_density(name, link, y, eta), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("link", FAMILIES["cumulative"].links)
def test_ordered_categories_are_differences_of_probabilities(link: str) -> None:
    for eta in (-1.5, 0.0, 0.9):
        below, above = DISTRIBUTION[link].cdf(CUTPOINTS - eta), DISTRIBUTION[link].sf(CUTPOINTS - eta)
        expected = np.log([below[0], below[1] - below[0], below[2] - below[1], above[2]])
        np.testing.assert_allclose(log_density("cumulative", link, np.arange(4.0), eta), expected, rtol=1e-12)


@pytest.mark.parametrize(("name", "link"), with_slow(CASES))
def test_densities_integrate_to_one(name: str, link: str) -> None:
    kind = FAMILIES[name].response
    for eta in ordinary(link):
        if kind in MAPPED:
            value, slope = MAPPED[kind]
            # so precise that all but nothing lies nearer to 1 than numbers can be
            further = FURTHER | ({"phi": 3.0} if kind == "unit" else {})
            with np.errstate(over="ignore", under="ignore"):
                density = np.exp(log_density(name, link, value(NODES), eta, further)) * slope(NODES)
            assert density.sum() * STEP == pytest.approx(1.0, abs=2e-7)
        else:
            y = np.arange(4000.0) if kind == "count" else SOME[kind]
            assert np.exp(log_density(name, link, y, eta)).sum() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(("name", "link"), with_slow(CASES))
def test_derivatives_are_slopes(name: str, link: str) -> None:
    """First and second derivatives by every linear predictor, against differences."""
    family = FAMILIES[name]
    y, cutpoints = SOME[family.response], CUTPOINTS if family.has_cutpoints else np.zeros(0)
    likelihood = likelihood_of(family, link, len(cutpoints))
    further = [FURTHER[parameter] for parameter in family.parameter_names[1:]]

    @float64
    def checked() -> None:
        def total(at):
            predictors = [jnp.full(y.shape, at[k]) for k in range(len(further) + 1)]
            return likelihood.log_density(
                Observed(y, np.full(y.shape, TRIALS), jnp.asarray(cutpoints)), predictors
            ).sum()

        total, slope, curvature = jax.jit(total), jax.jit(jax.grad(total)), jax.jit(jax.hessian(total))
        for eta in ordinary(link):
            at, h = np.array([eta, *further]), 1e-5
            steps = h * np.eye(len(at))
            by_difference = [(total(at + step) - total(at - step)) / (2 * h) for step in steps]
            np.testing.assert_allclose(slope(at), by_difference, rtol=2e-7, atol=2e-7)
            bends = [(slope(at + step) - slope(at - step)) / (2 * h) for step in steps]
            np.testing.assert_allclose(curvature(at), bends, rtol=2e-6, atol=2e-6)

    checked()


@pytest.mark.parametrize(
    ("name", "link"), with_slow([(n, k) for n, k in CASES if k not in ("identity", "inverse", "sqrt")])
)
def test_extremes_are_finite_and_so_are_their_slopes(name: str, link: str) -> None:
    """A search may come across predictors of +-30; there probabilities are 1e-13 from 0 or 1, or less."""
    family = FAMILIES[name]
    y, cutpoints = SOME[family.response], CUTPOINTS if family.has_cutpoints else np.zeros(0)
    likelihood = likelihood_of(family, link, len(cutpoints))

    @float64
    def checked() -> None:
        def total(eta, row, further):
            own = [jnp.asarray([value]) for value in (eta, *further)]
            return likelihood.log_density(Observed(row, np.array([TRIALS]), jnp.asarray(cutpoints)), own)[0]

        value_and_slope = jax.jit(jax.value_and_grad(total, argnums=(0, 2)))
        for eta in EXTREME:
            for row in y:
                further = [FURTHER[parameter] for parameter in family.parameter_names[1:]]
                value, slopes = value_and_slope(eta, np.array([row]), further)
                assert np.isfinite(value), (eta, row)
                assert np.isfinite(np.asarray(jax.tree.leaves(slopes))).all(), (eta, row)

    checked()


def test_digits_survive_where_probabilities_round_to_one() -> None:
    """log(1 - p) of a logit predictor of 40 is -40, though p is 1.0 as a number."""
    assert log_density("bernoulli", "logit", [0.0, 1.0], 40.0) == pytest.approx([-40.0, -np.exp(-40.0)], rel=1e-12)
    assert log_density("bernoulli", "probit", [0.0], 10.0)[0] == pytest.approx(stats.norm.logsf(10.0), rel=1e-12)
    # two cutpoints in the far tail: the difference of two probabilities that are both 1.0 as numbers
    found = log_density("cumulative", "logit", [1.0], -45.0)[0]
    upper, lower = np.exp(-(CUTPOINTS[0] + 45.0)), np.exp(-(CUTPOINTS[1] + 45.0))
    assert found == pytest.approx(np.log(upper - lower), rel=1e-12)


@pytest.mark.parametrize("link", sorted(LINKS))
def test_links_have_inverses_and_logarithms(link: str) -> None:
    @float64
    def checked() -> None:
        own, eta = LINKS[link], ordinary(link)
        value = np.asarray(own.inverse(eta))
        np.testing.assert_allclose(value, VALUE[link](eta), rtol=1e-13)
        np.testing.assert_allclose(own.apply(value), eta, rtol=1e-12)
        np.testing.assert_allclose(own.log(eta), np.log(value), rtol=1e-12, atol=1e-15)
        if own.onto == "unit":
            np.testing.assert_allclose(own.log_complement(eta), np.log1p(-value), rtol=1e-12)

    checked()
