"""The bootstrap of a fit: refits of responses simulated from it, or of groups drawn with replacement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hier.design.owned import owned
from hier.errors import FitError
from hier.estimate.choices import check_choice
from hier.estimate.fitted import Fitted
from hier.estimate.mixed_model_equations import relative_factors
from hier.estimate.printing import Table
from hier.estimate.progress import progress_bar
from hier.estimate.refits import ManyEstimates, fit_responses, in_user_units
from hier.estimate.routes import refuse_unless_offered
from hier.estimate.simulate import simulate_responses
from hier.kernel.algebra.crossproducts import FactorColumns
from hier.kernel.covariance.theta import theta_of
from hier.kernel.normal.many_responses import Searches
from hier.kernel.normal.resample import fit_resampled, of_levels
from hier.kernel.search.moments import SMALLEST
from hier.model.parameter_names import varcorr_name
from hier.model.problem import Problem, likelihood_problem
from hier.model.specification import refuse_without_groups
from hier.settings import PROBABILITY, REFITS, SEED, check, refuse_beyond_memory


@dataclass(frozen=True)
class Bootstrap:
    """Refits of a bootstrap: `refits`, a row each, and `original`, the parameters of the estimate.

    `drawn`: how many times each level was drawn, a row a refit; None for the parametric bootstrap.
    """

    refits: ManyEstimates = field(repr=False)
    original: pd.Series
    drawn: pd.DataFrame | None = field(default=None, repr=False)

    @property
    def note(self) -> str:
        """What was done, and which refits count for nothing or for less."""
        n, outermost = len(self), None if self.drawn is None else self.drawn.columns.name
        said = f"{n} refits of " + ("simulated responses" if outermost is None else f"levels of `{outermost}` drawn")
        undetermined = int(self.refits.sigma.isna().sum())
        if undetermined:
            said += f"; {undetermined} of them left out, whose levels do not determine the fixed effects"
        failed = int((~self.refits.converged).sum()) - undetermined
        if failed:
            said += f"; the search of {failed} did not converge"
        return said

    @owned
    def replicates(self) -> pd.DataFrame:
        """Fixed effects, standard deviations, correlations and sigma of every refit."""
        return pd.concat([self.refits.fixef, self.refits.sdcor], axis=1)

    @owned
    def table(self) -> pd.DataFrame:
        """One row a parameter: `estimate`, `bias` (mean of the refits less the estimate) and `std_error` (their sd)."""
        found = self.replicates
        bias = found.mean() - self.original
        table = Table({"estimate": self.original, "bias": bias, "std_error": found.std(ddof=1)})
        table.attrs["note"] = self.note
        return table

    def confint(self, level: float = 0.95) -> pd.DataFrame:
        """Percentile intervals, columns `lower` and `upper`. Source: Efron and Tibshirani (1993), chapter 13."""
        level = check("level", level, PROBABILITY)
        tail = 0.5 * (1.0 - level)
        quantiles = self.replicates.quantile([tail, 1.0 - tail])
        table = Table(
            {"lower": quantiles.iloc[0].to_numpy(), "upper": quantiles.iloc[1].to_numpy()}, index=self.original.index
        )
        table.attrs = {"method": "boot", "level": level, "note": f"percentiles of {self.note}"}
        return table

    def __len__(self) -> int:
        return len(self.refits)


def bootstrap(
    estimate: Fitted, n: int = 1000, seed: int = 0, *, kind: str = "parametric", progress: bool = True
) -> Bootstrap:
    """Refit a model to `n` data sets that are drawn from its estimates, or from the groups of its data.

    What `Estimate.bootstrap` says. The refits are batches of one program.
    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, sections 6.5 and 8.3; lme4's `bootMer`;
    Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8.
    """
    refuse_unless_offered(estimate, "bootstrap()")
    check_choice("kind", kind, tuple(KINDS))
    if estimate.method not in ("reml", "ml"):
        raise FitError(
            f"the bootstrap refits by the likelihood, and this estimate is by `{estimate.method}`",
            expected='an estimate by method="reml" or "ml"',
            hint="fit the model anew, or sample its posterior",
        )
    n, seed = check("n", n, REFITS), check("seed", seed, SEED)
    rows = estimate.model.design.nobs
    levels = [own.n_levels for own in estimate.model.design.random_effects]
    held = 2.0 * rows if kind == "parametric" else max(levels, default=0)
    refuse_beyond_memory(f"a bootstrap of {n} refits of {rows} rows", n * held, "some 1,000 refits do for intervals")
    if kind == "groups":
        refuse_without_groups("drawing groups", estimate.model.formula, estimate.model.design.random_effects)
        _refuse_crossed(estimate)
    model = estimate.model
    problem = likelihood_problem(model)
    with progress_bar(n, "Bootstrap", shown=progress) as on_progress:
        refits, drawn = KINDS[kind](estimate, n, seed, problem, _start(estimate, problem), on_progress)
    original = pd.Series(
        [*estimate.fixef, *_in_order(refits, estimate.varcorr)],
        index=[*refits.fixef.columns, *refits.sdcor.columns],
    )
    return Bootstrap(refits, original, drawn)


def _start(estimate: Fitted, problem: Problem) -> np.ndarray:
    """Where the searches of the refits begin: at the estimates."""
    relative = [factor @ factor.T for factor in relative_factors(estimate, problem.units)]
    # a search must not begin where a variance is zero, since it would stay there
    theta = theta_of(relative, estimate.model.terms, SMALLEST)
    return np.append(theta, np.log(estimate.sigma / problem.units.y))


OnProgress = Callable[[int], None]


def _parametric(
    estimate: Fitted, n: int, seed: int, problem: Problem, start: np.ndarray, on_progress: OnProgress
) -> tuple[ManyEstimates, None]:
    """Refits of simulated responses."""
    Y = simulate_responses(estimate, n, seed)
    return fit_responses(estimate.model, Y, pd.RangeIndex(n), problem, start, estimate.method, on_progress), None


def _by_groups(
    estimate: Fitted, n: int, seed: int, problem: Problem, start: np.ndarray, on_progress: OnProgress
) -> tuple[ManyEstimates, pd.DataFrame]:
    """Refits of levels drawn with replacement, and how many times each level was drawn."""
    model, design = estimate.model, estimate.model.design
    outermost = design.random_effects[model.structure.order[-1]]
    J, rng = outermost.n_levels, np.random.default_rng(seed)
    counts = np.stack([np.bincount(rng.integers(0, J, J), minlength=J) for _ in range(n)])
    own = of_levels(
        design.y if design.offset is None else design.y - design.offset,
        design.X,
        FactorColumns(outermost.Z, outermost.codes, J),
        design.weights,
        problem.units,
    )
    fits = fit_resampled(
        counts,
        own,
        problem.cross,
        problem.units,
        Searches(start, model.terms, estimate.method == "reml", on_progress),
    )
    refits = in_user_units(model, fits, problem, pd.RangeIndex(n), estimate.method, counts @ own.nobs)
    return refits, pd.DataFrame(counts, columns=outermost.levels.rename(outermost.group))


def _refuse_crossed(estimate: Fitted) -> None:
    """Raise FitError where no factor's levels are independent of each other."""
    structure, effects = estimate.model.structure, estimate.model.design.random_effects
    if structure.dense:
        raise FitError(
            "crossed grouping factors have no groups that could be drawn on their own",
            found=", ".join(f"`{own.group}`" for own in effects),
            expected="one grouping factor, or factors each nested in the next (the outermost's levels are drawn)",
            hint='use kind="parametric", which draws new deviations of every factor',
        )


KINDS = {"parametric": _parametric, "groups": _by_groups}


def _in_order(refits: ManyEstimates, varcorr: pd.DataFrame) -> list[float]:
    """The estimate's standard deviations and correlations in the order of the refits' columns."""
    named = {}
    for group, a, b, value in varcorr[["group", "term1", "term2", "sdcor"]].itertuples(index=False):
        named[varcorr_name(group, a, b)] = value
    return [named[name] for name in refits.sdcor.columns]
