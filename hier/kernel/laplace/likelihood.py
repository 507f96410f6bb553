"""A response's likelihood as the kernel knows it: a density of rows, by the linear predictors of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hier.kernel.arrays.derivatives import with_slope
from hier.kernel.arrays.library import Array
from hier.kernel.laplace.links import Link, Linked
from hier.kernel.laplace.log_densities import Observed
from hier.kernel.laplace.responses import category_probabilities
from hier.kernel.programs.precision import float64, kept_programs


@dataclass(frozen=True, repr=False)
class Likelihood:
    """What a compiled program knows of a family when it is built.

    `density(observed, *parameters)`: (n,) log densities. `links`: one per parameter, that of the mean first.
    `n_cutpoints`: of an ordered response, one less than its categories; otherwise 0. `is_kept`: whether the name says
    all of the density, so that a program with it may be kept for another process; a user's own family does not.
    """

    family: str
    density: Callable[..., Any]
    links: tuple[Link, ...]
    n_cutpoints: int = 0
    is_kept: bool = True

    def __repr__(self) -> str:
        links = ", ".join(link.name for link in self.links)
        return f"{self.family}({links}; {self.n_cutpoints})"

    def log_density(self, observed: Observed, predictors: Sequence[Any]) -> Any:
        """Log density of every row (n,), from the linear predictor of each parameter (n,)."""
        return self.density(observed, *self.parameters(predictors))

    def probabilities(self, observed: Observed, predictors: Sequence[Any]) -> Any:
        """The probability (n, K) of each category of an ordered response."""
        return category_probabilities(observed, *self.parameters(predictors), density=self.density)

    def parameters(self, predictors: Sequence[Any]) -> list[Linked]:
        return [Linked(link, eta) for link, eta in zip(self.links, predictors, strict=True)]


def of_rows(
    function: Callable[..., Any], likelihood: Likelihood, observed: Observed, predictors: Sequence[Any]
) -> tuple[np.ndarray, np.ndarray]:
    """What a function of `Observed` and of a family's parameters, such as its mean, is in every row (n,), and its
    derivative in the linear predictor of the first parameter (n,).
    """
    first, *others = predictors

    def value(eta: Array) -> Any:
        return function(observed, *likelihood.parameters([eta, *others]))

    return _with_slope(value, first, likelihood)


def probabilities_of_rows(
    likelihood: Likelihood, observed: Observed, predictors: Sequence[Any]
) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each category of an ordered response in every row (n, K), and its derivative in the linear
    predictor of the first parameter (n, K).
    """
    first, *others = predictors
    return _with_slope(lambda eta: likelihood.probabilities(observed, [eta, *others]), first, likelihood)


def _with_slope(
    function: Callable[[Any], Any], at: np.ndarray, likelihood: Likelihood
) -> tuple[np.ndarray, np.ndarray]:
    """A function of each row's own number, and its derivative, by JAX where the family is the user's own."""
    if likelihood.is_kept:
        with np.errstate(all="ignore"):
            return with_slope(function, np.asarray(at, float))
    return _with_slope_by_jax(function, at)


@kept_programs
@float64
def _with_slope_by_jax(function: Callable[[Any], Any], at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import jax

    value, slope = with_slope(function, jax.numpy.asarray(at))
    return np.asarray(value), np.asarray(slope)


def of_draws(
    function: Callable[..., Any], likelihood: Likelihood, cutpoints: np.ndarray, predictors: Sequence[np.ndarray]
) -> np.ndarray:
    """What a function of `Observed` and of a family's parameters is in every row of one trial, for S draws: (S, n), or
    (S, n, K) of one with K values per row; cutpoints (S, K - 1) and predictors (S, n) by draw.
    """
    if not likelihood.is_kept:
        return _of_draws_by_jax(function, likelihood, cutpoints, predictors)
    ones = np.ones(predictors[0].shape[1])
    with np.errstate(all="ignore"):
        return np.asarray(function(Observed(ones, ones, cutpoints), *likelihood.parameters(predictors)))


@kept_programs
@float64
def _of_draws_by_jax(
    function: Callable[..., Any], likelihood: Likelihood, cutpoints: np.ndarray, predictors: Sequence[np.ndarray]
) -> np.ndarray:
    import jax
    import jax.numpy as jnp

    ones = jnp.ones(predictors[0].shape[1])

    def of_one(cut: Array, *own: Any) -> Any:
        return function(Observed(ones, ones, cut), *likelihood.parameters(own))

    return np.asarray(jax.vmap(of_one)(jnp.asarray(cutpoints), *map(jnp.asarray, predictors)))


@float64
def draw_rows(
    function: Callable[..., Any], likelihood: Likelihood, observed: Observed, predictors: Sequence[Any], bits: int
) -> np.ndarray:
    """Random responses by a family's `draw`, from a random key of these bits."""
    import jax
    import jax.numpy as jnp

    known = Observed(*map(jnp.asarray, observed[:3]))
    parameters = likelihood.parameters([jnp.asarray(eta) for eta in predictors])
    return np.asarray(function(jax.random.key(bits), known, *parameters))


def draw_of_draws(
    function: Callable[..., Any],
    likelihood: Likelihood,
    observed: Observed,
    predictors: Sequence[np.ndarray],
    generator: np.random.Generator,
) -> np.ndarray:
    """A random response (S, n) of every row for each of S draws by a family's `draw`; cutpoints (S, K - 1) and
    predictors (S, n) by draw. Those of a family of the user's own are drawn by JAX.
    """
    if likelihood.is_kept:
        with np.errstate(all="ignore"):
            return np.asarray(function(generator, observed, *likelihood.parameters(predictors)))
    return _draw_of_draws_by_jax(function, likelihood, observed, predictors, int(generator.integers(2**31)))


@kept_programs
@float64
def _draw_of_draws_by_jax(
    function: Callable[..., Any],
    likelihood: Likelihood,
    observed: Observed,
    predictors: Sequence[np.ndarray],
    bits: int,
) -> np.ndarray:
    import jax
    import jax.numpy as jnp

    y, trials = jnp.asarray(observed.y), jnp.asarray(observed.trials)

    def of_one(key: Array, cut: Array, *own: Any) -> Any:
        return function(key, Observed(y, trials, cut), *likelihood.parameters(own))

    keys = jax.random.split(jax.random.key(bits), len(predictors[0]))
    return np.asarray(jax.vmap(of_one)(keys, jnp.asarray(observed.cutpoints), *map(jnp.asarray, predictors)))


def apply_link(link: Link, value: np.ndarray) -> np.ndarray:
    """The linear predictor of values."""
    with np.errstate(all="ignore"):
        return np.asarray(link.apply(np.asarray(value, float)))


def natural(link: Link, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of linear predictors, and their derivatives."""
    with np.errstate(all="ignore"):
        return with_slope(link.inverse, np.asarray(eta, float))
