"""Settings that cannot be are one sentence each, from every verb; so is what would not fit into memory."""

from __future__ import annotations

import dataclasses
import inspect
import time
from decimal import Decimal

import numpy as np
import pytest

import hier
from hier.settings import COUNT, PROBABILITY, SEED, Sampling, check, in_bytes, refuse_beyond_memory, whole, written

NO_NUMBERS = [float("nan"), float("inf"), None, "a", "4", b"4", [4], -1, 0, 1.5, 1000.0, True, 1j, Decimal(4), np.nan]
NO_LEVELS = [float("nan"), None, "a", "0.9", [0.9], -1, 0, 1, 1.5, 95, True, np.bool_(True), 1j]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_count_is_refused_with_what_it_was(value) -> None:
    with pytest.raises(hier.FitError) as refused:
        check("draws", value, COUNT)
    assert str(refused.value) == f"`draws` cannot be {value!r}\n  expected: a whole number, 1 or more"


@pytest.mark.parametrize("value", NO_LEVELS, ids=repr)
def test_what_is_no_probability_is_refused(value) -> None:
    with pytest.raises(hier.FitError, match=r"`level` cannot be .*\n.*a number between 0 and 1"):
        check("level", value, PROBABILITY)


@pytest.mark.parametrize("value", [7, np.int64(7), np.uint8(7), np.array(7)[()]])
def test_whole_numbers_of_any_kind_are_pythons(value) -> None:
    assert type(check("n", value, COUNT)) is int
    assert check("n", value, COUNT) == 7


@pytest.mark.parametrize("value", [0.9, np.float32(0.5), np.float64(0.9)])
def test_numbers_of_any_kind_are_pythons(value) -> None:
    assert type(check("level", value, PROBABILITY)) is float


def test_bounds_belong_to_a_setting() -> None:
    assert [check("x", value, whole(2, 4)) for value in (2, 3, 4)] == [2, 3, 4]
    for value in (1, 5):
        with pytest.raises(hier.FitError, match="a whole number from 2 to 4"):
            check("x", value, whole(2, 4))
    assert check("seed", 2**63 - 1, SEED) == 2**63 - 1
    with pytest.raises(hier.FitError, match=r"`seed`(.|\n)*from 0 to 9223372036854775807"):
        check("seed", 2**63, SEED)


def test_percent_are_taken_for_what_was_meant() -> None:
    with pytest.raises(hier.FitError, match=r"try: +level=0\.95"):
        check("level", 95, PROBABILITY)


def test_values_are_shown_on_one_short_line() -> None:
    assert written("a\n\x1b") == "'a\\n\\x1b'"
    assert len(written("x" * 1000)) == 80


@pytest.mark.parametrize(
    ("size", "words"),
    [(12e6, "12 MB"), (3.25e9, "3.25 GB"), (999.6e9, "1 TB"), (1e15, "1 PB"), (1e18, "1 EB"), (1e24, "1e+06 EB")],
)
def test_bytes_in_words(size: float, words: str) -> None:
    assert in_bytes(size) == words


def test_what_fits_into_memory_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hier.settings.memory", lambda: 1e9)
    refuse_beyond_memory("this", 0.69e9 / 8, "less")
    with pytest.raises(hier.FitError, match=r"this would need about 710 MB of memory(.|\n)*at most 700 MB(.|\n)*less"):
        refuse_beyond_memory("this", 0.71e9 / 8, "less")


def test_sampling_has_the_defaults_of_one_record(pigs_model) -> None:
    taken = inspect.signature(pigs_model.sample).parameters
    assert {name: own.default for name, own in taken.items()} == dataclasses.asdict(Sampling())
    assert Sampling().checked() == Sampling()


SAMPLING = ("chains", "draws", "warmup", "seed", "target_accept", "max_tree_depth")
WRONG = {
    "sample": [
        (name, value)
        for name in (*SAMPLING, "thin")
        for value in (np.nan, None, "a", -1, 1.5, True)
        if (name, value) != ("seed", None)
    ]
    + [("thin", 0), ("keep", None), ("keep", 3), ("keep", [3]), ("keep", "all of it")]
    + [("chains", 0), ("draws", 0), ("draws", 3), ("warmup", 19), ("warmup", 10**12), ("max_tree_depth", 21)]
    + [("target_accept", 0), ("target_accept", 1), ("device", 3), ("device", None), ("device", "tpu")]
    + [("method", None), ("method", 3), ("integrate", None), ("integrate", ["all"])],
    "sample_prior": [(name, value) for name in ("draws", "seed") for value in (np.nan, None, "a", -1, 1.5, True)],
    "estimate": [("nagq", value) for value in (np.nan, None, "a", 0, -1, 1.5, True)],
}


@pytest.mark.parametrize(("verb", "name", "value"), [(v, n, x) for v, pairs in WRONG.items() for n, x in pairs])
def test_every_verb_of_a_model_refuses_what_a_setting_cannot_be(pigs_model, verb, name, value) -> None:
    with pytest.raises(hier.FitError, match=f"`{name}` cannot be ") as refused:
        getattr(pigs_model, verb)(**{name: value})
    assert "expected: " in str(refused.value)


VERBS = {
    "simulate": (lambda fit, **given: fit.simulate(**given), ("n", "seed")),
    "bootstrap": (lambda fit, **given: fit.bootstrap(progress=False, **given), ("n", "seed")),
    "confint by the bootstrap": (lambda fit, **given: fit.confint("boot", progress=False, **given), ("n", "seed")),
    "confint": (lambda fit, **given: fit.confint(**given), ("level",)),
    "profile": (lambda fit, **given: fit.confint("profile", **given), ("level",)),
    "predict": (lambda fit, **given: fit.predict(interval="confidence", **given), ("level",)),
    "contrast": (lambda fit, **given: fit.contrast(np.eye(2), **given), ("level",)),
    "hypothesis": (lambda fit, **given: fit.hypothesis("week > 6", **given), ("level",)),
    "emmeans": (lambda fit, **given: fit.emmeans("week", **given), ("level",)),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_of_an_estimate_refuses_what_a_setting_cannot_be(pigs_reml, verb) -> None:
    call, names = VERBS[verb]
    for name in names:
        for value in (np.nan, None, "a", -1, 1.5, True):
            with pytest.raises(hier.FitError, match=f"`{name}` cannot be "):
                call(pigs_reml, **{name: value})


LARGE = {
    "chains": lambda model, fit: model.sample(chains=10**9),
    "draws": lambda model, fit: model.sample(draws=10**12),
    "both": lambda model, fit: model.sample(chains=10**5, draws=10**6),
    "approximate draws": lambda model, fit: model.sample(draws=10**12, method="laplace"),
    "draws from the prior": lambda model, fit: model.sample_prior(draws=10**12),
    "responses": lambda model, fit: fit.simulate(10**10),
    "refits": lambda model, fit: fit.bootstrap(10**10),
    "refits of groups": lambda model, fit: fit.bootstrap(10**10, kind="groups"),
    "percentiles": lambda model, fit: fit.confint("boot", n=10**10),
}


@pytest.mark.parametrize("what", LARGE)
def test_what_no_memory_holds_is_refused_at_once(pigs_model, pigs_reml, what) -> None:
    begun = time.perf_counter()
    with pytest.raises(hier.FitError, match=r"would need about [0-9.]+ [TPE]B of memory(.|\n)*at most .*B"):
        LARGE[what](pigs_model, pigs_reml)
    assert time.perf_counter() - begun < 1.0


@pytest.mark.parametrize(
    ("nagq", "words"), [(10**9, "EB of memory"), (101, "a whole number from 1 to 100"), (0, "more")]
)
def test_quadrature_with_too_many_points_is_refused_at_once(pigs, nagq, words) -> None:
    counts = hier.Model("count ~ week + (week | id)", pigs.assign(count=pigs["weight"].round()), family="poisson")
    with pytest.raises(hier.FitError, match=words):
        counts.estimate(nagq=nagq)


def test_a_posterior_refuses_levels_too(pigs_posterior) -> None:
    for level in (np.nan, None, "a", 0, 1, 95, True):
        with pytest.raises(hier.FitError, match="`level` cannot be "):
            pigs_posterior.hypothesis("week > 6", level=level)
