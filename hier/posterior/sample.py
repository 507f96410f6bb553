"""Sampling a model's posterior: NUTS on an exact marginal density, then exact draws of everything else."""

from __future__ import annotations

from typing import Any

import numpy as np

from hier.errors import FitError
from hier.estimate.fit import refuse_other_than_normal
from hier.estimate.progress import progress_bar
from hier.model import Model
from hier.model.density import Density
from hier.model.problem import Problem, posterior_problem, terms_of
from hier.posterior.devices import use_device
from hier.posterior.diagnostics import load_ahead
from hier.posterior.groups import groups_of
from hier.posterior.result import MAX_TREE_DEPTH, TARGET_ACCEPT, WARMUP, Posterior, Settings
from hier.posterior.route import Route, choose_route


def sample(
    model: Model,
    *,
    chains: int = 4,
    draws: int = 1000,
    warmup: int = WARMUP,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
    target_accept: float = TARGET_ACCEPT,
    max_tree_depth: int = MAX_TREE_DEPTH,
    integrate: str = "auto",
) -> Posterior:
    """Draws from the posterior of all parameters and group deviations.

    The group deviations, and the fixed effects whose priors are Normal or flat, are integrated out exactly; NUTS
    samples the remaining few parameters, and the integrated ones are drawn exactly afterwards, so that they are as
    good as independent. Where crossed factors make that dear, only the deviations of the largest are integrated out,
    and those of the others are sampled: `integrate` is "auto", which takes the cheaper way, "all" or "largest".

    `chains` x `draws` draws after `warmup` iterations a chain, from `seed`: the same seed gives the same draws on the
    same machine. `device`: "cpu", "gpu", or "auto". `progress` shows a bar. Raises FitError for settings that make no
    sense.
    """
    for name, value, least in (
        ("chains", chains, 1),
        ("draws", draws, 4),
        ("warmup", warmup, 20),
        ("max_tree_depth", max_tree_depth, 1),
        ("seed", seed, 0),
    ):
        if int(value) != value or value < least:
            raise FitError(f"`{name}` cannot be {value}", expected=f"a whole number, {least} or more")
    if not 0.0 < target_accept < 1.0:
        raise FitError(f"`target_accept` cannot be {target_accept}", expected="a number between 0 and 1")
    refuse_other_than_normal(model)
    load_ahead()
    structure = model.structure
    problem = posterior_problem(model.design, structure, model.priors)
    assert problem.priors is not None
    density = Density(terms_of(model.design, structure), len(problem.priors.held), with_volume=True)
    route = choose_route(problem.cross, integrate)
    n_levels = [model.design.random_effects[k].n_levels for k in structure.order]
    options = {"chains": chains, "warmup": warmup, "target_accept": target_accept, "max_tree_depth": max_tree_depth}
    way = _with_all if not route.sampled else _with_largest
    with progress_bar(warmup + draws, "Sampling", shown=progress) as on_progress:
        run = {"draws": draws, "seed": seed, "on_progress": on_progress}
        trace, drawn = way(density, problem, n_levels, device, options, run)
    settings = Settings(chains=chains, draws=draws, warmup=warmup, seed=seed, max_tree_depth=max_tree_depth)
    return _posterior(model, settings, route, trace, drawn)


def _with_all(
    density: Density, problem: Problem, n_levels: list[int], device: str, options: dict[str, Any], run: dict[str, Any]
) -> tuple[Any, Any]:
    """NUTS with all deviations integrated out, and the exact draws of the rest."""
    from hier.kernel.programs import together
    from hier.posterior import draws as exact
    from hier.posterior import nuts, whitening

    with use_device(device, problem):
        together(
            lambda: nuts.prepare(density, problem, **options),
            lambda: whitening.prepare(density, problem),
            lambda: exact.prepare(density, problem),
        )
        start = whitening.laplace_map(density, problem)
        trace = nuts.run_nuts(density, problem, start, **run, **options)
        return trace, exact.draw_all(trace.x, problem, density, n_levels, run["seed"])


def _with_largest(
    density: Density, problem: Problem, n_levels: list[int], device: str, options: dict[str, Any], run: dict[str, Any]
) -> tuple[Any, Any]:
    """NUTS with the largest factor's deviations integrated out, and the exact draws of the rest."""
    from hier.kernel.programs import together
    from hier.posterior import draws as exact
    from hier.posterior import nuts, partial, whitening

    given = partial.unplaced(problem)
    sampled = partial.partial_density(density, problem)
    with use_device(device, given):
        together(
            lambda: nuts.prepare(sampled, given, **options),
            lambda: whitening.prepare(density, problem),
            lambda: partial.prepare(density, problem),
            lambda: exact.prepare(sampled, given, exact.draw_given_sampled),
        )
        start = whitening.laplace_map(density, problem)
        given = partial.place(given, density, start.centre, problem)
        start = whitening.beside(start, sampled.n_sampled)
        trace = nuts.run_nuts(sampled, given, start, **run, **options)
        drawn = exact.draw_all(trace.x, given, sampled, n_levels, run["seed"], exact.draw_given_sampled)
        return trace, drawn


def _posterior(model: Model, settings: Settings, route: Route, trace: Any, drawn: Any) -> Posterior:
    design, groups = model.design, groups_of(model.design)
    ordered = [groups[k] for k in model.structure.order]
    names, sizes = [g.name for g in ordered], [g.n_levels * len(g.names) for g in ordered]
    said = [route.in_words(names, sizes)] if route.costs is not None else []
    draws = {"beta": drawn.beta}
    for k, group in enumerate(groups):
        at = model.structure.order.index(k)
        draws[f"sd_{group.name}"] = drawn.sd[at]
        if group.is_correlated:
            draws[f"cor_{group.name}"] = drawn.cor[at]
        draws[f"b_{group.name}"] = drawn.b[at]
    draws["sigma"] = drawn.sigma
    stats = {
        "lp": trace.lp,
        "energy": trace.energy,
        "n_steps": trace.n_steps.astype(np.int64),
        "tree_depth": np.floor(np.log2(np.maximum(trace.n_steps, 1))).astype(np.int64) + 1,
        "acceptance_rate": trace.acceptance_rate,
        "diverging": trace.diverging,
        "step_size": trace.step_size,
    }
    return Posterior(
        formula=str(model.formula),
        family=model.family.name,
        response=design.response,
        coef_names=design.names,
        groups=groups,
        settings=settings,
        priors=dict(model.priors.rows()),
        notes=(*design.notes(), *said),
        draws=draws,
        stats=stats,
        observed=design.y,
        sampled=tuple(names[k] for k in route.sampled),
    )
