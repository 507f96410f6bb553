"""An estimate's parameters as one table, as broom.mixed has them."""

from __future__ import annotations

import pandas as pd

from hier.estimate.contrasts import coefficient_table
from hier.estimate.fitted import Fitted
from hier.estimate.printing import Table
from hier.estimate.wald import family_parameters
from hier.model.parameter_names import further_variable, varcorr_term

COLUMNS = ["effect", "group", "term", "estimate", "std_error", "df", "statistic", "p_value"]


def tidy(estimate: Fitted) -> pd.DataFrame:
    """What `Estimate.tidy` says."""
    fixed = coefficient_table(estimate, "satterthwaite").rename_axis("term").reset_index()
    records = fixed.assign(effect="fixed", group=None).to_dict("records")
    further = [
        {"effect": "further", "group": group, "term": term, "estimate": value, "std_error": se}
        for group, term, value, se in _further(estimate)
    ]
    table = estimate.varcorr
    terms = list(map(varcorr_term, table["term1"], table["term2"]))
    random = pd.DataFrame({"effect": "ran_pars", "group": table["group"], "term": terms, "estimate": table["sdcor"]})
    return Table([*records, *further, *random.to_dict("records")], columns=COLUMNS)


def _further(estimate: Fitted) -> list[tuple[str, str, float, float]]:
    """Cutpoints and further parameters with their variables, terms, values and standard errors."""
    rows = [("cutpoints", str(term), *values) for term, *values in estimate.cutpoints.itertuples()]
    if estimate.model.is_linear_normal:
        return rows  # whose sigma is the residual's row
    by_name = family_parameters(estimate)
    for own in estimate.model.design.parameters:
        variable = further_variable(own.name, has_formula=own.has_formula)
        keys = [key for key in (*own.keys(),) if key != "sigma"]  # which is the residual's row
        rows += [(variable, key, *by_name.loc[key]) for key in keys]
    return rows
