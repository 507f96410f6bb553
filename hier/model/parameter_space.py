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

from hier.kernel.covariance.theta import Terms, correlations, sd_columns
from hier.kernel.covariance.unconstrained import Ordered, by_column, join, split_vector, unconstrained
from hier.kernel.laplace.conditional import ascending
from hier.model.prior_arrays import CoefficientPriors, PriorArrays


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
        return sum(self._grouped)

    @property
    def _grouped(self) -> list[int]:
        n_sds = sum(len(sd_columns(blocks)) for blocks in self.terms)
        return [1] * n_sds + [own.count(block.size) for blocks in self.terms for block, own in correlations(blocks)]

    @property
    def _sizes(self) -> list[int]:
        return [*self._grouped, *(max(1, size) for size in self.n_coefficients), self.n_cutpoints, self.n_fixed]

    def constrain(self, x: Any, priors: PriorArrays) -> tuple[Parameters, Any]:
        """The parameters at x (m,), and the log volume of the map as far as it depends on x."""
        pieces, n_groups = split_vector(x, self._sizes), len(self._grouped)
        grouped, others, (cut, beta) = pieces[:n_groups], pieces[n_groups:-2], pieces[-2:]
        values, volume = _constrained(grouped, _of_groups(priors))
        sd, cor = _by_factor(iter(values), self.terms)
        own, coefficients, further = iter(priors.own), iter(priors.others), []
        for piece, size in zip(others, self.n_coefficients, strict=True):
            if size:
                further.append(next(coefficients).into @ piece)
            else:
                (value,), own_volume = _constrained([piece], [next(own)])
                further.append(value[None])
                volume = volume + own_volume
        if not self.is_free:
            bounded, own_volume = _constrained(beta[:, None], priors.beta.priors)
            beta, volume = join(bounded), volume + own_volume
        volume = volume + cut[1:].sum()
        return Parameters(sd, cor, tuple(further), ascending(cut), priors.beta.into @ beta), volume

    def start(self, sds: Sequence[Any], others: Sequence[Any], cut: Any, beta: Any, priors: PriorArrays) -> Any:
        """The vector x at some parameters without any correlation, as far as their priors allow: the middle of the
        support in the place of a value outside.

        `sds`: one for each that is free. `others`: of each further parameter, on its own scale, or with a formula its
        coefficients in the kernel's units. `cut`: as x has the cutpoints. `beta`: in the kernel's units where all are
        free, otherwise the functions that their priors are of.
        """
        none = [own.none(block.size) for blocks in self.terms for block, own in correlations(blocks)]
        parts, own = [_unconstrained([*sds, *none], _of_groups(priors))], iter(priors.own)
        for value, size in zip(others, self.n_coefficients, strict=True):
            parts.append(value if size else _unconstrained([value], [next(own)]))
        return join([*parts, cut, beta if self.is_free else _unconstrained(beta, priors.beta.priors)])

    def log_prior(self, parameters: Parameters, priors: PriorArrays) -> Any:
        """Log prior density, without the volume of the map."""
        total, own, coefficients = 0.0, iter(priors.own), iter(priors.others)
        for value, size in zip(parameters.others, self.n_coefficients, strict=True):
            total = total + (_of_functions(value, next(coefficients)) if size else next(own).node.log_prob(value[0]))
        total = total + self._log_prior_of_groups(parameters, priors)
        for cutpoint, prior, shift in zip(parameters.cutpoints, priors.cutpoints, priors.shift, strict=True):
            total = total + prior.node.log_prob(cutpoint - shift @ parameters.beta)
        return total + _of_functions(parameters.beta, priors.beta)

    def neg2_log_prior(self, parameters: Parameters, volume: Any, priors: PriorArrays) -> Any:
        """-2 log prior density of what the density is of: x, or the parameters."""
        return -2.0 * (self.log_prior(parameters, priors) + (volume if self.with_volume else 0.0))

    def _log_prior_of_groups(self, parameters: Parameters, priors: PriorArrays) -> Any:
        """That of the sds and correlations; without volume, of a correlation matrix and not of its factor."""
        total = 0.0
        for sd, blocks, own in zip(parameters.sd, self.terms, priors.sd, strict=True):
            for (start, _), prior in zip(sd_columns(blocks), own, strict=True):
                total = total + prior.node.log_prob(sd[start])
        for cor, blocks, own in zip(parameters.cor, self.terms, priors.cor, strict=True):
            for value, (_, correlation), prior in zip(cor, correlations(blocks), own, strict=True):
                total = total + prior.node.log_prob(value)
                if not self.with_volume:
                    total = total - correlation.log_volume(value)
        return total


def _of_groups(priors: PriorArrays) -> list[Ordered]:
    return [prior for group in (*priors.sd, *priors.cor) for prior in group]


def _by_factor(values: Iterator[Any], terms: Terms) -> tuple[tuple[Any, ...], tuple[tuple[Any, ...], ...]]:
    """The sds of each column (q,) and the variables of the correlations of every factor, from one value for each that
    is free: first all sds, then all correlations.
    """
    sds = [[next(values) for _ in sd_columns(blocks)] for blocks in terms]
    sd = tuple(by_column(own, blocks) for own, blocks in zip(sds, terms, strict=True))
    return sd, tuple(tuple(next(values) for _ in correlations(blocks)) for blocks in terms)


def _of_functions(coefficients: Any, own: CoefficientPriors) -> Any:
    """Log prior density of linear functions of coefficients."""
    values = own.at @ coefficients
    return sum(prior.node.log_prob(value) for prior, value in zip(own.priors, values, strict=True))


def _constrained(pieces: Sequence[Any], priors: Sequence[Ordered]) -> tuple[list[Any], Any]:
    """Values in the supports of their priors from numbers without bounds, and the log volume of the map."""
    from numpyro.distributions import biject_to

    values, volume = [], 0.0
    for piece, prior in zip(pieces, priors, strict=True):
        at = piece if prior.node.event_shape else piece[0]
        transform = biject_to(prior.node.support)
        value = transform(at)
        volume = volume + transform.log_abs_det_jacobian(at, value)
        values.append(value)
    return values, volume


def _unconstrained(values: Sequence[Any], priors: Sequence[Ordered]) -> Any:
    from numpyro.distributions import biject_to

    return unconstrained(values, [biject_to(prior.node.support) for prior in priors])
