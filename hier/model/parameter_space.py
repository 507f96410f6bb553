"""The parameters of a model as numbers without bounds, which every density of them is a function of.

One vector x holds, in this order, the group sds, the correlations, each further parameter of the response's
distribution (the residual sd of a Normal one), the cutpoints, and the fixed effects that are not integrated out. A
parameter on its own scale is mapped to its prior's support by NumPyro's transform; coefficients are in the kernel's
units, in which their columns are orthogonal, as long as their priors allow all numbers. MAP maximises a density over
the parameters themselves, NUTS samples it with the volume of the map counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hier.kernel.arrays.library import xp
from hier.kernel.covariance.theta import Terms, correlations, sd_columns
from hier.kernel.covariance.unconstrained import by_column, join, split_vector
from hier.kernel.laplace.conditional import ascending
from hier.model.prior_arrays import PriorArrays


class Parameters(NamedTuple):
    """The parameters that are not integrated out, on the user's scale, the grouping factors in the kernel's order.

    `sd` (q,) and `cor`, the variable of the correlations' prior of each correlated block, of the deviations of each
    factor's anchored columns; `others` (k,) of each further parameter, on its own scale or with a formula its
    coefficients; `cutpoints` (c,); `beta` (p,).
    """

    sd: tuple[Any, ...]
    cor: tuple[tuple[Any, ...], ...]
    others: tuple[Any, ...]
    cutpoints: Any
    beta: Any

    @property
    def sigma(self) -> Any:
        """The residual standard deviation of a Normal response, its only further parameter."""
        return self.others[0][0]


@dataclass(frozen=True)
class ParameterSpace:
    """What is known of the parameters when a program is compiled: `terms`, the number of coefficients of each further
    parameter (0 for one on its own scale), of cutpoints and of fixed effects.

    `is_free`: whether every fixed effect may be any number. `with_volume`: whether a density is one of x (NUTS) or of
    the parameters (MAP).
    """

    terms: Terms
    n_coefficients: tuple[int, ...]
    n_cutpoints: int
    n_fixed: int
    is_free: bool
    with_volume: bool

    @property
    def size(self) -> int:
        return sum(self._sizes)

    @property
    def n_grouped(self) -> int:
        """How many numbers say how the deviations vary."""
        return self._n_sds + sum(self._correlations)

    @property
    def _n_sds(self) -> int:
        return sum(len(sd_columns(blocks)) for blocks in self.terms)

    @property
    def _correlations(self) -> list[int]:
        return [own.count(block.size) for blocks in self.terms for block, own in correlations(blocks)]

    @property
    def _sizes(self) -> list[int]:
        others = (max(1, size) for size in self.n_coefficients)
        return [self._n_sds, *self._correlations, *others, self.n_cutpoints, self.n_fixed]

    def constrain(self, x: Any, priors: PriorArrays) -> tuple[Parameters, Any]:
        """The parameters at x (m,), and the log volume of the map as far as it depends on x."""
        pieces, n_groups = split_vector(x, self._sizes), 1 + len(self._correlations)
        (sds, *cors), others, (cut, beta) = pieces[:n_groups], pieces[n_groups:-2], pieces[-2:]
        own = [piece for piece, size in zip(others, self.n_coefficients, strict=True) if not size]
        found, volume = priors.scalars.constrain(join([sds, *own]))
        values = iter(found)
        cor, of_cor = _together([own.constrain(piece) for piece, own in zip(cors, _flat(priors.cor), strict=True)])
        sd, cor = _by_factor(values, iter(cor), self.terms)
        volume = volume + of_cor
        if not self.is_free:
            beta, of_beta = priors.fixed.constrain(beta)
            volume = volume + of_beta
        coefficients = iter(priors.others)
        further = tuple(
            next(coefficients).into @ piece if size else next(values)[None]
            for piece, size in zip(others, self.n_coefficients, strict=True)
        )
        return Parameters(sd, cor, further, ascending(cut), priors.beta.into @ beta), volume + xp.sum(cut[1:])

    def start(self, sds: Sequence[Any], others: Sequence[Any], cut: Any, beta: Any, priors: PriorArrays) -> Any:
        """The vector x at some parameters without any correlation, as far as their priors allow: the middle of the
        support in the place of a value outside.

        `sds`: one for each that is free. `others`: of each further parameter, on its own scale, or with a formula its
        coefficients in the kernel's units. `cut`: as x has the cutpoints. `beta`: in the kernel's units where all are
        free, otherwise the functions that their priors are of.
        """
        none = [own.none(block.size) for blocks in self.terms for block, own in correlations(blocks)]
        own = [value for value, size in zip(others, self.n_coefficients, strict=True) if not size]
        scalars = priors.scalars.unconstrain(join([*sds, *own]))
        parts, values = [scalars[: len(sds)]], iter(scalars[len(sds) :])
        parts += [own.unconstrain(value) for value, own in zip(none, _flat(priors.cor), strict=True)]
        parts += [value if size else next(values) for value, size in zip(others, self.n_coefficients, strict=True)]
        return join([*parts, cut, beta if self.is_free else priors.fixed.unconstrain(beta)])

    def log_prior(self, parameters: Parameters, priors: PriorArrays) -> Any:
        """Log prior density, without the volume of the map."""
        sds = [sd[k] for sd, blocks in zip(parameters.sd, self.terms, strict=True) for k, _ in sd_columns(blocks)]
        sized = list(zip(parameters.others, self.n_coefficients, strict=True))
        values = [*sds, *(value for value, size in sized if not size)]
        if self.n_cutpoints:
            values.append(parameters.cutpoints - priors.shift @ parameters.beta)
        coefficients = zip((value for value, size in sized if size), priors.others, strict=True)
        values += [own.at @ value for value, own in (*coefficients, (parameters.beta, priors.beta))]
        return priors.every.log_density(join(values)) + self._log_prior_of_correlations(parameters, priors)

    def neg2_log_prior(self, parameters: Parameters, volume: Any, priors: PriorArrays) -> Any:
        """-2 log prior density of what the density is of: x, or the parameters."""
        return -2.0 * (self.log_prior(parameters, priors) + (volume if self.with_volume else 0.0))

    def _log_prior_of_correlations(self, parameters: Parameters, priors: PriorArrays) -> Any:
        """Without volume, of a correlation matrix and not of its factor."""
        total = 0.0
        for cor, blocks, own in zip(parameters.cor, self.terms, priors.cor, strict=True):
            for value, (_, correlation), prior in zip(cor, correlations(blocks), own, strict=True):
                total = total + prior.log_density(value)
                if not self.with_volume:
                    total = total - correlation.log_volume(value)
        return total


def _flat[T](by_factor: Sequence[Sequence[T]]) -> list[T]:
    return [own for factor in by_factor for own in factor]


def _together(mapped: Sequence[tuple[Any, Any]]) -> tuple[list[Any], Any]:
    """Values, and the log volumes of their maps in sum."""
    return [value for value, _ in mapped], sum(volume for _, volume in mapped)


def _by_factor(
    sds: Iterator[Any], cors: Iterator[Any], terms: Terms
) -> tuple[tuple[Any, ...], tuple[tuple[Any, ...], ...]]:
    """The sds of each column (q,) and the variables of the correlations of every factor, from one value for each that
    is free.
    """
    sd = tuple(by_column([next(sds) for _ in sd_columns(blocks)], blocks) for blocks in terms)
    return sd, tuple(tuple(next(cors) for _ in correlations(blocks)) for blocks in terms)
