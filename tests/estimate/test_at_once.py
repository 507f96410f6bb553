"""Fits that NumPy computes at once are those of compiled programs, and need neither JAX nor a compiler."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import hier
from hier.kernel.programs import at_once
from hier.kernel.programs.compiled import Program
from hier.kernel.programs.precision import own_settings

FITS = """
import sys
import hier
import numpy as np
pigs = hier.load_dataset("pigs")
pigs["heavy"] = (pigs["weight"] > 50).astype(int)
pigs["count"] = pigs["weight"].round().astype(int)
pigs["grade"] = pigs["weight"].round(-1)
for formula, family in (
    ("weight ~ week + (week | id)", "gaussian"),
    ("weight ~ C(week) + (1 | id) + (1 | week)", "gaussian"),
    ("heavy ~ week + (1 | id)", "bernoulli"),
    ("count ~ week + (week | id)", "poisson"),
):
    fit = hier.Model(formula, pigs, family=family).estimate()
    assert fit.converged
    print(fit.summary(), fit.ranef, fit.residuals, fit.predict(pigs.head()), sep="\\n")
print("jax" in sys.modules, "numpyro" in sys.modules)
"""


def test_a_fit_with_its_summary_needs_no_jax(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FITS],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PYTHONPATH": ":".join(sys.path), "HIER_CACHE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False False"
    assert not list(tmp_path.rglob("*.stablehlo"))


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    n = 240
    school, pupil = np.arange(n) % 12, np.arange(n) % 40
    x = rng.normal(size=n)
    mean = 0.4 + 0.5 * x + rng.normal(size=12)[school] * 0.6 + 0.4 * rng.normal(size=40)[pupil]
    count = rng.negative_binomial(3, 3.0 / (3.0 + np.exp(mean)))
    return pd.DataFrame(
        {
            "x": x,
            "f": np.array(["a", "b", "c"])[rng.integers(0, 3, n)],
            "school": school,
            "form": school * 10 + pupil % 4,
            "pupil": pupil,
            "y": mean + rng.normal(size=n),
            "count": np.where(rng.random(n) < 0.2, 0, count),
            "grade": np.clip(np.round(mean + 1.0 + rng.logistic(size=n)), 0, 3),
            "share": 1.0 / (1.0 + np.exp(-mean - rng.normal(size=n))),
            "passed": (mean + rng.logistic(size=n) > 0).astype(int),
        }
    )


MODELS = (
    ("y ~ x + f + (x | school) + (1 | pupil)", {}, {}),
    pytest.param("count ~ x + (x | school)", {"family": "negbinomial"}, {}, marks=pytest.mark.slow),
    pytest.param("y ~ x + (1 | school / form)", {}, {}, marks=pytest.mark.slow),
    pytest.param("y ~ x + cs(0 + f | school)", {}, {}, marks=pytest.mark.slow),
    pytest.param("y ~ x + (x || pupil)", {"weights": "share"}, {}, marks=pytest.mark.slow),
    pytest.param("grade ~ x + (1 | pupil)", {"family": "cumulative"}, {"nagq": 7}, marks=pytest.mark.slow),
    pytest.param("share ~ x + (1 | school)", {"family": "beta"}, {}, marks=pytest.mark.slow),
    pytest.param("passed ~ x + (1 | school) + (1 | pupil)", {"family": "bernoulli"}, {}, marks=pytest.mark.slow),
    pytest.param("count ~ x + (1 | pupil)", {"family": "zero_inflated_poisson"}, {}, marks=pytest.mark.slow),
)


@pytest.mark.parametrize(("formula", "options", "how"), MODELS)
def test_both_ways_of_computing_agree(table, formula, options, how):
    model = hier.Model(formula, table, **options)
    with at_once.only(numpy=True):
        one = model.estimate(**how)
    with at_once.only(numpy=False):
        other = model.estimate(**how)
    assert one.converged
    assert other.converged
    assert one.loglik == pytest.approx(other.loglik, abs=1e-7)
    sd = np.sqrt(np.diag(other.vcov))
    np.testing.assert_allclose(one.fixef, other.fixef, atol=1e-6 * sd.max())
    np.testing.assert_allclose(one.coefficients["std_error"], other.coefficients["std_error"], rtol=1e-5)
    np.testing.assert_allclose(one.varcorr["sdcor"], other.varcorr["sdcor"], rtol=1e-5, atol=1e-6)
    if one.nagq is None:
        np.testing.assert_allclose(one.coefficients["df"], other.coefficients["df"], rtol=1e-4)
    for group, deviations in one.ranef.items():
        np.testing.assert_allclose(deviations, other.ranef[group], atol=1e-5)


def test_numpy_computes_until_it_has_taken_as_long_as_compiling():
    account = at_once.Account()
    assert account.allows(0.5 * at_once.COMPILING)
    assert not account.allows(2.0 * at_once.COMPILING)
    with account:
        account._began[-1] -= 0.8 * at_once.COMPILING  # as if so long had passed
    assert account.allows(0.1 * at_once.COMPILING)
    assert not account.allows(0.3 * at_once.COMPILING)


def test_a_function_that_says_no_time_is_always_compiled():
    with at_once.only(numpy=True), own_settings:
        assert isinstance(Program("tripled", (), lambda x: (3.0 * x,), lambda x: 0.0)(np.ones(2))[0], np.ndarray)
        assert not isinstance(Program("tripled", (), lambda x: (3.0 * x,))(np.ones(2))[0], np.ndarray)
