"""What NUTS samples of a model that is not Normal, as values of the sites of the full NumPyro program."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers
from numpyro.distributions import biject_to
from numpyro.infer.util import potential_energy

import hier
from hier.kernel.laplace.conditional import LEAST_CURVATURE
from hier.kernel.programs.precision import float64
from hier.posterior.grouping import groups_of
from hier.posterior.row_sampling import Placed, RowSampled, _natural, _placing, sampled_of


class Pair(NamedTuple):
    """Log densities at several points: that which is sampled, and the program's with the volume of the map."""

    sampled: np.ndarray
    program: np.ndarray


@float64
def at_random_points(model: hier.Model, seed: int = 0, points: int = 4) -> Pair:
    """Both log densities of the sampled vector, each up to a constant of its own.

    The program's is over the unconstrained values of its sites, deviations included; the log volume of the map from
    the sampled vector to these is found by automatic differentiation of the draws that a user gets. The deviations
    are transported by the expansion at an arbitrary point: whatever it is, the density has to be exact.
    """
    sampled, problem = sampled_of(model)
    rng = np.random.default_rng(seed)
    placed = placed_anywhere(sampled, problem, rng)
    program = model.numpyro_model(noncentred=False)
    given = {"y": model.design.y}
    trace = handlers.trace(handlers.seed(program, jax.random.key(0))).get_trace(**given)
    own = {name: site for name, site in trace.items() if site["type"] == "sample" and not site["is_observed"]}
    transforms = {name: biject_to(site["fn"].support) for name, site in own.items()}

    def unconstrained(vector: Any) -> dict[str, Any]:
        values = sites(model, sampled, placed, vector)
        assert values.keys() == own.keys()
        return {name: transforms[name].inv(value) for name, value in values.items()}

    def flat(vector: Any) -> Any:
        own = [jnp.ravel(value) for value in unconstrained(vector).values()]
        return jnp.concatenate([*own, filling(model, sampled, placed, vector)])

    @jax.jit
    def both(vector: Any) -> tuple[Any, Any]:
        found = -potential_energy(program, (), given, unconstrained(vector))
        found = found - 0.5 * jnp.sum(filling(model, sampled, placed, vector) ** 2)
        volume = jnp.linalg.slogdet(jax.jacfwd(flat)(vector))[1]
        return -0.5 * sampled.neg2_log_density(vector, placed), found + volume

    vectors = 0.7 * rng.normal(size=(points, sampled.size))
    found = np.array([both(vector) for vector in vectors])
    return Pair(*found.T)


def placed_anywhere(sampled: RowSampled, problem: Any, rng: np.random.Generator) -> Placed:
    """Deviations placed by the expansion at random parameters and deviations."""
    model, rows = sampled.conditional, problem.rows
    outer = sampled.density.outer(0.3 * rng.normal(size=sampled.n_dense), problem)
    eta = model.mean_predictor(outer, _some_deviations(rows, rng), rows)
    return Placed(problem, model.expanded(eta, outer, _placing(rows, outer.cutpoints), LEAST_CURVATURE))


def _some_deviations(rows: Any, rng: np.random.Generator) -> Any:
    from hier.kernel.laplace.conditional import no_deviations

    return jax.tree.map(lambda u: 0.3 * rng.normal(size=u.shape), no_deviations(rows, with_fixed=False))


def filling(model: hier.Model, sampled: RowSampled, placed: Placed, vector: Any) -> Any:
    """What the sampled vector has beyond the model's own: standard Normal coefficients of columns of zeros, and the
    numbers of levels without rows.
    """
    found, at = [_natural(vector, placed, sampled).beta[len(model.design.names) :]], sampled.n_dense
    for (q, J), own in zip(sampled.shapes, model.structure.ordered(model.design.random_effects), strict=True):
        found.append(jnp.ravel(vector[at : at + q * J].reshape(q, J)[:, own.n_levels :]))
        at += q * J
    return jnp.concatenate(found)


def sites(model: hier.Model, sampled: RowSampled, placed: Placed, vector: Any) -> dict[str, Any]:
    """The values of the program's sites at a sampled vector, from the draw that a user gets of it."""
    draw = _natural(vector, placed, sampled)
    found = {"beta": draw.beta[: len(model.design.names)]} if model.design.names else {}
    if model.priors.cutpoints:
        found["cutpoints"] = draw.cutpoints
    for own, values in zip(model.design.parameters, draw.others, strict=True):
        found |= {f"beta_{own.name}": values} if own.has_formula else {own.name: values[0]}
    for k, (group, own) in enumerate(zip(groups_of(model.design), model.priors.groups, strict=True)):
        at, centred = model.structure.order.index(k), "_centred" if own.moved else ""
        found[f"sd_{group.stem}{centred}"] = draw.sd[at]
        if own.cor:
            found[f"cor_{group.stem}{centred}"] = draw.cor[at]
        found[f"b_{group.stem}"] = draw.b[at][: model.design.random_effects[k].n_levels]
    return found
