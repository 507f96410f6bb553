"""Tests of random effects, and comparisons of models: against fits of the smaller models, written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import hier
from hier.design.reduced import deletions


def check_against_formulas(data, fixed, random, expected, method="reml"):
    """Every row is the fit of the formula that it stands for."""
    fit = hier.Model(f"{fixed} + {random}", data).estimate(method)
    table = fit.ranova()
    assert list(table.index) == ["<none>", *expected]
    for label, smaller in expected.items():
        other = hier.Model(f"{fixed} + {smaller}", data).estimate(method)
        assert table.loc[label, "loglik"] == pytest.approx(other.loglik, abs=1e-6)
        assert table.loc[label, "npar"] == other.n_parameters
        assert table.loc[label, "lrt"] == pytest.approx(2 * (fit.loglik - other.loglik), abs=2e-6)
    return table


def test_slopes_are_taken_out_of_their_bar(machines):
    data = machines.assign(x=np.linspace(-1, 1, len(machines)) ** 2)
    expected = {"x in (x | Worker)": "(1 | Worker) + (1 | Worker:Machine)", "(1 | Worker:Machine)": "(x | Worker)"}
    check_against_formulas(data, "score ~ Machine", "(x | Worker) + (1 | Worker:Machine)", expected)


def test_a_factor_coded_in_full_leaves_the_intercept(machines):
    expected = {"Machine in (0 + Machine | Worker)": "(1 | Worker)"}
    table = check_against_formulas(machines, "score ~ Machine", "(0 + Machine | Worker)", expected, "ml")
    assert table.loc["Machine in (0 + Machine | Worker)", "df"] == 5
    assert table.attrs["note"] == "log-likelihoods"


@pytest.mark.slow
def test_uncorrelated_columns_are_taken_out_one_by_one(pigs):
    expected = {"(1 | id)": "(0 + week | id)", "(0 + week | id)": "(1 | id)"}
    check_against_formulas(pigs, "weight ~ week", "(week || id)", expected)


def labels_and_columns(formula, data):
    """What can be left out, and the columns and blocks that remain of the factor."""
    found = {}
    for deletion in deletions(hier.Model(formula, data).design):
        found[deletion.label] = [(own.names, [b.size for b in own.blocks]) for own in deletion.random_effects]
    return found


def test_what_can_be_left_out(machines):
    data = machines.assign(x=np.linspace(-1, 1, len(machines)), z=np.cos(np.arange(len(machines))))
    start = "score ~ Machine + "
    assert labels_and_columns(start + "(x * z | Worker)", data) == {
        "x:z in (x + z + x:z | Worker)": [(("Intercept", "x", "z"), [3])]
    }
    assert labels_and_columns(start + "(x + z | Worker)", data) == {
        "x in (x + z | Worker)": [(("Intercept", "z"), [2])],
        "z in (x + z | Worker)": [(("Intercept", "x"), [2])],
    }
    assert labels_and_columns(start + "(0 + x | Worker)", data) == {"(0 + x | Worker)": []}
    assert labels_and_columns(start + "(0 + x + z | Worker)", data) == {
        "x in (0 + x + z | Worker)": [(("z",), [1])],
        "z in (0 + x + z | Worker)": [(("x",), [1])],
    }
    assert labels_and_columns(start + "(1 | Worker) + (0 + x | Worker)", data) == {
        "(1 | Worker)": [(("x",), [1])],
        "(0 + x | Worker)": [(("Intercept",), [1])],
    }
    assert labels_and_columns(start + "(0 + Machine + x | Worker)", data) == {
        "Machine in (0 + Machine + x | Worker)": [(("Intercept", "x"), [2])],
        "x in (0 + Machine + x | Worker)": [(("Machine[A]", "Machine[B]", "Machine[C]"), [3])],
    }
    assert labels_and_columns(start + "(Machine || Worker)", data) == {
        "(1 | Worker)": [(("Machine[T.B]", "Machine[T.C]"), [1, 1])],
        "(0 + Machine || Worker)": [(("Intercept",), [1])],
    }
    assert labels_and_columns(start + "cs(0 + Machine | Worker)", data) == {"cs(0 + Machine | Worker)": []}


def test_smaller_random_effects_read_new_data_as_their_own(machines):
    """What remains codes another table as it codes that of the fit."""
    design = hier.Model("score ~ Machine + (0 + Machine | Worker)", machines).design
    (deletion,) = deletions(design)
    (own,) = deletion.random_effects
    for encoder in own.encoders:
        assert encoder.names == own.names
        assert encoder.part.intercept
    np.testing.assert_array_equal(own.Z, 1.0)


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_without_groups_the_likelihood_is_that_of_least_squares(sim757, method):
    """Weights and offset included, against the formula's own density."""
    rng = np.random.default_rng(1)
    data = sim757.assign(w=rng.uniform(0.5, 2, len(sim757)), o=rng.normal(size=len(sim757)))
    fit = hier.Model("Y ~ X + (1 | Group)", data, weights="w", offset="o").estimate(method)
    X, y = fit.model.design.X, fit.model.design.y - data["o"].to_numpy()
    w, (n, p) = data["w"].to_numpy(), X.shape
    beta = np.linalg.solve(X.T @ (w[:, None] * X), X.T @ (w * y))
    rss = w @ (y - X @ beta) ** 2
    if method == "ml":
        expected = stats.norm.logpdf(y, X @ beta, np.sqrt(rss / n / w)).sum()
    else:
        s2 = rss / (n - p)
        flat = stats.norm.logpdf(y, X @ beta, np.sqrt(s2 / w)).sum()  # times the integral over beta
        expected = flat + 0.5 * p * np.log(2 * np.pi * s2) - 0.5 * np.linalg.slogdet(X.T @ (w[:, None] * X))[1]
    assert fit.ranova().loc["(1 | Group)", "loglik"] == pytest.approx(expected, abs=1e-8)


def test_the_boundary_halves_the_p_value_of_one_variance(sim757):
    fit = hier.Model("Y ~ X + (X | Group)", sim757).estimate()
    row = hier.Model("Y ~ X + (1 | Group)", sim757).estimate().ranova().loc["(1 | Group)"]
    assert row["df"] == 1
    assert row["p_boundary"] == pytest.approx(0.5 * row["p_value"])
    row = fit.ranova().loc["X in (X | Group)"]
    assert row["df"] == 2
    expected = 0.5 * (stats.chi2.sf(row["lrt"], 2) + stats.chi2.sf(row["lrt"], 1))
    assert row["p_boundary"] == pytest.approx(expected, rel=1e-9)


def test_a_variance_of_zero_has_the_p_value_one(sim757):
    """The smaller model is as likely: nothing speaks against it, whatever the searches' last digits."""
    for seed in (1, 2):
        shuffled = sim757.assign(Y=np.random.default_rng(seed).permutation(sim757["Y"].to_numpy()))
        fit = hier.Model("Y ~ 1 + (1 | Group)", shuffled).estimate()
        assert fit.is_singular
        assert list(fit.ranova().loc["(1 | Group)", ["lrt", "p_value", "p_boundary"]]) == [0.0, 1.0, 1.0]


def test_several_models_stand_in_the_order_of_their_size(sim757):
    fits = [
        hier.Model(formula, sim757).estimate(method)
        for formula, method in [
            ("Y ~ X + (X | Group)", "reml"),
            ("Y ~ 1 + (1 | Group)", "ml"),
            ("Y ~ X + (1 | Group)", "ml"),
        ]
    ]
    table = fits[0].anova(*fits[1:])
    assert list(table.index) == ["Y ~ 1 + (1 | Group)", "Y ~ X + (1 | Group)", "Y ~ X + (X | Group)"]
    assert list(table["npar"]) == [3, 4, 6]
    assert np.isnan(table["chisq"].iloc[0])
    assert np.isnan(table["p_value"].iloc[0])
    np.testing.assert_allclose(table["chisq"][1:], -np.diff(table["deviance"]))
    np.testing.assert_allclose(table["p_value"][1:], stats.chi2.sf(table["chisq"][1:], table["df"][1:]), rtol=1e-9)
    assert table.attrs["note"].startswith("1 of 3 models were fitted by REML")
    plain = fits[1].anova(fits[2])
    assert plain.attrs["note"] == "log-likelihoods at the maximum-likelihood estimates"
