"""The grouping factor that is asked for, by its name."""

from __future__ import annotations

from hier.errors import ModelError
from hier.model.specification import Specification, refuse_without_groups
from hier.settings import as_given, nearest_choice


def find_factor(model: Specification, group: str | None, what: str = "this picture") -> int:
    """The position of a grouping factor in the design; None stands for the one with the most levels.

    Raises ModelError for a name that the model does not have, and `what` is asked for where it has no grouping factor.
    """
    refuse_without_groups(what, model.formula, model.design.random_effects)
    factors = model.design.random_effects
    if group is None:
        return max(range(len(factors)), key=lambda k: factors[k].n_levels)
    names = [random.group for random in factors]
    if not isinstance(group, str) or group not in names:
        raise ModelError(
            f"the model has no grouping factor {as_given(group)}",
            found=f"`{model.formula}`",
            expected=", ".join(f"`{name}`" for name in names),
            hint=nearest_choice(group, names),
        )
    return names.index(group)
