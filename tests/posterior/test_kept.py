"""Results that are saved predict in another process, which has no data, to the last digit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

import hier
from tests.posterior.made_up import of_model

N = 120


def table() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    x, g = rng.uniform(1.0, 5.0, N), rng.integers(0, 12, N)
    f = np.array(["a", "b", "c"])[rng.integers(0, 3, N)]
    eta = 0.3 * x + 0.5 * rng.normal(size=12)[g]
    return pd.DataFrame(
        {
            "x": x,
            "z": rng.normal(size=N),
            "g": pd.to_datetime("2020-01-01") + pd.to_timedelta(g, "D"),
            "h": [f"h{k}" for k in rng.integers(0, 7, N)],
            "f": f,
            "y": eta + rng.normal(size=N),
            "count": rng.poisson(np.exp(0.3 * eta)),
            "label": pd.Categorical.from_codes(
                np.digitize(eta + rng.logistic(size=N), [0.0, 1.5]), ["low", "middle", "high"], ordered=True
            ),
            "w": rng.uniform(0.5, 2.0, N),
        }
    )


DATA = table()
MODELS = {
    "normal": ("y ~ x + f + (x | g) + (1 | h)", {}),
    "nested": ("y ~ x + (1 | f/h)", {"weights": "w"}),
    "transforms": ("y ~ poly(x, 2) + ns(z, 3) + ave(x, h) + I(x > 2) + scale(z) + (1 | h)", {}),
    "splines": ("y ~ bs(x, df = 4) + rcs(z, 3) + cut(x, c(0, 2, 9)) + offset(log(x)) + (poly(z, 2) | h)", {}),
    "contrasts": ("y ~ C(f, contr.sum) * z + (1 | g)", {}),
    "poisson": ("count ~ x + f + (1 | g)", {"family": "poisson"}),
    "parameters": (hier.Formula("count ~ x + (x || g)", shape="~ f"), {"family": "negbinomial"}),
    "ordered": ("label ~ x + f + (1 | h)", {"family": "cumulative"}),
    "crossed counts": ("count ~ x + (1 | g) + (1 | h)", {"family": "poisson"}),
}
NEW = DATA.iloc[[3, 40, 77, 5]].assign(x=[1.5, 2.5, 4.0, 3.3], h=["h1", "h2", "nobody", "h0"])

THERE = """
import sys, json
import numpy as np, pandas as pd
import hier
for line in sys.stdin:
    path, rows, estimate, options = json.loads(line)
    own = hier.load_estimate(path) if estimate else hier.load_posterior(path)
    new = pd.read_pickle(rows)
    found = own.predict(new, new_levels="sample", **options)
    kept = own.fixef.to_json() if estimate else ""
    length = len(own.summary()) if estimate else 0
    print(json.dumps([np.asarray(found, float).ravel().tolist(), length, kept]), flush=True)
"""


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """Ask another process, in a folder of its own, for predictions from files."""
    folder = tmp_path_factory.mktemp("elsewhere")
    NEW.to_pickle(folder / "new.pkl")
    with subprocess.Popen(
        [sys.executable, "-c", THERE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
    ) as process:

        def ask(path: Path, *, estimate: bool, **options):
            process.stdin.write(json.dumps([str(path), str(folder / "new.pkl"), estimate, options]) + "\n")
            process.stdin.flush()
            values, length, kept = json.loads(process.stdout.readline())
            return np.array(values), length, kept

        yield ask
        process.stdin.close()


@pytest.fixture(params=MODELS)
def model(request):
    formula, options = MODELS[request.param]
    return hier.Model(formula, DATA, **options)


def test_a_posterior_predicts_elsewhere_to_the_digit(model, there, tmp_path) -> None:
    posterior = of_model(model, (2, 20))
    path = posterior.save(tmp_path / "p.nc")
    for options in ({}, {"kind": "response", "seed": 4}, {"kind": "link", "level": 0.5}):
        found, *_ = there(path, estimate=False, **options)
        here = posterior.predict(NEW, new_levels="sample", **options)
        np.testing.assert_array_equal(found, np.asarray(here, float).ravel())
    again = hier.load_posterior(path)
    assert again.model is not None
    assert again.save(tmp_path / "again.nc").exists()
    pd.testing.assert_frame_equal(
        hier.load_posterior(tmp_path / "again.nc").predict(NEW, new_levels="integrate"),
        posterior.predict(NEW, new_levels="integrate"),
    )


def test_an_estimate_predicts_elsewhere_to_the_digit(model, there, tmp_path) -> None:
    fit = model.estimate()
    path = fit.save(tmp_path / "e.nc")
    weights = {"weights": "w"} if model.design.weights is not None else {}
    for options in (
        {"se": True, "interval": "confidence"},
        {"kind": "response", "seed": 2, **weights},
        {"kind": "link", "draws": True},
    ):
        found, length, kept = there(path, estimate=True, **options)
        here = fit.predict(NEW, new_levels="sample", **options)
        np.testing.assert_array_equal(found, np.asarray(here, float).ravel())
        assert length == len(fit.summary())
        assert kept == fit.fixef.to_json()
    read = hier.load_estimate(path)
    assert read.summary() == fit.summary()
    pd.testing.assert_frame_equal(read.coefficients, fit.coefficients)
    pd.testing.assert_frame_equal(read.varcorr, fit.varcorr)
    for group, own in fit.ranef_se.items():
        pd.testing.assert_frame_equal(read.ranef_se[group], own)
        pd.testing.assert_frame_equal(read.ranef[group], fit.ranef[group])
    for ask in (lambda: read.fitted, lambda: read.residuals, read.simulate, read.predict):
        with pytest.raises(hier.FitError, match="does not hold the data of the fit"):
            ask()
    whole = hier.load_estimate(path, model=model)
    pd.testing.assert_series_equal(whole.fitted, fit.fitted)


def test_what_is_not_of_the_file_is_said(tmp_path) -> None:
    model = hier.Model("y ~ x + (1 | h)", DATA)
    fit, posterior = model.estimate(), of_model(model)
    one, other = fit.save(tmp_path / "e.nc"), posterior.save(tmp_path / "p.nc")
    with pytest.raises(hier.JobError, match="is not a posterior"):
        hier.load_posterior(one)
    with pytest.raises(hier.JobError, match="is not an estimate"):
        hier.load_estimate(other)
    with pytest.raises(hier.ModelError, match="not of this model on these data"):
        hier.load_estimate(one, model=hier.Model("y ~ z + (1 | h)", DATA))
    with pytest.raises(hier.JobError):
        hier.load_estimate(tmp_path / "nothing.nc")


def changed(path: Path, change) -> Path:
    from hier.estimate.checksums import add_checksums

    with h5py.File(path, "r+") as file:
        change(file)
    with path.open("r+b") as file:
        add_checksums(file)
    return path


def test_files_of_other_versions_are_read_or_refused(tmp_path) -> None:
    posterior = of_model(hier.Model("y ~ x + (1 | h)", DATA))
    later = changed(posterior.save(tmp_path / "later.nc"), lambda f: f["hier"].attrs.modify("format", 99))
    with pytest.raises(hier.JobError, match="written by a later version of hier"):
        hier.load_posterior(later)
    earlier = changed(posterior.save(tmp_path / "earlier.nc"), lambda f: f.__delitem__("hier"))
    old = hier.load_posterior(earlier)
    np.testing.assert_array_equal(old.beta, posterior.beta)
    with pytest.raises(hier.FitError, match="a file of an earlier version"):
        old.predict(NEW)
    broken = posterior.save(tmp_path / "broken.nc")
    with h5py.File(broken, "r+") as file:
        file["hier"].attrs.modify("format", 0)
    with pytest.raises(hier.JobError, match="is damaged"):
        hier.load_posterior(broken)


def test_no_row_of_the_data_is_in_a_file(tmp_path) -> None:
    marked = DATA.assign(x=DATA["x"] + 0.123456789, y=DATA["y"] * 1.0000001)
    path = hier.Model("y ~ x + (1 | h)", marked).estimate().save(tmp_path / "e.nc")
    with h5py.File(path) as file:
        text = file["hier/description"].asstr()[()]
        longest = max([item.size for item in file["hier"].values()])
    assert longest < N
    assert all(repr(value) not in text for value in [*marked["x"], *marked["y"]])
