"""A model that was pickled or copied is the same model: in another process, in a pool, in a deep copy."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import types

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import hier
from hier.kernel.laplace.links import LINKS
from hier.model.families import FAMILIES
from tests.model.data import LEFT, table
from tests.model.test_families import WEIBULL

COPIERS = {"pickle": lambda value: pickle.loads(pickle.dumps(value)), "deepcopy": copy.deepcopy, "copy": copy.copy}


@pytest.mark.parametrize("copied", COPIERS.values(), ids=COPIERS)
@pytest.mark.parametrize("record", [*FAMILIES.values(), *LINKS.values()], ids=[*FAMILIES, *LINKS])
def test_families_and_links_stay_what_they_are(record, copied) -> None:
    assert copied(record) is record


@pytest.mark.parametrize("copied", COPIERS.values(), ids=COPIERS)
@pytest.mark.parametrize("name", LEFT)
def test_a_copied_model_is_treated_alike(name, copied) -> None:
    model = hier.Model(f"{LEFT[name]} ~ x + (x || g)", table(), family=name, priors={"x": dist.Normal(0.0, 3.0)})
    other = copied(model)
    assert other.family is model.family
    assert other.likelihood == model.likelihood
    assert hash(other.likelihood) == hash(model.likelihood)
    for asked in ("link", "has_normal_rows", "is_linear_normal", "mean_is_predictor"):
        assert getattr(other, asked) == getattr(model, asked)
    assert model.is_linear_normal == (name == "gaussian")
    assert repr(other) == repr(model)
    np.testing.assert_array_equal(other.design.new_data(table()).X, model.design.X)


def test_a_copied_normal_model_is_fitted_by_reml(pigs_model, pigs_reml) -> None:
    for copied in COPIERS.values():
        found = copied(pigs_model).estimate()
        assert found.method == "reml"
        # to rounding: a copied array may lie otherwise in memory, and BLAS then adds in another order
        assert found.objective == pytest.approx(pigs_reml.objective, rel=1e-12)


def through(name: str):
    """A copier that goes through a library which need not be installed."""

    def copied(value):
        library = pytest.importorskip(name)
        if name == "cloudpickle":
            return pickle.loads(library.dumps(value))
        (found,) = library.Parallel(n_jobs=1)(library.delayed(COPIERS["pickle"])(own) for own in [value])
        return found

    return copied


EVERY_COPIER = COPIERS | {name: through(name) for name in ("cloudpickle", "joblib")}


@pytest.fixture(scope="module")
def counts_fit() -> hier.Estimate:
    return hier.Model(f"{LEFT['poisson']} ~ x + (1 | g)", table(), family="poisson").estimate()


@pytest.mark.parametrize("copied", EVERY_COPIER.values(), ids=EVERY_COPIER)
@pytest.mark.parametrize("fixture", ["pigs_reml", "counts_fit"])
def test_a_copied_estimate_gives_the_same_answers(fixture, copied, request) -> None:
    fit = request.getfixturevalue(fixture)
    other = copied(fit)
    assert type(other) is hier.Estimate
    assert type(other.model) is hier.Model
    assert other.summary() == fit.summary()
    rows = table() if fixture == "counts_fit" else hier.load_dataset("pigs").head(3)
    pd.testing.assert_frame_equal(other.predict(rows, se=True), fit.predict(rows, se=True))
    pd.testing.assert_frame_equal(other.confint(), fit.confint())
    for group in fit.ranef:
        pd.testing.assert_frame_equal(other.ranef[group], fit.ranef[group])
        pd.testing.assert_frame_equal(other.ranef_se[group], fit.ranef_se[group])
    assert other.model.estimate().objective == pytest.approx(fit.objective, rel=1e-12)


IN_ANOTHER_PROCESS = """
import pickle, sys
models = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(pickle.dumps([(model.estimate(), model.likelihood.is_kept) for model in models]))
"""


@pytest.mark.slow  # two imports of JAX
def test_another_process_gives_the_same_estimates() -> None:
    models = [hier.Model(f"{LEFT[name]} ~ x + (1 | g)", table(), family=name) for name in ("gaussian", "poisson")]
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS], input=pickle.dumps(models), capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()
    for model, (fit, is_kept) in zip(models, pickle.loads(done.stdout), strict=True):
        here = model.estimate()
        assert is_kept
        assert fit.method == here.method
        assert fit.summary() == here.summary()
        np.testing.assert_array_equal(fit.predict(table()), here.predict(table()))


def test_a_family_of_a_users_own_is_pickled_with_its_functions() -> None:
    for copied in COPIERS.values():
        assert copied(WEIBULL) == WEIBULL


def own_family() -> hier.Family:
    return hier.Family("own", ("mu", "sigma"), lambda rows, mu, sigma: rows.y * 0.0)


def test_a_family_of_nameless_functions_says_why_it_is_not_pickled() -> None:
    own = own_family()
    with pytest.raises(hier.ModelError, match="density of the family `own` cannot be pickled") as caught:
        pickle.dumps(own)
    assert "top level of a module" in str(caught.value)
    assert "cloudpickle" in str(caught.value)
    assert copy.deepcopy(own) == own


def test_a_pickler_that_takes_any_function_is_given_them() -> None:
    """As cloudpickle is, which need not be installed: a module of its name asks for the parts of the family."""
    asking = types.ModuleType("cloudpickle.cloudpickle")
    exec("def parts(value): return value.__reduce_ex__(4)", asking.__dict__)
    make, parts = asking.parts(own_family())
    assert make(*parts).name == "own"


def test_a_function_that_uses_hier_can_be_sent() -> None:
    assert pickle.loads(pickle.dumps(hier)) is hier
    assert copy.deepcopy(hier) is hier


def refusals():
    yield hier.ModelError("no", found="this", hint="that")
    for asked in (lambda: hier.Model("y ~ ~", table()), lambda: hier.Model("y ~ x + (1 | nowhere)", table())):
        with pytest.raises(hier.HierError) as caught:
            asked()
        yield caught.value


def test_a_refusal_comes_back_whole_from_another_process() -> None:
    for error in refusals():
        for copied in COPIERS.values():
            other = copied(error)
            assert type(other) is type(error)
            assert str(other) == str(error)
            assert other.__dict__ == error.__dict__
