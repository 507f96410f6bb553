"""Means and random draws of every family agree with its density."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy import integrate, stats

from hier.kernel.laplace.links import Linked
from hier.kernel.laplace.log_densities import Observed
from hier.kernel.laplace.responses import category_probabilities
from hier.kernel.programs.precision import float64
from hier.model.families import BUILT_IN, FAMILIES, likelihood_of
from tests.kernel.references import CUTPOINTS, LOG_DENSITY, SOME, TRIALS, VALUE
from tests.kernel.test_densities import FURTHER, further_values, log_density

NAMES = [name for name in FAMILIES if name in BUILT_IN]
ETA = 0.6
DRAWS = 20_000
# what a family's own further parameters leave untested: a precise one, and one that is hardly a distribution any more
OTHERS = {
    "negbinomial": {"shape": -2.0},
    "hurdle_negbinomial": {"shape": -3.0, "hu": -1.0},
    "beta_binomial": {"phi": 3.0},
    "gamma": {"shape": 3.0},
    "inverse_gaussian": {"shape": -2.0},
}
CASES = [(name, FURTHER) for name in NAMES] + [(name, FURTHER | other) for name, other in OTHERS.items()]


@float64
def of_rows(name: str, n: int, further, function, *first) -> np.ndarray:
    """A function of the rows and the parameters of a family, all rows alike."""
    family = FAMILIES[name]
    cutpoints = CUTPOINTS if family.has_cutpoints else np.zeros(0)
    links = likelihood_of(family, family.links[0], len(cutpoints)).links
    etas = [ETA, *(further[parameter] for parameter in family.parameter_names[1:])]
    parameters = [Linked(link, np.full(n, eta)) for link, eta in zip(links, etas, strict=True)]
    return np.asarray(function(*first, Observed(np.zeros(n), np.full(n, TRIALS), cutpoints), *parameters))


def draws_of(name: str, further) -> np.ndarray:
    return of_rows(name, DRAWS, further, FAMILIES[name].draw, jax.random.key(11))


def support(name: str) -> np.ndarray | None:
    """All values of a discrete response that have a probability to speak of."""
    kind = FAMILIES[name].response
    return (
        np.arange(20_000.0) if kind == "count" else SOME[kind] if kind in ("binary", "successes", "ordered") else None
    )


@pytest.mark.parametrize("name", NAMES)
def test_means_are_those_of_the_density(name: str) -> None:
    link, y = FAMILIES[name].links[0], support(name)
    if y is not None:
        expected = float(y @ np.exp(log_density(name, link, y, ETA)))
    else:
        density = np.vectorize(lambda y: np.exp(LOG_DENSITY[name](VALUE[link](ETA), *further_values(name))(y)))
        ends = {"real": (-np.inf, np.inf), "positive": (0.0, np.inf), "unit": (0.0, 1.0)}[FAMILIES[name].response]
        expected = integrate.quad(lambda y: y * density(y), *ends)[0]
    found = of_rows(name, 3, FURTHER, FAMILIES[name].mean)
    np.testing.assert_allclose(found, np.full(3, expected), rtol=1e-7)


@pytest.mark.parametrize(("name", "further"), CASES)
def test_draws_have_the_distribution_of_the_density(name: str, further) -> None:
    """Discrete draws by a chi-square test, continuous ones by Kolmogorov and Smirnov's; a seed is fixed, so that a
    p-value below 1e-4 is a defect.
    """
    drawn, link, y = draws_of(name, further), FAMILIES[name].links[0], support(name)
    values = [VALUE[p.links[0]](further[p.name]) for p in FAMILIES[name].parameters[1:]]
    if y is None:
        owner = LOG_DENSITY[name](VALUE[link](ETA), *values).__self__
        assert stats.kstest(drawn, owner.cdf).pvalue > 1e-4
        return
    expected = DRAWS * np.exp(log_density(name, link, y, ETA, further))
    last = int(np.flatnonzero(np.cumsum(expected[::-1])[::-1] >= 10.0)[-1])  # the tail in one class
    counted = np.bincount(np.minimum(drawn, last).astype(int), minlength=last + 1)
    classes = np.append(expected[:last], expected[last:].sum())
    assert stats.chisquare(counted, classes * counted.sum() / classes.sum()).pvalue > 1e-4


def test_category_probabilities() -> None:
    found = of_rows("cumulative", 2, FURTHER, category_probabilities)
    expected = np.exp(log_density("cumulative", "logit", np.arange(4.0), ETA))
    np.testing.assert_allclose(found, [expected, expected], rtol=1e-12)


def test_draws_of_large_counts_and_of_many_shapes() -> None:
    @float64
    def poisson(eta: float) -> np.ndarray:
        family = FAMILIES["poisson"]
        mu = Linked(likelihood_of(family, "log", 0).links[0], np.full(2000, eta))
        return np.asarray(family.draw(jax.random.key(2), Observed(np.zeros(2000), np.ones(2000), np.zeros(0)), mu))

    for eta in (15.0, 25.0):  # on both sides of where counts become rounded Normal variables
        drawn, mean = poisson(eta), np.exp(eta)
        assert (drawn == np.floor(drawn)).all()
        assert abs(drawn.mean() - mean) < 4.0 * np.sqrt(mean / 2000)
        assert drawn.var() == pytest.approx(mean, rel=0.15)
