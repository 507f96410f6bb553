"""Arguments of other programs, given to a model: each is answered with what stands for it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hier.errors import ModelError, did_you_mean
from hier.formula import Formula

KNOWN = ("family", "link", "priors", "weights", "offset", "na", "sep", "decimal", "encoding")

# as lme4, nlme, glmmTMB, brms, Bambi and statsmodels call it -> what to write
ELSEWHERE = {
    "REML": 'model.estimate("reml"), or model.estimate("ml") in place of REML=FALSE',
    "control": "nothing: the search chooses its own settings, and `converged` and `message` say how it ended",
    "start": "nothing: the search finds its own start",
    "correlation": "a term such as ar1(0 + visit | id) or cs(0 + visit | id) in the formula",
    "autocor": "a term such as ar1(0 + visit | id) in the formula",
    "dispformula": 'hier.Formula("y ~ x + (1 | g)", sigma="~ x"), with sigma, shape or phi by the family',
    "ziformula": 'family="zero_inflated_poisson" and hier.Formula("y ~ x + (1 | g)", zi="~ x")',
    "random": "the random terms in the formula, y ~ x + (x | g)",
    "re_formula": "the random terms in the formula, y ~ x + (x | g)",
    "vc_formula": "the random terms in the formula, y ~ x + (1 | g) + (1 | h)",
    "groups": "the random terms in the formula, y ~ x + (x | g)",
    "prior": 'priors={"x": dist.Normal(0, 1)}',
    "nAGQ": "model.estimate(nagq=...)",
    "nagq": "model.estimate(nagq=...)",
    "method": "model.estimate(method=...) or model.sample(method=...)",
    "subset": "the rows chosen in the table, data[data.x > 0]",
    "contrasts": "C(f, contr.sum) in the formula",
    "na_action": 'na="drop" or na="error"',
    "missing": 'na="drop" or na="error"',
    "dropna": 'na="drop" or na="error"',
    "trials": "cbind(s, f), s / n, or s | trials(n) on the left of the formula",
    "chains": "model.sample(chains=...)",
    "iter": "model.sample(draws=..., warmup=...)",
    "draws": "model.sample(draws=...)",
    "seed": "model.sample(seed=...)",
    "cores": "nothing: the chains share the cores of the machine",
}


def refuse_arguments(others: Mapping[str, Any]) -> None:
    """Refuse arguments that a model does not have, each with what stands for it. Raises ModelError."""
    for name in others:
        found = ELSEWHERE.get(name)
        raise ModelError(
            f"hier.Model has no argument `{name}`",
            found=f"{name}={others[name]!r}"[:80],
            expected=None if found else ", ".join(KNOWN),
            hint=f"write {found}" if found and not found.startswith("nothing") else found or did_you_mean(name, KNOWN),
        )


def refuse_swapped(formula: Any, data: Any) -> None:
    """Refuse a table where the formula belongs. Raises ModelError."""
    if isinstance(formula, str | Formula):
        return
    is_swapped = isinstance(data, Formula) or (isinstance(data, str) and "~" in data)
    raise ModelError(
        "the formula comes first, and then the data" if is_swapped else "a model begins with its formula",
        found=f"{type(formula).__name__} in the place of the formula",
        expected='text such as "y ~ x + (1 | g)", or a hier.Formula',
        hint="hier.Model(formula, data)",
    )
