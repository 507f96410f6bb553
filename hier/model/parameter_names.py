"""The one map of what parameters are called: by priors and intervals, as variables of draws, and in tables.

parameter                 prior, interval          variable of draws   row of a table        printed
sd of a column            `sd_id[week]`            `sd_id`             `sd__week`            `sd(week)`
all of them               `sd_id`
correlation of two        `cor_id[Intercept,week]` `cor_id`            `cor__Intercept.week` `cor(Intercept,week)`
all of them               `cor_id`
deviations of levels                               `b_id`
residual sd               `sigma`                  `sigma`             `sd__Observation`     `sigma`
another parameter         `shape`                  `shape`             `shape`               `shape`
its coefficients          `shape_week`             `beta_shape`        `shape_week`          `shape_week`

In the variables of draws a grouping factor goes by its stem: its name, as far as nothing else is called so.
"""

from __future__ import annotations

from typing import NamedTuple

SIGMA = "sigma"
RESIDUAL = "sd__Observation"  # the residual standard deviation in tables, as broom.mixed has it
KINDS = ("sd", "cor")
_CENTRED = "_centred"  # behind the name of what priors are of, where that is not what is reported
_COEFFICIENTS = "beta_"


class GroupVariables(NamedTuple):
    """The variables that a grouping factor may have; the last two are those of the deviations at the means of the
    columns.
    """

    sd: str
    cor: str
    b: str
    sd_centred: str
    cor_centred: str


def group_variables(stem: str) -> GroupVariables:
    """The variables of the grouping factor of that stem."""
    sd, cor = sd_name(stem), cor_name(stem)
    return GroupVariables(sd, cor, f"b_{stem}", sd + _CENTRED, cor + _CENTRED)


def further_variable(name: str, *, has_formula: bool) -> str:
    """The variable of a further parameter of the response's distribution, or of the coefficients of its formula."""
    return _COEFFICIENTS + name if has_formula else name


def coefficient_names(variable: str, labels: tuple[str, ...]) -> list[str]:
    """The coefficients of a further parameter, `shape_week`, by its variable."""
    return [f"{parameter_of(variable)}_{label}" for label in labels]


def parameter_of(variable: str) -> str:
    """The further parameter that a variable is of."""
    return variable.removeprefix(_COEFFICIENTS)


def sd_name(group: str, *columns: str) -> str:
    """The standard deviation of a grouping factor's column, or of all of its columns."""
    return _name("sd", group, columns)


def cor_name(group: str, *columns: str) -> str:
    """The correlation of two of a grouping factor's columns, or all of its correlations."""
    return _name("cor", group, columns)


def _name(kind: str, group: str, columns: tuple[str, ...]) -> str:
    return f"{kind}_{group}" + (f"[{','.join(columns)}]" if columns else "")


def varcorr_name(group: str, first: str | None, second: str | None) -> str:
    """The parameter in a row of `varcorr`: a standard deviation, a correlation, or the residual standard deviation."""
    if first is None:
        return SIGMA
    return sd_name(group, first) if second is None else cor_name(group, first, second)


def varcorr_term(first: str | None, second: str | None = None) -> str:
    """The same as the term of a row of `tidy()`, as broom.mixed has it."""
    if first is None:
        return RESIDUAL
    return f"sd__{first}" if second is None else f"cor__{first}.{second}"


def printed_term(term: str, between: str = ",") -> str:
    """`sd__week` as `sd(week)`, `cor__Intercept.week` as `cor(Intercept,week)`, any other as it is."""
    kind, mark, names = term.partition("__")
    if not mark or kind not in KINDS:
        return term
    return f"{kind}({names.replace('.', between, 1) if kind == 'cor' else names})"
