"""Predictions, comparisons and slopes of both results: against draws by hand, and dense algebra of the errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import hier
from tests.estimate.conftest import as_dense
from tests.posterior.made_up import of_model

N = 80


def table() -> pd.DataFrame:
    rng = np.random.default_rng(9)
    x, g, f = rng.normal(size=N), rng.integers(0, 8, N), np.array(["a", "b", "c"])[rng.integers(0, 3, N)]
    eta = 0.5 * x + 0.4 * (f == "b") + 0.6 * rng.normal(size=8)[g]
    return pd.DataFrame(
        {
            "x": x,
            "f": f,
            "g": g,
            "y": eta + 0.8 * x * rng.normal(size=8)[g] + 0.5 * rng.normal(size=N),
            "binary": (rng.random(N) < expit(eta)).astype(int),
            "label": np.digitize(eta + rng.logistic(size=N), [-0.5, 1.0]) + 1,
            "count": np.where(rng.random(N) < 0.2, 0, rng.poisson(np.exp(0.5 + eta))),
        }
    )


DATA = table()
NORMAL = hier.Model("y ~ x * f + (x | g)", DATA)
LOGISTIC = hier.Model("binary ~ x + f + (1 | g)", DATA, family="bernoulli")


def draws_of_means(posterior, data, *, random: bool) -> np.ndarray:
    """Probabilities (S, n) of the logistic model, by hand."""
    beta = posterior.draws["beta"].reshape(-1, 4)
    X = np.column_stack([np.ones(len(data)), data["x"], data["f"] == "b", data["f"] == "c"])
    eta = beta @ X.T
    if random:
        eta = eta + posterior.draws["b_g"].reshape(len(beta), 8)[:, data["g"]]
    return expit(eta)


def assert_summed_up(found: pd.DataFrame, draws: np.ndarray, level: float = 0.95, rtol: float = 1e-9) -> None:
    ends = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    expected = np.column_stack([draws.mean(axis=0), draws.std(axis=0, ddof=1), *ends])
    np.testing.assert_allclose(found[["estimate", "std_error", "conf_low", "conf_high"]], expected, rtol=rtol)


@pytest.mark.parametrize("random", ["all", "none"])
def test_a_posterior_says_it_of_each_draw(random, monkeypatch) -> None:
    posterior, some = of_model(LOGISTIC, (2, 50)), random == "all"
    mean = draws_of_means(posterior, DATA, random=some)
    assert_summed_up(posterior.predictions(random=random), mean)
    monkeypatch.setattr("hier.posterior.prediction.AT_ONCE", 7000)  # seven rows at once
    assert_summed_up(posterior.avg_predictions(random=random, level=0.5), mean.mean(axis=1, keepdims=True), 0.5)
    groups = np.stack([mean[:, DATA["f"] == level].mean(axis=1) for level in "abc"], axis=1)
    assert_summed_up(posterior.avg_predictions(by="f", random=random), groups)
    high, low = (draws_of_means(posterior, DATA.assign(f=level), random=some) for level in "ca")
    of_c = posterior.comparisons("f", random=random).iloc[N:]
    assert_summed_up(of_c, high - low)
    assert list(of_c.index) == list(DATA.index)
    for how, f in (("ratio", np.divide), ("lift", lambda h, l: (h - l) / l)):  # noqa: E741
        own = posterior.avg_comparisons({"f": ["a", "c"]}, comparison=how, random=random)
        assert_summed_up(own, f(high.mean(axis=1), low.mean(axis=1))[:, None])
    slope = mean * (1 - mean) * posterior.draws["beta"].reshape(-1, 4)[:, 1:2]
    assert_summed_up(posterior.slopes("x", random=random), slope, rtol=1e-5)
    assert_summed_up(posterior.avg_slopes("x", random=random), slope.mean(axis=1, keepdims=True), rtol=1e-5)


def test_grids_leave_groups_out_and_averages_take_them_in() -> None:
    posterior = of_model(LOGISTIC, (2, 30))
    grid = posterior.predictions({"x": [-1, 0, 1], "f": ["a", "c"]})
    rows = pd.DataFrame({"x": np.repeat([-1.0, 0.0, 1.0], 2), "f": ["a", "c"] * 3})
    assert_summed_up(grid, draws_of_means(posterior, rows, random=False))
    assert list(grid.columns[:2]) == ["x", "f"]
    over = posterior.predictions(rows, new_levels="integrate", random="all")
    table = posterior.predict(rows, new_levels="integrate")
    np.testing.assert_allclose(over["estimate"], table["fit"], rtol=1e-10)
    assert len(posterior.predictions("mean")) == 1
    assert len(posterior.predictions("balanced")) == 3


def test_errors_of_an_estimate_are_those_of_all_rows_together() -> None:
    fit = NORMAL.estimate()
    design, dense = NORMAL.design, as_dense(fit)

    def rows(data):
        own = design.new_data(data)
        Z = np.zeros((len(data), 16))
        for k in range(2):
            Z[np.arange(len(data)), 2 * own.random_effects[0].codes + k] = own.random_effects[0].Z[:, k]
        return own.X, Z

    X, Z = rows(DATA)
    whole = fit.avg_predictions()
    np.testing.assert_allclose(whole["estimate"], fit.fitted.mean(), rtol=1e-9)
    expected = np.sqrt(np.ones(N) @ dense.errors(X, Z) @ np.ones(N)) / N
    np.testing.assert_allclose(whole["std_error"], expected, rtol=1e-6)
    np.testing.assert_allclose(fit.predictions()["std_error"], fit.predict(se=True)["se"], rtol=1e-6)
    (high, Z1), (low, Z0) = rows(DATA.assign(x=DATA["x"] + 1)), rows(DATA)
    step = fit.avg_comparisons("x", by="f")
    for row in step.itertuples():
        w = (DATA["f"] == row.f).to_numpy() / (DATA["f"] == row.f).sum()
        np.testing.assert_allclose(row.std_error, np.sqrt(w @ dense.errors(high - low, Z1 - Z0) @ w), rtol=1e-6)
    np.testing.assert_allclose(fit.avg_slopes("x", by="f")["estimate"], step["estimate"], rtol=1e-7)
    np.testing.assert_allclose(step["statistic"], step["estimate"] / step["std_error"], rtol=1e-12)


@pytest.mark.parametrize(
    ("formula", "family"), [("label ~ x + f + (1 | g)", "cumulative"), ("count ~ x + (1 | g)", "zero_inflated_poisson")]
)
def test_errors_of_further_parameters_count(formula, family) -> None:
    """The delta method over the joint covariance of fixed effects, cutpoints and further parameters, by differences."""
    fit = hier.Model(formula, DATA, family=family).estimate()
    rows = DATA.head(3)
    found = fit.predictions(rows, random="none")
    beta, own = fit.arrays.beta, fit.further
    theta = np.concatenate([*own.others, own.cutpoints, beta])
    covariance = np.block([[own.covariance, own.with_fixed], [own.with_fixed.T, fit.arrays.vcov]])
    X = fit.model.design.new_data(rows).X

    def mean(t):
        eta = X @ t[len(t) - len(beta) :]
        if family == "cumulative":
            return 1.0 + sum(1.0 - expit(cut - eta) for cut in t[:2])
        return (1.0 - expit(t[0])) * np.exp(eta)

    J = np.stack([(mean(theta + e) - mean(theta - e)) / 2e-5 for e in 1e-5 * np.eye(len(theta))], axis=1)
    np.testing.assert_allclose(found["estimate"], mean(theta), rtol=1e-8)
    np.testing.assert_allclose(found["std_error"], np.sqrt(np.einsum("ni,ij,nj->n", J, covariance, J)), rtol=1e-4)


def test_both_results_answer_to_the_same_words() -> None:
    for result in (LOGISTIC.estimate(), of_model(LOGISTIC, (2, 30))):
        for verb in ("predictions", "comparisons", "slopes", "avg_predictions", "avg_comparisons", "avg_slopes"):
            found = getattr(result, verb)(newdata=DATA.head(5), kind="link", random="g", level=0.8)
            assert {"estimate", "std_error", "conf_low", "conf_high"} <= set(found.columns)
            assert np.isfinite(found["estimate"]).all()
    assert list(LOGISTIC.estimate().avg_comparisons()["term"]) == ["x", "f", "f"]
    assert list(LOGISTIC.estimate().avg_comparisons({"f": "pairwise"})["contrast"]) == ["b - a", "c - a", "c - b"]


def test_conditional_effects_are_predictions_on_a_grid() -> None:
    for result in (NORMAL.estimate(), of_model(NORMAL, (2, 30))):
        found = result.conditional_effects(resolution=5)
        assert list(found) == ["x", "f"]
        assert len(found["x"]) == 5
        assert list(found["f"]["f"]) == ["a", "b", "c"]
        both = result.conditional_effects("x:f", resolution=4)["x:f"]
        assert len(both) == 12
        own = result.predictions({"x": both["x"].unique(), "f": ["a", "b", "c"]})
        np.testing.assert_allclose(both["estimate"], own["estimate"], rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda r: r.comparisons("z"), "no variable `z`"),
        (lambda r: r.comparisons({"x": "sdd"}), "`variables` cannot be 'sdd'"),
        (lambda r: r.comparisons({"f": ["a", "q"]}), "has no level 'q'"),
        (lambda r: r.comparisons(comparison="odds"), "`comparison` cannot be 'odds'"),
        (lambda r: r.predictions({"x": [1], "q": [2]}), "no variable 'q'"),
        (lambda r: r.predictions({"f": ["z"]}), "has no level 'z'"),
        (lambda r: r.predictions({"x": ["a"]}), "`x` is numeric"),
        (lambda r: r.predictions(by="q"), "no column `q`"),
        (lambda r: r.predictions(DATA.drop(columns="x")), "no column `x`"),
        (lambda r: r.predictions(DATA.assign(g=99)), "has levels that the fit has not seen"),
        (lambda r: r.predictions(kind="odds"), "`kind` cannot be 'odds'"),
        (lambda r: r.slopes(level=2), "`level` cannot be 2"),
        (lambda r: r.conditional_effects("q"), "there is no effect `q`"),
        (lambda r: r.conditional_effects(resolution=1), "`resolution` cannot be 1"),
    ],
)
def test_what_cannot_be_is_said(call, said) -> None:
    for result in (LOGISTIC.estimate(), of_model(LOGISTIC)):
        with pytest.raises(hier.HierError) as refused:
            call(result)
        assert said in str(refused.value)


def test_a_table_that_was_changed_is_not_taken_for_the_data_of_the_fit() -> None:
    data = DATA.copy()
    fit = hier.Model("y ~ x + (1 | g)", data).estimate()
    before = fit.avg_comparisons("x")
    column = data["x"].to_numpy()
    if column.flags.writeable or np.shares_memory(column, fit.model.design.table.columns["x"]):
        own = fit.model.design.table.columns["x"]
        own.flags.writeable = True
        own[0] += 1.0
        with pytest.raises(hier.DataError, match="has been changed since"):
            fit.avg_comparisons("x")
    pd.testing.assert_frame_equal(before, fit.avg_comparisons("x", newdata=DATA))


@pytest.mark.parametrize("offset", ["o", None])
def test_offsets_beside_the_formula_are_those_of_the_rows(offset) -> None:
    data = DATA.assign(o=np.linspace(-1.0, 1.0, N) ** 2)
    given = data["o"].to_numpy() if offset is None else offset
    fit = hier.Model("count ~ x + (1 | g)", data, family="poisson", offset=given).estimate()
    np.testing.assert_allclose(fit.avg_predictions()["estimate"], fit.fitted.mean(), rtol=1e-10)
    step = np.expm1(fit.fixef["x"]) * fit.fitted.mean()
    np.testing.assert_allclose(fit.avg_comparisons("x")["estimate"], step, rtol=1e-9)
    at = fit.predictions({"x": [1.0]}, kind="link")["estimate"].iloc[0]
    np.testing.assert_allclose(at, fit.fixef.sum() + data["o"].mean(), rtol=1e-9)


def test_crossed_factors_row_by_row(monkeypatch) -> None:
    data = DATA.assign(h=np.arange(N) % 7)
    data["y"] = data["y"] + np.random.default_rng(1).normal(size=7)[data["h"]]
    fit = hier.Model("y ~ x + (1 | g) + (1 | h)", data).estimate()
    monkeypatch.setattr("hier.estimate.estimated_effects.NUMBERS_AT_A_TIME", 50)
    np.testing.assert_allclose(fit.predictions()["std_error"], fit.predict(se=True)["se"], rtol=1e-6)
