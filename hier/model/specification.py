"""What a model is: its formula, family, design and priors, and what follows from them. Nothing has been fitted yet."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from hier.design import Design, Digest, digest, some_rows
from hier.errors import ModelError
from hier.formula import ParsedFormula
from hier.kernel.algebra.elimination import Elimination, choose_structure
from hier.kernel.laplace.responses import mean_mu
from hier.kernel.programs.precision import float64, kept_programs
from hier.model.families import Family, is_built_in, likelihood_of
from hier.model.identifiability import Undetermined, undetermined
from hier.printed import Printed
from hier.settings import written

if TYPE_CHECKING:
    import numpy as np

    from hier.kernel.covariance.theta import Terms
    from hier.kernel.laplace.likelihood import Likelihood
    from hier.model.priors import Priors


@dataclass(frozen=True, repr=False, eq=False)
class Specification(Printed):
    """All that is known of a model before it is fitted; `hier.Model` is this with verbs.

    `link`: that of the mean. `centred`: whether default and group priors are those of the values at the means of the
    columns. `own_priors`: those that the user gave in place of defaults, by parameter.
    """

    formula: ParsedFormula
    family: Family
    link: str
    design: Design
    centred: bool
    own_priors: Mapping[str, Any]

    @property
    def has_normal_rows(self) -> bool:
        """Whether the response is Normal around a linear predictor, with one residual variance or with several."""
        return is_built_in(self.family, "gaussian") and self.link == "identity"

    @property
    def is_linear_normal(self) -> bool:
        """Whether the response is Normal around a linear predictor with one residual variance, so that the deviations
        can be integrated out exactly.
        """
        return self.has_normal_rows and not self.formula.parameters

    @property
    def mean_is_predictor(self) -> bool:
        """Whether the expected response is its linear predictor, so that deviations add to it."""
        return self.family.mean == mean_mu and self.link == "identity"

    @functools.cached_property
    def likelihood(self) -> Likelihood:
        """The response's likelihood as the kernel takes it: its density, the link of each parameter, its cutpoints."""
        return likelihood_of(self.family, self.link, self.design.n_cutpoints)

    @property
    def row_weights(self) -> np.ndarray | None:
        """What each row's log density is multiplied by (n,), or None. Precision weights are none: they stand in the
        offset of sigma's linear predictor.
        """
        return None if self.family.precision else self.design.weights

    @functools.cached_property
    @kept_programs
    @float64
    def priors(self) -> Priors:
        """The priors in force; made when first needed, because REML and ML need neither them nor NumPyro."""
        from hier.model.default_priors import default_priors
        from hier.model.replace_priors import replace_priors

        defaults = default_priors(self.design, self.family, self.link, centred=self.centred)
        return replace_priors(defaults, self.family, self.own_priors)

    def _with_priors(self, priors: Any) -> Self:
        """The same model with some priors replaced; what else is known of it stays known."""
        other = object.__new__(type(self))
        other.__dict__ |= {name: value for name, value in self.__dict__.items() if name != "priors"}
        other.__dict__["own_priors"] = {**self.own_priors, **priors_by_name(priors)}
        _ = other.priors
        return other

    @functools.cached_property
    def digest(self) -> Digest:
        """What says whether a result is of this model on these data, whatever its priors; made when first asked for."""
        own = {"the formula": str(self.formula), "the family": self.family.name, "the link": self.link}
        return own | digest(self.design)

    @functools.cached_property
    def structure(self) -> Elimination:
        """The order in which the kernel eliminates the grouping factors."""
        random = self.design.random_effects
        return choose_structure([r.codes for r in random], [r.n_levels for r in random], [len(r.names) for r in random])

    @functools.cached_property
    def terms(self) -> Terms:
        """The covariance structures of the grouping factors in the kernel's order."""
        return tuple(random.blocks for random in self.structure.ordered(self.design.random_effects))

    @functools.cached_property
    def undetermined(self) -> tuple[Undetermined, ...]:
        """The sets of variances and correlations that the rows do not tell apart, whatever the response."""
        return undetermined(self.design, has_normal_rows=self.has_normal_rows)


def on_design(model: Specification, design: Design) -> Specification:
    """The model on another design, as without some of its random effects, under default priors."""
    return Specification(model.formula, model.family, model.link, design, model.centred, {})


def on_rows(model: Specification, kept: np.ndarray) -> Specification:
    """The model of some of its rows, `kept` (n,), under the priors of all of them; levels without rows stay."""
    other = object.__new__(type(model))
    own = {name: getattr(model, name) for name in ("priors", "structure", "terms", "likelihood")}
    other.__dict__ |= {field.name: getattr(model, field.name) for field in dataclasses.fields(model)} | own
    other.__dict__["design"] = some_rows(model.design, kept)
    return other


def refuse_trials(formula: ParsedFormula, family: Family) -> None:
    """Refuse a response with trials where the family does not count successes. Raises ModelError."""
    if formula.trials is None or family.response == "successes":
        return
    raise ModelError(
        f"the response `{formula.left}` counts successes out of trials",
        found=f'family="{family.name}"',
        expected='family="binomial" or family="beta_binomial"',
        hint="write I(y / n) to model the proportion itself",
    )


def refuse_without_groups(what: str, formula: object, groups: Sequence[object]) -> None:
    """Raise ModelError where a model has no grouping factor, so that this means nothing."""
    if groups:
        return
    raise ModelError(
        f"{what} is of group deviations, and the model has none",
        found=f"`{formula}`",
        expected="a grouping factor, as in `(1 | group)`",
    )


def priors_by_name(priors: Any) -> dict[str, Any]:
    """Priors by parameter, none where there are none. Raises ModelError for what is no mapping."""
    if priors is None:
        return {}
    if not isinstance(priors, Mapping):
        raise ModelError(
            f"`priors` cannot be {written(priors)}",
            expected='priors by parameter, such as priors={"x": "normal(0, 1)"}',
            hint="print(model) shows the parameters and the priors in force",
        )
    return dict(priors)


def true_or_false(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ModelError(f"`{name}` cannot be {value!r}", expected="True or False")
    return value
