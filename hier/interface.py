"""The public face: models and comparisons with their verbs.

What a model is and what a comparison holds are records, which come before estimates, posteriors and pictures. These
classes come after all of them, and each verb imports what it calls when it is first called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hier.design import build_design, open_data, reading_of
from hier.formula import Formula, parse_formula
from hier.model import FAMILIES, Family, Specification
from hier.model.arguments import refuse_arguments, refuse_swapped
from hier.model.families import find_family
from hier.model.specification import priors_by_name, refuse_trials, true_or_false
from hier.pooling import SideBySide, pooled
from hier.printed import answering
from hier.settings import DEFAULTS, Sampling

if TYPE_CHECKING:
    from hier.estimate import Estimate
    from hier.posterior import Posterior


class Model(Specification):
    """A hierarchical model: a formula on a table, with its family and its priors.

    Parameters
    ----------
    formula : in lme4's notation, such as `"weight ~ week + (week | id)"`; a `hier.Formula` has formulas for further
        parameters beside it.
    data : a table (pandas, polars, pyarrow, a dict of arrays, an xarray Dataset, or the path of a CSV or Parquet
        file); one row a measurement.
    family : the distribution of the response, by name or as a `hier.Family` record. link : that of its mean, or None
        for the family's default.
    priors : `numpyro.distributions` objects, or text such as `"normal(0, 5)"`, by parameter (`"week"`, `"Intercept"`,
        `"beta"`, `"sd_id"`, `"sd_id[week]"`, `"cor_id"`, `"sigma"`, `"sigma_week"`, `"shape"`, `"Intercept[1]"`); the
        others keep their weakly informative defaults, which `prior_table` lists.
    weights : a column's name or n positive numbers. For a Normal response precision weights, the residual variance of
        a row being sigma^2 / weight; of proportions, and beside `y / n`, with family="binomial" the numbers of trials;
        otherwise what a row's log density is multiplied by. Rows of weight 0 and of 0 trials are left out, and counted.
    offset : a column's name or n numbers, added to the linear predictor.
    centred : whether the default priors, and all priors of group sds and correlations, are those of the values at the
        means of the columns, so that the posterior does not depend on where a covariate is counted from; False: those
        of the columns as written. A prior given for a coefficient is always that of the coefficient as written.
    na : "drop" leaves out the rows in which a variable of the model is missing, and says how many; "error" refuses
        them. Of a file, a list of the texts that stand for a missing value, such as `["-999"]`, with "error" among
        them or not.
    sep, decimal, encoding : of a file of text, the character between fields, the decimal sign, and the encoding; where
        they are None they are found out, and `print(model)` says what was found. Labels of groups and of factors are
        read as they stand in the file; an empty field is missing, and among numbers `NA` is too.

    Raises FormulaError, DataError and ModelError, each with what was found and the next step.
    """

    def __init__(
        self,
        formula: str | Formula,
        data: Any,
        *,
        family: str | Family = "gaussian",
        link: str | None = None,
        priors: Mapping[str, Any] | None = None,
        weights: Any = None,
        offset: Any = None,
        na: str | Sequence[str] = "drop",
        sep: str | None = None,
        decimal: str | None = None,
        encoding: str | None = None,
        centred: bool = True,
        **others: Any,
    ) -> None:
        refuse_arguments(others)
        refuse_swapped(formula, data)
        policy, reading = reading_of(sep, decimal, encoding, na)
        table = open_data(data, reading)
        parsed = parse_formula(formula, table.columns)
        found = find_family(family, link)
        refuse_trials(parsed, found)
        design = build_design(parsed, table, weights, offset, policy, found.outcome, reading)
        if found.one_trial and design.trials is None:
            found = FAMILIES[found.one_trial]
        link, centred = link or found.links[0], true_or_false("centred", centred)
        super().__init__(parsed, found, link, design, centred, priors_by_name(priors))
        if self.own_priors:
            _ = self.priors  # a prior that does not fit is refused here, not when it is first used

    def estimate(self, method: str | None = None, *, nagq: int = 1) -> Estimate:
        """Point estimates: `"reml"` (the default for Normal responses), `"ml"` (for all others), or `"map"`, the mode
        of the posterior.

        `nagq`: points of adaptive Gauss-Hermite quadrature for a response that is not Normal, with one grouping factor;
        1 is Laplace's approximation. Raises FitError where the data cannot identify the variances; a singular fit is a
        value (`is_singular`).
        """
        from hier.estimate import estimate

        return estimate(self, method, nagq)

    def sample(
        self,
        *,
        chains: int = DEFAULTS.chains,
        draws: int = DEFAULTS.draws,
        warmup: int = DEFAULTS.warmup,
        thin: int = DEFAULTS.thin,
        seed: int | None = DEFAULTS.seed,
        keep: str | Sequence[str] = DEFAULTS.keep,
        device: str = DEFAULTS.device,
        progress: bool = DEFAULTS.progress,
        target_accept: float = DEFAULTS.target_accept,
        max_tree_depth: int = DEFAULTS.max_tree_depth,
        integrate: str = DEFAULTS.integrate,
        method: str = DEFAULTS.method,
    ) -> Posterior:
        """Draws from the posterior by NUTS: for a Normal response on the exact marginal density, for any other over all
        parameters and deviations.

        Where crossed factors make the marginal density dear, only the deviations of the largest are integrated out:
        `integrate` is "auto", which takes the cheaper of the two and says which, "all" or "largest".
        `method`: "nuts", or for a fast look "laplace" or "advi": independent draws by a Normal approximation, resampled
        by their importance, whose `Posterior.pareto_k` says how far to trust them.

        `warmup`: iterations before the draws are kept; `thin`: of how many iterations after it one is. `keep`: "all";
        "parameters", which leaves the deviations of all groups out; or the deviations that are kept beside the
        parameters, such as `["b_school"]`. What needs those left out says so. `device`: "cpu", "gpu", or "auto",
        which takes a GPU only where the problem is large enough to gain. The same seed gives the same draws on the
        same machine; None takes one that has not been used, which the result's `settings` say.

        Ctrl-C ends the sampling: during the warm-up with nothing, after it with a posterior of the draws so far, which
        says so. `Posterior.extend` draws more.
        """
        from hier.posterior.sample import sample

        settings = Sampling(
            chains=chains,
            draws=draws,
            warmup=warmup,
            thin=thin,
            seed=seed,
            keep=keep,
            device=device,
            progress=progress,
            target_accept=target_accept,
            max_tree_depth=max_tree_depth,
            integrate=integrate,
            method=method,
        )
        return sample(self, settings)

    def numpyro_model(self, *, noncentred: bool = True) -> Callable[..., None]:
        """The full NumPyro program, group deviations included, with the same priors: to read, extend or run.

        `noncentred` writes the deviations as a factor times standard Normal variables; False leaves them as they are.
        """
        from hier.posterior.program import numpyro_model

        return numpyro_model(self, noncentred=noncentred)

    def sample_prior(self, draws: int = 1000, seed: int = 0) -> Any:
        """Draws from the prior of all parameters, and of the response, as an ArviZ tree with groups `prior` and
        `prior_predictive`.
        """
        from hier.posterior.program import sample_prior

        return sample_prior(self, draws, seed)

    def prior_table(self) -> Any:
        """Every parameter's prior, a row each, as `priors` takes them.

        `parameter`: the name under which a prior is given; `prior`: as text with all digits, such as
        `half-Student-t(3, 0, 25.4)`; `of`: "at the means of the columns" where it is that of the value there, otherwise
        "as written"; `source`: "default", or "user" for those that were given.
        """
        from hier.estimate.prior_table import prior_table

        return prior_table(self)

    def with_priors(self, priors: Mapping[str, Any]) -> Self:
        """The same model with some priors replaced; `priors` as for `Model`."""
        return self._with_priors(priors)

    def latex(self) -> str:
        """The model written out in mathematics, as a LaTeX `aligned` environment."""
        from hier.model.equations import as_latex

        return as_latex(self)

    def _text(self) -> str:
        from hier.model.describe import describe_model

        return describe_model(self)


class Comparison(SideBySide):
    __doc__ = SideBySide.__doc__

    def plot_shrinkage(self, group: str | None = None) -> Any:
        """The picture of `hier.plots.plot_shrinkage`: each level's coefficients under no, partial and complete
        pooling; of the grouping factor `group`, or of the one with the most levels.
        """
        from hier.plots import plot_shrinkage

        return plot_shrinkage(self, group)


@answering
def compare(estimate: Estimate, posterior: Posterior) -> Comparison:
    """Lay an estimate and a posterior of one model side by side: `table`, `shrinkage`, `parameters`.

    Raises ModelError where they are not of the same model on the same data.
    """
    return Comparison(estimate, posterior, *pooled(estimate, posterior))


@answering
def report(comparison: Comparison, path: str | PathLike[str]) -> Path:
    """Write a comparison as one self-contained HTML file with pictures, and return its path."""
    from hier.reporting import write_report

    return write_report(comparison, path)
