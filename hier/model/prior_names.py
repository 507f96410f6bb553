"""Which prior a name stands for: a column's, a parameter's, or that of all columns or deviations of a kind."""

from __future__ import annotations

from typing import NamedTuple

from hier.errors import ModelError, did_you_mean
from hier.model.names import COLUMN, PARAMETER, find
from hier.model.priors import Priors, column_names, general_names, other_names


class Target(NamedTuple):
    """What a prior is of: the `name` that it has among its kind; `is_column`: whether that is a fixed effect;
    `is_general`: whether it stands for several priors.
    """

    name: str
    is_column: bool
    is_general: bool


def target_of(priors: Priors, name: str) -> Target:
    """What a name given with a prior stands for. Raises ModelError for one that is not there, and for one that a
    column and a parameter share.
    """
    general, others = general_names(priors), other_names(priors)
    shared = {*general, *others}
    names = {key: Target(key, True, False) for key in priors.beta if key not in shared}
    names |= {key: Target(key, False, False) for key in others if key not in general}
    names |= {key: Target(key, False, True) for key in general}
    written = names | {COLUMN.format(key): Target(key, True, False) for key in priors.beta}
    written |= {PARAMETER.format(key): target for key, target in names.items() if not target.is_column}
    found = find(str(name), list(written))
    if found is None:
        known = [*general, *column_names(priors), *others]
        raise ModelError(
            f"the model has no parameter `{name}` to give a prior to",
            expected=", ".join(f"`{key}`" for key in dict.fromkeys(known)),
            hint=did_you_mean(str(name), known),
        )
    if found in shared and found in priors.beta:
        one, other = COLUMN.format(found), PARAMETER.format(found)
        raise ModelError(
            f"`{found}` is the name of a column and of a parameter",
            expected=f"`{one}` for the prior of the column's coefficient, or `{other}` for that of the parameter",
        )
    return written[found]
