"""A model: a formula on a table, with its family and its priors. Nothing has been fitted yet."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hier.design import Design, Digest, build_design, digest, open_data, reading_of
from hier.errors import ModelError
from hier.formula import Formula, ParsedFormula, parse_formula
from hier.kernel.laplace.responses import mean_mu
from hier.kernel.programs.precision import float64, kept_programs
from hier.model.arguments import refuse_arguments, refuse_swapped
from hier.model.families import FAMILIES, Family, find_family, is_built_in, likelihood_of
from hier.printed import Printed
from hier.settings import written

if TYPE_CHECKING:
    import numpy as np

    from hier.kernel.algebra.elimination import Elimination
    from hier.kernel.laplace.likelihood import Likelihood
    from hier.model.identifiability import Undetermined
    from hier.model.priors import Priors


class Model(Printed):
    """A hierarchical model: a formula on a table, with its family and its priors.

    Parameters
    ----------
    formula : in lme4's notation, such as `"weight ~ week + (week | id)"`; a `hier.Formula` has formulas for further
        parameters beside it.
    data : a table (pandas, polars, pyarrow, a dict of arrays, an xarray Dataset, or the path of a CSV or Parquet
        file); one row a measurement.
    family : the distribution of the response, by name or as a `hier.Family` record. link : that of its mean, or None
        for the family's default.
    priors : `numpyro.distributions` objects by parameter (`"week"`, `"Intercept"`, `"beta"`, `"sd_id"`,
        `"sd_id[week]"`, `"cor_id"`, `"sigma"`, `"sigma_week"`, `"shape"`, `"Intercept[1]"`); the others keep their
        weakly informative defaults.
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
        opened = open_data(data, reading)
        self._formula = parse_formula(formula, opened.columns)
        self._family = find_family(family, link)
        self._refuse_counts()
        self._design = build_design(self._formula, opened, weights, offset, policy, self._family.outcome, reading)
        if self._family.one_trial and self._design.trials is None:
            self._family = FAMILIES[self._family.one_trial]
        self._link = link or self._family.links[0]
        self._centred = _true_or_false("centred", centred)
        self._given = _priors_given(priors)
        if self._given:
            _ = self.priors  # a prior that does not fit is refused here, not when it is first used

    def _refuse_counts(self) -> None:
        """Only counts of successes have trials."""
        if self._formula.trials is None or self._family.response == "successes":
            return
        raise ModelError(
            f"the response `{self._formula.left}` counts successes out of trials",
            found=f'family="{self._family.name}"',
            expected='family="binomial" or family="beta_binomial"',
            hint="write I(y / n) to model the proportion itself",
        )

    @property
    def formula(self) -> ParsedFormula:
        return self._formula

    @property
    def family(self) -> Family:
        return self._family

    @property
    def link(self) -> str:
        """The link of the mean."""
        return self._link

    @property
    def has_normal_rows(self) -> bool:
        """Whether the response is Normal around a linear predictor, with one residual variance or with several."""
        return is_built_in(self._family, "gaussian") and self._link == "identity"

    @property
    def is_linear_normal(self) -> bool:
        """Whether the response is Normal around a linear predictor with one residual variance, so that the deviations
        can be integrated out exactly.
        """
        return self.has_normal_rows and not self._formula.parameters

    @property
    def mean_is_predictor(self) -> bool:
        """Whether the expected response is its linear predictor, so that deviations add to it."""
        return self._family.mean == mean_mu and self._link == "identity"

    @functools.cached_property
    def likelihood(self) -> Likelihood:
        """The response's likelihood as the kernel takes it: its density, the link of each parameter, its cutpoints."""
        return likelihood_of(self._family, self._link, self._design.n_cutpoints)

    @property
    def row_weights(self) -> np.ndarray | None:
        """What each row's log density is multiplied by (n,), or None. Precision weights are none: they stand in the
        offset of sigma's linear predictor.
        """
        return None if self._family.precision else self._design.weights

    @property
    def design(self) -> Design:
        return self._design

    @property
    def centred(self) -> bool:
        """Whether default and group priors are those of the values at the means of the columns."""
        return self._centred

    @functools.cached_property
    @kept_programs
    @float64
    def priors(self) -> Priors:
        """The priors in force; made when first needed, because REML and ML need neither them nor NumPyro."""
        from hier.model.default_priors import default_priors
        from hier.model.replace_priors import replace_priors

        defaults = default_priors(self._design, self._family, self._link, centred=self._centred)
        return replace_priors(defaults, self._family, self._given)

    def with_priors(self, priors: Mapping[str, Any]) -> Model:
        """The same model with some priors replaced; `priors` as for `Model`."""
        other = object.__new__(type(self))
        other.__dict__ |= {k: v for k, v in self.__dict__.items() if k != "priors"}
        other._given = self._given | _priors_given(priors)
        _ = other.priors
        return other

    @functools.cached_property
    def digest(self) -> Digest:
        """What says whether a result is of this model on these data, whatever its priors; made when first asked for."""
        own = {"the formula": str(self._formula), "the family": self._family.name, "the link": self._link}
        return own | digest(self._design)

    @functools.cached_property
    def structure(self) -> Elimination:
        """The order in which the grouping factors are eliminated."""
        from hier.model.problem import structure_of

        return structure_of(self._design)

    @functools.cached_property
    def undetermined(self) -> tuple[Undetermined, ...]:
        """The sets of variances and correlations that the rows do not tell apart, whatever the response."""
        from hier.model.identifiability import undetermined

        return undetermined(self)

    def latex(self) -> str:
        """The model written out in mathematics, as a LaTeX `aligned` environment."""
        from hier.model.equations import as_latex

        return as_latex(self)

    def _text(self) -> str:
        from hier.model.describe import describe_model

        return describe_model(self)


def _priors_given(priors: Any) -> dict[str, Any]:
    """Priors by parameter, none where there are none. Raises ModelError for what is no mapping."""
    if priors is None:
        return {}
    if not isinstance(priors, Mapping):
        raise ModelError(
            f"`priors` cannot be {written(priors)}",
            expected='distributions by parameter, such as priors={"x": dist.Normal(0, 1)}',
            hint="print(model) shows the parameters and the priors in force",
        )
    return dict(priors)


def _true_or_false(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ModelError(f"`{name}` cannot be {value!r}", expected="True or False")
    return value
