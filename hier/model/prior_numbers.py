"""Priors of one number each, as numbers: one formula whose coefficients say which distribution it is.

A log density is a sum of a few terms, of which each distribution has some. So replacing a prior by another of the table
changes arguments of compiled programs, and not the programs. A distribution that is not in the table stays a NumPyro
object, and then its kind is part of the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import gammaln, multigammaln

from hier.kernel.arrays.library import put, xp
from hier.kernel.covariance.unconstrained import Ordered

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

LARGEST, LEAST = 1e150, np.finfo(float).tiny  # of u, and of x in its logarithm: a term that is absent stays zero
FARTHEST = 708.0  # of what is exponentiated


class Numbers(NamedTuple):
    """A distribution of one number x, or (k,) of each of k of them.

    The log density is `constant` - `quadratic` u^2 - `absolute` |u| - `tail` log(1 + u^2 / `df`) + `log` log x, where u
    is (x - `location`) / `scale`, or this of log x where `of_log` is 1 or of 1 / x where `of_inverse` is.

    Its support has a map from all numbers t: `origin` + `width` (`real` t + `half` exp(t) + `bounded` / (1 + exp(-t))).
    """

    constant: Any = 0.0
    location: Any = 0.0
    scale: Any = 1.0
    quadratic: Any = 0.0
    absolute: Any = 0.0
    tail: Any = 0.0
    df: Any = 1.0
    log: Any = 0.0
    of_log: Any = 0.0
    of_inverse: Any = 0.0
    real: Any = 0.0
    half: Any = 0.0
    bounded: Any = 0.0
    origin: Any = 0.0
    width: Any = 1.0


ROOT_2_PI = 0.5 * np.log(2.0 * np.pi)


def _normal(location: float, scale: float) -> Numbers:
    return Numbers(-np.log(scale) - ROOT_2_PI, location, scale, quadratic=0.5, real=1.0)


def _student_t(df: float, location: float, scale: float) -> Numbers:
    constant = gammaln(0.5 * (df + 1.0)) - gammaln(0.5 * df) - 0.5 * np.log(df * np.pi) - np.log(scale)
    return Numbers(constant, location, scale, tail=0.5 * (df + 1.0), df=df, real=1.0)


def _cauchy(location: float, scale: float) -> Numbers:
    return _student_t(1.0, location, scale)


def _laplace(location: float, scale: float) -> Numbers:
    return Numbers(-np.log(2.0 * scale), location, scale, absolute=1.0, real=1.0)


def _gamma(shape: float, rate: float) -> Numbers:
    return Numbers(shape * np.log(rate) - gammaln(shape), absolute=rate, log=shape - 1.0, half=1.0)


def _inverse_gamma(shape: float, rate: float) -> Numbers:
    return _gamma(shape, rate)._replace(log=-shape - 1.0, of_inverse=1.0)


def _log_normal(location: float, scale: float) -> Numbers:
    return _normal(location, scale)._replace(log=-1.0, of_log=1.0, real=0.0, half=1.0)


def _uniform(low: float, high: float) -> Numbers:
    return Numbers(-np.log(high - low), bounded=1.0, origin=low, width=high - low)


def _folded(own: Numbers) -> Numbers:
    """The distribution of the absolute value of a variable that is symmetric around zero."""
    return own._replace(constant=own.constant + np.log(2.0), real=0.0, half=1.0)


# by NumPyro's name of a distribution: the names of its parameters, and its numbers from these
TABLE: dict[str, tuple[tuple[str, ...], Callable[..., Numbers]]] = {
    "Normal": (("loc", "scale"), _normal),
    "HalfNormal": (("scale",), lambda scale: _folded(_normal(0.0, scale))),
    "StudentT": (("df", "loc", "scale"), _student_t),
    "Cauchy": (("loc", "scale"), _cauchy),
    "HalfCauchy": (("scale",), lambda scale: _folded(_cauchy(0.0, scale))),
    "Laplace": (("loc", "scale"), _laplace),
    "Exponential": (("rate",), lambda rate: _gamma(1.0, rate)),
    "Gamma": (("concentration", "rate"), _gamma),
    "InverseGamma": (("concentration", "rate"), _inverse_gamma),
    "LogNormal": (("loc", "scale"), _log_normal),
    "Uniform": (("low", "high"), _uniform),
}
FLAT = {"_Real": Numbers(real=1.0), "_Positive": Numbers(half=1.0)}  # by NumPyro's name of where a prior is flat


def numbers_of(prior: Distribution) -> Numbers | None:
    """The numbers of a distribution; None of one that is not in the table."""
    kind = type(prior)
    if kind.__module__.partition(".")[0] != "numpyro":
        return None
    if kind.__name__ == "FoldedDistribution":
        own = numbers_of(prior.base_dist)
        return None if own is None or not own.real or own.location else _folded(own)
    if kind.__name__ == "ImproperUniform":
        support = getattr(prior.support, "base_constraint", prior.support)
        return FLAT.get(type(support).__name__)
    if kind.__name__ not in TABLE:
        return None
    names, made = TABLE[kind.__name__]
    return made(*(float(getattr(prior, name)) for name in names))


class ScalarPriors(NamedTuple):
    """The priors of k numbers: those of the table as `numbers`, and in `others` NumPyro's where there is another, None
    where there is not.
    """

    numbers: Numbers
    others: tuple[Ordered | None, ...]

    @property
    def count(self) -> int:
        return len(self.others)

    @property
    def are_numbers(self) -> bool:
        """Whether all are in the table."""
        return not any(self.others)

    def only(self, k: int) -> ScalarPriors:
        """That of the k-th alone."""
        return ScalarPriors(Numbers(*(own[k : k + 1] for own in self.numbers)), self.others[k : k + 1])

    def log_density(self, x: Any) -> Any:
        """The sum of the log densities of all at x (k,)."""
        if not self.count:
            return 0.0
        total = xp.sum(_log_densities(x, self.numbers))
        return total + sum(own.node.log_prob(x[k]) for k, own in self._apart())

    def constrain(self, free: Any) -> tuple[Any, Any]:
        """Values (k,) in the supports from numbers (k,) without bounds, and the log volume of the map."""
        if not self.count:
            return free, 0.0
        values, volumes = _constrained(free, self.numbers)
        volume = xp.sum(volumes)
        for k, own in self._apart():
            transform = _transform(own)
            value = transform(free[k])
            values, volume = put(values, k, value), volume + transform.log_abs_det_jacobian(free[k], value)
        return values, volume

    def unconstrain(self, values: Any) -> Any:
        """Numbers (k,) without bounds from values (k,); zero for a value outside its support."""
        if not self.count:
            return values
        with np.errstate(all="ignore"):
            free = _unconstrained(values, self.numbers)
            apart = {k: _transform(own).inv(values[k]) for k, own in self._apart()}
        free = xp.stack([apart.get(k, free[k]) for k in range(self.count)])
        return xp.where(xp.isfinite(free), free, 0.0)

    def _apart(self) -> Iterable[tuple[int, Ordered]]:
        return ((k, own) for k, own in enumerate(self.others) if own is not None)


class OnePrior(NamedTuple):
    """The prior of one number."""

    own: ScalarPriors

    @property
    def are_numbers(self) -> bool:
        return self.own.are_numbers

    def log_density(self, x: Any) -> Any:
        return self.own.log_density(x[None])

    def constrain(self, free: Any) -> tuple[Any, Any]:
        """The value in its support from numbers (1,) without bounds, and the log volume of the map."""
        values, volume = self.own.constrain(free)
        return values[0], volume

    def unconstrain(self, value: Any) -> Any:
        return self.own.unconstrain(xp.reshape(value, 1))


class MatrixPrior(NamedTuple):
    """The LKJ prior of the Cholesky factor (q, q) of a correlation matrix: a sum of `powers` (q - 1,) times the
    logarithms of its diagonal, and a `constant`.

    Source: Lewandowski, Kurowicka and Joe (2009), J. Multivar. Anal. 100, 1989, page 1999.
    """

    powers: Any
    constant: Any
    are_numbers = True

    def log_density(self, factor: Any) -> Any:
        return self.constant + xp.sum(self.powers * xp.log(xp.diagonal(factor)[1:]))

    def constrain(self, free: Any) -> tuple[Any, Any]:
        """The factor from numbers (q (q - 1) / 2,) without bounds, and the log volume of the map.

        Each number is the area tangent of a partial correlation, row by row. Source: Lewandowski, Kurowicka and Joe
        (2009), section 2.4, whose partial correlations are in another order.
        """
        q = len(self.powers) + 1
        near = xp.clip(free, -0.5 * FARTHEST, 0.5 * FARTHEST)
        partial = -xp.expm1(-2.0 * near) / (1.0 + xp.exp(-2.0 * near))
        log_rest = 2.0 * (np.log(2.0) - free - xp.softplus(-2.0 * free))  # of 1 - partial^2
        rows, volume = [], xp.sum(log_rest)
        for i in range(q):
            at, before, row = i * (i - 1) // 2, 0.0, []
            for k in range(at, at + i):
                row.append(partial[k] * xp.exp(0.5 * before))
                volume, before = volume + 0.5 * before, before + log_rest[k]
            row += [xp.exp(0.5 * before), *[0.0] * (q - 1 - i)]
            rows.append(xp.stack([entry + 0.0 * free[0] for entry in row]))
        return xp.stack(rows), volume

    def unconstrain(self, factor: Any) -> Any:
        rows, columns = np.tril_indices(len(self.powers) + 1, -1)
        rest = 1.0 - np.cumsum(np.pad(np.asarray(factor) ** 2, ((0, 0), (1, 0))), axis=1)
        return np.arctanh(np.asarray(factor)[rows, columns] / np.sqrt(rest[rows, columns]))


def correlation_prior(prior: Distribution) -> OnePrior | MatrixPrior:
    """The prior of the correlations of a block."""
    if not prior.event_shape:
        return OnePrior(scalar_priors([prior]))
    less, concentration = prior.event_shape[0] - 1, float(prior.concentration)
    alpha = concentration + 0.5 * less
    constant = gammaln(alpha) * less - multigammaln(alpha - 0.5, less) - 0.5 * less * np.log(np.pi)
    return MatrixPrior(2.0 * concentration - 2.0 + np.arange(less)[::-1], np.float64(constant))


def _transform(own: Ordered) -> Any:
    from numpyro.distributions import biject_to

    return biject_to(own.node.support)


def scalar_priors(priors: Iterable[Distribution]) -> ScalarPriors:
    """Priors of one number each."""
    priors = list(priors)
    found = [numbers_of(prior) for prior in priors]
    numbers = np.array([own or Numbers() for own in found], float).reshape(len(priors), len(Numbers._fields))
    others = tuple(None if own else Ordered(prior) for own, prior in zip(found, priors, strict=True))
    return ScalarPriors(Numbers(*numbers.T), others)


def _log_densities(x: Any, own: Numbers) -> Any:
    """Of each."""
    log = xp.log(xp.maximum(xp.abs(x), LEAST))
    at = xp.where(own.of_log != 0.0, log, xp.where(own.of_inverse != 0.0, xp.exp(-log), x))
    u = xp.clip((at - own.location) / own.scale, -LARGEST, LARGEST)
    tail = own.tail * xp.log1p(u**2 / own.df)
    return own.constant + own.log * log - own.quadratic * u**2 - own.absolute * xp.abs(u) - tail


def _constrained(free: Any, own: Numbers) -> tuple[Any, Any]:
    """Values in the supports, and the log volume of each map."""
    near = xp.clip(free, -FARTHEST, FARTHEST)
    power = xp.exp((own.half - own.bounded) * near)
    value = own.origin + own.width * (own.real * free + own.half * power + own.bounded / (1.0 + power))
    volume = xp.log(own.width) - 2.0 * xp.log1p(power) - near
    return value, own.half * free + own.bounded * volume


def _unconstrained(values: Any, own: Numbers) -> Any:
    """Numbers without bounds; none for a value outside its support."""
    moved = (values - own.origin) / own.width
    log = xp.log(moved)
    return xp.where(own.real != 0.0, moved, xp.where(own.half != 0.0, log, log - xp.log1p(-moved)))
