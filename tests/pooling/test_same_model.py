"""Only results of one model on the same data are laid side by side; priors may differ."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import hier
from hier.design import differences


def table() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(12), 8)
    data = pd.DataFrame({"g": g, "x": rng.normal(size=96), "z": rng.normal(size=96), "w": rng.uniform(0.5, 2, 96)})
    data["y"] = 1 + 0.4 * data.x + rng.normal(0, 1, 12)[g] + rng.normal(0, 1, 96)
    data["n"] = 9
    return data.assign(s=rng.binomial(9, 0.4, 96), count=rng.poisson(3, 96), f=np.resize(["a", "b", "c"], 96))


FORMULA = "y ~ x + (x | g)"


def model(formula: str = FORMULA, data: pd.DataFrame | None = None, **options) -> hier.Model:
    return hier.Model(formula, table() if data is None else data, **options)


def small(at: int) -> pd.DataFrame:
    data = table()
    data.loc[at, "x"] += 1e-6
    return data


OTHERS = {
    "weights": (lambda: model(weights="w"), "the weights"),
    "other weights": (lambda: model(weights=table().w.to_numpy() + 1.0), "the weights"),
    "offset": (lambda: model("y ~ x + offset(z) + (x | g)"), "the offset"),
    "offset beside": (lambda: model(offset="z"), "the offset"),
    "another covariate": (lambda: model(data=table().assign(x=table().z)), "the column `x`"),
    "a covariate in another unit": (lambda: model(data=table().assign(x=lambda d: 10 * d.x)), "the column `x`"),
    "two rows exchanged": (lambda: model(data=table().assign(x=lambda d: d.x.to_numpy()[[1, 0, *range(2, 96)]])), "x"),
    "one number": (lambda: model(data=small(17)), "the column `x`"),
    "another response": (lambda: model(data=table().assign(y=lambda d: d.y + 1.0)), "the response"),
    "other groups": (lambda: model(data=table().assign(g=np.tile(np.arange(12), 8))), "the rows of the levels of `g`"),
    "other levels": (lambda: model(data=table().assign(g=lambda d: d.g + 1)), "the levels of `g`"),
    "fewer rows": (lambda: model(data=table().iloc[:-1]), "the response"),
    "another formula": (lambda: model("y ~ x + (1 | g)"), "the formula"),
    "another structure": (lambda: model("y ~ x + (x || g)"), "the covariances of `g`"),
    "another family": (lambda: model(family="student"), "the family"),
    "a parameter's formula": (lambda: model("y ~ x + (x | g), sigma ~ z"), "the column `z` of `sigma`"),
    "another link": (lambda: model(data=table().assign(y=lambda d: d.y + 9), link="log"), "the link"),
}


@pytest.mark.parametrize(("other", "part"), OTHERS.values(), ids=OTHERS)
def test_a_digest_says_in_what_two_models_differ(other, part) -> None:
    assert part in ", ".join(differences(model().digest, other().digest))


def test_trials_categories_and_a_parameters_columns_are_in_the_digest() -> None:
    one, other = (model(f"s | trials({n}) ~ x + (1 | g)", family="binomial") for n in (9, 10))
    assert "the trials" in differences(one.digest, other.digest)
    ordered = [
        model("f ~ x + (1 | g)", table().assign(f=lambda d, names=names: pd.Categorical(d.f, names, ordered=True)),
              family="cumulative")
        for names in (["a", "b", "c"], ["a", "c", "b"])
    ]  # fmt: skip
    assert "the categories" in differences(ordered[0].digest, ordered[1].digest)


def test_what_is_the_same_has_the_same_digest(tmp_path) -> None:
    """Priors, the kind of table and a file in between do not matter; nor do last digits, which differ by machine."""
    data = table()
    first = model(data=data)
    data.to_csv(tmp_path / "data.csv", index=False)
    same = {
        "again": model(data=data),
        "a dict": hier.Model(FORMULA, {name: data[name].to_numpy() for name in data}),
        "a file": hier.Model(FORMULA, tmp_path / "data.csv"),
        "priors": model(data=data, priors={"x": dist.Normal(0, 1)}),
        "rounding": model(data=data.assign(x=np.exp(np.log(data.x.abs())) * np.sign(data.x))),
    }
    for name, other in same.items():
        assert differences(first.digest, other.digest) == [], name


def test_a_digest_of_enormous_and_tiny_numbers_is_one() -> None:
    for scale in (1e160, 1e-170):
        one, other = (model(data=table().assign(y=lambda d, s=s: d.y * s)) for s in (scale, scale * 1.001))
        assert differences(one.digest, other.digest) == ["the response"]


@pytest.fixture(scope="module")
def posterior():
    return model().sample(chains=1, draws=50, warmup=20, progress=False)


@pytest.mark.parametrize("name", ["weights", "offset beside", "another covariate", "one number", "another structure"])
def test_results_of_different_models_do_not_compare(posterior, name) -> None:
    other, part = OTHERS[name]
    with pytest.raises(hier.ModelError, match="not of the same model on the same data") as caught:
        hier.compare(other().estimate(), posterior)
    assert part in str(caught.value)


def test_other_priors_do_compare_and_so_does_a_file(posterior, tmp_path) -> None:
    fit = model(priors={"x": dist.Normal(0, 1)}).estimate()
    hier.compare(fit, posterior)
    loaded = hier.load_posterior(posterior.save(tmp_path / "a.nc"))
    hier.compare(fit, loaded)
    changed = dataclasses.replace(loaded, digest=model(weights="w").digest)
    with pytest.raises(hier.ModelError, match="the weights"):
        hier.compare(fit, hier.load_posterior(changed.save(tmp_path / "b.nc")))


def test_what_is_no_estimate_and_posterior_is_named(posterior) -> None:
    fit = model().estimate()
    with pytest.raises(hier.ModelError, match="wrong order"):
        hier.compare(posterior, fit)
    with pytest.raises(hier.ModelError, match=r"estimate\.anova"):
        hier.compare(fit, fit)
    for wrong in ((fit, None), (None, posterior), (model(), posterior), ("a", 1)):
        with pytest.raises(hier.ModelError, match="of an estimate and a posterior"):
            hier.compare(*wrong)
