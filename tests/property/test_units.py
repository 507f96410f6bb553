"""Origin and unit of covariates and response, names and order of levels and rows: nothing depends on them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hier

RTOL = 1e-6
UNITS = st.sampled_from([1e-6, 1e-3, 0.1, 7.0, 1e4, 1e6])
ORIGINS = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([-1e6, -2014.5, 0.0, 1e6]))


def frame(seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = 160
    g, x = np.arange(n) % 16, rng.normal(size=n)
    b = rng.normal(size=(16, 2)) * [1.0, 0.5]
    f = np.array(list("abc"))[rng.integers(0, 3, n)]
    eta = 0.6 + b[g, 0] + (0.4 + b[g, 1]) * x + 0.3 * (f == "b")
    return pd.DataFrame(
        {
            "g": g,
            "x": x,
            "f": f,
            "y": 3.0 + eta + rng.normal(size=n),
            "count": rng.poisson(np.exp(eta)),
            "success": (rng.uniform(size=n) < 1.0 / (1.0 + np.exp(-eta))).astype(int),
            "positive": rng.gamma(3.0, np.exp(eta) / 3.0),
        }
    )


DATA = frame()
FORMULA = "{} ~ x + f + (x | g)"


class Moved:
    """x and a response in another unit, counted from elsewhere: x' = (x + `origin`) `unit`; of a Normal response, the
    same; of one with a logarithmic link, y' = y `y_unit`.
    """

    def __init__(self, response, origin, unit, y_origin=0.0, y_unit=1.0, *, is_log=False):
        self.data = DATA.assign(x=(DATA.x + origin) * unit)
        self.data[response] = (DATA[response] + y_origin) * y_unit if y_unit != 1.0 or y_origin else DATA[response]
        self.y = 1.0 if is_log else y_unit
        self.added = np.array([np.log(y_unit) if is_log else y_origin * y_unit, 0.0])
        #: of the deviations and coefficients of intercept and x
        self.map = self.y * np.array([[1.0, -origin], [0.0, 1.0 / unit]])


def check(fit, other, moved: Moved) -> None:
    """Whether `other` says of the moved data what `fit` says of the data."""
    A = moved.map
    both = ["Intercept", "x"]
    fixef = A @ fit.fixef[both].to_numpy() + moved.added
    np.testing.assert_allclose(other.fixef[both], fixef, rtol=RTOL, atol=1e-9 * moved.y)
    np.testing.assert_allclose(other.fixef.iloc[2:], moved.y * fit.fixef.iloc[2:], rtol=RTOL)
    vcov = A @ fit.vcov.loc[both, both].to_numpy() @ A.T
    close(other.vcov.loc[both, both].to_numpy(), vcov)
    close(covariance(other), A @ covariance(fit) @ A.T)
    deviations = fit.ranef["g"].to_numpy() @ A.T
    largest = np.abs(deviations).max(axis=0)
    np.testing.assert_allclose(other.ranef["g"] / largest, deviations / largest, rtol=RTOL, atol=1e-8)
    np.testing.assert_allclose(other.ranef_se["g"]["x"], A[1, 1] * fit.ranef_se["g"]["x"], rtol=RTOL)
    tests, expected = other.coefficients, fit.coefficients
    for column in ("df", "statistic", "p_value"):
        np.testing.assert_allclose(tests[column][1:], expected[column][1:], rtol=RTOL, atol=1e-12)
    check_intervals(other.confint(), fit.confint(), moved)


def check_intervals(table, expected, moved: Moved) -> None:
    scales = {"x": moved.map[1, 1], "sd_g[x]": moved.map[1, 1], "sigma": moved.y}
    for name in [name for name in scales if name in table.index]:
        np.testing.assert_allclose(table.loc[name], scales[name] * expected.loc[name], rtol=RTOL)


def check_verbs(fit, other, moved: Moved) -> None:
    """The verbs of a Normal model: predictions, tests of terms, means."""
    predicted, expected = (m.predict(data, se=True) for m, data in ((other, moved.data), (fit, DATA)))
    fitted = moved.y * expected["fit"] + moved.added[0]
    np.testing.assert_allclose(predicted["fit"], fitted, rtol=RTOL, atol=1e-7 * moved.y)
    np.testing.assert_allclose(predicted["se"], moved.y * expected["se"], rtol=RTOL)
    for ddf in ("satterthwaite", "kenward-roger"):
        mine, its = other.tests(ddf=ddf).iloc[1:], fit.tests(ddf=ddf).iloc[1:]
        np.testing.assert_allclose(mine[["df", "statistic"]], its[["df", "statistic"]], rtol=RTOL)
        columns = ["num_df", "den_df", "statistic", "p_value"]
        np.testing.assert_allclose(other.anova(ddf=ddf)[columns], fit.anova(ddf=ddf)[columns], rtol=RTOL)
        mine, its = other.emmeans("f", ddf=ddf).table, fit.emmeans("f", ddf=ddf).table
        np.testing.assert_allclose(mine["df"], its["df"], rtol=RTOL)
        np.testing.assert_allclose(mine["std_error"], moved.y * its["std_error"], rtol=RTOL)


def covariance(fit) -> np.ndarray:
    table = fit.varcorr[fit.varcorr.group == "g"]["vcov"].to_numpy()
    return np.array([[table[0], table[2]], [table[2], table[1]]])


def close(got: np.ndarray, expected: np.ndarray) -> None:
    """Whether covariance matrices are equal, in units of their standard deviations."""
    sd = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(got / np.outer(sd, sd), expected / np.outer(sd, sd), rtol=RTOL, atol=RTOL)


@pytest.fixture(scope="module")
def normal():
    return hier.Model(FORMULA.format("y"), DATA).estimate()


def check_normal(fit, origin, unit, y_origin, y_unit) -> None:
    moved = Moved("y", origin, unit, y_origin, y_unit)
    other = hier.Model(FORMULA.format("y"), moved.data).estimate()
    assert other.converged
    check(fit, other, moved)
    check_verbs(fit, other, moved)


@settings(max_examples=4, deadline=None)
@given(origin=ORIGINS, unit=UNITS, y_origin=st.floats(-1e4, 1e4), y_unit=UNITS)
def test_a_normal_model_has_no_origin_and_no_unit(normal, origin, unit, y_origin, y_unit):
    check_normal(normal, origin, unit, y_origin, y_unit)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(origin=ORIGINS, unit=UNITS, y_origin=st.floats(-1e4, 1e4), y_unit=UNITS)
def test_a_normal_model_has_no_origin_and_no_unit_anywhere(normal, origin, unit, y_origin, y_unit):
    check_normal(normal, origin, unit, y_origin, y_unit)


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(origin=ORIGINS, unit=UNITS, y_unit=st.sampled_from([1e-9, 1e-6, 1e6]))
def test_profiles_have_no_origin_and_no_unit(origin, unit, y_unit):
    names = ["x", "sd_g[x]", "sigma"]
    fit = hier.Model(FORMULA.format("y"), DATA).estimate("ml")
    moved = Moved("y", origin, unit, 0.0, y_unit)
    other = hier.Model(FORMULA.format("y"), moved.data).estimate("ml")
    check_intervals(other.confint("profile", parameters=names), fit.confint("profile", parameters=names), moved)


FAMILIES = {"poisson": "count", "bernoulli": "success", "gamma": "positive"}


@pytest.fixture(scope="module")
def generalised():
    made = {}

    def fit(family):
        if family not in made:
            made[family] = model_of(family, DATA).estimate()
        return made[family]

    return fit


def model_of(family, data):
    link = {"link": "log"} if family == "gamma" else {}
    return hier.Model(FORMULA.format(FAMILIES[family]), data, family=family, **link)


def check_family(fit, family, origin, unit, y_unit) -> None:
    moved = Moved(FAMILIES[family], origin, unit, 0.0, y_unit if family == "gamma" else 1.0, is_log=True)
    other = model_of(family, moved.data).estimate()
    assert other.converged
    check(fit, other, moved)
    predicted, expected = (m.predict(d, se=True, random="none") for m, d in ((other, moved.data), (fit, DATA)))
    scale = y_unit if family == "gamma" else 1.0
    np.testing.assert_allclose(predicted["fit"], scale * expected["fit"], rtol=RTOL)
    np.testing.assert_allclose(predicted["se"], scale * expected["se"], rtol=RTOL)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=20, deadline=None)
@given(origin=ORIGINS, unit=UNITS, y_unit=UNITS)
def test_generalised_models_have_no_origin_and_no_unit(generalised, family, origin, unit, y_unit):
    check_family(generalised(family), family, origin, unit, y_unit)


@settings(max_examples=3, deadline=None)
@given(origin=ORIGINS, unit=UNITS)
def test_a_poisson_model_has_no_origin_and_no_unit(generalised, origin, unit):
    check_family(generalised("poisson"), "poisson", origin, unit, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gaussian", "student"])
@pytest.mark.parametrize("y_unit", [1e-9, 1e-3, 1e6])
def test_residual_models_of_rows_have_no_unit(family, y_unit):
    """Models with an identity link that are fitted row by row."""
    formula = hier.Formula("y ~ x + f + (x | g)", sigma="~ f") if family == "gaussian" else "y ~ x + f + (x | g)"
    fit = hier.Model(formula, DATA, family=family).estimate()
    moved = Moved("y", 2014.0, 1.0, 0.0, y_unit)
    other = hier.Model(formula, moved.data, family=family).estimate()
    assert other.converged
    check(fit, other, moved)
    assert other.loglik == pytest.approx(fit.loglik - len(DATA) * np.log(y_unit), rel=1e-9)
    np.testing.assert_allclose(other.fitted, y_unit * fit.fitted, rtol=RTOL)


@settings(max_examples=4, deadline=None)
@given(order=st.randoms(use_true_random=False))
def test_order_and_names_do_not_matter(normal, order):
    rows, names = list(range(len(DATA))), [f"level {k}" for k in range(16)]
    order.shuffle(rows)
    order.shuffle(names)
    data = DATA.iloc[rows].assign(g=lambda d: [names[k] for k in d.g])
    other = hier.Model(FORMULA.format("y"), data).estimate()
    assert other.objective == pytest.approx(normal.objective, abs=1e-9)
    np.testing.assert_allclose(other.coefficients, normal.coefficients, rtol=RTOL, atol=1e-12)
    np.testing.assert_allclose(covariance(other), covariance(normal), rtol=RTOL)
    np.testing.assert_allclose(other.ranef["g"].loc[names], normal.ranef["g"], rtol=RTOL, atol=1e-8)
    np.testing.assert_allclose(other.fitted.loc[DATA.index], normal.fitted, rtol=RTOL)


def test_a_label_in_two_columns_is_the_same_factor(normal):
    data = DATA.assign(first=DATA.g // 4, second=DATA.g % 4)
    other = hier.Model("y ~ x + f + (x | first:second)", data).estimate()
    np.testing.assert_allclose(other.coefficients, normal.coefficients, rtol=RTOL, atol=1e-12)
    np.testing.assert_allclose(other.varcorr["sdcor"], normal.varcorr["sdcor"], rtol=RTOL)
    np.testing.assert_allclose(other.ranef["first:second"], normal.ranef["g"], rtol=RTOL, atol=1e-8)


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(a=st.floats(-3, 3), b=st.floats(0.3, 3), c=st.floats(-1000, 1000))
def test_linear_maps_within_a_bar(a, b, c):
    """Covariates x, w and their combinations u = x + a w + c, v = b w - 1 span the same model."""
    data = DATA.assign(w=np.random.default_rng(7).normal(size=len(DATA)))
    data["y"] = data.y + 0.6 * np.random.default_rng(8).normal(size=16)[data.g] * data.w
    fit = hier.Model("y ~ x + w + (x + w | g)", data).estimate()
    mapped = data.assign(u=data.x + a * data.w + c, v=b * data.w - 1.0)
    other = hier.Model("y ~ u + v + (u + v | g)", mapped).estimate()
    # x + a w = u - c, b w = v + 1: coefficients of x and w from those of u and v
    back = np.array([[1.0, 0.0], [a, b]])
    np.testing.assert_allclose(back @ other.fixef[["u", "v"]], fit.fixef[["x", "w"]], rtol=RTOL, atol=1e-8)
    slopes = fit.ranef["g"][["x", "w"]].to_numpy()
    np.testing.assert_allclose(other.ranef["g"][["u", "v"]].to_numpy() @ back.T, slopes, rtol=1e-5, atol=1e-6)
    assert other.sigma == pytest.approx(fit.sigma, rel=RTOL)
    np.testing.assert_allclose(other.fitted, fit.fitted, rtol=RTOL, atol=1e-6)
    # the curvature is that of one last small step before the optimum, where the search came to it by another way
    assert other.coefficients["df"]["u"] == pytest.approx(fit.coefficients["df"]["x"], rel=1e-4)


def verbs(fit, data) -> None:
    """All that is computed from a fit; warnings are errors."""
    assert np.isfinite(fit.coefficients["statistic"]).all()
    for name in ("varcorr", "vcov", "ranef_se", "fitted", "residuals"):
        assert getattr(fit, name) is not None
    assert "fixed effects" in fit.summary().lower()
    assert np.isfinite(fit.confint()).all(axis=None)
    assert np.isfinite(fit.predict(data, se=True)).all(axis=None)


@pytest.mark.parametrize("unit", [1e300, 1e160, 1.0, 1e-170, 1e-300])
@pytest.mark.parametrize("y_unit", [1e160, 1.0, 1e-170])
def test_units_whose_squares_are_no_numbers(normal, unit, y_unit):
    data = DATA.assign(x=DATA.x * unit, y=DATA.y * y_unit)
    model = hier.Model(FORMULA.format("y"), data)
    if abs(np.log10(y_unit) - np.log10(unit)) > 300:
        with pytest.raises(hier.DataError, match="so far apart that a slope is no number"):
            model.estimate()
        return
    fit = model.estimate()
    np.testing.assert_allclose(fit.coefficients["statistic"], normal.coefficients["statistic"], rtol=RTOL)
    np.testing.assert_allclose(fit.coefficients["df"], normal.coefficients["df"], rtol=RTOL)
    verbs(fit, data)
    table, expected = fit.anova(), normal.anova()
    np.testing.assert_allclose(table["statistic"], expected["statistic"], rtol=RTOL)
    for method in ("satterthwaite", "kenward-roger"):
        tests, its = fit.tests(ddf=method), normal.tests(ddf=method)
        np.testing.assert_allclose(tests["statistic"], its["statistic"], rtol=RTOL)
    np.testing.assert_allclose(fit.icc(), normal.icc(), rtol=RTOL)


@pytest.mark.parametrize("unit", [1e300, 1e-300])
def test_units_of_covariates_of_counts_whose_squares_are_no_numbers(generalised, unit):
    data, expected = DATA.assign(x=DATA.x * unit), generalised("poisson")
    fit = model_of("poisson", data).estimate()
    np.testing.assert_allclose(fit.coefficients["statistic"], expected.coefficients["statistic"], rtol=RTOL)
    verbs(fit, data)
