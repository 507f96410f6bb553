"""One map of names: what a prior, an interval, a bootstrap's column and a variable of draws call the same parameter."""

from __future__ import annotations

import numpy as np
import pandas as pd

import hier
from hier.estimate.named import named_parameters
from hier.model.parameter_names import (
    coefficient_names,
    cor_name,
    further_variable,
    group_variables,
    parameter_of,
    printed_term,
    sd_name,
    varcorr_name,
    varcorr_term,
)
from hier.posterior.grouping import groups_of


def test_a_grouping_factors_parameters_have_one_name_everywhere() -> None:
    random = np.random.default_rng(1)
    table = pd.DataFrame({"y": random.normal(size=60), "x": random.normal(size=60), "g": np.arange(60) % 6})
    model = hier.Model("y ~ x + (x | g)", table)
    names = [sd_name("g", "Intercept"), sd_name("g", "x"), cor_name("g", "Intercept", "x")]
    assert names == ["sd_g[Intercept]", "sd_g[x]", "cor_g[Intercept,x]"]
    assert [own.name for own in named_parameters(model)][2:] == [*names, "sigma"]
    assert [name for name, _ in model.priors.rows()][2:4] == names[:2]
    assert sorted(hier.estimate_many(model, table[["y"]].to_numpy(), progress=False).sdcor.columns) == sorted(
        [*names, "sigma"]
    )
    (group,) = groups_of(model.design)
    assert group.variables == group_variables("g") == ("sd_g", "cor_g", "b_g", "sd_g_centred", "cor_g_centred")


def test_rows_of_tables() -> None:
    rows = [("x", None), ("Intercept", "x"), (None, None)]
    assert [varcorr_name("g", *row) for row in rows] == ["sd_g[x]", "cor_g[Intercept,x]", "sigma"]
    terms = [varcorr_term(*row) for row in rows]
    assert terms == ["sd__x", "cor__Intercept.x", "sd__Observation"]
    assert [printed_term(term) for term in terms[:2]] == ["sd(x)", "cor(Intercept,x)"]
    assert printed_term("sd_x") == "sd_x"


def test_further_parameters() -> None:
    assert further_variable("shape", has_formula=False) == "shape"
    assert parameter_of(further_variable("shape", has_formula=True)) == "shape"
    assert coefficient_names("beta_shape", ("Intercept", "x")) == ["shape_Intercept", "shape_x"]
