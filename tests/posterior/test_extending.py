"""What is kept of a run, more draws of it, and a run that Ctrl-C ends."""

from __future__ import annotations

import contextlib
import copy
import os
import signal

import numpy as np
import pandas as pd
import pytest

import hier
from hier.posterior import drawing, nuts
from tests.posterior.made_up import of_model

RNG = np.random.default_rng(4)
G = np.repeat(np.arange(6), 6)
DATA = pd.DataFrame({"g": G, "h": np.tile(np.arange(4), 9), "x": RNG.normal(size=36)})
DATA["y"] = 1.0 + 0.5 * DATA.x + RNG.normal(size=6)[G] + RNG.normal(size=36)
DATA["n"] = RNG.poisson(np.exp(0.5 + 0.3 * RNG.normal(size=6)[G]))
SMALL = {"chains": 2, "warmup": 40, "seed": 3, "progress": False}


@pytest.fixture(scope="module")
def normal():
    return hier.Model("y ~ x + (1 | g)", DATA)


@pytest.fixture(scope="module")
def counts():
    return hier.Model("n ~ x + (1 | g)", DATA, family="poisson")


@pytest.fixture(scope="module", params=["normal", "counts"])
def model(request):
    return request.getfixturevalue(request.param)


def test_more_draws_are_those_of_a_longer_run(model) -> None:
    whole = model.sample(draws=60, **SMALL)
    short = model.sample(draws=25, **SMALL)
    longer = short.extend(35, progress=False)
    for name, values in whole.stats.items():
        np.testing.assert_array_equal(longer.stats[name], values, err_msg=name)
    np.testing.assert_array_equal(longer.draws["sd_g"], whole.draws["sd_g"])
    for name, values in short.draws.items():
        np.testing.assert_array_equal(longer.draws[name][:, :25], values)
    assert longer.settings.draws == 60
    assert longer.data["posterior"]["beta"].shape[:2] == (2, 60)
    assert len(np.unique(longer.draws["beta"])) == longer.draws["beta"].size
    assert copy.deepcopy(short).extend(35, progress=False).stats["lp"].tolist() == longer.stats["lp"].tolist()
    assert (
        short.extend(10, progress=False).extend(25, progress=False).stats["lp"].tolist() == whole.stats["lp"].tolist()
    )


def test_every_third_iteration_is_kept(normal) -> None:
    every, third = normal.sample(draws=60, **SMALL), normal.sample(draws=20, thin=3, **SMALL)
    for name, values in every.stats.items():
        np.testing.assert_array_equal(third.stats[name], values[:, 2::3], err_msg=name)
    assert "one of 3 kept" in third.summary()
    assert third.settings.thin == 3
    assert third.extend(4, progress=False).settings.draws == 24


@pytest.mark.parametrize("method", ["laplace", "advi"])
def test_more_draws_of_an_approximation_are_others(normal, method: str) -> None:
    short = normal.sample(draws=30, method=method, **SMALL)
    longer = short.extend(30, progress=False)
    assert longer.stats["pareto_k"].shape == (2, 60)
    assert len(np.unique(longer.stats["lp"])) > 80  # few are chosen twice
    assert len(np.unique(longer.draws["b_g"])) == longer.draws["b_g"].size
    again = normal.sample(draws=30, method=method, thin=5, **SMALL)
    np.testing.assert_array_equal(again.stats["lp"], short.stats["lp"])  # independent draws need no thinning


def test_deviations_may_be_left_out(model, tmp_path) -> None:
    whole, few = model.sample(draws=30, **SMALL), model.sample(draws=30, keep="parameters", **SMALL)
    assert set(whole.draws) - set(few.draws) == {"b_g"}
    for name, values in few.draws.items():
        np.testing.assert_array_equal(values, whole.draws[name])
    assert few.tidy().equals(whole.tidy())
    assert few.varcorr.equals(whole.varcorr)
    assert few.predict(random="none").equals(whole.predict(random="none"))
    for ask in (lambda: few.ranef, few.predict, few.loo):
        with pytest.raises(hier.FitError, match=r"deviations `b_g` were not kept(.|\n)*keep="):
            ask()
    read = hier.load_posterior(few.save(tmp_path / "few.nc"), model=model)
    assert read.groups[0].levels.equals(few.groups[0].levels)
    assert read.tidy().equals(few.tidy())
    assert few.extend(5, progress=False).draws["sd_g"].shape[1] == 35


def test_deviations_of_some_factors_are_kept() -> None:
    two = hier.Model("y ~ x + (1 | g) + (1 | h)", DATA)
    found = two.sample(draws=20, method="laplace", keep=["b_h", "sigma"], **SMALL)
    assert {"b_h", "sd_g", "sigma", "beta"} <= set(found.draws)
    assert "b_g" not in found.draws
    with pytest.raises(hier.FitError, match=r"no variable `b_k` to keep(.|\n)*`b_g`, `b_h`"):
        two.sample(keep=["b_k"])
    with pytest.raises(hier.FitError, match="`keep` cannot be 'parametrs'"):
        two.sample(keep="parametrs")


def interrupting(monkeypatch, at: int) -> None:
    """Ctrl-C as a terminal sends it, once so many iterations are done."""

    @contextlib.contextmanager
    def bar(*_, **__):
        yield lambda done: os.kill(os.getpid(), signal.SIGINT) if done >= at else None

    monkeypatch.setattr(drawing, "progress_bar", bar)
    monkeypatch.setattr(nuts, "SECONDS_A_PIECE", 0.0)
    monkeypatch.setattr(nuts, "FIRST_PIECE", 1)


def test_ctrl_c_keeps_the_draws_so_far(normal, monkeypatch, tmp_path) -> None:
    whole = normal.sample(draws=100, **SMALL)
    with monkeypatch.context() as patched:
        interrupting(patched, 40 + 57)
        part = normal.sample(draws=100, **SMALL)
    n = part.settings.draws
    assert 4 <= n < 100
    np.testing.assert_array_equal(part.stats["lp"], whole.stats["lp"][:, :n])
    assert part.settings.stopped
    assert "Ctrl-C ended the sampling early" in part.summary()
    assert hier.load_posterior(part.save(tmp_path / "part.nc")).summary() == part.summary()
    rest = part.extend(100 - n, progress=False)
    np.testing.assert_array_equal(rest.stats["lp"], whole.stats["lp"])
    assert "Ctrl-C" not in rest.summary()


def test_ctrl_c_in_the_warm_up_leaves_nothing(normal, monkeypatch) -> None:
    interrupting(monkeypatch, 30)
    with pytest.raises(KeyboardInterrupt):
        normal.sample(draws=100, **SMALL)


def test_times_are_kept_and_printed(normal, tmp_path) -> None:
    found = normal.sample(draws=20, **SMALL)
    assert min(found.timing) >= 0.0
    assert found.timing.draws > 0.0
    assert f"Time: compiling {found.timing.compiling:.1f} s, warm-up" in str(found)
    assert hier.load_posterior(found.save(tmp_path / "a.nc")).timing == found.timing
    assert normal.sample(draws=20, method="laplace", **SMALL).timing.warmup < 0.5


def test_a_seed_that_nobody_gave(normal) -> None:
    one, other = (normal.sample(draws=20, **{**SMALL, "seed": None}) for _ in range(2))
    assert one.settings.seed != other.settings.seed
    again = normal.sample(draws=20, **{**SMALL, "seed": one.settings.seed})
    np.testing.assert_array_equal(again.draws["b_g"], one.draws["b_g"])


def test_a_diagnosis_is_made_once(normal, monkeypatch) -> None:
    found = normal.sample(draws=20, **SMALL)
    first = str(found.diagnose())
    monkeypatch.setattr("hier.posterior.posterior.diagnose", lambda posterior: pytest.fail("made twice"))
    assert str(found.diagnose()) == first


def test_what_cannot_go_on_says_why(normal, tmp_path) -> None:
    found = of_model(normal)
    with pytest.raises(hier.FitError, match="where its chains stand"):
        found.extend(10)
    short = normal.sample(draws=20, **SMALL)
    with pytest.raises(hier.FitError, match="`draws` cannot be 0"):
        short.extend(0)
    with pytest.raises(hier.FitError, match="read from a file"):
        hier.load_posterior(short.save(tmp_path / "a.nc")).extend(10)
    read = hier.load_posterior(short.save(tmp_path / "b.nc"), model=normal)
    with pytest.raises(hier.FitError, match="where its chains stand"):
        read.extend(10)


def test_results_show_themselves_in_notebooks(normal) -> None:
    estimate, posterior = normal.estimate(), normal.sample(draws=20, **SMALL)
    for result in (normal, estimate, posterior, hier.compare(estimate, posterior)):
        page = result._repr_html_()
        assert page.startswith("<pre>")
        assert page.endswith("</pre>")
        assert "(1 | g)" in page
