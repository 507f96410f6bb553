"""Complete pooling: the model without its groups."""

from __future__ import annotations

from dataclasses import fields, replace

from hier.model import Specification

OF_GROUPS = ("sd_", "cor_")  # how the names of priors of group deviations begin


def without_groups[M: Specification](model: M) -> M:
    """The model of the same rows with its random terms left out; priors that the user gave stay, those of group
    deviations apart.
    """
    formula = replace(model.formula, random=())
    names = model.design.names
    own = {name: prior for name, prior in model.own_priors.items() if name in names or not name.startswith(OF_GROUPS)}
    other = object.__new__(type(model))
    other.__dict__ |= {field.name: getattr(model, field.name) for field in fields(model)}
    other.__dict__ |= {
        "formula": formula,
        "design": replace(model.design, formula=formula, random_effects=()),
        "own_priors": own,
    }
    return other
