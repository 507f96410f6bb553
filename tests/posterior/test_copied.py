"""A posterior that was pickled or copied gives the same answers, and so does a model that is then sampled."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hier


def by_joblib(value: Any) -> Any:
    joblib = pytest.importorskip("joblib")
    file = io.BytesIO()
    joblib.dump(value, file)
    file.seek(0)
    return joblib.load(file)


def by_cloudpickle(value: Any) -> Any:
    return pickle.loads(pytest.importorskip("cloudpickle").dumps(value))


COPIERS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "deepcopy": copy.deepcopy,
    "joblib": by_joblib,
    "cloudpickle": by_cloudpickle,
}


@pytest.mark.parametrize("copied", COPIERS.values(), ids=COPIERS)
def test_a_copied_posterior_gives_the_same_answers(copied, pigs, pigs_posterior) -> None:
    _ = pigs_posterior.data, pigs_posterior.varcorr  # what is made once, when it is first asked for
    other = copied(pigs_posterior)
    assert type(other) is hier.Posterior
    assert other.summary() == pigs_posterior.summary()
    assert str(other.diagnose()) == str(pigs_posterior.diagnose())
    for table in ("fixef", "vcov", "varcorr", "family_parameters"):
        assert getattr(other, table).equals(getattr(pigs_posterior, table)), table
    for tables in ("ranef", "ranef_se", "coef"):
        assert getattr(other, tables)["id"].equals(getattr(pigs_posterior, tables)["id"]), tables
    assert other.hypothesis("week > 6").equals(pigs_posterior.hypothesis("week > 6"))
    pd.testing.assert_frame_equal(other.predict(pigs.head()), pigs_posterior.predict(pigs.head()), rtol=1e-12)
    assert other.data.identical(pigs_posterior.data)
    with pytest.raises(ValueError, match="read-only"):
        other.draws["beta"][0] = 0.0


@pytest.mark.parametrize("copied", COPIERS.values(), ids=COPIERS)
def test_a_copied_model_has_the_same_posterior(copied, pigs_model) -> None:
    here, there = (
        model.sample(chains=2, draws=50, seed=4, method="laplace", progress=False)
        for model in (pigs_model, copied(pigs_model))
    )
    for name, draws in here.draws.items():
        # to rounding: a copied array may lie otherwise in memory, and BLAS then adds in another order
        np.testing.assert_allclose(there.draws[name], draws, rtol=1e-7, atol=1e-9, err_msg=name)
