"""Predictions, comparisons and slopes, and their averages: verbs that estimates and posteriors have in common."""

from __future__ import annotations

from typing import Any

import pandas as pd

from hier.estimate.conditional_tables import conditional_effects
from hier.estimate.effect_plan import EffectsAsked
from hier.estimate.predicted_rows import Random


class EffectVerbs:
    """What a fit says of its variables, row by row or averaged, in the words of marginaleffects.

    Arguments that verbs share: `newdata`: the rows, None for those of the fit, any table, a mapping of variables to
    values for a grid of all combinations of these, other variables at their means and factors at their most frequent
    level, "mean" for that one row, "balanced" for all combinations of factor levels. `by`: False for each row, True for
    the mean over all rows, or columns within whose values to average. `kind`: "mean", on the scale of `fitted`, or
    "link", of linear predictors. `random`: the deviations to include, as in `predict`; by default all of them, in a
    grid none. `new_levels`: as in `predict`: with "integrate", means over the groups' distribution. `level`: of
    intervals.

    Tables have `estimate, std_error, conf_low, conf_high`: of an estimate with z-tests (`statistic, p_value`) by the
    delta method, errors of fixed effects, of deviations and of the response's further parameters included, variances of
    deviations as they are estimated; of a posterior means, sds and equal-tailed intervals of its draws. Averages are
    those of the rows of each draw or estimate, ratios those of averages. Each raises FitError for what the model does
    not have, and DataError for rows that it cannot code.
    """

    def _effects(self, asked: EffectsAsked) -> pd.DataFrame:
        raise NotImplementedError

    def predictions(
        self,
        newdata: Any = None,
        *,
        by: Any = False,
        kind: str = "mean",
        random: Random | None = None,
        new_levels: str = "error",
        level: float = 0.95,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Expected responses of rows; see `EffectVerbs` for the arguments."""
        return self._effects(
            EffectsAsked("predictions", newdata, None, by, "difference", kind, random, new_levels, level, seed)
        )

    def comparisons(
        self,
        variables: Any = None,
        *,
        newdata: Any = None,
        by: Any = False,
        comparison: str = "difference",
        kind: str = "mean",
        random: Random | None = None,
        new_levels: str = "error",
        level: float = 0.95,
        seed: int = 0,
    ) -> pd.DataFrame:
        """How the expected response changes with each of the variables, all else as it is.

        `variables`: names, or a mapping of them to what is compared: of a number a step (1 by default), two values,
        "sd", "2sd", "iqr" or "minmax"; of a factor "reference" (each level with the first, the default), "sequential",
        "pairwise", or two levels, the second less the first. `comparison`: "difference", "ratio", "lnratio", "lnor"
        (the logarithm of the odds ratio) or "lift". See `EffectVerbs` for the others.
        """
        return self._effects(
            EffectsAsked("comparisons", newdata, variables, by, comparison, kind, random, new_levels, level, seed)
        )

    def slopes(
        self,
        variables: Any = None,
        *,
        newdata: Any = None,
        by: Any = False,
        kind: str = "mean",
        random: Random | None = None,
        new_levels: str = "error",
        level: float = 0.95,
        seed: int = 0,
    ) -> pd.DataFrame:
        """The derivative of the expected response in each numeric variable, by central differences of a ten-thousandth
        of its range; of a factor its `comparisons`. See `EffectVerbs` for the arguments.
        """
        return self._effects(
            EffectsAsked("slopes", newdata, variables, by, "difference", kind, random, new_levels, level, seed)
        )

    def avg_predictions(self, newdata: Any = None, *, by: Any = True, **others: Any) -> pd.DataFrame:
        """`predictions` averaged over all rows, or within the values of columns: `by="diet"`."""
        return self.predictions(newdata, by=by, **others)

    def avg_comparisons(self, variables: Any = None, *, by: Any = True, **others: Any) -> pd.DataFrame:
        """`comparisons` averaged over all rows, or within the values of columns; a ratio is one of averages."""
        return self.comparisons(variables, by=by, **others)

    def avg_slopes(self, variables: Any = None, *, by: Any = True, **others: Any) -> pd.DataFrame:
        """`slopes` averaged over all rows, or within the values of columns."""
        return self.slopes(variables, by=by, **others)

    def conditional_effects(
        self, effects: Any = None, *, resolution: int = 100, kind: str = "mean", level: float = 0.95
    ) -> dict[str, pd.DataFrame]:
        """Expected responses along each variable of the fixed effects, or two together (`"week:diet"`), the others at
        their means and most frequent levels, without group deviations, as brms has them: by effect, a table of the
        variables' values and `estimate, std_error, conf_low, conf_high`. `hier.plots.plot_conditional_effects` draws
        it.

        `resolution`: how many values of a numeric variable, from its smallest to its largest; as the second of two
        variables it stands at its mean and one sd to both sides. Raises FitError.
        """
        return conditional_effects(self, effects, resolution, kind, level)
