"""Pictures of conditional effects: what is drawn is what the tables say."""

from __future__ import annotations

import numpy as np
import pytest

import hier
from tests.posterior.made_up import of_model
from tests.posterior.test_effect_verbs import NORMAL


@pytest.mark.parametrize("result", [NORMAL.estimate(), of_model(NORMAL)], ids=["estimate", "posterior"])
def test_curves_and_levels_are_those_of_the_tables(result) -> None:
    figure = hier.plots.plot_conditional_effects(result, resolution=7)
    table = result.conditional_effects(resolution=7)
    curve, levels = figure.axes
    np.testing.assert_allclose(curve.lines[0].get_ydata(), table["x"]["estimate"])
    np.testing.assert_allclose(levels.lines[0].get_ydata(), table["f"]["estimate"])
    assert [label.get_text() for label in levels.get_xticklabels()] == ["a", "b", "c"]
    assert curve.get_ylabel() == "y"
    (both,) = hier.plots.plot_conditional_effects(result, "x:f", resolution=5).axes
    assert len(both.lines) == 3
    assert [text.get_text() for text in both.get_legend().get_texts()] == ["a", "b", "c"]


def test_what_it_cannot_draw_is_said() -> None:
    with pytest.raises(hier.ModelError, match="needs an Estimate or a Posterior"):
        hier.plots.plot_conditional_effects(NORMAL)
    with pytest.raises(hier.FitError, match="there is no effect `q`"):
        hier.plots.plot_conditional_effects(NORMAL.estimate(), "q")
