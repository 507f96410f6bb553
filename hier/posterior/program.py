"""The model as a full NumPyro program, group deviations included: to read, to extend, and to check the sampler by."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from hier.design import RandomEffects
from hier.errors import ModelError
from hier.estimate.tables import correlated_pairs
from hier.kernel.covariance.unconstrained import correlated_factor
from hier.kernel.laplace.log_densities import Observed
from hier.kernel.programs.precision import float64, kept_programs
from hier.model import Specification
from hier.model.families import drawing
from hier.model.parameter_names import further_variable
from hier.posterior.dataset import coordinate, dataset, further_variables, numbers_a_draw, sample_coords
from hier.posterior.grouping import Group, groups_of
from hier.posterior.variable_names import in_tree
from hier.settings import COUNT, SEED, TRUTH, check, refuse_beyond_memory

if TYPE_CHECKING:
    import xarray as xr
    from numpyro.distributions import Distribution

    from hier.model.priors import GroupPriors, Priors


def numpyro_model(model: Specification, *, noncentred: bool = True) -> Callable[..., None]:
    """The NumPyro program of a model, with every group deviation as a variable and the same priors as `sample()`.

    Its sites are `beta`, `sd_GROUP`, `cor_GROUP` (of the pairs of columns, in the order of `varcorr`), `b_GROUP`,
    `cutpoints` of an ordered response, and each further parameter of the response's distribution by its name (`sigma`,
    `shape`, ...), or where it has a formula its coefficients (`beta_sigma`): the variables of a posterior, by the same
    names. Where the priors of a group are those of the deviations at the means of the columns, the sites are
    `sd_GROUP_centred` and `cor_GROUP_centred`, and `sd_GROUP` and `cor_GROUP` follow from them. So
    `Predictive(program, posterior.draws, batch_ndims=2)` with `noncentred=False` replicates the response.

    The response is the site `y` in a plate `obs` over the rows: `program(y=values)` conditions on these values, such as
    the observed ones, `model.design.y`. Without them, `y` is drawn where there is a key to draw it with, as in
    `Predictive`; where there is none, as in `log_likelihood`, the observed response is scored.

    `noncentred` writes the deviations as a factor times standard Normal variables (the site `b_GROUP_base`), which NUTS
    explores better where the data say little about each group; False leaves them as they are.
    """
    import numpyro
    from numpyro.infer.reparam import TransformReparam

    from hier.posterior.sites import coefficients

    noncentred = check("noncentred", noncentred, TRUTH)
    design, priors = model.design, model.priors
    groups = groups_of(design)

    def program(y: jax.Array | np.ndarray | None = None) -> None:
        if y is None and numpyro.prng_key() is None:
            y = design.y
        mean = jnp.zeros(design.nobs) if design.offset is None else jnp.asarray(design.offset)
        beta = jnp.zeros(0)
        if priors.beta:
            own = coefficients(list(priors.beta.values()), priors.at)
            beta = numpyro.sample("beta", own, infer={"event_dims": ["coef"]})
            mean = mean + design.X @ beta
        for random, group, own in zip(design.random_effects, groups, priors.groups, strict=True):
            b = _deviations(random, group, own)
            mean = mean + jnp.sum(random.Z * b[random.codes], axis=1)
        cutpoints = _cutpoints(priors, beta)
        further = _further_parameters(model)
        with numpyro.plate("obs", design.nobs):
            numpyro.sample("y", _response(model, mean, further, cutpoints), obs=y)

    if noncentred:
        config = {group.variables.b: TransformReparam() for group in groups}
        reparametrised: Any = numpyro.handlers.reparam(program, config=config)
        return reparametrised
    return program


def _cutpoints(priors: Priors, beta: jax.Array) -> Any:
    """The cutpoints (k,) of an ordered response; k is 0 for any other."""
    import numpyro

    from hier.posterior.sites import Ascending

    if not priors.cutpoints:
        return jnp.zeros(0)
    own = Ascending(list(priors.cutpoints.values()), priors.shift @ beta)
    return numpyro.sample("cutpoints", own, infer={"event_dims": ["cutpoint"]})


def _further_parameters(model: Specification) -> list[Any]:
    """The linear predictor of every further parameter of the response's distribution, in the order of its record."""
    import numpyro

    from hier.posterior.sites import coefficients

    found = []
    links = model.likelihood.links[1:]
    for link, design, own in zip(links, model.design.parameters, model.priors.parameters, strict=True):
        if own.has_formula:
            site, dims = further_variable(own.name, has_formula=True), {"event_dims": [f"{own.name}_coef"]}
            eta = design.X @ numpyro.sample(site, coefficients(list(own.priors.values()), own.at), infer=dims)
        else:
            eta = link.apply(numpyro.sample(own.name, own.priors[own.name]))
        eta = eta if design.offset is None else eta + design.offset
        found.append(jnp.broadcast_to(eta, (model.design.nobs,)))
    return found


def _response(model: Specification, mean: jax.Array, further: list[jax.Array], cutpoints: jax.Array) -> Distribution:
    """The distribution of all rows' responses, by the linear predictors of its parameters."""
    import numpyro.distributions as dist

    from hier.posterior.row_distribution import RowDistribution

    if model.is_linear_normal:
        return dist.Normal(mean, jnp.exp(further[0]))
    design = model.design
    trials = np.ones(design.nobs) if design.trials is None else design.trials
    observed = Observed(jnp.zeros(design.nobs), trials, cutpoints)
    kind = model.family.response
    return RowDistribution(kind, model.likelihood, drawing(model.family), observed, (mean, *further), model.row_weights)


def _deviations(random: RandomEffects, group: Group, priors: GroupPriors) -> Any:
    """The deviations (J, q) of a grouping factor's levels, as sites of a NumPyro program."""
    import numpyro
    import numpyro.distributions as dist

    from hier.posterior.sites import Correlations, Turned, spreads

    stem, blocks, q = group.stem, random.blocks, len(random.names)
    own_names = group.variables
    sd_site, cor_site = own_names[-2:] if priors.moved else own_names[:2]
    sd = numpyro.sample(sd_site, spreads(priors.sd, blocks), infer={"event_dims": [f"{stem}_coef"]})
    cor: list[Any] = []
    if priors.cor:
        own = Correlations(priors.cor, priors.blocks)
        cor = own.variables(numpyro.sample(cor_site, own, infer={"event_dims": [f"{stem}_pair"]}))
    factor = correlated_factor(sd, cor, blocks)
    maps: list[Any] = [dist.transforms.LowerCholeskyAffine(jnp.zeros(q), factor)]
    if priors.moved:
        maps.append(Turned(priors.to_user))
        covariance = jnp.asarray(priors.to_user) @ factor
        covariance = covariance @ covariance.T
        own_sd = jnp.sqrt(jnp.diagonal(covariance))
        i, j = np.array(correlated_pairs(blocks)).T
        numpyro.deterministic(own_names.sd, own_sd)
        numpyro.deterministic(own_names.cor, covariance[i, j] / (own_sd[i] * own_sd[j]))
    with numpyro.plate(stem, random.n_levels):
        standard = dist.Normal(0.0, 1.0).expand([q]).to_event(1)
        deviations = dist.TransformedDistribution(standard, maps)
        return numpyro.sample(own_names.b, deviations, infer={"event_dims": [f"{stem}_coef"]})


@kept_programs
@float64
def sample_prior(model: Specification, draws: int, seed: int) -> xr.DataTree:
    """Draws of all parameters from their priors, and of the response given them.

    An ArviZ tree with groups `prior` and `prior_predictive`, one chain. Raises ModelError where a prior is flat.
    """
    import numpyro.distributions as dist
    import xarray as xr
    from numpyro.infer import Predictive

    draws, seed = check("draws", draws, COUNT), check("seed", seed, SEED)
    held = float(draws) * (numbers_a_draw(model.design) + model.design.nobs)
    refuse_beyond_memory(f"{draws} draws from the prior", held, "draw fewer")
    priors = model.priors
    coefficients = [priors.beta, priors.cutpoints, *(own.priors for own in priors.parameters)]
    flat = [name for own in coefficients for name, p in own.items() if isinstance(p, dist.ImproperUniform)]
    if flat:
        raise ModelError(
            "a flat prior has no draws",
            where=f"prior of `{flat[0]}`",
            hint="give it a proper prior, such as dist.Normal(0, 10)",
        )
    drawn = Predictive(numpyro_model(model), num_samples=draws)(jax.random.key(seed))
    draws_of = {name: np.asarray(values)[None] for name, values in drawn.items()}
    prior = dataset(draws_of, groups_of(model.design), model.design.names, further=further_variables(model.design))
    coords = sample_coords(1, draws) | {"obs": coordinate(model.design.index)}
    response = in_tree(model.design.response, coords)
    drawn_rows = model.design.in_numbers(draws_of["y"])
    predicted = xr.Dataset({response: (("chain", "draw", "obs"), drawn_rows)}, coords)
    return xr.DataTree.from_dict({"prior": prior, "prior_predictive": predicted})
