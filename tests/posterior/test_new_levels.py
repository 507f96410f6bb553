"""Predictions of old and new groups, against simulation from the draws as brms does it, written out here."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import hier
from tests.posterior.made_up import of_model

N = 60


def table() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    x, g, h = rng.normal(size=N), rng.integers(0, 8, N), rng.integers(0, 5, N)
    eta = 0.4 * x
    return pd.DataFrame(
        {
            "x": x,
            "g": [f"g{k}" for k in g],
            "h": h,
            "real": eta + rng.normal(size=N),
            "positive": rng.gamma(4.0, np.exp(eta) / 4.0),
            "unit": rng.beta(2.0, 2.0, N),
            "count": rng.poisson(np.exp(eta)),
            "binary": (rng.random(N) < expit(eta)).astype(int),
            "tried": rng.integers(2, 9, N),
            "label": np.digitize(eta + rng.logistic(size=N), [-1.0, 0.5]) + 1,
        }
    ).assign(succeeded=lambda t: np.minimum(t["tried"], rng.integers(0, 9, N)))


DATA = table()
RESPONSES = {
    "gaussian": "real",
    "gamma": "positive",
    "beta": "unit",
    "poisson": "count",
    "negbinomial": "count",
    "bernoulli": "binary",
    "binomial": "succeeded | trials(tried)",
    "cumulative": "label",
}
LINKS = {"gamma": "log"}
NEW = DATA.iloc[:8].assign(g=["g1", "new", "new", "other", None, "g2", "g0", "new"], h=[0, 1, 77, 2, 3, 77, 4, 1])


def model_of(family: str, bars: str = "(x | g) + (1 | h)") -> hier.Model:
    return hier.Model(f"{RESPONSES[family]} ~ x + {bars}", DATA, family=family, link=LINKS.get(family))


def posterior_of(family: str, shape=(2, 10), **options):
    return of_model(model_of(family, **options), shape)


def known_part(posterior, data) -> np.ndarray:
    """Draws (S, n) of the predictor, deviations of new levels zero."""
    draws = {name: own.reshape(-1, *own.shape[2:]) for name, own in posterior.draws.items()}
    X = np.column_stack([np.ones(len(data)), data["x"]])[:, -len(posterior.coef_names) :]
    eta = draws["beta"] @ X.T
    for group in posterior.groups:
        Z = np.column_stack([np.ones(len(data)), data["x"]])[:, : len(group.names)]
        for i, level in enumerate(data[group.name]):
            if level in group.levels:
                eta[:, i] += draws[f"b_{group.name}"][:, group.levels.get_loc(level)] @ Z[i]
    return eta


def covariances(posterior, group) -> np.ndarray:
    """Of the deviations in each draw (S, q, q)."""
    sd = posterior.draws[f"sd_{group}"].reshape(-1, posterior.draws[f"sd_{group}"].shape[-1])
    own = sd[:, :, None] ** 2 * np.eye(sd.shape[1])
    if f"cor_{group}" in posterior.draws:
        own[:, 0, 1] = own[:, 1, 0] = posterior.draws[f"cor_{group}"].reshape(-1) * sd[:, 0] * sd[:, 1]
    return own


def simulated_part(posterior, data, rng) -> np.ndarray:
    """Draws (S, n) of what new levels add: one deviation per level and draw, of rows without a label one each."""
    found = np.zeros((posterior.settings.chains * posterior.settings.draws, len(data)))
    for group in posterior.groups:
        Z = np.column_stack([np.ones(len(data)), data["x"]])[:, : len(group.names)]
        labels = [f"row {i}" if pd.isna(level) else level for i, level in enumerate(data[group.name])]
        for level in {own for own in labels if own not in group.levels}:
            rows = [i for i, own in enumerate(labels) if own == level]
            root = np.linalg.cholesky(covariances(posterior, group.name))
            b = (root @ rng.standard_normal((*root.shape[:2], 1)))[..., 0]
            found[:, rows] += b @ Z[rows].T
    return found


def means(posterior, eta: np.ndarray) -> np.ndarray:
    family = posterior.family
    if family == "cumulative":
        cuts = posterior.draws["cutpoints"].reshape(len(eta), -1)
        return 1.0 + sum(1.0 - expit(cuts[:, k, None] - eta) for k in range(cuts.shape[1]))
    return {"gaussian": lambda e: e, "gamma": np.exp, "poisson": np.exp, "negbinomial": np.exp}.get(family, expit)(eta)


def drawn(posterior, eta: np.ndarray, data, rng) -> np.ndarray:
    """A response of every row and draw, by NumPy."""
    mu, own = means(posterior, eta), posterior.draws

    def further(name):
        return own[name].reshape(-1, 1)

    match posterior.family:
        case "gaussian":
            return rng.normal(mu, further("sigma"))
        case "gamma":
            return rng.gamma(further("shape"), mu / further("shape"))
        case "beta":
            return rng.beta(mu * further("phi"), (1 - mu) * further("phi"))
        case "poisson":
            return rng.poisson(mu)
        case "negbinomial":
            return rng.poisson(rng.gamma(further("shape"), mu / further("shape")))
        case "binomial":
            return rng.binomial(data["tried"].to_numpy(), mu)
        case "cumulative":
            cuts = own["cutpoints"].reshape(len(eta), 1, -1)
            return 1 + (rng.random(eta.shape)[..., None] > expit(cuts - eta[..., None])).sum(axis=-1)
    return rng.random(mu.shape) < mu


def assert_same_distribution(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Means and quantiles of each row of (S, n), within five standard errors of simulation."""
    S = len(ours)
    sd = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / 2) + 1e-12
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 5 * sd * np.sqrt(2 / S)).all()
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        cut = np.quantile(theirs, share, axis=0)
        for below in (np.less, np.less_equal):
            assert (
                np.abs(below(ours, cut).mean(axis=0) - below(theirs, cut).mean(axis=0)) < 5 * np.sqrt(0.5 / S)
            ).all()


@pytest.mark.parametrize("family", RESPONSES)
def test_responses_and_means_of_old_and_new_groups(family) -> None:
    posterior, rng = posterior_of(family, (2, 1500)), np.random.default_rng(3)
    known = known_part(posterior, NEW)
    link = posterior.predict(NEW, kind="link", new_levels="zero", draws=True).to_numpy().reshape(known.shape)
    np.testing.assert_allclose(link, known, rtol=1e-10, atol=1e-10)
    eta = known + simulated_part(posterior, NEW, rng)
    for kind, expected in (
        ("link", eta),
        ("mean", means(posterior, eta)),
        ("response", drawn(posterior, eta, NEW, rng).astype(float)),
    ):
        found = posterior.predict(NEW, kind=kind, new_levels="sample", draws=True, seed=5)
        assert found.dims == ("chain", "draw", "obs")
        assert_same_distribution(found.to_numpy().reshape(known.shape).astype(float), expected)
    both = posterior.predict(NEW, kind="response", new_levels="integrate", draws=True, seed=6)
    assert_same_distribution(both.to_numpy().reshape(known.shape).astype(float), drawn(posterior, eta, NEW, rng) * 1.0)


@pytest.mark.parametrize("family", RESPONSES)
def test_means_over_new_groups_against_a_million_of_them(family) -> None:
    posterior, rng = posterior_of(family, (1, 2)), np.random.default_rng(2)
    known = known_part(posterior, NEW)
    found = posterior.predict(NEW, new_levels="integrate", draws=True).to_numpy()[0]
    half = rng.standard_normal((2, 500_000))
    half = np.concatenate([half, -half], axis=1)
    for s in range(2):
        one = posterior.predict(NEW, new_levels="zero", draws=True).to_numpy()[0, s]
        for i, row in enumerate(NEW.itertuples()):
            more = np.zeros(half.shape[1])
            for group, z in (("g", [1.0, row.x]), ("h", [1.0])):
                levels = next(own.levels for own in posterior.groups if own.name == group)
                if getattr(row, group) not in levels:
                    root = np.linalg.cholesky(covariances(posterior, group)[s])
                    more += np.asarray(z) @ root @ half[: len(z)][:, rng.permutation(half.shape[1])]
            if not more.any():
                np.testing.assert_allclose(found[s, i], one[i], rtol=1e-12)
                continue
            eta = known[s, i] + more
            if family == "cumulative":
                cuts = posterior.draws["cutpoints"].reshape(2, -1)[s]
                expected = 1.0 + sum((1.0 - expit(cut - eta)).mean() for cut in cuts)
            else:
                expected = means(posterior, eta[None])[0].mean()
            assert abs(found[s, i] - expected) < 2e-3 * max(1.0, abs(expected))


def test_a_logistic_mean_over_groups_is_not_the_logistic_of_the_mean() -> None:
    posterior = posterior_of("bernoulli", (1, 6), bars="(1 | g)")
    whole = posterior.predict(NEW.drop(columns="g"), new_levels="integrate", draws=True).to_numpy()[0]
    eta, sd = known_part(posterior, NEW.assign(g="nobody")), posterior.draws["sd_g"].reshape(6, 1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    expected = sum(w * expit(eta + sd * t) for t, w in zip(nodes, weights / weights.sum(), strict=True))
    np.testing.assert_allclose(whole, expected, rtol=1e-9)
    table = posterior.predict(NEW.drop(columns="g"), new_levels="integrate")
    np.testing.assert_allclose(table["fit"], expected.mean(axis=0), rtol=1e-9)
    assert "the table has no `g`" in table.attrs["note"]


def test_a_level_is_drawn_once_in_whatever_blocks_it_is_predicted(monkeypatch) -> None:
    posterior = posterior_of("gaussian", (2, 40), bars="(x | g)")
    rows = pd.concat([NEW] * 3, ignore_index=True)
    whole = posterior.predict(rows, new_levels="sample", draws=True, seed=1)
    monkeypatch.setattr("hier.posterior.prediction.AT_ONCE", 160)
    again = posterior.predict(rows, new_levels="sample", draws=True, seed=1)
    np.testing.assert_allclose(again, whole, rtol=1e-12)
    labelled = [i for i in range(24) if i % 8 != 4]
    np.testing.assert_allclose(whole[..., [i % 8 for i in labelled]], whole[..., labelled], rtol=1e-10)
    assert (whole[..., 4] != whole[..., 12]).all()  # without labels they are two levels
    other = posterior.predict(rows, new_levels="sample", draws=True, seed=2)
    assert (other[..., 1] != whole[..., 1]).all()
    assert np.allclose(other[..., 0], whole[..., 0], rtol=1e-12)


def test_categories_of_new_groups() -> None:
    posterior = posterior_of("cumulative", (2, 30))
    found = posterior.predict(NEW, kind="probabilities", new_levels="integrate")
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-10)
    mean = posterior.predict(NEW, new_levels="integrate")["fit"]
    np.testing.assert_allclose(found @ [1.0, 2.0, 3.0], mean, rtol=1e-9)


def test_some_of_the_terms() -> None:
    posterior = posterior_of("poisson", (2, 200))
    alone = posterior.predict(NEW, random="h", new_levels="integrate")
    np.testing.assert_allclose(posterior.predict(NEW.drop(columns="g"), random="h", new_levels="integrate"), alone)
    fixed = posterior.predict(NEW.drop(columns=["g", "h"]), random="none")
    np.testing.assert_allclose(alone["fit"].iloc[[2, 5]] > fixed["fit"].iloc[[2, 5]], True)


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda t: t.drop(columns="x"), {}, "the table has no column `x`"),
        (lambda t: t.drop(columns="g"), {}, "the table has no column `g`"),
        (lambda t: t.assign(x=np.nan), {}, "there are missing values"),
        (lambda t: t, {}, "has levels that the fit has not seen"),
        (lambda t: t.drop(columns="x"), {"new_levels": "sample"}, "the table has no column `x`"),
        (lambda t: t, {"new_levels": "ignore"}, "`new_levels` cannot be 'ignore'"),
        (lambda t: t, {"kind": "risk"}, "`kind` cannot be 'risk'"),
        (lambda t: t, {"kind": "probabilities"}, "only an ordered response has probabilities"),
        (lambda t: t, {"random": "(1 | k)"}, "no random effects"),
        (lambda t: t, {"seed": -1}, "`seed` cannot be -1"),
        (lambda t: t, {"level": 95}, "`level` cannot be 95"),
    ],
)
def test_bad_questions_are_answered_by_both(change, options, said) -> None:
    posterior = posterior_of("gaussian")
    for result in (posterior, model_of("gaussian").estimate()):
        with pytest.raises(hier.HierError) as refused:
            result.predict(change(NEW), **options)
        assert said in str(refused.value)


def test_a_new_level_of_a_fixed_factor_is_refused() -> None:
    data = DATA.assign(f=np.where(DATA["x"] > 0, "a", "b"))
    model = hier.Model("real ~ f + (1 | g)", data)
    for result in (of_model(model), model.estimate()):
        for new_levels in ("error", "sample", "integrate"):
            with pytest.raises(hier.DataError, match="`f` has a level that was not in the data of the fit"):
                result.predict(data.head(3).assign(f="c"), new_levels=new_levels)


@pytest.mark.slow
def test_a_million_rows_by_four_thousand_draws_in_two_gigabytes() -> None:
    posterior = posterior_of("gaussian", (4, 1000), bars="(x | g)")
    rng, n = np.random.default_rng(0), 1_000_000
    rows = pd.DataFrame({"x": rng.normal(size=n), "g": rng.choice([f"g{k}" for k in range(8)], n)})
    tracemalloc.start()
    found = posterior.predict(rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e9
    assert len(found) == n
    some = posterior.predict(rows.iloc[-3:])
    np.testing.assert_allclose(found.iloc[-3:], some, rtol=1e-10)
