"""The model as a full NumPyro program, group deviations included: to read, to extend, and to check the sampler by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from hier.design import RandomEffects
from hier.errors import ModelError
from hier.kernel.densities import Observed
from hier.kernel.parameters import by_column, correlated_factor
from hier.kernel.precision import float64, kept_programs
from hier.model import Model
from hier.model.families import drawing
from hier.posterior.dataset import dataset, further_variables, in_tree, sample_coords
from hier.posterior.groups import groups_of

if TYPE_CHECKING:
    import xarray as xr
    from numpyro.distributions import Distribution

    from hier.model.priors import GroupPriors, ParameterPriors, Priors


def numpyro_model(model: Model, *, noncentred: bool = True) -> Callable[..., None]:
    """The NumPyro program of a model, with every group deviation as a variable and the same priors as `sample()`.

    Its sites are `beta`, `sd_GROUP`, `cor_GROUP`, `b_GROUP`, `cutpoints` of an ordered response, and each further
    parameter of the response's distribution by its name (`sigma`, `shape`, ...), or where it has a formula its
    coefficients (`beta_sigma`), as in the posterior; the response is the site `y`, observed unless the program is
    called with `y=None`. `noncentred` writes the deviations as a factor times standard Normal variables, which NUTS
    explores better where the data say little about each group; False leaves them as they are.
    """
    import numpyro
    from numpyro.infer.reparam import TransformReparam

    design, priors = model.design, model.priors

    def program(y: Any = design.y) -> None:
        beta = _coefficients("beta", priors.beta, lambda name: f"beta[{name}]", priors, "Intercept")
        mean = design.X @ beta
        for random, own in zip(design.random_effects, priors.groups, strict=True):
            b = _deviations(random, own)
            mean = mean + jnp.sum(random.Z * b[random.codes], axis=1)
        if design.offset is not None:
            mean = mean + design.offset
        cutpoints = _cutpoints(priors, beta)
        further = _further_parameters(model)
        numpyro.sample("y", _response(model, mean, further, cutpoints).to_event(1), obs=y)

    if noncentred:
        config = {f"b_{random.group}": TransformReparam() for random in design.random_effects}
        reparametrised: Any = numpyro.handlers.reparam(program, config=config)
        return reparametrised
    return program


def _coefficients(
    site: str,
    own: Mapping[str, Distribution],
    key: Callable[[str], str],
    priors: Priors | ParameterPriors,
    intercept: str,
) -> Any:
    """Coefficients (p,) as one site, each under its own prior; that of the intercept may be one at the means of the
    columns.
    """
    import numpyro

    drawn = {name: numpyro.sample(key(name), prior) for name, prior in own.items()}
    if priors.centred_intercept and intercept in drawn:
        means = priors.column_means
        slopes = sum(means[k] * drawn[name] for k, name in enumerate(own) if name != intercept)
        drawn[intercept] = drawn[intercept] - slopes
    return numpyro.deterministic(site, jnp.stack(list(drawn.values())) if drawn else jnp.zeros(0))


def _cutpoints(priors: Priors, beta: Any) -> Any:
    """The cutpoints (k,) of an ordered response; k is 0 for any other."""
    import numpyro

    from hier.posterior.rows import Ascending

    if not priors.cutpoints:
        return jnp.zeros(0)
    ascending = Ascending(list(priors.cutpoints.values()))
    if not priors.centred_intercept:
        return numpyro.sample("cutpoints", ascending)
    at_means: Any = numpyro.sample("cutpoints_at_means", ascending)
    return numpyro.deterministic("cutpoints", at_means + priors.column_means @ beta)


def _further_parameters(model: Model) -> list[Any]:
    """The linear predictor of every further parameter of the response's distribution, in the order of its record."""
    import numpyro

    found = []
    links = model.likelihood.links[1:]
    for link, design, own in zip(links, model.design.parameters, model.priors.parameters, strict=True):
        if own.has_formula:
            coefficients = _coefficients(f"beta_{own.name}", own.priors, str, own, own.intercept)
            eta = design.X @ coefficients
        else:
            eta = link.apply(numpyro.sample(own.name, own.priors[own.name]))
        eta = eta if design.offset is None else eta + design.offset
        found.append(jnp.broadcast_to(eta, (model.design.nobs,)))
    return found


def _response(model: Model, mean: Any, further: list[Any], cutpoints: Any) -> Distribution:
    """The distribution of all rows' responses, by the linear predictors of its parameters."""
    import numpyro.distributions as dist

    from hier.posterior.rows import Rows

    if model.is_linear_normal:
        return dist.Normal(mean, jnp.exp(further[0]))
    design = model.design
    trials = np.ones(design.nobs) if design.trials is None else design.trials
    observed = Observed(jnp.zeros(design.nobs), trials, cutpoints)
    return Rows(model.likelihood, drawing(model.family), observed, (mean, *further), model.row_weights)


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


@kept_programs
@float64
def sample_prior(model: Model, draws: int, seed: int) -> xr.DataTree:
    """Draws of all parameters from their priors, and of the response given them.

    An ArviZ tree with groups `prior` and `prior_predictive`, one chain. Raises ModelError where a prior is flat.
    """
    import numpyro.distributions as dist
    import xarray as xr
    from numpyro.infer import Predictive

    priors = model.priors
    coefficients = [priors.beta, priors.cutpoints, *(own.priors for own in priors.parameters)]
    flat = [name for own in coefficients for name, p in own.items() if isinstance(p, dist.ImproperUniform)]
    if flat:
        raise ModelError(
            "a flat prior has no draws",
            where=f"prior of `{flat[0]}`",
            hint="give it a proper prior, such as dist.Normal(0, 10)",
        )
    drawn = Predictive(numpyro_model(model), num_samples=draws)(jax.random.key(seed), y=None)
    draws_of = {name: np.asarray(values)[None] for name, values in drawn.items()}
    prior = dataset(draws_of, groups_of(model.design), model.design.names, further=further_variables(model.design))
    coords = sample_coords(1, draws) | {"obs": np.arange(model.design.nobs)}
    response = in_tree(model.design.response, coords)
    predicted = xr.Dataset({response: (("chain", "draw", "obs"), draws_of["y"])}, coords)
    return xr.DataTree.from_dict({"prior": prior, "prior_predictive": predicted})
