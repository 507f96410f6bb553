"""Random numbers of NumPy's generators, called as JAX's functions of the same names are, a generator in place of a key.

JAX compiles each of these anew for arrays of another shape; here many draws of many rows are drawn at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Shape = tuple[int, ...]


def _split(generator: np.random.Generator, n: int = 2) -> list[np.random.Generator]:
    """The generator itself, which never gives the same numbers twice."""
    return [generator] * n


def _normal(generator: np.random.Generator, shape: Shape, dtype: Any = float) -> np.ndarray:
    return generator.standard_normal(shape)


def _uniform(generator: np.random.Generator, shape: Shape, dtype: Any = float) -> np.ndarray:
    return generator.random(shape)


def _t(generator: np.random.Generator, df: np.ndarray, shape: Shape, dtype: Any = float) -> np.ndarray:
    return generator.standard_normal(shape) * np.exp(0.5 * (np.log(0.5 * df) - _loggamma(generator, 0.5 * df, shape)))


def _loggamma(generator: np.random.Generator, shape_of: np.ndarray, shape: Shape, dtype: Any = float) -> np.ndarray:
    """Logarithms of gamma variables of scale 1: of one of a shape larger by one, and of a power of a uniform one, so
    that those of a small shape keep their digits.
    """
    known, missing = _known(shape_of, 1.0)
    with np.errstate(divide="ignore"):
        found = np.log(generator.standard_gamma(known + 1.0, shape)) + np.log1p(-generator.random(shape)) / known
    return np.where(missing, np.nan, found)


def _beta(generator: np.random.Generator, a: np.ndarray, b: np.ndarray, shape: Shape, dtype: Any = float) -> np.ndarray:
    first, second = _loggamma(generator, a, shape), _loggamma(generator, b, shape)
    return np.exp(first - np.logaddexp(first, second))


def _poisson(generator: np.random.Generator, rate: np.ndarray, shape: Shape) -> np.ndarray:
    known, missing = _known(rate, 0.0)
    return np.where(missing, np.nan, generator.poisson(known, shape))


def _binomial(
    generator: np.random.Generator, trials: np.ndarray, probability: np.ndarray, shape: Shape, dtype: Any = float
) -> np.ndarray:
    known, missing = _known(probability, 0.0)
    return np.where(missing, np.nan, generator.binomial(trials.astype(np.int64), known, shape))


def _known(values: np.ndarray, instead: float) -> tuple[np.ndarray, np.ndarray]:
    """The values with another in the place of NaN, which NumPy draws nothing from, and where these are."""
    missing = np.isnan(values)
    return np.where(missing, instead, values), missing


DRAWN: dict[str, Callable[..., Any]] = {
    "split": _split,
    "normal": _normal,
    "uniform": _uniform,
    "t": _t,
    "loggamma": _loggamma,
    "beta": _beta,
    "poisson": _poisson,
    "binomial": _binomial,
}
