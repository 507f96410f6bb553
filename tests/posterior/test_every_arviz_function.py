"""Every public function of arviz-stats and arviz-plots that takes a tree works on `Posterior.data`, or stands below,
with the reason why it cannot."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import arviz_base
import arviz_plots
import arviz_stats
import matplotlib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from arviz_stats.loo.wrapper import SamplingWrapper

import hier

matplotlib.use("agg")

NOT_APPLICABLE = {
    # arviz-stats
    "get_function": "takes a name of a function, no tree",
    "hexbin": "takes two arrays, no tree",
    "generate_survival_curves": "survival times, which no family of hier has",
    "kaplan_meier": "survival times, which no family of hier has",
    "lfo_cv": "leaves the future of one series out; rows of hier are exchangeable given their groups",
    "loo_moment_match": "transforms draws of unconstrained parameters, which hier does not hold: "
    "loo(integrated=True) and loo(refit=True) stand in its place",
    # arviz-plots
    "plot_ppc_censored": "survival times, which no family of hier has",
    "plot_ecdf_pit": "simulation-based calibration, whose tree is not that of one posterior",
}


def table(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    g = rng.integers(0, 6, n)
    x = rng.normal(size=n)
    eta = 0.3 + 0.5 * x + 0.6 * rng.normal(size=6)[g]
    frame = {"g": [f"g{k}" for k in g], "x": x, "y": eta + rng.normal(size=n), "n": rng.poisson(np.exp(eta))}
    return pd.DataFrame(frame | {"b": (rng.random(n) < 1.0 / (1.0 + np.exp(-eta))).astype(int)})


DATA = table()


def sampled(response: str, family: str) -> hier.Posterior:
    model = hier.Model(f"{response} ~ x + (1 | g)", DATA, family=family)
    posterior = model.sample(chains=4, draws=250, seed=2, progress=False)
    return posterior.with_log_likelihood().with_predictive(seed=3).with_prior(1000, seed=4)


@pytest.fixture(scope="module")
def posterior() -> hier.Posterior:
    return sampled("y", "gaussian")


@pytest.fixture(scope="module")
def tree(posterior) -> xr.DataTree:
    return posterior.with_predictive(DATA[:8], seed=3).data


@pytest.fixture(scope="module")
def counts() -> xr.DataTree:
    return sampled("n", "poisson").data


@pytest.fixture(scope="module")
def binary() -> xr.DataTree:
    return sampled("b", "bernoulli").data


class Wrapper(SamplingWrapper):
    """hier behind the interface by which ArviZ refits."""

    def __init__(self, posterior: hier.Posterior) -> None:
        super().__init__(posterior.model, idata_orig=posterior.data)

    def sel_observations(self, idx: Any) -> Any:
        out = np.zeros(len(DATA), bool)
        out[np.atleast_1d(idx)] = True
        return ~out, np.flatnonzero(out)

    def sample(self, kept: Any) -> hier.Posterior:
        model = hier.Model("y ~ x + (1 | g)", DATA[kept])
        return model.sample(chains=4, draws=250, method="laplace", progress=False)

    def get_inference_data(self, fitted: hier.Posterior) -> hier.Posterior:
        return fitted

    def log_likelihood__i(self, rows: Any, fitted: hier.Posterior) -> xr.DataArray:
        mean = fitted.predict(DATA.iloc[rows], draws=True).to_numpy()
        sigma = fitted.draws["sigma"][..., None]
        y = DATA["y"].to_numpy()[rows]
        found = -0.5 * ((y - mean) / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2.0 * np.pi)
        array = xr.DataArray(found, dims=("chain", "draw", "obs"))
        return array[..., 0] if len(rows) == 1 else array


FEW = {"var_names": ["beta", "sigma"]}


def with_mean(tree: xr.DataTree, posterior: hier.Posterior) -> xr.DataTree:
    """The tree with the expected responses among the posterior's variables, as `bayesian_r2` wants them."""
    own = posterior.predict(draws=True).rename("mu")
    return xr.DataTree.from_dict(
        {name: node.to_dataset() for name, node in tree.children.items()}
        | {"posterior": tree["posterior"].to_dataset().assign(mu=own)}
    )


STATS: dict[str, Callable[..., Any]] = {
    "bayes_factor": lambda f, t, p: f(t, "sigma", ref_vals=1.0),
    "bayesian_r2": lambda f, t, p: f(with_mean(t, p), "mu", "sigma"),
    "bfmi": lambda f, t, p: f(t),
    "ci_in_rope": lambda f, t, p: f(t, (0.0, 1.0), **FEW),
    "compare": lambda f, t, p: f({"a": t, "b": arviz_stats.loo(t, pointwise=True)}),
    "diagnose": lambda f, t, p: f(t, show_diagnostics=False),
    "ecdf": lambda f, t, p: f(t["posterior"].dataset),  # of trees it says itself "not available yet"
    "ess": lambda f, t, p: f(t),
    "eti": lambda f, t, p: f(t),
    "get_log_likelihood": lambda f, t, p: f(t),
    "hdi": lambda f, t, p: f(t),
    "histogram": lambda f, t, p: f(t),
    "histogram2d": lambda f, t, p: f(t["posterior"]["sigma"], t["posterior"]["beta"].sel(coef="x", drop=True)),
    "iqr": lambda f, t, p: f(t),
    "kde": lambda f, t, p: f(t, **FEW),
    "kde2d": lambda f, t, p: f(t["posterior"]["sigma"], t["posterior"]["beta"].sel(coef="x", drop=True)),
    "kl_divergence": lambda f, t, p: f(t, t, **FEW),
    "loo": lambda f, t, p: f(t, pointwise=True),
    "loo_approximate_posterior": lambda f, t, p: f(t, p.stats["lp"], p.stats["lp"]),
    "loo_expectations": lambda f, t, p: f(t),
    "loo_i": lambda f, t, p: f(3, t),
    "loo_influence": lambda f, t, p: f(t),
    "loo_kfold": lambda f, t, p: f(t, Wrapper(p), k=3),
    "loo_metrics": lambda f, t, p: f(t),
    "loo_pit": lambda f, t, p: f(t),
    "loo_r2": lambda f, t, p: f(t, "y"),
    "loo_score": lambda f, t, p: f(t),
    "loo_subsample": lambda f, t, p: f(t, 40),
    "mad": lambda f, t, p: f(t),
    "mcse": lambda f, t, p: f(t),
    "mean": lambda f, t, p: f(t),
    "median": lambda f, t, p: f(t),
    "metrics": lambda f, t, p: f(t),
    "mode": lambda f, t, p: f(t, **FEW),
    "psense": lambda f, t, p: f(t, **FEW),
    "psense_summary": lambda f, t, p: f(t, **FEW),
    "qds": lambda f, t, p: f(t, **FEW),
    "reloo": lambda f, t, p: f(Wrapper(p), arviz_stats.loo(t, pointwise=True), k_threshold=0.3),
    "residual_r2": lambda f, t, p: f(with_mean(t, p), "mu", "y"),
    "rhat": lambda f, t, p: f(t),
    "rhat_nested": lambda f, t, p: f(t, superchain_ids=[0, 0, 1, 1]),
    "std": lambda f, t, p: f(t),
    "summary": lambda f, t, p: f(t),
    "thin": lambda f, t, p: f(t, factor=2),
    "update_subsample": lambda f, t, p: f(arviz_stats.loo_subsample(t, 40, pointwise=True), t, observations=10),
    "var": lambda f, t, p: f(t),
    "wasserstein": lambda f, t, p: f(t, t, var_names="sigma", num_samples=50),
    "weight_predictions": lambda f, t, p: f([t, t], [0.5, 0.5]),
}
PLOTS: dict[str, Callable[..., Any]] = {
    "add_bands": lambda f, t: f(arviz_plots.plot_dist(t, var_names="sigma"), [(0.8, 1.0)]),
    "add_lines": lambda f, t: f(arviz_plots.plot_dist(t, var_names="sigma"), 1.0),
    "combine_plots": lambda f, t: f(t, [(arviz_plots.plot_trace, {}), (arviz_plots.plot_dist, {})], var_names="sigma"),
    "plot_bf": lambda f, t: f(t, "sigma", ref_val=1.0),
    "plot_compare": lambda f, t: f(arviz_stats.compare({"a": t, "b": arviz_stats.loo(t, pointwise=True)})),
    "plot_khat": lambda f, t: f(arviz_stats.loo(t, pointwise=True)),
    "plot_lm": lambda f, t: f(with_covariate(t), x="x", y="y"),
    "plot_loo_interval": lambda f, t: f(t),
    "plot_loo_pit": lambda f, t: f(t),
    "plot_pair_focus": lambda f, t: f(t, "sigma", var_names="beta"),
    "plot_energy": lambda f, t: f(t),
    "plot_ppc_dist": lambda f, t: f(t),
    "plot_ppc_dist_pit": lambda f, t: f(t),
    "plot_ppc_interval": lambda f, t: f(t),
    "plot_ppc_pit": lambda f, t: f(t),
    "plot_ppc_tstat": lambda f, t: f(t),
    "plot_psense_dist": lambda f, t: f(t, var_names="sigma"),
    "plot_psense_quantities": lambda f, t: f(t, var_names="sigma"),
}
OF_COUNTS = {"plot_ppc_rootogram": lambda f, t: f(t)}
OF_BINARY = {
    "plot_ppc_pava": lambda f, t: f(t),
    "plot_loo_pava": lambda f, t: f(t),
    "plot_ppc_pava_residuals": lambda f, t: f(with_covariate(t), "x"),
}


def with_covariate(tree: xr.DataTree) -> xr.DataTree:
    """The tree with the covariate x among its constant data."""
    own = tree["constant_data"].to_dataset()
    found = {name: node.to_dataset() for name, node in tree.children.items()}
    return xr.DataTree.from_dict(found | {"constant_data": own.assign(x=("obs", DATA["x"].to_numpy()))})


def public(module: Any) -> list[str]:
    found = [name for name in dir(module) if not name.startswith("_")]
    return [name for name in found if inspect.isfunction(getattr(module, name))]


ALL_PLOTS = [name for name in public(arviz_plots) if name not in NOT_APPLICABLE]
SIMPLE = [name for name in ALL_PLOTS if name not in PLOTS | OF_COUNTS | OF_BINARY]


@pytest.mark.parametrize("name", [name for name in public(arviz_stats) if name not in NOT_APPLICABLE])
def test_every_statistic(name: str, tree, posterior) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few draws, and of Pareto k
        found = STATS[name](getattr(arviz_stats, name), tree, posterior)
    assert found is not None


@pytest.mark.parametrize("name", ALL_PLOTS)
def test_every_plot(name: str, request) -> None:
    function = getattr(arviz_plots, name)
    kind = "counts" if name in OF_COUNTS else "binary" if name in OF_BINARY else "tree"
    call = (PLOTS | OF_COUNTS | OF_BINARY).get(name, lambda f, t: f(t, **FEW))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = call(function, request.getfixturevalue(kind))
    matplotlib.pyplot.close("all")
    assert found is not None


# draws of an approximation are independent: they have no energies
OF_CHAINS = {"bfmi", "plot_energy", "loo_approximate_posterior"}


def test_draws_of_an_approximation_go_through_all_of_them() -> None:
    model = hier.Model("y ~ x + (1 | g)", DATA)
    posterior = model.sample(draws=250, method="laplace", seed=2, progress=False)
    posterior = posterior.with_log_likelihood().with_predictive(seed=3).with_prior(1000, seed=4)
    arviz_stats.loo_approximate_posterior(posterior.data, posterior.stats["lp"], posterior.stats["lp"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in set(STATS) - OF_CHAINS:
            STATS[name](getattr(arviz_stats, name), posterior.data, posterior)
        for name in set(ALL_PLOTS) - {*OF_CHAINS, *OF_COUNTS, *OF_BINARY}:
            PLOTS.get(name, lambda f, t: f(t, **FEW))(getattr(arviz_plots, name), posterior.data)
            matplotlib.pyplot.close("all")


def test_the_tables_are_those_of_the_versions_that_are_installed() -> None:
    known = {*STATS, *PLOTS, *OF_COUNTS, *OF_BINARY, *NOT_APPLICABLE, *SIMPLE}
    there = {*public(arviz_stats), *public(arviz_plots)}
    assert there - known == set()
    assert {*STATS, *PLOTS, *OF_COUNTS, *OF_BINARY, *NOT_APPLICABLE} - there == set()


def test_groups_are_those_of_the_schema(tree) -> None:
    assert set(tree.children) == {
        *("posterior", "sample_stats", "observed_data", "constant_data", "posterior_predictive", "predictions"),
        *("log_likelihood", "log_prior", "prior", "prior_predictive"),
    }
    for name in ("posterior", "prior", "posterior_predictive", "predictions", "log_likelihood", "log_prior"):
        for values in tree[name].dataset.data_vars.values():
            assert values.dims[:2] == ("chain", "draw")
    assert arviz_base.extract(tree).sizes["sample"] == 1000
