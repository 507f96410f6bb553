"""Every argument of every public function, given what it cannot be: one sentence, and never an error from inside."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import hier
from tests.conftest import PIGS


class Odd:
    def __repr__(self) -> str:
        return "Odd()"


VALUES = {
    "None": None,
    "nan": np.nan,
    "nothing": "",
    "a word": "REML",
    "negative": -1,
    "zero": 0,
    "one and a half": 1.5,
    "digit": "1",
    "huge": 10**30,
    "infinite": float("inf"),
    "complex": 1j,
    "empty list": [],
    "empty mapping": {},
    "mapping": {"a": 1},
    "list of None": [None],
    "nested": [["a"]],
    "tuple": (1, "a"),
    "set": {1.5},
    "series": pd.Series([1.0, 2.0]),
    "array": np.array([1, 2]),
    "array of no dimension": np.array("x"),
    "object": Odd(),
    "function": len,
    "class": int,
    "bytes": b"x",
    "long": "x" * 5000,
    "NUL": "a\0b",
}
# what each argument takes of these, and may do with it
TEXTS = {"a word", "digit"}
NUMBERS = {"negative", "zero", "one and a half"}
SELECTIONS = {"None", "empty list", "empty mapping"}


@pytest.fixture(scope="module")
def f(pigs, pigs_model, pigs_reml, pigs_posterior, tmp_path_factory):
    heavy = pigs.assign(heavy=(pigs["weight"] > 50).astype(int), third=pigs["id"] % 3, half=pigs["id"] % 2)
    means = hier.Model("weight ~ week + C(third) + (1 | id)", heavy)
    return SimpleNamespace(
        pigs=pigs,
        heavy=heavy,
        model=pigs_model,
        reml=pigs_reml,
        posterior=pigs_posterior,
        both=hier.compare(pigs_reml, pigs_posterior),
        counts=hier.Model("heavy ~ week + (1 | id)", heavy, family="bernoulli").estimate(),
        means=means.estimate(),
        folder=tmp_path_factory.mktemp("wrong"),
    )


def of_model(name):
    return lambda f, v: hier.Model(PIGS, f.pigs, **{name: v})


def of_sample(name):
    return lambda f, v: f.model.sample(**{"chains": 1, "draws": 20, "warmup": 20, "progress": False, name: v})


def of(fit, verb, name, *args, **others):
    return lambda f, v: getattr(getattr(f, fit), verb)(*args, **{**others, name: v})


CALLS = {
    "Model: formula": (lambda f, v: hier.Model(v, f.pigs), set()),
    "Model: data": (lambda f, v: hier.Model(PIGS, v), set()),
    **{f"Model: {name}": (of_model(name), {"None"}) for name in ("link", "weights", "offset", "sep", "decimal")},
    "Model: encoding": (of_model("encoding"), {"None"}),
    "Model: priors": (of_model("priors"), {"None", "empty mapping"}),
    "Model: family": (of_model("family"), set()),
    "Model: na": (of_model("na"), {"empty list"}),
    "Model: centred": (of_model("centred"), set()),
    "with_priors": (lambda f, v: f.model.with_priors(v), {"None", "empty mapping"}),
    "with_priors: a prior": (lambda f, v: f.model.with_priors({"week": v}), set()),
    "estimate: method": (lambda f, v: f.model.estimate(v), {"None", "a word"}),
    "estimate: nagq": (lambda f, v: f.counts.model.estimate(nagq=v), set()),
    **{
        f"sample: {name}": (of_sample(name), set())
        for name in ("chains", "draws", "warmup", "device", "target_accept", "max_tree_depth", "integrate", "method")
    },
    "sample: seed": (of_sample("seed"), {"zero", "None"}),
    "sample: progress": (of_sample("progress"), {"zero"}),
    "sample_prior: draws": (lambda f, v: f.model.sample_prior(v), set()),
    "sample_prior: seed": (lambda f, v: f.model.sample_prior(2, v), {"zero"}),
    "numpyro_model": (lambda f, v: f.model.numpyro_model(noncentred=v), {"zero"}),
    "new_data": (lambda f, v: f.model.design.new_data(v), set()),
    "hier.Formula": (lambda f, v: hier.Formula(v), set()),
    "hier.Formula: sigma": (lambda f, v: hier.Model(hier.Formula(PIGS, sigma=v), f.pigs), {"digit"}),
    "hier.register_family": (lambda f, v: hier.register_family(v), set()),
    "hier.load_dataset": (lambda f, v: hier.load_dataset(v), set()),
    "hier.load_estimate": (lambda f, v: hier.load_estimate(v), set()),
    "hier.load_posterior": (lambda f, v: hier.load_posterior(v), set()),
    "hier.compare: estimate": (lambda f, v: hier.compare(v, f.posterior), set()),
    "hier.compare: posterior": (lambda f, v: hier.compare(f.reml, v), set()),
    "hier.report: comparison": (lambda f, v: hier.report(v, f.folder / "a.html"), set()),
    "hier.report: path": (lambda f, v: hier.report(f.both, v), TEXTS | {"bytes"}),
    "hier.estimate_many: model": (lambda f, v: hier.estimate_many(v, f.pigs[["weight"]]), set()),
    "hier.estimate_many: Y": (lambda f, v: hier.estimate_many(f.model, v, progress=False), set()),
    "hier.estimate_many: method": (lambda f, v: hier.estimate_many(f.model, f.pigs[["weight"]], v), {"a word"}),
    **{
        f"{fit}.{verb}: {name}": (of(fit, verb, name, *args), fine)
        for fit in ("reml", "counts")
        for verb, name, args, fine in (
            ("contrast", "L", (), {"series", "array"}),
            ("contrast", "level", ("week",), set()),
            ("contrast", "ddf", ("week",), set()),
            ("hypothesis", "hypotheses", (), set()),
            ("hypothesis", "level", ("week > 1",), set()),
            ("hypothesis", "ddf", ("week > 1",), set()),
            ("emmeans", "specs", (), set()),
            ("emmeans", "at", ("week",), {"None", "empty mapping"}),
            ("emmeans", "offset", ("week",), NUMBERS | {"None", "huge"}),
            ("emmeans", "level", ("week",), set()),
            ("emmeans", "ddf", ("week",), set()),
            ("anova", "type", (), {"digit"}),
            ("anova", "ddf", (), set()),
            ("tests", "ddf", (), set()),
            ("summary", "ddf", (), set()),
            ("predict", "data", (), {"None"}),
            ("predict", "random", (), {"empty list", "empty mapping"}),
            ("predict", "new_levels", (), set()),
            ("predict", "se", (), {"zero"}),
            ("predict", "interval", (), {"None"}),
            ("predict", "level", (), set()),
            ("predict", "kind", (), set()),
            ("predict", "new_data", (), {"None"}),
            ("predict", "draws", (), {"zero"}),
            ("predict", "seed", (), {"zero"}),
            ("predict", "type", (), {"None"}),
            ("predictions", "newdata", (), {"None"} | {"empty mapping"}),
            ("predictions", "by", (), {"None"}),
            ("predictions", "kind", (), set()),
            ("predictions", "random", (), SELECTIONS),
            ("predictions", "level", (), set()),
            ("comparisons", "variables", (), {"None"}),
            ("comparisons", "comparison", (), set()),
            ("slopes", "variables", (), {"None"}),
            ("slopes", "new_levels", (), set()),
            ("conditional_effects", "effects", (), {"None"}),
            ("conditional_effects", "resolution", (), set()),
            ("simulate", "n", (), set()),
            ("simulate", "seed", (), {"zero"}),
            ("simulate", "conditional", (), {"zero"}),
            ("confint", "method", (), set()),
            ("confint", "level", (), set()),
            ("confint", "parameters", (), SELECTIONS),
            ("confint", "df", (), set()),
            ("expected_response", "eta", (), set()),
            ("influence", "group", (), {"None"}),
        )
    },
    "anova: another model": (lambda f, v: f.reml.anova(v), set()),
    "anova: refit": (lambda f, v: f.reml.anova(f.means, refit=v), {"zero"}),
    "counts.predict: weights": (lambda f, v: f.counts.predict(weights=v), {"None"}),
    "predict: weights": (
        of("reml", "predict", "weights", interval="prediction"),
        {"None", "one and a half", "huge"},
    ),
    "bootstrap: n": (of("reml", "bootstrap", "n"), set()),
    "bootstrap: seed": (of("reml", "bootstrap", "seed", 2), {"zero"}),
    "bootstrap: kind": (of("reml", "bootstrap", "kind", 2), set()),
    "bootstrap: progress": (of("reml", "bootstrap", "progress", 2), {"zero"}),
    "confint: n": (of("reml", "confint", "n", "boot"), set()),
    "confint: kind": (of("reml", "confint", "kind", "boot", n=2), set()),
    "emmeans: a value": (
        lambda f, v: f.means.emmeans("third", at={"third": v}),
        {"None", "digit", "zero", "series", "array"},
    ),
    "pairs: adjust": (lambda f, v: f.means.emmeans("third").pairs(v), set()),
    "pairs: level": (lambda f, v: f.means.emmeans("third").pairs(level=v), {"None"}),
    "posterior.hypothesis": (lambda f, v: f.posterior.hypothesis(v), set()),
    "posterior.hypothesis: level": (lambda f, v: f.posterior.hypothesis("week > 1", level=v), set()),
    **{
        f"posterior.predict: {name}": (of("posterior", "predict", name), fine)
        for name, fine in (
            ("data", {"None"}),
            ("kind", set()),
            ("random", {"empty list", "empty mapping"}),
            ("new_levels", set()),
            ("draws", {"zero"}),
            ("level", set()),
        )
    },
    "posterior.save": (lambda f, v: f.posterior.save(v), TEXTS | {"bytes"}),
    "both.plot_shrinkage": (lambda f, v: f.both.plot_shrinkage(v), {"None"}),
    **{
        f"hier.plots.{name}": (lambda f, v, name=name: getattr(hier.plots, name)(v), set())
        for name in (
            "covariate",
            "plot_data",
            "plot_group_effects",
            "plot_group_fits",
            "plot_parameters",
            "plot_ranks",
            "plot_shrinkage",
            "plot_trace",
        )
    },
    **{
        f"hier.plots.{name}: group": (lambda f, v, name=name: getattr(hier.plots, name)(f.both, group=v), {"None"})
        for name in ("plot_data", "plot_group_effects", "plot_group_fits", "plot_shrinkage")
    },
    "hier.plots.covariate: group": (lambda f, v: hier.plots.covariate(f.model, v), {"None"}),
    "hier.plots.plot_group_fits: n": (lambda f, v: hier.plots.plot_group_fits(f.both, v), {"huge"}),
}


@pytest.mark.parametrize("called", CALLS)
def test_what_an_argument_cannot_be_is_said(f, called) -> None:
    call, fine = CALLS[called]
    for name, value in VALUES.items():
        if name in fine:
            continue
        try:
            with pytest.raises(hier.HierError) as refused:
                call(f, value)
        except BaseException as error:
            error.add_note(f"given {name}")
            raise
        assert len(str(refused.value)) < 2500, name
        assert "\x00" not in str(refused.value)


RESULTS = ("model", "reml", "counts", "posterior", "both")


@pytest.mark.parametrize("called", [called for called in CALLS if "offset" not in called and "seed" not in called])
def test_a_result_in_the_place_of_an_argument_is_said(f, called) -> None:
    right = {
        "estimate": {"reml"},
        "posterior": {"posterior"},
        "comparison": {"both"},
        "anova: another model": {"reml"},
        "hier.estimate_many: model": {"model"},
        "hier.plots.covariate": {"model"},
        "hier.plots.plot_ranks": {"posterior"},
        "hier.plots.plot_trace": {"posterior"},
    }
    fine = right.get(called) or right.get(called.rpartition(": ")[2]) or set()
    if called.startswith("hier.plots.plot") and ":" not in called and not fine:
        fine = {"both"}
    for name in RESULTS:
        if name in fine:
            continue
        try:
            with pytest.raises(hier.HierError) as refused:
                CALLS[called][0](f, getattr(f, name))
        except BaseException as error:
            error.add_note(f"given {name}")
            raise
        assert len(str(refused.value)) < 2500
