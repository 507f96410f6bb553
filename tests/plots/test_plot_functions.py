"""Every picture of every kind of model is a Figure with what belongs in it, and leaves no global state behind."""

from __future__ import annotations

import io
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from hier import ModelError, plots
from hier.plots import style
from hier.plots.drawn_parameters import parameters
from hier.plots.lines import hold
from hier.plots.shrinkage import _frame
from tests.plots.drawn import line, points

OF_COMPARISON = ("plot_data", "plot_shrinkage", "plot_parameters", "plot_group_effects", "plot_group_fits")
OF_POSTERIOR = ("plot_ranks", "plot_trace")


def drawn(name: str, comparison) -> Figure:
    return getattr(plots, name)(comparison.posterior if name in OF_POSTERIOR else comparison)


def assert_fills_its_width(figure: Figure) -> None:
    """No error and no warning on the way to pixels, and these are not blank."""
    pixels = imread(io.BytesIO(figure._repr_png_()))
    assert pixels.shape[1] == 100 * style.WIDTH
    assert pixels[..., :3].std() > 0.02


@pytest.mark.parametrize("name", OF_POSTERIOR)
@pytest.mark.parametrize("kind", ["intercepts", "uncorrelated", "three"])
def test_every_picture_of_draws_can_be_drawn(name, kind, of_kind):
    posterior = of_kind(kind).posterior
    figure = drawn(name, of_kind(kind))
    labels = [axes.get_title(loc="left") for axes in figure.axes if axes.axison]
    assert labels == [parameter.label for parameter in parameters(posterior)]
    assert ("cor(" in " ".join(labels)) == (kind == "three")
    assert_fills_its_width(figure)


@pytest.mark.parametrize("name", OF_COMPARISON)
def test_every_picture_of_every_kind_can_be_drawn(name, any_kind):
    if name == "plot_group_fits" and plots.covariate(any_kind.estimate.model) is None:
        with pytest.raises(ModelError, match="no numeric covariate"):
            drawn(name, any_kind)
        return
    figure = drawn(name, any_kind)
    assert isinstance(figure, Figure)
    assert all(axes.get_title(loc="left") or axes.get_xlabel() for axes in figure.axes if axes.axison)
    assert_fills_its_width(figure)


def test_settings_and_backend_stay_as_they_are(of_kind):
    comparison = of_kind("slopes")
    before = {key: value for key, value in mpl.rcParams.items() if key != "backend"}
    pyplot = "matplotlib.pyplot" in sys.modules
    for name in OF_COMPARISON + OF_POSTERIOR:
        drawn(name, comparison)
    plots.plot_data(comparison)._repr_png_()
    assert {key: value for key, value in mpl.rcParams.items() if key != "backend"} == before
    assert ("matplotlib.pyplot" in sys.modules) == pyplot


def test_a_users_settings_do_not_change_the_picture(of_kind):
    plain = plots.plot_data(of_kind("slopes")).to_bytes("svg")
    with mpl.rc_context({"axes.facecolor": "black", "font.size": 30, "text.parse_math": True}):
        assert plots.plot_data(of_kind("slopes")).to_bytes("svg") == plain


def test_names_with_dollars_are_text(of_kind):
    figure = plots.plot_shrinkage(of_kind("slopes"))
    figure.draw_without_rendering()
    named = [text for text in figure.findobj(Text) if "$" in text.get_text()]
    assert {"$0_x$", "$8_x$"} <= {text.get_text() for text in named}
    assert not any(text.get_parse_math() for text in named)


def test_data_and_lines_of_the_levels(of_kind):
    comparison = of_kind("slopes")
    model, estimate = comparison.estimate.model, comparison.estimate
    (axes,) = plots.plot_data(comparison).axes
    np.testing.assert_allclose(points(axes, "data"), np.column_stack([model.design.X[:, 1], model.design.y]))
    (levels,) = [c for c in axes.collections if isinstance(c, LineCollection)]
    assert len(levels.get_segments()) == 9
    coefficients = estimate.coef["g"].to_numpy()
    slopes = sorted(np.polyfit(*segment.T, 1)[0] for segment in levels.get_segments())
    np.testing.assert_allclose(slopes, sorted(coefficients[:, 1]))
    intercept, slope = estimate.fixef
    x, y = line(axes, "population (fixed effects)").T
    np.testing.assert_allclose(y, intercept + slope * x)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")


def test_data_without_a_covariate_are_a_row_for_each_level(of_kind):
    comparison = of_kind("intercepts")
    (axes,) = plots.plot_data(comparison).axes
    fitted = points(axes, "fitted mean (REML)")
    np.testing.assert_allclose(fitted[:, 0], np.sort(comparison.estimate.coef["g"]["Intercept"]))
    assert len(points(axes, "data")) == comparison.estimate.nobs


def test_of_many_levels_a_selection_is_shown_and_said(of_kind):
    figure = plots.plot_data(of_kind("many"))
    (levels,) = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    assert len(levels.get_segments()) == 100
    assert "100 of 150 levels of g" in figure.get_suptitle()
    assert "60 of 150 levels of g" in plots.plot_group_effects(of_kind("many")).get_suptitle()


def test_shrinkage_points_are_those_of_the_table(of_kind):
    comparison = of_kind("slopes")
    plane, *ladders = plots.plot_shrinkage(comparison).axes
    shrunk = comparison.shrinkage
    for label, column in (
        ("REML", "estimate"),
        ("posterior mean", "posterior_mean"),
        ("own least squares", "least_squares"),
    ):
        wide = shrunk[column].unstack()[["Intercept", "x"]].loc[comparison.posterior.groups[0].levels].to_numpy()
        np.testing.assert_allclose(points(plane, label), wide)
        for k, axes in enumerate(ladders):
            order = np.argsort(shrunk["estimate"].to_numpy().reshape(-1, 2)[:, k], kind="stable")
            np.testing.assert_allclose(points(axes, label), np.column_stack([wide[order, k], np.arange(9)]))
    names = [text.get_text() for text in ladders[1].get_yticklabels()]
    assert names == list(comparison.estimate.coef["g"]["x"].sort_values().index)


def test_shrinkage_names_the_extremes_of_many_levels(of_kind):
    comparison = of_kind("many")
    _, ladder, _ = plots.plot_shrinkage(comparison).axes
    order = comparison.estimate.coef["g"]["Intercept"].sort_values(kind="stable").index
    assert {text.get_text() for text in ladder.texts} == {*order[:3], *order[-3:]}


def test_far_out_least_squares_are_left_outside_and_counted():
    limits = []
    own = np.append(np.linspace(-1.0, 1.0, 21), [1000.0, np.nan])
    said = _frame(lambda low, high: limits.extend([low, high]), own, np.array([-0.5, 1.5]))
    assert "(1 own estimate outside)" in said
    np.testing.assert_allclose(limits, [-1.125, 1.625])
    assert _frame(lambda low, high: None, own[:21], np.array([0.0])) == ""


def test_a_level_without_least_squares_has_its_other_points(of_kind):
    comparison = of_kind("gaps")
    plane = plots.plot_shrinkage(comparison).axes[0]
    assert np.isnan(points(plane, "own least squares")).any(axis=1).sum() == 1
    assert np.isfinite(points(plane, "REML")).all()
    first = plots.plot_group_fits(comparison).axes[0]
    assert first.get_title(loc="left") == "$0_x$"
    assert [each.get_label() for each in first.lines if "own" in str(each.get_label())] == []


def test_group_fits_are_differences_from_the_population(of_kind):
    comparison = of_kind("slopes")
    figure = plots.plot_group_fits(comparison, n=4)
    design = comparison.estimate.model.design
    intercept, slope = comparison.estimate.fixef
    assert len(figure.axes) == 4
    for axes in figure.axes:
        level = axes.get_title(loc="left")
        rows = design.random_effects[0].levels[design.random_effects[0].codes] == level
        x, y = design.X[rows, 1], design.y[rows]
        np.testing.assert_allclose(points(axes, "data"), np.column_stack([x, y - intercept - slope * x]))
        at, drawn_line = line(axes, "REML").T
        b = comparison.estimate.ranef["g"].loc[level]
        np.testing.assert_allclose(drawn_line, b["Intercept"] + b["x"] * at, atol=1e-9)
        at, drawn_line = line(axes, "own least squares").T
        np.testing.assert_allclose(drawn_line, np.polyval(np.polyfit(x, y, 1), at) - intercept - slope * at, atol=1e-9)


def test_group_fits_begin_with_the_level_that_moves_most(of_kind):
    comparison = of_kind("slopes")
    design = comparison.estimate.model.design
    own = comparison.shrinkage["least_squares"].to_numpy().reshape(-1, 2)
    gap = np.einsum(
        "ij,ij->i",
        design.random_effects[0].Z,
        (own - comparison.estimate.coef["g"].to_numpy())[design.random_effects[0].codes],
    )
    moved = np.bincount(design.random_effects[0].codes, gap**2)
    titles = [axes.get_title(loc="left") for axes in plots.plot_group_fits(comparison).axes if axes.axison]
    assert titles == list(design.random_effects[0].levels[np.argsort(-moved)])


def test_the_curve_moves_every_column_of_the_covariate(of_kind):
    model = of_kind("curve").estimate.model
    held = hold(model, "x")
    constant = dict(zip(model.design.names, np.ptp(held.X, axis=0) < 1e-12, strict=True))
    assert [name for name, still in constant.items() if still] == ["Intercept", "a[T.v]", "a[T.w]"]


def test_parameters_show_estimate_and_interval(of_kind):
    comparison = of_kind("slopes")
    figure = plots.plot_parameters(comparison)
    estimates = [line(axes, "REML")[0, 0] for axes in figure.axes]
    np.testing.assert_allclose(estimates, comparison.parameters["estimate"])
    means = [line(axes, "posterior mean")[0, 0] for axes in figure.axes]
    np.testing.assert_allclose(means, comparison.parameters["posterior_mean"])
    x, y = line(figure.axes[2], "posterior density").T
    assert x[0] >= 0.0
    assert y.max() == pytest.approx(1.0)
    titles = ["Intercept", "x", "sd(Intercept)", "sd(x)", "cor(Intercept, x)", "sigma"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == titles


def test_a_correlation_without_an_estimate_says_so(of_kind):
    comparison = of_kind("slopes")
    missing = comparison.parameters.assign(estimate=lambda table: table["estimate"].where(table.index != 4))
    figure = plots.plot_parameters(type(comparison)(**{**vars(comparison), "parameters": missing}))
    assert [text.get_text() for text in figure.axes[4].texts] == ["REML: not defined"]


def test_group_effects_are_those_of_the_table(of_kind):
    comparison = of_kind("slopes")
    figure = plots.plot_group_effects(comparison)
    for axes, term in zip(figure.axes, ("Intercept", "x"), strict=True):
        rows = comparison.table.xs(term, level="term").sort_values("posterior_mean", kind="stable")
        np.testing.assert_allclose(line(axes, "posterior mean, 95% interval")[:, 0], rows["posterior_mean"])
        np.testing.assert_allclose(line(axes, "REML ± 1.96 se")[:, 0], rows["mode"])
        intervals = next(c for c in axes.collections if isinstance(c, LineCollection)).get_segments()
        half = [(segment[1, 0] - segment[0, 0]) / 2 for segment in intervals]
        np.testing.assert_allclose(half, 1.959964 * rows["mode_se"], rtol=1e-6)


def test_traces_are_the_draws_and_mark_divergences(of_kind):
    posterior = of_kind("singular").posterior
    figure = plots.plot_trace(posterior)
    for axes, parameter in zip(figure.axes, parameters(posterior), strict=True):
        for chain in range(2):
            np.testing.assert_array_equal(line(axes, f"chain {chain}")[:, 1], parameter.draws[chain])
        marks = line(axes, "divergent")[:, 0]
        np.testing.assert_array_equal(marks, np.flatnonzero(posterior.stats["diverging"].any(axis=0)))
