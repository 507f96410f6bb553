"""Priors as text, for model files: `normal(0, 5)`, `half_student_t(3, 0, 2)`, `lkj(2)`.

A name from a table and plain numbers, nothing else: a model file is not trusted, so no text of it is ever evaluated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from hier.errors import ModelError, did_you_mean
from hier.kernel.precision import float64, kept_programs

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

LONGEST = 100  # characters; the longest sensible prior has some forty
_CALL = re.compile(r"([A-Za-z_][A-Za-z_0-9]*)\s*\(([^()]*)\)")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ANY_SIGN = ("mean", "location", "low", "high")  # every other argument is positive, but for `0`, which is itself


class Kind(NamedTuple):
    """One distribution: its arguments, and what makes it of `numpyro.distributions` and the numbers."""

    arguments: tuple[str, ...]
    make: Callable[..., Any]


def _half_student_t(dist: Any, df: float, _: float, scale: float) -> Distribution:
    from hier.model.priors import half_student_t

    return half_student_t(df, scale)


KINDS: dict[str, Kind] = {
    "normal": Kind(("mean", "sd"), lambda dist, mean, sd: dist.Normal(mean, sd)),
    "student_t": Kind(("df", "location", "scale"), lambda dist, df, loc, scale: dist.StudentT(df, loc, scale)),
    "uniform": Kind(("low", "high"), lambda dist, low, high: dist.Uniform(low, high)),
    "half_normal": Kind(("sd",), lambda dist, sd: dist.HalfNormal(sd)),
    "half_student_t": Kind(("df", "0", "scale"), _half_student_t),
    "half_cauchy": Kind(("scale",), lambda dist, scale: dist.HalfCauchy(scale)),
    "exponential": Kind(("rate",), lambda dist, rate: dist.Exponential(rate)),
    "gamma": Kind(("shape", "rate"), lambda dist, shape, rate: dist.Gamma(shape, rate)),
    "beta": Kind(("a", "b"), lambda dist, a, b: dist.Beta(a, b)),
    "lkj": Kind(("concentration",), lambda dist, concentration: dist.LKJ(2, concentration)),  # the model sets the size
    "flat": Kind((), lambda dist: dist.ImproperUniform(dist.constraints.real, (), ())),
}


class PriorCall(NamedTuple):
    """A prior that was read and checked: one of `KINDS`, and its numbers."""

    name: str
    numbers: tuple[float, ...]


def parse_prior(text: str) -> PriorCall:
    """Read a prior such as `normal(0, 5)`, and check its numbers.

    Raises ModelError for anything but a known name with the right count of finite numbers, each where it makes sense.
    """
    shown = text if len(text) <= LONGEST else text[: LONGEST - 20] + "..."
    match = _CALL.fullmatch(text.strip()) if len(text) <= LONGEST else None
    if match is None:
        raise ModelError(
            "this is not a prior that hier can read",
            found=shown,
            expected="a name and numbers, such as `normal(0, 5)`",
            hint="available: " + ", ".join(usage(name) for name in KINDS),
        )
    name, inside = match.groups()
    if name not in KINDS:
        raise ModelError(f"there is no prior called `{name}`", found=shown, hint=did_you_mean(name, KINDS))
    words = [word.strip() for word in inside.split(",")] if inside.strip() else []
    if len(words) != len(KINDS[name].arguments):
        count = f"{len(words)} argument{'' if len(words) == 1 else 's'}"
        raise ModelError(f"the prior `{name}` cannot have {count}", found=shown, expected=usage(name))
    return PriorCall(name, _numbers(name, words, shown))


@kept_programs
@float64
def read_prior(text: str) -> Distribution:
    """The `numpyro.distributions` object that the text stands for. Raises ModelError as `parse_prior` does."""
    import numpyro.distributions as dist

    name, numbers = parse_prior(text)
    return KINDS[name].make(dist, *numbers)


def usage(name: str) -> str:
    """How a prior is written: `half_student_t(df, 0, scale)`."""
    return f"{name}({', '.join(KINDS[name].arguments)})"


def _numbers(name: str, words: list[str], shown: str) -> tuple[float, ...]:
    numbers = []
    for argument, word in zip(KINDS[name].arguments, words, strict=True):
        number = float(word) if _NUMBER.fullmatch(word) else math.nan
        if not math.isfinite(number):
            raise ModelError(f"`{word}` is not a finite number", found=shown, expected=usage(name))
        if argument == "0" and number != 0.0:
            raise ModelError(f"`{name}` is folded at 0, not at {word}", found=shown, expected=usage(name))
        if argument not in (*_ANY_SIGN, "0") and number <= 0.0:
            raise ModelError(f"the {argument} of `{name}` has to be positive", found=shown, expected=usage(name))
        numbers.append(number)
    if name == "uniform" and numbers[0] >= numbers[1]:
        raise ModelError("the low end of `uniform` is not below its high end", found=shown, expected=usage(name))
    return tuple(numbers)
