"""How the posterior of a model is sampled: what is integrated out, what NUTS moves in, how the rest is drawn.

A route is a small record, one for each kind of model: of a Normal response the exact density with all deviations
integrated out, or with those of the largest factor alone; of any other all parameters, and the deviations transported
by Laplace's approximation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hier.model import Specification
from hier.model.density import Density
from hier.model.parameter_names import further_variable
from hier.model.problem import Problem, padded, posterior_problem
from hier.posterior import draws as exact
from hier.posterior import partial, whitening
from hier.posterior.draws import Draws
from hier.posterior.grouping import covariance_matrices, groups_of, spreads_of
from hier.posterior.integration import choose_integration
from hier.posterior.nuts import Sampled
from hier.posterior.partial import PartialDensity, PartialProblem
from hier.posterior.row_sampling import transported_route
from hier.posterior.whitening import Whitening


class SamplingRoute(Protocol):
    """How a model is sampled: `density`, in which NUTS moves, as a phrase `of`; its `arrays`, which have their shapes
    before the mode is known; and `notes` on what was chosen.
    """

    @property
    def density(self) -> Sampled: ...
    @property
    def arrays(self) -> Any: ...
    @property
    def of(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def programs(self) -> Sequence[Callable[[], None]]:
        """What loads or compiles the programs that the other steps ask for."""
        ...

    def begin(self) -> tuple[Whitening, Any]:
        """Where the chains begin: the affine map of the Laplace approximation, and the arrays of the density."""
        ...

    def finish(self, x: np.ndarray, arrays: Any, seed: int, kept: Sequence[bool]) -> Draws:
        """Draws of all parameters and deviations from those of what NUTS moves in, `x` (C, D, n); `kept`: of which
        grouping factors the deviations are, in the kernel's order.
        """
        ...


@dataclass(frozen=True)
class AllIntegrated:
    """The deviations of all grouping factors are integrated out, and drawn exactly afterwards."""

    density: Density
    arrays: Problem
    n_levels: list[int]
    notes: tuple[str, ...]
    of: str = "the exact marginal density"

    def programs(self) -> Sequence[Callable[[], None]]:
        return (
            lambda: whitening.prepare(self.density, self.arrays),
            lambda: exact.prepare(self.density, self.arrays),
        )

    def begin(self) -> tuple[Whitening, Problem]:
        return whitening.laplace_map(self.density, self.arrays), self.arrays

    def finish(self, x: np.ndarray, arrays: Problem, seed: int, kept: Sequence[bool]) -> Draws:
        return exact.draw_all(x, arrays, self.density, _kept_levels(self.n_levels, kept), seed)


@dataclass(frozen=True)
class LargestIntegrated:
    """The deviations of the largest grouping factor are integrated out, those of the others sampled. `whole`: the
    arrays in which nothing is sampled, at whose mode the sampled deviations are placed.
    """

    density: PartialDensity
    arrays: PartialProblem
    whole: Problem
    n_levels: list[int]
    notes: tuple[str, ...]
    of: str

    def programs(self) -> Sequence[Callable[[], None]]:
        variances = self.density.density
        return (
            lambda: whitening.prepare(variances, self.whole),
            lambda: partial.prepare(variances, self.whole),
            lambda: exact.prepare(self.density, self.arrays, exact.draw_given_sampled),
        )

    def begin(self) -> tuple[Whitening, PartialProblem]:
        variances = self.density.density
        few = whitening.laplace_map(variances, self.whole)
        placed = partial.place(self.arrays, variances, few.centre, self.whole)
        return whitening.beside(few, self.density.n_sampled), placed

    def finish(self, x: np.ndarray, arrays: PartialProblem, seed: int, kept: Sequence[bool]) -> Draws:
        n_levels = _kept_levels(self.n_levels, kept)
        return exact.draw_all(x, arrays, self.density, n_levels, seed, exact.draw_given_sampled)


def _kept_levels(n_levels: Sequence[int], kept: Sequence[bool]) -> list[int | None]:
    return [J if own else None for J, own in zip(n_levels, kept, strict=True)]


def sampling_route(model: Specification, integrate: str) -> SamplingRoute:
    """The route of a model. Raises FitError where the deviations that are to be integrated out cannot be."""
    return _exact_route(model, integrate) if model.is_linear_normal else transported_route(model)


def _exact_route(model: Specification, integrate: str) -> SamplingRoute:
    problem = padded(posterior_problem(model))
    assert problem.priors is not None
    density = Density(model.terms, problem.priors.fixed.count, with_volume=True)
    chosen = choose_integration(problem.cross, integrate)
    ordered = model.structure.ordered(model.design.random_effects)
    n_levels, names = [own.n_levels for own in ordered], [own.group for own in ordered]
    sizes = [own.n_levels * len(own.names) for own in ordered]
    notes = () if chosen.costs is None else (chosen.in_words(names, sizes),)
    if not chosen.sampled:
        return AllIntegrated(density, problem, n_levels, notes)
    of = f"the exact density with the deviations of {', '.join(names[k] for k in chosen.sampled)}"
    sampled, arrays = partial.partial_density(density, problem), partial.unplaced(problem)
    return LargestIntegrated(sampled, arrays, problem, n_levels, notes, of)


def by_variable(model: Specification, drawn: Draws) -> dict[str, np.ndarray]:
    """The draws by the names of their variables, grouping factors in the design's order; those that are kept."""
    design = model.design
    found = {"beta": drawn.beta[..., : len(design.names)]} if design.names else {}
    for k, (group, priors) in enumerate(zip(groups_of(design), model.priors.groups, strict=True)):
        at, own = model.structure.place(k), group.variables
        sd, cor = drawn.sd[at], drawn.cor[at] if group.is_correlated else None
        if priors.moved:
            found |= _spreads(own.sd_centred, own.cor_centred, sd, cor)
            anchored = covariance_matrices(sd, cor, group.blocks)
            sd, cor = spreads_of(priors.to_user @ anchored @ priors.to_user.T, group.blocks)
        found |= _spreads(own.sd, own.cor, sd, cor)
        if drawn.b[at].size:
            found[own.b] = drawn.b[at]
    if design.n_cutpoints:
        found["cutpoints"] = drawn.cutpoints
    for own, values in zip(design.parameters, drawn.others, strict=True):
        variable = further_variable(own.name, has_formula=own.has_formula)
        found[variable] = values if own.has_formula else values[..., 0]
    return found


def _spreads(sd_name: str, cor_name: str, sd: np.ndarray, cor: np.ndarray | None) -> dict[str, np.ndarray]:
    return {sd_name: sd} if cor is None else {sd_name: sd, cor_name: cor}
