"""What is given away is the user's own, or closed to writing: a change of one answer does not change the next."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

import hier

SERIES = ("fixef", "fitted", "residuals")
TABLES = ("vcov", "coefficients", "varcorr")
BY_GROUP = ("ranef", "ranef_se", "coef")
COPIERS = {"pickle": lambda value: pickle.loads(pickle.dumps(value)), "deepcopy": copy.deepcopy, "copy": copy.copy}


def arrays_in(value, path="", seen=None):
    """Every array that can be reached from a value, with the way there."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        yield path, value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from arrays_in(each, f"{path}[{name!r}]", seen)
    elif isinstance(value, tuple):
        for k, each in enumerate(value):
            yield from arrays_in(each, f"{path}[{k}]", seen)


def given_away(model, fit, posterior):
    """The arrays of a model, an estimate and a posterior that a user can get at."""
    for of, names in (
        (model.design, ("y", "X", "triangle", "weights", "offset", "trials")),
        (fit, ("arrays", "further", "working_rows")),
        (posterior, ("draws", "stats", "observed", "index")),
    ):
        for name in names:
            yield from arrays_in(getattr(of, name, None), f"{type(of).__name__}.{name}")
    for own in (*model.design.random_effects, *model.design.parameters):
        for name in ("codes", "Z", "X", "offset"):
            yield from arrays_in(getattr(own, name, None), f"{type(own).__name__}.{name}")


@pytest.fixture(scope="module")
def counts(pigs):
    return hier.Model(
        "heavy ~ week + (1 | id)", pigs.assign(heavy=(pigs["weight"] > 50).astype(int)), family="bernoulli"
    ).estimate()


def test_a_changed_table_changes_nothing_else(pigs_reml) -> None:
    before = pigs_reml.summary()
    for name in (*SERIES, *TABLES):
        table = getattr(pigs_reml, name)
        table.iloc[0] = 99.0
        assert not getattr(pigs_reml, name).equals(table), name
    for name in BY_GROUP:
        tables = getattr(pigs_reml, name)
        tables["id"].iloc[0] = 99.0
        assert not getattr(pigs_reml, name)["id"].equals(tables["id"]), name
        tables.clear()
        assert list(getattr(pigs_reml, name)) == ["id"]
    assert pigs_reml.summary() == before


def test_no_array_that_is_given_away_can_be_written_into(pigs_reml, pigs_posterior, counts) -> None:
    before = pigs_reml.summary(), pigs_posterior.summary(), counts.summary()
    found = dict(given_away(pigs_reml.model, pigs_reml, pigs_posterior))
    found |= {f"counts {path}": own for path, own in given_away(counts.model, counts, pigs_posterior)}
    assert {"Design.X", "Estimate.arrays[0]", "Posterior.draws['beta']"} <= set(found)
    for path, array in found.items():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array[...]
        assert not array.flags.writeable, path
    for name in ("draws", "stats", "priors", "further"):
        getattr(pigs_posterior, name).clear()
    assert len(pigs_posterior.draws) > 3
    assert (pigs_reml.summary(), pigs_posterior.summary(), counts.summary()) == before


def test_the_arrays_of_the_user_stay_open() -> None:
    rng = np.random.default_rng(0)
    table = {"y": rng.normal(size=40), "x": rng.normal(size=40), "g": np.repeat(np.arange(8), 5)}
    weights = np.linspace(1.0, 2.0, 40)
    model = hier.Model("y ~ x + (1 | g)", table, weights=weights)
    X, y = model.design.X.copy(), model.design.y.copy()
    for own in (*table.values(), weights):
        own[:] = 1
    np.testing.assert_array_equal(model.design.X, X)
    np.testing.assert_array_equal(model.design.y, y)


@pytest.mark.parametrize("copied", COPIERS.values(), ids=COPIERS)
def test_copies_of_results_are_equal_and_closed(pigs_reml, pigs_posterior, copied) -> None:
    both = hier.compare(pigs_reml, pigs_posterior)
    fit, posterior, again = copied(pigs_reml), copied(pigs_posterior), copied(both)
    assert fit.summary() == pigs_reml.summary()
    assert posterior.summary() == pigs_posterior.summary()
    assert str(again) == str(both)
    for name in ("table", "shrinkage", "parameters"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(both, name))
    pd.testing.assert_frame_equal(posterior.tidy(), pigs_posterior.tidy())
    pd.testing.assert_frame_equal(hier.compare(fit, posterior).table, both.table)
    for path, array in given_away(fit.model, fit, posterior):
        assert not array.flags.writeable, path


def test_pictures_are_found_without_another_import() -> None:
    assert callable(hier.plots.plot_shrinkage)
