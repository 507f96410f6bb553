"""Models with several covariance structures: their priors, and how they are written out."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import hier


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    """Six levels of g by three of f, four of h across them."""
    rng = np.random.default_rng(8)
    g, f = np.repeat(np.arange(6), 9), np.tile(list("ABC"), 18)
    x, h = np.linspace(-1.0, 1.0, 54), rng.integers(0, 4, size=54)
    return pd.DataFrame({"y": rng.normal(size=54), "x": x, "g": g, "f": f, "h": h})


def test_priors_are_one_for_what_is_shared(data):
    """One sd where columns share it, named by its bar; one correlation, uniform over its range."""
    bars = "ar1(0 + f | g) + (x | g) + diag(0 + x:f | g, hom = TRUE)"
    model = hier.Model(f"y ~ f + {bars}", data)
    rows = dict(model.priors.rows())
    assert [name for name in rows if "_g" in name] == [
        "sd_g[0 + f]",
        "sd_g[Intercept]",
        "sd_g[x]",
        "sd_g[0 + x:f]",
        "cor_g[0 + f]",
        "cor_g[1 + x]",
    ]
    assert rows["cor_g[0 + f]"] == "Uniform(-1, 1)"
    assert rows["cor_g[1 + x]"] == "LKJ(2) at the means of the columns"
    given = {
        "sd_g": dist.HalfNormal(3.0),
        "sd_g[0 + f]": dist.Exponential(0.1),
        "cor_g[0 + f]": dist.Uniform(0, 1),
        "cor_g[1 + x]": dist.LKJ(2, 4.0),
    }
    rows = dict(model.with_priors(given).priors.rows())
    assert rows["sd_g[0 + f]"] == "Exponential(0.1)"
    assert rows["sd_g[x]"] == rows["sd_g[0 + x:f]"] == "HalfNormal(3)"
    assert rows["cor_g[0 + f]"] == "Uniform(0, 1)"
    assert rows["cor_g[1 + x]"] == "LKJ(4) at the means of the columns"
    with pytest.raises(hier.ModelError, match=r"`cor_g\[0 \+ f\]` is not that of one number"):
        model.with_priors({"cor_g": dist.LKJ(2, 1.0)})
    with pytest.raises(hier.ModelError, match=r"no parameter `sd_g\[f\[A\]\]`"):
        model.with_priors({"sd_g[f[A]]": dist.HalfNormal(1.0)})


def test_a_shared_sd_has_a_prior_of_the_columns_mean_size(data):
    """Columns of sds 1 and 7, in root mean square 5, against one column of each alone."""
    x = np.resize([-1.0, 1.0], len(data))
    data = data.assign(a=x, b=7.0 * np.roll(x, 1))
    (one,) = hier.Model("y ~ 1 + diag(0 + a + b | g, hom = TRUE)", data).priors.groups
    (each,) = hier.Model("y ~ 1 + (0 + a + b || g)", data).priors.groups
    scale = [prior.base_dist.scale for prior in (*one.sd, *each.sd)]
    assert scale[1] / scale[0] == pytest.approx(5.0)
    assert scale[2] / scale[0] == pytest.approx(5.0 / 7.0)


def test_the_prior_of_one_correlation_stays_in_its_range(data):
    model = hier.Model("y ~ f + cs(0 + f | g)", data)
    assert dict(model.priors.rows())["cor_g"] == "Uniform(-0.5, 1)"
    with pytest.raises(hier.ModelError, match="one correlation of 3 columns"):
        model.with_priors({"cor_g": dist.Uniform(-1, 1)})


WRITTEN = "y ~ x + cs(x | g) + diag(0 + x:f | g, hom = TRUE) + ar1(0 + f | g, hom = FALSE) + (x || h)"


def test_equations_name_the_structures(data):
    text = str(hier.Model(WRITTEN, data))
    assert "Random effects: Intercept, x (compound symmetry) | x:f[A], x:f[B], x:f[C] (uncorrelated, equal" in text
    assert (
        """Model:
  y[i] = β₀ + β₁·x[i] + b₀[g[i]] + b₁[g[i]]·x[i] + b₂[g[i]]·x:f[A][i] + b₃[g[i]]·x:f[B][i] + b₄[g[i]]·x:f[C][i] + \
b₅[g[i]]·f[A][i] + b₆[g[i]]·f[B][i] + b₇[g[i]]·f[C][i] + c₀[h[i]] + c₁[h[i]]·x[i] + ε[i]
  (b₀, b₁)[g] ~ Normal(0, Σ_g₁ (2 x 2, compound symmetry))
  (b₂, b₃, b₄)[g] ~ Normal(0, sd_g[0 + x:f]² I (3 x 3, uncorrelated, equal variances))
  (b₅, b₆, b₇)[g] ~ Normal(0, Σ_g₂ (3 x 3, first-order autoregressive))
  c₀[h] ~ Normal(0, sd_h[Intercept]²)
  c₁[h] ~ Normal(0, sd_h[x]²)
  ε[i] ~ Normal(0, σ²)
"""
        in text
    )
    latex = hier.Model(WRITTEN, data).latex().splitlines()
    assert latex[0] == r"\begin{aligned}"
    assert r"b_{2,\mathrm{g}[i]}\,\mathrm{x:f[A]}_i" in latex[1]
    assert latex[2:] == [
        r"(b_{0,j}, b_{1,j})^\top &\sim \mathcal{N}(0, \Sigma_{\mathrm{g},1}) \quad \text{(compound symmetry)} \\",
        r"(b_{2,j}, b_{3,j}, b_{4,j})^\top &\sim \mathcal{N}(0, \tau_{b2}^2 I)"
        r" \quad \text{(uncorrelated, equal variances)} \\",
        r"(b_{5,j}, b_{6,j}, b_{7,j})^\top &\sim \mathcal{N}(0, \Sigma_{\mathrm{g},2})"
        r" \quad \text{(first-order autoregressive)} \\",
        r"c_{0,j} &\sim \mathcal{N}(0, \tau_{c0}^2) \\",
        r"c_{1,j} &\sim \mathcal{N}(0, \tau_{c1}^2) \\",
        r"\varepsilon_i &\sim \mathcal{N}(0, \sigma^2)",
        r"\end{aligned}",
    ]


def test_long_sums_weights_and_offsets_are_written_in_both_notations(data):
    data = data.assign(many=[f"m{k % 10}" for k in range(54)], w=2.0)
    model = hier.Model("y ~ many + offset(x) + ar1(0 + many | g)", data, weights="w")
    text, latex = str(model), model.latex()
    assert "y[i] = Σ β_k x_k[i] over 10 columns + offset[i] + Σ b_k[g[i]] z_k[i] over 10 columns + ε[i]" in text
    assert "(b₀, ..., b₉)[g] ~ Normal(0, Σ_g (10 x 10, first-order autoregressive, equal variances))" in text
    assert "ε[i] ~ Normal(0, σ² / weight[i])" in text
    assert r"\sum_{k=0}^{9} \beta_{k} x_{ik} + \mathrm{offset}_i + \sum_{k=0}^{9} b_{k,\mathrm{g}[i]} z_{ik}" in latex
    assert r"(b_{0,j}, \dots, b_{9,j})^\top &\sim \mathcal{N}(0, \Sigma_{\mathrm{g}})" in latex
    assert r"\mathcal{N}(0, \sigma^2 / w_i)" in latex
