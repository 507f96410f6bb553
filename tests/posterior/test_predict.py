"""Predictions by a posterior, against what its draws say of each row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import hier
from hier.posterior import prediction as predictions


def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    n = 90
    g, x = rng.integers(0, 9, n), rng.normal(size=n)
    eta = 0.5 * x + rng.normal(size=9)[g]
    o = rng.normal(size=n)
    labels = np.array([1, 2, 4, 5])[np.digitize(eta + rng.logistic(size=n), [-1.0, 0.3, 1.5])]
    return pd.DataFrame(
        {"g": g, "x": x, "o": o, "y": 2.0 + eta + o + rng.normal(size=n), "label": labels, "count": rng.poisson(2.0, n)}
    )


DATA = table()


@pytest.fixture(scope="module")
def normal():
    return hier.Model("y ~ x + (x | g)", DATA, offset="o").sample(chains=2, draws=100, seed=1, progress=False)


@pytest.fixture(scope="module")
def ordered():
    model = hier.Model("label ~ x + (1 | g)", DATA, family="cumulative")
    return model.sample(chains=2, draws=100, seed=1, progress=False)


@pytest.fixture(scope="module")
def counts():
    return hier.Model(hier.Formula("count ~ x + (1 | g)", shape="~ x"), DATA, family="negbinomial").sample(
        chains=2, draws=100, seed=1, progress=False
    )


def by_hand(posterior, data, *, random=True) -> np.ndarray:
    """Draws (200, n) of the linear predictor."""
    beta, b = posterior.draws["beta"].reshape(200, -1), posterior.draws["b_g"].reshape(200, 9, -1)
    Z = np.column_stack([np.ones(len(data)), data.x])
    X = Z if beta.shape[1] == 2 else Z[:, 1:]
    eta = beta @ X.T
    if random:
        for k in range(b.shape[2]):
            eta = eta + b[:, data.g, k] * Z[:, k]
    return eta


def assert_summed_up(found: pd.DataFrame, draws: np.ndarray, level: float = 0.95) -> None:
    ends = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    expected = np.column_stack([draws.mean(axis=0), draws.std(axis=0, ddof=1), *ends])
    assert list(found.columns) == ["fit", "se", "lower", "upper"]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_normal_response(normal, monkeypatch):
    draws = by_hand(normal, DATA) + DATA.o.to_numpy()
    assert_summed_up(normal.predict(), draws)
    monkeypatch.setattr(predictions, "AT_ONCE", 1400)  # seven rows at once
    assert_summed_up(normal.predict(level=0.5), draws, level=0.5)
    assert_summed_up(normal.predict(kind="link"), draws)
    array = normal.predict(draws=True)
    assert array.dims == ("chain", "draw", "obs")
    np.testing.assert_allclose(array.to_numpy().reshape(200, -1), draws, rtol=1e-12, atol=1e-12)
    # the expected response of an estimate is near, but not the same
    estimate = normal.model.estimate()
    assert np.abs(normal.predict()["fit"] - estimate.predict()).max() < 0.6


def test_other_data_and_levels(normal):
    new = DATA.iloc[[5, 2, 7]].assign(x=[0.5, -1.0, 2.0]).set_axis(["a", "b", "c"])
    assert_summed_up(normal.predict(new), by_hand(normal, new) + new.o.to_numpy())
    assert_summed_up(normal.predict(new, random="none"), by_hand(normal, new, random=False) + new.o.to_numpy())
    assert list(normal.predict(new).index) == ["a", "b", "c"]
    unseen = new.assign(g=[77, *new.g[1:]])
    with pytest.raises(hier.DataError, match="has levels that the fit has not seen"):
        normal.predict(unseen)
    expected = np.where([True, False, False], by_hand(normal, new, random=False), by_hand(normal, new))
    assert_summed_up(normal.predict(unseen, new_levels="zero"), expected + new.o.to_numpy())


def test_categories_of_an_ordered_response(ordered):
    cuts = ordered.draws["cutpoints"].reshape(200, 3)
    below = expit(cuts[:, None] - by_hand(ordered, DATA)[:, :, None])
    probabilities = np.diff(below, axis=-1, prepend=0.0, append=1.0)
    found = ordered.predict(kind="probabilities")
    assert list(found.columns) == [1, 2, 4, 5]
    np.testing.assert_allclose(found, probabilities.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
    array = ordered.predict(kind="probabilities", draws=True)
    assert array.dims == ("chain", "draw", "obs", "category")
    np.testing.assert_allclose(array.to_numpy().reshape(200, 90, 4), probabilities, rtol=1e-8, atol=1e-12)
    assert_summed_up(ordered.predict(), probabilities @ [1.0, 2.0, 4.0, 5.0])


def test_parameters_with_formulas_and_means(counts, normal):
    assert_summed_up(counts.predict(), np.exp(by_hand(counts, DATA)))
    for posterior in (counts, normal):
        with pytest.raises(hier.FitError, match="only an ordered response has probabilities"):
            posterior.predict(kind="probabilities")
        with pytest.raises(hier.FitError, match="`kind` cannot be 'risk'"):
            posterior.predict(kind="risk")


def test_a_posterior_from_a_file_needs_its_model_for_the_rows_of_the_fit(normal, tmp_path):
    path = normal.save(tmp_path / "p.nc")
    read = hier.load_posterior(path)
    for verb in (read.predict, read.loo, read.with_log_likelihood):
        with pytest.raises(hier.FitError, match="does not hold the data"):
            verb()
    model = hier.Model("y ~ x + (x | g)", DATA, offset="o")
    pd.testing.assert_frame_equal(hier.load_posterior(path, model=model).predict(), normal.predict())
    other = hier.Model("y ~ x + (x | g)", DATA.assign(x=DATA.x[::-1].to_numpy()), offset="o")
    with pytest.raises(hier.ModelError, match="not of this model on these data"):
        hier.load_posterior(path, model=other)
