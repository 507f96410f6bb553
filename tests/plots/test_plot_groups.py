"""Pictures of models with several grouping factors: of which factor they are, and what is held of the others."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from hier import ModelError, plots
from hier.plots.drawn_parameters import parameters
from hier.pooling.compare import of_group
from tests.plots.drawn import line, points

OF_LEVELS = ("plot_data", "plot_shrinkage", "plot_group_effects", "plot_group_fits")


@pytest.mark.parametrize("name", OF_LEVELS)
def test_a_picture_is_of_the_factor_with_the_most_levels_or_of_the_one_named(name, of_kind):
    comparison = of_kind("crossed")
    plot = getattr(plots, name)
    assert "9 levels of g" in plot(comparison).get_suptitle()
    assert "4 levels of h" in plot(comparison, group="h").get_suptitle()
    with pytest.raises(ModelError, match=r"no grouping factor `hh`[\s\S]*`g`, `h`[\s\S]*did you mean `h`"):
        plot(comparison, group="hh")


def test_the_largest_factor_need_not_be_the_first(of_kind):
    comparison = of_kind("crossed intercepts")
    assert [group.name for group in comparison.posterior.groups] == ["h", "g"]
    (axes,) = plots.plot_data(comparison).axes
    assert axes.get_ylabel() == "g"
    assert plots.covariate(comparison.estimate.model) is None


def test_the_covariate_is_the_factors_own_first(of_kind):
    model = of_kind("crossed").estimate.model
    assert plots.covariate(model) == plots.covariate(model, "h") == "x"
    with pytest.raises(ModelError, match="no grouping factor `id`"):
        plots.covariate(model, "id")


def test_lines_of_a_nested_factor_are_the_fitted_values(of_kind):
    """Each level of g lies in one of h, so nothing of h has to be averaged."""
    comparison = of_kind("nested")
    estimate = comparison.estimate
    random = next(random for random in estimate.model.design.random_effects if random.group == "g:h")
    (axes,) = plots.plot_data(comparison, group="g:h").axes
    (lines,) = [each for each in axes.collections if isinstance(each, LineCollection)]
    drawn = np.concatenate(lines.get_segments())
    fitted = np.column_stack([estimate.model.design.X[:, 1], estimate.fitted])
    np.testing.assert_allclose(drawn[np.lexsort(drawn.T)], fitted[np.lexsort(fitted.T)], atol=1e-12)
    assert len(lines.get_segments()) == random.n_levels


def test_lines_of_a_crossed_factor_have_the_others_at_their_means(of_kind):
    comparison = of_kind("crossed")
    estimate, design = comparison.estimate, comparison.estimate.model.design
    g, h = design.random_effects
    (axes,) = plots.plot_data(comparison, group="g").axes
    (lines,) = [each for each in axes.collections if isinstance(each, LineCollection)]
    found = sorted(tuple(np.polyfit(*segment.T, 1)[::-1]) for segment in lines.get_segments())
    expected = []
    for j in range(g.n_levels):
        rows = g.codes == j
        around = estimate.ranef["h"].to_numpy()[h.codes[rows]].mean(axis=0)
        own = estimate.coef["g"].iloc[j]
        factor = design.X[rows].mean(axis=0)[2:] @ estimate.fixef.to_numpy()[2:]
        expected.append((own["Intercept"] + factor + around[0], own["x"] + around[1]))
    np.testing.assert_allclose(found, sorted(expected), atol=1e-9)


@pytest.mark.parametrize("group", ["g:h", "h"])
def test_group_fits_take_the_other_factors_off(group, of_kind):
    comparison = of_kind("nested")
    estimate, design = comparison.estimate, comparison.estimate.model.design
    random = next(random for random in design.random_effects if random.group == group)
    x = design.X[:, 1]
    for axes in plots.plot_group_fits(comparison, group=group).axes:
        if not axes.axison:
            continue
        level = [str(each) for each in random.levels].index(axes.get_title(loc="left"))
        rows = random.codes == level
        b, at = estimate.ranef[group].iloc[level], x[rows]
        own_line = b["Intercept"] + b.get("x", 0.0) * at
        np.testing.assert_allclose(
            points(axes, "data"), np.column_stack([at, estimate.residuals[rows] + own_line]), atol=1e-9
        )
        np.testing.assert_allclose(line(axes, "REML")[:, 1], own_line[np.argsort(at)], atol=1e-9)
        # the dashed line is the regression of the points that are drawn
        weights = np.sqrt(design.weights[rows])
        fit = np.polyfit(at, points(axes, "data")[:, 1], random.Z.shape[1] - 1, w=weights)
        drawn = line(axes, "own least squares")
        np.testing.assert_allclose(drawn[:, 1], np.polyval(fit, drawn[:, 0]), atol=1e-9)


def test_the_band_is_the_posterior_of_the_whole_line(of_kind):
    """Fixed effects and other factors are as uncertain as the level's own deviation, and vary together with it."""
    comparison = of_kind("nested")
    estimate, posterior = comparison.estimate, comparison.posterior
    axes = plots.plot_group_fits(comparison, group="g:h").axes[0]
    level = axes.get_title(loc="left")
    inner, outer = (posterior.groups[k] for k in (0, 1))
    assert (inner.name, outer.name) == ("g:h", "h")
    j = inner.levels.get_loc(level)
    rows = inner.codes == j
    (parent,) = np.unique(outer.codes[rows])
    x = np.sort(estimate.model.design.X[rows, 1])
    columns = np.column_stack([np.ones(len(x)), x])
    draws = posterior.draws["beta"] - estimate.arrays.beta
    draws = draws + posterior.draws["b_h"][:, :, parent] - estimate.arrays.terms[1].deviations[parent]
    lines = (draws @ columns.T + posterior.draws["b_g:h"][:, :, j]).reshape(-1, len(x))
    low, high = np.quantile(lines, [0.025, 0.975], axis=0)
    (band,) = [each for each in axes.collections if each.get_label() == "posterior, 95%"]
    edge = band.get_paths()[0].vertices
    for at, value in ((x, low), (x, high)):
        for point in np.column_stack([at, value]):
            assert np.abs(edge - point).max(axis=1).min() < 1e-9


@pytest.mark.parametrize("group", ["g", "h"])
def test_points_and_intervals_are_those_of_the_factors_rows(group, of_kind):
    comparison = of_kind("crossed")
    shrunk, table = of_group(comparison.shrinkage, group), of_group(comparison.table, group)
    plane = plots.plot_shrinkage(comparison, group=group).axes[0]
    for label, column in (("REML", "estimate"), ("own least squares", "least_squares")):
        np.testing.assert_allclose(points(plane, label), shrunk[column].to_numpy().reshape(-1, 2))
    ellipse = line(plane, "95% of levels (REML)") - comparison.estimate.fixef[["Intercept", "x"]].to_numpy()
    k = [each.name for each in comparison.posterior.groups].index(group)
    covariance = comparison.estimate.arrays.terms[k].covariance
    distance = np.einsum("ij,jk,ik->i", ellipse, np.linalg.inv(covariance), ellipse)
    np.testing.assert_allclose(distance, 5.991464547)  # 95 percent quantile of chi-squared with 2 degrees of freedom
    for axes, term in zip(plots.plot_group_effects(comparison, group=group).axes, ("Intercept", "x"), strict=True):
        rows = table.xs(term, level="term").sort_values("posterior_mean", kind="stable")
        np.testing.assert_allclose(line(axes, "posterior mean, 95% interval")[:, 0], rows["posterior_mean"])
        np.testing.assert_allclose(line(axes, "REML ± 1.96 se")[:, 0], rows["mode"])


def test_parameters_are_named_with_their_factor_in_the_order_of_the_comparison(of_kind):
    comparison = of_kind("crossed")
    found = parameters(comparison.posterior)
    assert [each.label for each in found][4:] == [
        "sd(Intercept | g)",
        "sd(x | g)",
        "cor(Intercept, x | g)",
        "sd(Intercept | h)",
        "sd(x | h)",
        "sigma",
    ]
    np.testing.assert_allclose([each.draws.mean() for each in found], comparison.parameters["posterior_mean"])
    titles = [axes.get_title(loc="left") for axes in plots.plot_parameters(comparison).axes if axes.axison]
    assert titles == [each.label for each in found]
