"""Sampling a model's posterior: what a user asks for is checked, and handed to the way that fits the model."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hier.errors import FitError
from hier.estimate.progress import progress_bar
from hier.model import Specification as Model
from hier.model.density import Density
from hier.model.problem import posterior_problem, terms_of
from hier.posterior.dataset import coordinate, further_variables, numbers_a_draw
from hier.posterior.devices import use_device
from hier.posterior.diagnostics import load_ahead
from hier.posterior.grouping import covariance_matrices, groups_of, spreads_of
from hier.posterior.posterior import MAX_TREE_DEPTH, TARGET_ACCEPT, WARMUP, Posterior, Settings
from hier.posterior.route import CHOICES, choose_route
from hier.posterior.variable_names import CENTRED
from hier.settings import SAMPLING, TRUTH, check, nearest_choice, refuse_beyond_memory, written

METHODS = {
    "nuts": "NUTS on",
    "laplace": "approximate: Laplace's Normal approximation of",
    "advi": "approximate: the best Normal approximation, by variational inference (ADVI), of",
}


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
    integrate: str
    method: str

    @property
    def options(self) -> dict[str, Any]:
        """What the sampler is compiled with."""
        names = ("chains", "warmup", "target_accept", "max_tree_depth")
        return {name: getattr(self, name) for name in names}


class RouteDraws(NamedTuple):
    """What a way of sampling gives: the `trace` of what was moved, draws by variable, the density as a phrase, and
    notes on it.
    """

    trace: Any
    draws: dict[str, np.ndarray]
    of: str
    notes: tuple[str, ...] = ()


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
    method: str = "nuts",
) -> Posterior:
    """Draws from the posterior of all parameters and group deviations.

    Of a Normal response the group deviations, and the fixed effects whose priors are Normal or flat, are integrated out
    exactly; NUTS samples the remaining few parameters, and the integrated ones are drawn exactly afterwards, so that
    they are as good as independent. Where crossed factors make that dear, only the deviations of the largest are
    integrated out, and those of the others are sampled: `integrate` is "auto", which takes the cheaper way, "all" or
    "largest". Of any other response NUTS samples everything, the deviations transported by the Laplace approximation.

    `method`: "nuts"; or for a fast look at the posterior independent draws from a Normal approximation in the
    coordinates that NUTS would move in: "laplace", by mode and curvature, or "advi", the best one by variational
    inference. What is integrated out is drawn exactly by these too. `Posterior.pareto_k` says how far to trust them.

    `chains` x `draws` draws after `warmup` iterations a chain, from `seed`: the same seed gives the same draws on the
    same machine. `device`: "cpu", "gpu", or "auto". `progress` shows a bar. Raises FitError for settings that make no
    sense.
    """
    run = Run(chains, draws, warmup, seed, device, progress, target_accept, max_tree_depth, integrate, method)
    run = _checked(run, model)
    load_ahead()
    way = _normal if model.is_linear_normal else _generalised
    return _posterior(model, run, way(model, run))


def _checked(run: Run, model: Model) -> Run:
    """The run with Python's own numbers. Raises FitError for settings that cannot be, and for more draws than there is
    memory for.
    """
    run = run._replace(**{name: check(name, getattr(run, name), setting) for name, setting in SAMPLING.items()})
    for name, choices in (("integrate", CHOICES), ("method", tuple(METHODS))):
        value = getattr(run, name)
        if not isinstance(value, str) or value not in choices:
            expected = ", ".join(f'"{choice}"' for choice in choices)
            hint = nearest_choice(value, choices)
            raise FitError(f"`{name}` cannot be {written(value)}", expected=expected, hint=hint)
    run = run._replace(progress=check("progress", run.progress, TRUTH))
    held = float(run.chains) * run.draws * numbers_a_draw(model.design)
    refuse_beyond_memory(f"{run.chains} chains of {run.draws} draws", held, "4 chains of 1,000 draws do for most uses")
    return run


def _normal(model: Model, run: Run) -> RouteDraws:
    """NUTS on the exact density with all deviations integrated out, or with those of the largest factor."""
    structure = model.structure
    problem = posterior_problem(model.design, structure, model.priors)
    assert problem.priors is not None
    density = Density(terms_of(model.design, structure), len(problem.priors.held), with_volume=True)
    route = choose_route(problem.cross, run.integrate)
    ordered = [model.design.random_effects[k] for k in structure.order]
    n_levels, names = [own.n_levels for own in ordered], [own.group for own in ordered]
    trace, drawn = (_with_largest if route.sampled else _with_all)(density, problem, n_levels, run)
    draws = {**_of_beta(drawn), **_of_groups(model, drawn), "sigma": drawn.sigma}
    sizes = [own.n_levels * len(own.names) for own in ordered]
    notes = () if route.costs is None else (route.in_words(names, sizes),)
    moved = ", ".join(names[k] for k in route.sampled)
    of = f"density with the deviations of {moved}" if moved else "marginal density"
    return RouteDraws(trace, draws, f"the exact {of}", notes)


def _with_all(density: Density, problem: Any, n_levels: list[int], run: Run) -> tuple[Any, Any]:
    """NUTS with all deviations integrated out, and the exact draws of the rest."""
    from hier.kernel.programs.compiled import together
    from hier.posterior import draws as exact
    from hier.posterior import whitening

    with use_device(run.device, problem), _bar(run) as on_progress:
        together(
            lambda: _prepare(density, problem, run),
            lambda: whitening.prepare(density, problem),
            lambda: exact.prepare(density, problem),
        )
        start = whitening.laplace_map(density, problem)
        trace = _trace(density, problem, start, run, on_progress)
        return trace, exact.draw_all(trace.x, problem, density, n_levels, run.seed)


def _with_largest(density: Density, problem: Any, n_levels: list[int], run: Run) -> tuple[Any, Any]:
    """NUTS with the largest factor's deviations integrated out, and the exact draws of the rest."""
    from hier.kernel.programs.compiled import together
    from hier.posterior import draws as exact
    from hier.posterior import partial, whitening

    given = partial.unplaced(problem)
    sampled = partial.partial_density(density, problem)
    with use_device(run.device, given), _bar(run) as on_progress:
        together(
            lambda: _prepare(sampled, given, run),
            lambda: whitening.prepare(density, problem),
            lambda: partial.prepare(density, problem),
            lambda: exact.prepare(sampled, given, exact.draw_given_sampled),
        )
        start = whitening.laplace_map(density, problem)
        given = partial.place(given, density, start.centre, problem)
        start = whitening.beside(start, sampled.n_sampled)
        trace = _trace(sampled, given, start, run, on_progress)
        return trace, exact.draw_all(trace.x, given, sampled, n_levels, run.seed, exact.draw_given_sampled)


def _generalised(model: Model, run: Run) -> RouteDraws:
    """NUTS on all parameters and deviations, these transported by the Laplace approximation."""
    from hier.kernel.programs.compiled import together
    from hier.posterior import row_sampling as generalised

    sampled, problem = generalised.sampled_of(model)
    like = generalised.unplaced(problem, sampled)
    with use_device(run.device, like), _bar(run) as on_progress:
        together(
            lambda: _prepare(sampled, like, run),
            lambda: generalised.prepare(model, sampled, problem, like),
        )
        start, placed = generalised.place(model, sampled, problem)
        trace = _trace(sampled, placed, start, run, on_progress)
        drawn = generalised.on_user_scale(trace.x, placed, sampled)
    draws = {**_of_beta(drawn), **_of_groups(model, drawn)}
    if model.design.n_cutpoints:
        draws["cutpoints"] = drawn.cutpoints
    for own, values in zip(model.design.parameters, drawn.others, strict=True):
        draws |= {f"beta_{own.name}": values} if own.has_formula else {own.name: values[..., 0]}
    return RouteDraws(trace, draws, "all parameters and deviations, placed by Laplace's approximation")


def _prepare(density: Any, problem: Any, run: Run) -> None:
    """Load or compile what `_trace` will need."""
    from hier.posterior import nuts

    if run.method == "nuts":
        nuts.prepare(density, problem, **run.options)


def _trace(density: Any, problem: Any, start: Any, run: Run, on_progress: Any) -> Any:
    """Draws of what is not integrated out, by the method that was asked for."""
    from hier.posterior import approximate, nuts

    told: dict[str, Any] = {"draws": run.draws, "seed": run.seed, "on_progress": on_progress}
    if run.method == "nuts":
        return nuts.run_nuts(density, problem, start, **told, **run.options)
    if run.method == "advi":
        start = approximate.best_normal(density, problem, start, run.seed)
    return approximate.normal_draws(density, problem, start, chains=run.chains, **told)


def _bar(run: Run) -> Any:
    total = run.draws + (run.warmup if run.method == "nuts" else 0)
    return progress_bar(total, "Sampling", shown=run.progress)


def _of_beta(drawn: Any) -> dict[str, np.ndarray]:
    return {"beta": drawn.beta} if drawn.beta.shape[-1] else {}


def _of_groups(model: Model, drawn: Any) -> dict[str, np.ndarray]:
    """Standard deviations, correlations and deviations of every grouping factor, by variable."""
    draws = {}
    for k, (group, priors) in enumerate(zip(groups_of(model.design), model.priors.groups, strict=True)):
        at, stem = model.structure.order.index(k), group.stem
        sd, cor = drawn.sd[at], drawn.cor[at] if group.is_correlated else None
        both = {"": (sd, cor)}
        if priors.moved:
            anchored = covariance_matrices(sd, cor, group.blocks)
            both = {CENTRED: (sd, cor), "": spreads_of(priors.to_user @ anchored @ priors.to_user.T, group.blocks)}
        for centred, (own_sd, own_cor) in both.items():
            draws[f"sd_{stem}{centred}"] = own_sd
            draws |= {} if own_cor is None else {f"cor_{stem}{centred}": own_cor}
        draws[f"b_{stem}"] = drawn.b[at]
    return draws


def _posterior(model: Model, run: Run, drawn: RouteDraws) -> Posterior:
    design = model.design
    observed = design.in_numbers(design.y if design.outcome.is_continuous else design.y.astype(np.int64))
    warmup = run.warmup if run.method == "nuts" else 0
    return Posterior(
        formula=str(model.formula),
        family=model.family.name,
        response=design.response,
        coef_names=design.names,
        groups=groups_of(design),
        further=further_variables(design),
        settings=Settings(run.chains, run.draws, warmup, run.seed, run.max_tree_depth),
        method=f"{METHODS[run.method]} {drawn.of}",
        priors=dict(model.priors.rows(None)),
        notes=(*design.notes(), *(own.sentence for own in model.undetermined), *drawn.notes),
        draws=drawn.draws,
        stats=drawn.trace.stats(),
        observed=observed,
        digest=model.digest,
        model=model,
        index=coordinate(design.index),
    )
