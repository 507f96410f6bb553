"""The bridge from a family's record to NumPyro: the distribution of all rows' responses, and that of cutpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import random
from numpyro.distributions import constraints

from hier.kernel.densities import Observed
from hier.kernel.likelihood import Likelihood
from hier.kernel.links import Parameter

PROPOSALS = 1000  # independent draws among which one that ascends is sought


class Rows(dist.Distribution):
    """The responses of all rows (n,), by the density and the draw of a family's record.

    `observed`: the trials and cutpoints of the rows. `predictors`: the linear predictor (n,) of each parameter.
    `weights` (n,): what log densities are multiplied by, or None; draws know nothing of them.
    """

    support = constraints.real  # type: ignore[assignment]
    pytree_data_fields = ("observed", "predictors", "weights")
    pytree_aux_fields = ("likelihood", "draw")

    def __init__(
        self,
        likelihood: Likelihood,
        draw: Callable[..., Any],
        observed: Observed,
        predictors: Sequence[Any],
        weights: Any = None,
    ) -> None:
        self.likelihood, self.draw, self.observed, self.weights = likelihood, draw, observed, weights
        self.predictors = tuple(predictors)
        super().__init__(batch_shape=jnp.shape(self.predictors[0]), validate_args=False)

    def log_prob(self, value: Any) -> Any:
        found = self.likelihood.log_density(self.observed._replace(y=value), self.predictors)
        return found if self.weights is None else self.weights * found

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        parameters = [Parameter(*both) for both in zip(self.likelihood.links, self.predictors, strict=True)]
        keys = random.split(key, sample_shape)
        draw = lambda own: self.draw(own, self.observed, *parameters)  # noqa: E731
        for _ in sample_shape:
            draw = jax.vmap(draw)
        return draw(keys if sample_shape else key)


class Ascending(dist.Distribution):
    """Numbers (k,) in ascending order, independent but for that; the density is not normalised anew."""

    support = constraints.ordered_vector  # type: ignore[assignment]
    pytree_data_fields = ("priors",)

    def __init__(self, priors: Sequence[dist.Distribution]) -> None:
        self.priors = tuple(priors)
        super().__init__(event_shape=(len(self.priors),), validate_args=False)

    def log_prob(self, value: Any) -> Any:
        return sum(prior.log_prob(value[..., k]) for k, prior in enumerate(self.priors))

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """The first of many independent draws that ascends. Where none does, one of them sorted, which is as good for
        numbers with one prior.
        """
        keys = random.split(key, len(self.priors))
        shape = (PROPOSALS, *sample_shape)
        drawn = jnp.stack([prior.sample(own, shape) for prior, own in zip(self.priors, keys, strict=True)], axis=-1)
        ascends = jnp.all(jnp.diff(drawn, axis=-1) > 0, axis=-1)
        first = jnp.argmax(ascends, axis=0)
        return jnp.sort(jnp.take_along_axis(drawn, first[None, ..., None], axis=0)[0], axis=-1)
