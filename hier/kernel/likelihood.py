"""A response's likelihood as the kernel knows it: a density of rows, by the linear predictors of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hier.kernel.densities import Observed
from hier.kernel.links import Link, Parameter


@dataclass(frozen=True, repr=False)
class Likelihood:
    """What a compiled program knows of a family when it is built.

    `density(observed, *parameters)`: (n,) log densities. `links`: one a parameter, that of the mean first.
    `n_cutpoints`: of an ordered response, one less than its categories; otherwise 0. `is_kept`: whether the name says
    all of the density, so that a program with it may be kept for another process; a user's own family does not.
    """

    family: str
    density: Callable[..., Any]
    links: tuple[Link, ...]
    n_cutpoints: int = 0
    is_kept: bool = True

    def __repr__(self) -> str:
        links = ", ".join(link.name for link in self.links)
        return f"{self.family}({links}; {self.n_cutpoints})"

    def log_density(self, observed: Observed, predictors: Sequence[Any]) -> Any:
        """Log density of every row (n,), from the linear predictor of each parameter (n,)."""
        parameters = [Parameter(link, eta) for link, eta in zip(self.links, predictors, strict=True)]
        return self.density(observed, *parameters)
