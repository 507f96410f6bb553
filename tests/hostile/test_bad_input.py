"""Bad input: one clear error each, that says what, where, what was found or expected, and the next step."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier


def table(**changes) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"y": rng.normal(size=40), "week": np.tile(np.arange(8.0), 5), "id": np.repeat(np.arange(5), 8), "sex": "f"}
    )
    return frame.assign(**changes)


FORMULA = "y ~ week + (week | id)"
BAD_DATA = {
    "missing column": ("y ~ weak + (1 | id)", table(), hier.DataError, ["no column `weak`", "did you mean `week`?"]),
    "missing group": (
        "y ~ week + (1 | ids)",
        table(),
        hier.DataError,
        ["no column `ids`", "did you mean `id`?"],
    ),
    "empty data": (FORMULA, table().iloc[:0], hier.DataError, ["the table is empty", "0 rows"]),
    "text response": (
        FORMULA,
        table(y=["a", "b"] * 20),
        hier.DataError,
        ["response `y` is not numeric", "text: 'a', 'b'"],
    ),
    "boolean response": (FORMULA, table(y=[True, False] * 20), hier.DataError, ["`y` is not numeric", "booleans"]),
    "constant response": (FORMULA, table(y=3.5), hier.DataError, ["response `y` is constant", "3.5 in all 40 rows"]),
    "one level": (FORMULA, table(id=1), hier.FormulaError, ["`id` has one level", "^^", "two levels or more"]),
    "as many levels as rows": (
        FORMULA,
        table(id=np.arange(40)),
        hier.FormulaError,
        ["as many levels as there are rows", "40 levels in 40 rows"],
    ),
    "fewer rows than coefficients": (
        "y ~ week + I(week^2) + I(week^3) + (1 | id)",
        table().iloc[[0, 1, 2, 11]],
        hier.DataError,
        ["too few rows for the fixed effects", "4 rows and 4 coefficients"],
    ),
    "infinite values": (
        FORMULA,
        table(week=np.where(np.arange(40) == 7, np.inf, 1.0 * np.arange(40))),
        hier.DataError,
        ["`week` has 1 infinite value", "row labelled 7"],
    ),
    "infinite transform": (
        "y ~ log(week) + (1 | id)",
        table(),
        hier.DataError,
        ["`log(week)` is not finite in 5 of 40 rows", "-inf"],
    ),
    "all missing": (FORMULA, table(week=np.nan), hier.DataError, ["no row has a value in every column", "40 missing"]),
    "duplicate columns": (
        FORMULA,
        pd.concat([table(), table()[["week"]]], axis=1),
        hier.DataError,
        ["more than one column named `week`"],
    ),
    "one fixed level": ("y ~ sex + (1 | id)", table(), hier.FormulaError, ["factor `sex` has only one level", "^^^"]),
    "unequal lengths": (FORMULA, {"y": [1, 2], "week": [1], "id": [1, 2]}, hier.DataError, ["not of one length"]),
    "not a table": (FORMULA, 7, hier.DataError, ["not a table", "type int"]),
    "no such file": (FORMULA, "nowhere.csv", hier.DataError, ["no file nowhere.csv"]),
    "dates": ("y ~ day + (1 | id)", table(day=pd.Timestamp("2024-01-01")), hier.DataError, ["`day` holds dates"]),
    "complex": ("y ~ z + (1 | id)", table(z=1j), hier.DataError, ["complex numbers"]),
    "unhashable": ("y ~ z + (1 | id)", table(z=[[1], [2]] * 20), hier.DataError, ["told apart as levels"]),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data(name):
    formula, data, error, pieces = BAD_DATA[name]
    with pytest.raises(error) as caught:
        hier.Model(formula, data)
    for piece in pieces:
        assert piece in str(caught.value)


BAD_FORMULAS = {
    "unknown function": ("y ~ lgo(week) + (1 | id)", ["lgo", "log", "^^^"]),
    "code": ("y ~ I(__import__('os').getcwd()) + (1 | id)", ["^"]),
    "unbalanced parentheses": ("y ~ week + (week | id", ["^"]),
    "variable within its own levels": ("y ~ week + (week | week)", ["week", "^"]),
    "two bars": ("y ~ week + (1 | id | sex)", ["^"]),
    "empty bar": ("y ~ week + ( | id)", ["^"]),
}


@pytest.mark.parametrize("name", BAD_FORMULAS)
def test_bad_formula(name):
    formula, pieces = BAD_FORMULAS[name]
    with pytest.raises(hier.FormulaError) as caught:
        hier.Model(formula, table())
    message = str(caught.value)
    assert formula in message
    for piece in pieces:
        assert piece in message


def test_rows_with_missing_values_are_dropped_and_counted():
    frame = table()
    frame.loc[[3, 9], "week"] = np.nan
    frame.loc[9, "y"] = np.nan
    model = hier.Model(FORMULA, frame)
    said = "2 of 40 rows dropped for missing values (`y` 1, `week` 2)"
    assert said in repr(model)
    fit = model.estimate()
    assert said in fit.summary()
    assert fit.nobs == 38
    assert fit.fitted.index.tolist() == [i for i in range(40) if i not in (3, 9)]


def test_rank_deficient_columns_are_named_and_dropped():
    frame = table(twice=lambda d: 2.0 * d["week"] + 1.0)
    model = hier.Model("y ~ week + twice + (1 | id)", frame)
    assert model.design.names == ("Intercept", "week")
    assert "others determine them: `twice`" in model.estimate().summary()


def test_unused_levels_are_counted():
    frame = table(id=pd.Categorical(np.repeat(np.arange(5), 8), categories=range(9)))
    assert "4 unused levels of `id` dropped" in repr(hier.Model("y ~ week + (1 | id)", frame))


def test_unidentified_variances_are_refused_for_reml_only():
    frame = table().iloc[[0, 1, 8, 9, 16, 17]]
    model = hier.Model("y ~ week + (week | id)", frame)
    with pytest.raises(hier.FitError, match="6 group deviations and 6 rows"):
        model.estimate()
    assert np.isfinite(model.estimate("map").fixef).all()


def test_response_that_the_fixed_effects_fit_exactly_is_refused():
    with pytest.raises(hier.DataError, match="fit the response exactly"):
        hier.Model("y ~ week + (1 | id)", table(y=lambda d: 2.0 + 3.0 * d["week"])).estimate()


def test_bad_requests():
    model = hier.Model(FORMULA, table())
    with pytest.raises(hier.FitError, match="no method `bayes`"):
        model.estimate("bayes")
    with pytest.raises(hier.ModelError, match=r"no family `gausian`[\s\S]*`gaussian`"):
        hier.Model(FORMULA, table(), family="gausian")
    with pytest.raises(hier.ModelError, match="no link `logit`"):
        hier.Model(FORMULA, table(), link="logit")
    with pytest.raises(hier.DataError, match="weights must be positive"):
        hier.Model(FORMULA, table(w=-1.0), weights="w")
    with pytest.raises(hier.DataError, match="`offset` does not match"):
        hier.Model(FORMULA, table(), offset=np.ones(3))
    with pytest.raises(hier.DataError, match="no column `ww`"):
        hier.Model(FORMULA, table(), weights="ww")
    with pytest.raises(hier.ModelError, match=r"no parameter `weeek`[\s\S]*did you mean `week`"):
        hier.Model(FORMULA, table(), priors={"weeek": None})
    with pytest.raises(hier.ModelError, match="prior of `sigma` is not a distribution"):
        hier.Model(FORMULA, table(), priors={"sigma": 3.0})


def test_priors_that_do_not_fit():
    import numpyro.distributions as dist

    with pytest.raises(hier.ModelError, match="`sigma` is positive"):
        hier.Model(FORMULA, table(), priors={"sigma": dist.Normal(0.0, 1.0)})
    with pytest.raises(hier.ModelError, match="correlation matrices"):
        hier.Model(FORMULA, table(), priors={"cor_id": dist.Normal(0.0, 1.0)})
    with pytest.raises(hier.ModelError, match="not that of one number"):
        hier.Model(FORMULA, table(), priors={"week": dist.Normal(np.zeros(2), 1.0)})
    with pytest.raises(hier.ModelError, match="flat prior has no draws"):
        hier.Model(
            FORMULA, table(), priors={"week": dist.ImproperUniform(dist.constraints.real, (), ())}
        ).sample_prior()


def test_comparison_of_two_models_is_refused(pigs_reml):
    model = hier.Model(FORMULA, table())
    post = model.sample(chains=1, draws=20, warmup=20, progress=False)
    with pytest.raises(hier.ModelError, match="not of the same model"):
        hier.compare(pigs_reml, post)


@pytest.mark.parametrize("left", ["cbind(s, n - s)", "s/n", "s | trials(n)", "s | trials(9)"])
def test_counts_of_successes_are_no_normal_response(left):
    data = table(s=np.arange(40) % 4, n=np.full(40, 5))
    with pytest.raises(hier.ModelError, match="counts successes out of trials"):
        hier.Model(f"{left} ~ week + (1 | id)", data)
    with pytest.raises(hier.DataError, match="no count of successes in 40 of 40 rows"):
        hier.Model(f"{left} ~ week + (1 | id)", data.assign(s=data["s"] + 0.25), family="binomial")
