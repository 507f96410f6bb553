"""The model as a full NumPyro program, group deviations included: to read, to extend, and to check the sampler by."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from hier.design import RandomEffects
from hier.errors import ModelError
from hier.kernel.parameters import by_column, correlated_factor
from hier.kernel.precision import float64
from hier.model import Model
from hier.posterior.dataset import dataset, in_tree, sample_coords
from hier.posterior.groups import groups_of

if TYPE_CHECKING:
    import xarray as xr

    from hier.model.priors import GroupPriors


def numpyro_model(model: Model, *, noncentred: bool = True) -> Callable[..., None]:
    """The NumPyro program of a model, with every group deviation as a variable and the same priors as `sample()`.

    Its sites are `beta`, `sd_GROUP`, `cor_GROUP`, `b_GROUP` and `sigma`, as in the posterior; the response is the
    site `y`, observed unless the program is called with `y=None`. `noncentred` writes the deviations as a factor
    times standard Normal variables, which NUTS explores better where the data say little about each group; False
    leaves them as they are.
    """
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer.reparam import TransformReparam

    design, priors = model.design, model.priors
    means = priors.column_means

    def program(y: Any = design.y) -> None:
        drawn = {name: numpyro.sample(f"beta[{name}]", prior) for name, prior in priors.beta.items()}
        if priors.centred_intercept:  # its prior is that of the mean response at the means of the columns
            slopes = sum(means[k] * drawn[name] for k, name in enumerate(design.names) if name != "Intercept")
            drawn["Intercept"] = drawn["Intercept"] - slopes
        beta = numpyro.deterministic("beta", jnp.stack(list(drawn.values())) if drawn else jnp.zeros(0))

        mean = design.X @ beta
        for random, own in zip(design.random_effects, priors.groups, strict=True):
            b = _deviations(random, own)
            mean = mean + jnp.sum(random.Z * b[random.codes], axis=1)
        sigma = numpyro.sample("sigma", priors.sigma)
        if design.offset is not None:
            mean = mean + design.offset
        spread = sigma if design.weights is None else sigma / np.sqrt(design.weights)
        numpyro.sample("y", dist.Normal(mean, spread).to_event(1), obs=y)

    if noncentred:
        config = {f"b_{random.group}": TransformReparam() for random in design.random_effects}
        reparametrised: Any = numpyro.handlers.reparam(program, config=config)
        return reparametrised
    return program


def _deviations(random: RandomEffects, priors: GroupPriors) -> Any:
    """The deviations (J, q) of a grouping factor's levels, as sites of a NumPyro program."""
    import numpyro
    import numpyro.distributions as dist

    group, q = random.group, len(random.names)
    sds = [numpyro.sample(key, prior) for key, prior in zip(priors.sd_keys(), priors.sd, strict=True)]
    sd = by_column(sds, random.blocks)
    numpyro.deterministic(f"sd_{group}", sd)
    cor = [numpyro.sample(f"cor_variable_{group}_{k}", prior) for k, prior in enumerate(priors.cor)]
    factor = correlated_factor(sd, cor, random.blocks)
    if cor:
        shape = factor / sd[:, None]
        numpyro.deterministic(f"cor_{group}", shape @ shape.T)
    with numpyro.plate(f"levels of {group}", random.n_levels):
        standard = dist.Normal(0.0, 1.0).expand([q]).to_event(1)
        deviations = dist.TransformedDistribution(standard, dist.transforms.LowerCholeskyAffine(jnp.zeros(q), factor))
        return numpyro.sample(f"b_{group}", deviations)


@float64
def sample_prior(model: Model, draws: int, seed: int) -> xr.DataTree:
    """Draws of all parameters from their priors, and of the response given them.

    An ArviZ tree with groups `prior` and `prior_predictive`, one chain. Raises ModelError where a prior is flat.
    """
    import numpyro.distributions as dist
    import xarray as xr
    from numpyro.infer import Predictive

    flat = [name for name, prior in model.priors.beta.items() if isinstance(prior, dist.ImproperUniform)]
    if flat:
        raise ModelError(
            "a flat prior has no draws",
            where=f"prior of `{flat[0]}`",
            hint="give it a proper prior, such as dist.Normal(0, 10)",
        )
    drawn = Predictive(numpyro_model(model), num_samples=draws)(jax.random.key(seed), y=None)
    draws_of = {name: np.asarray(values)[None] for name, values in drawn.items()}
    prior = dataset(draws_of, groups_of(model.design), model.design.names)
    coords = sample_coords(1, draws) | {"obs": np.arange(model.design.nobs)}
    response = in_tree(model.design.response, coords)
    predicted = xr.Dataset({response: (("chain", "draw", "obs"), draws_of["y"])}, coords)
    return xr.DataTree.from_dict({"prior": prior, "prior_predictive": predicted})
