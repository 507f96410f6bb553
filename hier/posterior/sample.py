"""Sampling a model's posterior: NUTS on the exact marginal density, then exact draws of everything else."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hier.errors import FitError
from hier.estimate.progress import progress_bar
from hier.model import Model
from hier.model.density import Density
from hier.model.problem import posterior_problem, terms_of
from hier.posterior.dataset import further_variables
from hier.posterior.devices import use_device
from hier.posterior.diagnostics import load_ahead
from hier.posterior.groups import groups_of
from hier.posterior.result import MAX_TREE_DEPTH, TARGET_ACCEPT, WARMUP, Posterior, Settings


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
) -> Posterior:
    """Draws from the posterior of all parameters and group deviations.

    Of a Normal response the group deviations, and the fixed effects whose priors are Normal or flat, are integrated out
    exactly; NUTS samples the remaining few parameters, and the integrated ones are drawn exactly afterwards, so that
    they are as good as independent. Of any other response NUTS samples everything, the deviations being transported by
    the Laplace approximation.

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
    load_ahead()
    route = _normal if model.is_linear_normal else _generalised
    run = Run(chains, draws, warmup, seed, device, progress, target_accept, max_tree_depth)
    settings = Settings(chains=chains, draws=draws, warmup=warmup, seed=seed, max_tree_depth=max_tree_depth)
    return _posterior(model, settings, *route(model, run))


class Run(NamedTuple):
    """What a user says of a run."""

    chains: int
    draws: int
    warmup: int
    seed: int
    device: str
    progress: bool
    target_accept: float
    max_tree_depth: int

    @property
    def options(self) -> dict[str, Any]:
        """What the sampler is compiled with."""
        names = ("chains", "warmup", "target_accept", "max_tree_depth")
        return {name: getattr(self, name) for name in names}


def _normal(model: Model, run: Run) -> tuple[Any, dict[str, np.ndarray], str]:
    """NUTS on the exact marginal density, then exact draws of the rest."""
    from hier.kernel.programs import together
    from hier.posterior import draws as exact
    from hier.posterior import nuts

    structure = model.structure
    problem = posterior_problem(model.design, structure, model.priors)
    assert problem.priors is not None
    density = Density(terms_of(model.design, structure), len(problem.priors.held), with_volume=True)
    n_levels = [model.design.random_effects[k].n_levels for k in structure.order]
    total = run.warmup + run.draws
    with use_device(run.device, problem), progress_bar(total, "Sampling", shown=run.progress) as on_progress:
        together(lambda: nuts.prepare(density, problem, **run.options), lambda: exact.prepare(density, problem))
        trace = nuts.run_nuts(density, problem, draws=run.draws, seed=run.seed, on_progress=on_progress, **run.options)
        drawn = exact.draw_all(trace.x, problem, density, n_levels, run.seed)
    draws = {"beta": drawn.beta, **_of_groups(model, drawn), "sigma": drawn.sigma}
    return trace, draws, "NUTS on the exact marginal density"


def _generalised(model: Model, run: Run) -> tuple[Any, dict[str, np.ndarray], str]:
    """NUTS on all parameters and deviations, these transported by the Laplace approximation."""
    from hier.posterior import generalised, nuts

    sampled, problem = generalised.sampled_of(model)
    total = run.warmup + run.draws
    with use_device(run.device, problem), progress_bar(total, "Sampling", shown=run.progress) as on_progress:
        whitening, placed = generalised.place(model, sampled, problem)
        trace = nuts.run_nuts(
            sampled, placed, whitening, draws=run.draws, seed=run.seed, on_progress=on_progress, **run.options
        )
        drawn = generalised.on_user_scale(trace.x, placed, sampled)
    draws = {"beta": drawn.beta, **_of_groups(model, drawn)}
    if model.design.n_cutpoints:
        draws["cutpoints"] = drawn.cutpoints
    for own, values in zip(model.design.parameters, drawn.others, strict=True):
        draws |= {f"beta_{own.name}": values} if own.has_formula else {own.name: values[..., 0]}
    return trace, draws, "NUTS on all parameters and deviations, placed by Laplace's approximation"


def _of_groups(model: Model, drawn: Any) -> dict[str, np.ndarray]:
    """Standard deviations, correlations and deviations of every grouping factor, by variable."""
    draws = {}
    for k, group in enumerate(groups_of(model.design)):
        at = model.structure.order.index(k)
        draws[f"sd_{group.name}"] = drawn.sd[at]
        if group.is_correlated:
            draws[f"cor_{group.name}"] = drawn.cor[at]
        draws[f"b_{group.name}"] = drawn.b[at]
    return draws


def _posterior(model: Model, settings: Settings, trace: Any, draws: dict[str, np.ndarray], method: str) -> Posterior:
    design = model.design
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
        groups=groups_of(design),
        further=further_variables(design),
        settings=settings,
        method=method,
        priors=dict(model.priors.rows()),
        notes=tuple(design.notes()),
        draws=draws,
        stats=stats,
        observed=design.y,
    )
