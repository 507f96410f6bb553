"""The priors of a model as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from hier.estimate.printing import Table
from hier.model.parameter_names import cor_name, sd_name
from hier.model.priors import AT_MEANS, Priors

if TYPE_CHECKING:
    from hier.model import Specification


def prior_table(model: Specification) -> pd.DataFrame:
    """What `Model.prior_table` says."""
    priors = model.priors
    rows = priors.rows(None)
    return Table(
        {
            "parameter": [name for name, _ in rows],
            "prior": [words.removesuffix(AT_MEANS) for _, words in rows],
            "of": [AT_MEANS.strip() if words.endswith(AT_MEANS) else "as written" for _, words in rows],
            "source": ["user" if names & priors.replaced else "default" for names in _names(priors)],
        }
    )


def _names(priors: Priors) -> list[set[str]]:
    """The names under which each prior may have been given, its own and those that stand for several, in the order of
    `Priors.rows`.
    """
    found = [{name, *([] if name == "Intercept" else ["beta"])} for name in priors.beta]
    found += [{name, "Intercept"} for name in priors.cutpoints]
    for group in priors.groups:
        found += [{name, sd_name(group.group)} for name in group.sd_keys()]
        found += [{name, cor_name(group.group)} for name in group.cor_keys()]
    for own in priors.parameters:
        found += [{name, *([] if name == own.intercept else [own.name])} for name in own.priors]
    return found
