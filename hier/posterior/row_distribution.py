"""The bridge from a family's record to NumPyro: the distribution of all rows' responses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import random
from numpyro.distributions import constraints

from hier.kernel.laplace.likelihood import Likelihood
from hier.kernel.laplace.links import Linked
from hier.kernel.laplace.log_densities import Observed

# by kind of response, what NumPyro knows of its values
SUPPORTS = {
    "real": constraints.real,
    "positive": constraints.positive,
    "unit": constraints.open_interval(0.0, 1.0),
    "count": constraints.nonnegative_integer,
    "binary": constraints.boolean,
    "successes": constraints.nonnegative_integer,
    "ordered": constraints.nonnegative_integer,
}


class RowDistribution(dist.Distribution):
    """The responses of all rows (n,), by the density and the draw of a family's record; counts and codes are integers.

    `kind`: of the response, as in the record. `observed`: the trials and cutpoints of the rows. `predictors`: the
    linear predictor (n,) of each parameter. `weights` (n,): what log densities are multiplied by, or None; draws know
    nothing of them.
    """

    pytree_data_fields = ("observed", "predictors", "weights")
    pytree_aux_fields = ("likelihood", "draw", "kind")

    def __init__(
        self,
        kind: str,
        likelihood: Likelihood,
        draw: Callable[..., Any],
        observed: Observed,
        predictors: Sequence[jax.Array],
        weights: jax.Array | None = None,
    ) -> None:
        self.kind, self.likelihood, self.draw, self.observed, self.weights = kind, likelihood, draw, observed, weights
        self.predictors = tuple(predictors)
        super().__init__(batch_shape=jnp.shape(self.predictors[0]), validate_args=False)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        return SUPPORTS[self.kind]

    def log_prob(self, value: jax.Array) -> Any:
        value = jnp.asarray(value, jnp.result_type(float))
        found = self.likelihood.log_density(self.observed._replace(y=value), self.predictors)
        return found if self.weights is None else self.weights * found

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> Any:
        parameters = [Linked(*both) for both in zip(self.likelihood.links, self.predictors, strict=True)]
        keys = random.split(key, sample_shape)
        draw = lambda own: self.draw(own, self.observed, *parameters)  # noqa: E731
        for _ in sample_shape:
            draw = jax.vmap(draw)
        drawn = draw(keys if sample_shape else key)
        return drawn.astype(jnp.result_type(int)) if SUPPORTS[self.kind].is_discrete else drawn
