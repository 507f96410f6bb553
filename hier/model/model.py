"""A model: a formula on a table, with its family and its priors. Nothing has been fitted yet."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hier.design import Design, build_design
from hier.formula import Formula, parse_formula
from hier.model.families import Family, find_family

if TYPE_CHECKING:
    from hier.model.priors import Priors


class Model:
    """A hierarchical model: a formula on a table, with its family and its priors.

    Parameters
    ----------
    formula : in lme4's notation, such as `"weight ~ week + (week | id)"`.
    data : a table (pandas, polars, pyarrow, a dict of arrays, or the path of a CSV file); one row a measurement.
    family : the distribution of the response. link : its link, or None for the family's default.
    priors : `numpyro.distributions` objects by parameter (`"week"`, `"Intercept"`, `"beta"`, `"sd_id"`,
        `"sd_id[week]"`, `"cor_id"`, `"sigma"`); the others keep their weakly informative defaults.
    weights : a column's name or n positive numbers: precision weights, the residual variance of a row being sigma^2 /
    weight.
    offset : a column's name or n numbers, added to the linear predictor.

    Raises FormulaError, DataError and ModelError, each with what was found and the next step.
    """

    def __init__(
        self,
        formula: str,
        data: Any,
        *,
        family: str = "gaussian",
        link: str | None = None,
        priors: Mapping[str, Any] | None = None,
        weights: Any = None,
        offset: Any = None,
    ) -> None:
        self._formula = parse_formula(formula)
        self._family = find_family(family, link)
        self._design = build_design(self._formula, data, weights, offset)
        self._given = dict(priors or {})
        if self._given:
            _ = self.priors  # a prior that does not fit is refused here, not when it is first used

    @property
    def formula(self) -> Formula:
        return self._formula

    @property
    def family(self) -> Family:
        return self._family

    @property
    def design(self) -> Design:
        return self._design

    @functools.cached_property
    def priors(self) -> Priors:
        """The priors in force; made when first needed, because REML and ML need neither them nor NumPyro."""
        from hier.model.priors import default_priors, replace_priors

        return replace_priors(default_priors(self._design), self._given, self._design.random.blocks)

    def with_priors(self, priors: Mapping[str, Any]) -> Model:
        """The same model with some priors replaced; `priors` as for `Model`."""
        other = object.__new__(type(self))
        other.__dict__ |= {k: v for k, v in self.__dict__.items() if k != "priors"}
        other._given = self._given | dict(priors)
        _ = other.priors
        return other

    def __repr__(self) -> str:
        from hier.model.describe import describe_model

        return describe_model(self)
