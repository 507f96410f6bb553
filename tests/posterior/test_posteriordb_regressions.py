"""Posteriors of posteriordb's regressions, models without groups, with the priors of its Stan programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import hier
from hier.posterior.diagnostics import ess_bulk

DATA = Path(__file__).parents[3] / "shared" / "reference" / "posteriordb"
KNOWN = json.loads((Path(__file__).parents[1] / "oracle" / "posteriordb_regressions.json").read_text(encoding="utf-8"))
CAUCHY, ANY = dist.HalfCauchy(2.5), dist.Uniform(0.0, 1e9)  # as good as flat
SHRUBS = ["diam1", "diam2", "canopy_height", "total_height", "density"]

# by case: the table, the formula, and the priors of the Stan program where they are not flat
CASES = {
    "kidiq-kidscore_momhsiq": ("kidiq", "kid_score ~ mom_hs + mom_iq", {"sigma": CAUCHY}),
    "kidiq-kidscore_interaction": ("kidiq", "kid_score ~ mom_hs * mom_iq", {"sigma": CAUCHY}),
    "earnings-earn_height": ("earnings", "earn ~ height", {}),
    "earnings-logearn_interaction": ("earnings", "log(earn) ~ height * male", {}),
    "mesquite-mesquite": ("mesquite", f"weight ~ {' + '.join(SHRUBS)} + group", {}),
    "mesquite-logmesquite": ("mesquite", f"log(weight) ~ {' + '.join(f'log({x})' for x in SHRUBS)} + group", {}),
    "nes1976-nes": ("nes1976", "partyid7 ~ real_ideo + race_adj + age + educ1 + gender + income", {}),
    "kilpisjarvi_mod-kilpisjarvi": (
        "kilpisjarvi",
        "y ~ x",
        {"Intercept": dist.Normal(9.31290322580645, 100.0), "x": dist.Normal(0.0, 0.0333333333333333)},
    ),
}
QUICK = ("kidiq-kidscore_momhsiq", "mesquite-mesquite", "kilpisjarvi_mod-kilpisjarvi")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in CASES]
)
def test_posterior_is_that_of_posteriordb(name):
    if not DATA.exists():
        pytest.skip("the reference posteriors are not beside this repository")
    table, formula, own = CASES[name]
    model = hier.Model(formula, pd.read_csv(DATA / f"pdb_{table}.csv"))
    flat = {column: dist.Normal(0.0, 1e8) for column in model.design.names}
    post = model.with_priors(flat | {"sigma": ANY} | own).sample(draws=4000, seed=1, progress=False)
    draws = [*np.moveaxis(post.draws["beta"], -1, 0), post.draws["sigma"]]
    assert len(draws) == len(KNOWN[name])
    for values, (parameter, known) in zip(draws, KNOWN[name].items(), strict=True):
        sd = np.sqrt(known["mean_square"] - known["mean"] ** 2)
        error = np.hypot(values.std() / np.sqrt(ess_bulk(values[..., None])[0]), known["mcse"])
        assert abs(values.mean() - known["mean"]) < 4.0 * error, parameter
        assert values.std() == pytest.approx(sd, rel=0.05), parameter
