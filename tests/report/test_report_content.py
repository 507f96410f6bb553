"""What the report says in its tables and sentences."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import hier
from hier.reporting import content, pictures


def with_levels(comparison, count: int):
    """The comparison with a table of so many levels, the first one's own least squares missing."""
    index = pd.MultiIndex.from_product([range(count), ["Intercept", "week"]], names=["id", "term"])
    table = pd.DataFrame(1.0, index=index, columns=comparison.table.columns)
    table.iloc[0, 0] = np.nan
    return dataclasses.replace(comparison, table=table)


def test_of_many_levels_the_first_500_are_listed_and_that_is_said(pigs):
    (group,) = pigs.posterior.groups
    table = content.level_table(with_levels(pigs, 501), group)
    assert len(table.rows) == 1000
    assert table.rows[0][:4] == ["0", "Intercept", "–", "1.000"]
    assert table.rows[-1][0] == "499"
    assert content.levels_note(501).startswith("The first 500 of 501 levels")
    assert content.levels_note(500) == "All 500 levels."
    assert len(content.level_table(pigs, group).rows) == 96


@pytest.mark.parametrize(
    ("term", "shown"),
    [
        ("week", "week"),
        ("sd__week", "sd(week)"),
        ("cor__Intercept.week", "cor(Intercept, week)"),
        ("sd__Observation", "sigma"),
        ("a__b", "a__b"),
    ],
)
def test_parameters_have_plain_names(term, shown):
    assert content.plain_term(term) == shown


def test_trouble_is_said_first(pigs):
    diagnosis = dataclasses.replace(pigs.posterior.diagnose(), problems=("R-hat is large",))
    estimate = dataclasses.replace(pigs.estimate, converged=False, is_singular=True, message="stopped early")
    said = content.verdicts(estimate, diagnosis)
    assert [verdict.ok for verdict in said] == [False, False, False]
    assert [verdict.word for verdict in said] == ["REML did not converge", "singular fit", "draws not yet usable"]
    assert said[0].sentence == "Stopped early."
    assert said[2].sentence.startswith("1 of the checks below failed")
    well = content.verdicts(pigs.estimate, dataclasses.replace(diagnosis, problems=()))
    assert [verdict.ok for verdict in well] == [True, True, True]


def test_the_largest_difference_names_its_level(pigs):
    table = pigs.table.copy()
    table.loc[(7, "week"), "mode"] = (
        table.loc[(7, "week"), "posterior_mean"] + 3 * table.loc[(7, "week"), "posterior_sd"]
    )
    said = content.largest_difference(dataclasses.replace(pigs, table=table), "id")
    assert said == "3.00 posterior standard deviations, at level 7 (week)"


def test_pictures_need_no_covariate(pigs, monkeypatch):
    for plot in ("plot_data", "plot_shrinkage", "plot_group_effects"):
        monkeypatch.setattr(pictures, plot, lambda comparison, group: None)
    monkeypatch.setattr(pictures, "embed", lambda figure: "data:")
    monkeypatch.setattr(pictures, "covariate", lambda model, group: None)
    titles = [picture.title for picture in content.pooling_pictures(pigs, "id")]
    assert titles == ["The data and the fitted model", "Shrinkage", "Deviations from the population"]


def test_each_factor_has_its_own_tables(crossed):
    found = content.content(crossed)["factors"]
    assert [(each["id"], each["group"]) for each in found] == [("levels", "h"), ("levels-2", "<b>g")]
    assert [len(each["levels"].rows) for each in found] == [22, 7]
    assert [each["levels_note"] for each in found] == ["All 11 levels.", "All 7 levels."]
    assert [row[0] for row in found[0]["shrinkage"].rows] == ["Intercept", "x"]
    for each, group in zip(found, ("h", "<b>g"), strict=True):
        first = crossed.table.xs(group, level="group").iloc[0]
        assert each["levels"].rows[0][3] == content.number(first["mode"])
        assert group in each["pictures"][0].alt


def test_facts_name_every_factor(crossed):
    said = content.facts(crossed.estimate)
    rows = np.bincount(crossed.posterior.groups[0].codes)
    assert ("Grouping factor", f"<b>g, 7 levels with {rows.min()} to {rows.max()} rows each") in said
    assert [value for word, value in said if word == "Random effects"] == ["Intercept", "Intercept, x"]


def test_the_reading_of_a_picture_says_what_is_taken_off(crossed, pigs, monkeypatch):
    monkeypatch.setattr(pictures, "embed", lambda figure: "data:")
    several = " ".join(picture.reading for picture in pictures.pooling_pictures(crossed, "h"))
    single = " ".join(picture.reading for picture in pictures.pooling_pictures(pigs, "id"))
    assert "less the deviations of the other grouping factors" in several
    assert "what the other grouping factors add to the rows" in several
    assert "other grouping factors" not in single


@pytest.mark.parametrize("method", ["laplace", pytest.param("advi", marks=pytest.mark.slow)])
def test_a_report_of_approximate_draws_says_that_they_are(pigs, tmp_path, method):
    drawn = pigs.estimate.model.sample(chains=2, draws=500, method=method, seed=1, progress=False)
    both = hier.compare(pigs.estimate, drawn)
    shown = content.content(both)
    facts = dict(shown["sampler_facts"])
    assert "1000, independent of each other: approximate" in facts["Draws"]
    assert f"{drawn.pareto_k:.2f}" in facts["Pareto k"]
    assert not {"Divergences", "E-BFMI", "Leapfrog steps"} & set(facts)
    assert (shown["diagnosis"], shown["chain_pictures"]) == (None, [])
    assert "approximation" in shown["verdicts"][-1].word
    assert "1000 independent draws" in dict(shown["made"])["Sampling"]
    page = hier.report(both, tmp_path / "pigs.html").read_text(encoding="utf-8")
    assert "E-BFMI" not in page
    assert "divergences" not in page.replace("no chains, divergences or energies to check", "")


def test_a_poor_approximation_is_said_first(pigs):
    diagnosis = dataclasses.replace(pigs.posterior.diagnose(), pareto_k=1.2, problems=("poor",))
    verdict = content.verdicts(pigs.estimate, diagnosis)[-1]
    assert (verdict.ok, verdict.word) == (False, "approximation too poor")


def test_trials_are_no_weights(pigs):
    random, codes = np.random.default_rng(1), np.repeat(np.arange(8), 6)
    n = random.integers(2, 9, 48)
    data = pd.DataFrame({"s": random.binomial(n, 0.4), "n": n, "g": codes, "w": random.uniform(1, 2, 48)})
    trials = hier.Model("s | trials(n) ~ 1 + (1 | g)", data, family="binomial")
    weighted = hier.Model("s | trials(n) ~ 1 + (1 | g)", data, family="binomial", weights="w")
    said = dict(content.facts(SimpleNamespace(model=trials)))["Rows"]
    assert said == "48 of 48 in the table; 2 to 8 trials in each"
    said = dict(content.facts(SimpleNamespace(model=weighted)))["Rows"]
    assert "; weights from 1" in said
    assert "precision" not in said
