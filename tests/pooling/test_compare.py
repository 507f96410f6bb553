"""No, partial and complete pooling of several grouping factors, and the alignment of estimate and posterior."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hier
from hier.pooling.compare import mean_shrinkage, of_group


def table() -> pd.DataFrame:
    """Twelve levels of g, a date each, crossed with five of h; weights, and a slope that varies with both."""
    random = np.random.default_rng(8)
    g, h, x = random.integers(0, 12, 150), random.integers(0, 5, 150), random.normal(size=150)
    b, c = random.normal(size=(12, 2)) * [1.5, 0.6], random.normal(size=(5, 2)) * [1.0, 0.8]
    y = 2.0 + b[g, 0] + c[h, 0] + (1.0 + b[g, 1] + c[h, 1]) * x + random.normal(size=150)
    dates = pd.Timestamp("2024-03-01") + pd.to_timedelta(g, "D")
    return pd.DataFrame({"y": y, "x": x, "g": dates, "h": h, "w": random.uniform(0.5, 2.0, 150)})


@pytest.fixture(scope="module")
def crossed() -> hier.Comparison:
    model = hier.Model("y ~ x + (x | g) + (x | h)", table(), weights="w")
    return hier.compare(model.estimate(), model.sample(chains=2, draws=200, seed=1, progress=False))


def test_rows_are_of_group_level_and_term(crossed):
    for found in (crossed.table, crossed.shrinkage):
        assert found.index.names == ["group", "level", "term"]
        assert len(found) == 2 * (12 + 5)
        assert list(found.index.get_level_values("group").unique()) == ["g", "h"]
    rows = of_group(crossed.table, "h")
    assert rows.index.names == ["h", "term"]
    np.testing.assert_array_equal(rows["mode"], crossed.estimate.ranef["h"].to_numpy().ravel())
    np.testing.assert_array_equal(rows["posterior_mean"], crossed.posterior.ranef["h"].to_numpy().ravel())
    assert crossed.table.loc[("g", pd.Timestamp("2024-03-03"), "x"), "mode"] == crossed.estimate.ranef["g"]["x"].iloc[2]


@pytest.mark.parametrize("k", [0, 1])
def test_own_least_squares_are_of_the_rows_less_the_other_factor(crossed, k):
    estimate, (this, other) = crossed.estimate, (("g", "h"), ("h", "g"))[k]
    data = table()
    b = estimate.ranef[other].loc[data[other]].to_numpy()
    partial = data["y"] - b[:, 0] - b[:, 1] * data["x"]
    own = of_group(crossed.shrinkage, this)["least_squares"].unstack()
    for level, rows in data.groupby(this):
        slope, intercept = np.polyfit(rows["x"], partial[rows.index], 1, w=np.sqrt(rows["w"]))
        np.testing.assert_allclose(own.loc[level, ["Intercept", "x"]], [intercept, slope], rtol=1e-8)


@pytest.mark.parametrize("k", [0, 1])
def test_modes_are_own_least_squares_drawn_by_the_shrinkage_factors(crossed, k):
    """At the joint modes each factor's are (I - B_j) times its own least squares, given the other factor's."""
    estimate = crossed.estimate
    random, term = estimate.model.design.random_effects[k], estimate.arrays.terms[k]
    rows = of_group(crossed.shrinkage, random.group)
    own, population, factors = (
        rows[c].to_numpy().reshape(-1, 2) for c in ("least_squares", "complete_pooling", "shrinkage_estimate")
    )
    for j in range(random.n_levels):
        Z, w = random.Z[random.codes == j], estimate.model.design.weights[random.codes == j]
        B = np.linalg.inv(term.covariance @ (Z.T * w) @ Z / estimate.sigma**2 + np.eye(2))
        np.testing.assert_allclose(np.diag(B), factors[j], rtol=1e-9)
        np.testing.assert_allclose(term.deviations[j], (np.eye(2) - B) @ (own[j] - population[j]), atol=1e-8)


def test_shrinkage_by_the_posterior_is_the_mean_over_draws(crossed):
    random, draws = crossed.estimate.model.design.random_effects[1], crossed.posterior.draws
    sd, cor, sigma = draws["sd_h"].reshape(-1, 2), draws["cor_h"].ravel(), draws["sigma"].ravel()
    rows = random.codes == 3
    information = (random.Z[rows].T * crossed.estimate.model.design.weights[rows]) @ random.Z[rows]
    each = [
        np.diag(np.linalg.inv(np.diag(s) @ [[1.0, r], [r, 1.0]] @ np.diag(s) @ information / v**2 + np.eye(2)))
        for s, r, v in zip(sd, cor, sigma, strict=True)
    ]
    found = of_group(crossed.shrinkage, "h").loc[3, "shrinkage_posterior"]
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-9)  # all 400 draws: none is left out


def test_parameters_of_both_stand_side_by_side(crossed):
    table = crossed.parameters
    assert not table[["estimate", "posterior_mean"]].isna().any(axis=None)
    np.testing.assert_array_equal(table["estimate"], crossed.estimate.tidy()["estimate"])
    np.testing.assert_array_equal(table["posterior_mean"], crossed.posterior.tidy()["estimate"])


def test_what_is_printed_has_every_factor(crossed):
    text = str(crossed)
    for group, levels in (("g", 12), ("h", 5)):
        assert f"Mean shrinkage of the {levels} levels of {group} (" in text
        mean = mean_shrinkage(crossed, group).loc["x"]
        assert f"x: {mean.iloc[0]:.3f} by REML, {mean.iloc[1]:.3f} by the posterior" in text


def test_a_posterior_from_a_file_is_laid_beside_the_estimate(crossed, tmp_path):
    crossed.posterior.save(tmp_path / "p.nc")
    again = hier.compare(crossed.estimate, hier.load_posterior(tmp_path / "p.nc"))
    pd.testing.assert_frame_equal(again.table, crossed.table)
    pd.testing.assert_frame_equal(again.shrinkage, crossed.shrinkage)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.assign(h=data["h"].to_numpy()[::-1]),
        lambda data: data.assign(h=data["h"] + 1),
        lambda data: data.assign(y=data["y"] + 1.0),
    ],
)
def test_another_table_is_refused(crossed, change):
    other = hier.Model("y ~ x + (x | g) + (x | h)", change(table()), weights="w").estimate()
    with pytest.raises(hier.ModelError, match="not of the same model on the same data"):
        hier.compare(other, crossed.posterior)


def test_one_factor_is_indexed_by_its_own_name(pigs_reml, pigs_posterior):
    both = hier.compare(pigs_reml, pigs_posterior)
    assert both.table.index.names == both.shrinkage.index.names == ["id", "term"]
    pd.testing.assert_frame_equal(of_group(both.table, "id"), both.table)
