"""Priors as text: as hier writes them, `TruncatedNormal(10, 5, low=0)`, and as a model file may also have them,
`normal(0, 5)`, `half_student_t(3, 0, 2)`, `lkj(2)`.

A name from a table and plain numbers, nothing else: a model file is not trusted, so no text of it is ever evaluated.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from hier.errors import ModelError, did_you_mean
from hier.kernel.programs.precision import float64, kept_programs

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

LONGEST = 200  # characters; the longest sensible prior, with all digits of its numbers, has some hundred
_CALL = re.compile(r"([A-Za-z_][A-Za-z_0-9-]*)\s*\(([^()]*)\)")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ANY_SIGN = ("mean", "location", "low", "high")  # every other argument is positive, but for `0`, which is itself


class Kind(NamedTuple):
    """One distribution: its arguments, and what makes it of `numpyro.distributions` and the numbers."""

    arguments: tuple[str, ...]
    make: Callable[..., Any]


def _half_student_t(dist: Any, df: float, _: float, scale: float) -> Distribution:
    return dist.FoldedDistribution(dist.StudentT(df, 0.0, scale))


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
# what `numpyro.distributions` calls its distributions of one real number, and those that it truncates
NUMPYRO = (
    *("AsymmetricLaplace", "AsymmetricLaplaceQuantile", "Beta", "BetaProportion", "Cauchy", "Chi2", "Dagum"),
    *("DoublyTruncatedPowerLaw", "Exponential", "Gamma", "Gompertz", "Gumbel", "HalfCauchy", "HalfNormal"),
    *("InverseGamma", "Kumaraswamy", "Laplace", "Levy", "LogNormal", "LogUniform", "Logistic"),
    *("LowerTruncatedPowerLaw", "Normal", "Pareto", "SoftLaplace", "StudentT", "Uniform", "VonMises", "Weibull"),
)
TRUNCATED = ("Cauchy", "Gamma", "Laplace", "Logistic", "Normal", "SoftLaplace", "StudentT")
_OTHER_NAMES = {"StudentT": "Student-t"}
_HALF, _CUT, _FLAT, _BETWEEN = "half-", "Truncated", "flat", ("low", "high")
_OWN = {"LKJ": ("concentration",), _FLAT: _BETWEEN}  # arguments of those that NumPyro has otherwise


class PriorCall(NamedTuple):
    """A prior that was read and checked: its name, its numbers in order, and those given by name."""

    name: str
    numbers: tuple[float, ...]
    named: tuple[tuple[str, float], ...] = ()


def parse_prior(text: str) -> PriorCall:
    """Read a prior such as `normal(0, 5)` or `Normal(0, 5)`, and check its numbers.

    Raises ModelError for anything but a known name with the right count of finite numbers, each where it makes sense.
    """
    shown = text if len(text) <= LONGEST else text[: LONGEST - 20] + "..."
    text = "flat()" if text.strip() == "flat" else text
    match = _CALL.fullmatch(text.strip()) if len(text) <= LONGEST else None
    if match is None:
        raise ModelError(
            "this is not a prior that hier can read",
            found=shown,
            expected="a name and numbers, such as `normal(0, 5)`",
            hint="available: " + ", ".join(usage(name) for name in KINDS),
        )
    name, inside = match.groups()
    words = [word.strip() for word in inside.split(",")] if inside.strip() else []
    if name in KINDS and not (name == _FLAT and "=" in inside):
        if len(words) != len(KINDS[name].arguments):
            count = f"{len(words)} argument{'' if len(words) == 1 else 's'}"
            raise ModelError(f"the prior `{name}` cannot have {count}", found=shown, expected=usage(name))
        return PriorCall(name, _numbers(name, words, shown))
    if name not in _OWN and _maker(name) is None:
        raise ModelError(f"there is no prior called `{name}`", found=shown, hint=did_you_mean(name, _known()))
    found = _as_written(name, words, shown)
    _refuse_bad_numbers(found, shown)
    return found


@kept_programs
@float64
def read_prior(text: str) -> Distribution:
    """The `numpyro.distributions` object that the text stands for. Raises ModelError as `parse_prior` does."""
    return _made(parse_prior(text))


def usage(name: str) -> str:
    """How a prior is written: `half_student_t(df, 0, scale)`."""
    arguments = KINDS[name].arguments if name in KINDS else _arguments_of(name)
    return f"{name}({', '.join(arguments)})"


def _known() -> list[str]:
    names = [_OTHER_NAMES.get(name, name) for name in NUMPYRO]
    return [*KINDS, "LKJ", *names, *(_CUT + _OTHER_NAMES.get(name, name) for name in TRUNCATED)]


def _numbers(name: str, words: list[str], shown: str) -> tuple[float, ...]:
    numbers = []
    for argument, word in zip(KINDS[name].arguments, words, strict=True):
        number = _number(word, shown, name)
        if argument == "0" and number != 0.0:
            raise ModelError(f"`{name}` is folded at 0, not at {word}", found=shown, expected=usage(name))
        if argument not in (*_ANY_SIGN, "0") and number <= 0.0:
            raise ModelError(f"the {argument} of `{name}` has to be positive", found=shown, expected=usage(name))
        numbers.append(number)
    if name == "uniform" and numbers[0] >= numbers[1]:
        raise ModelError("the low end of `uniform` is not below its high end", found=shown, expected=usage(name))
    return tuple(numbers)


def _number(word: str, shown: str, name: str) -> float:
    number = float(word) if _NUMBER.fullmatch(word) else math.nan
    if not math.isfinite(number):
        raise ModelError(f"`{word}` is not a finite number", found=shown, expected=usage(name))
    return number


def _as_written(name: str, words: list[str], shown: str) -> PriorCall:
    """The numbers of a prior that is written as hier writes it, by place and then by name."""
    known, numbers, named = _arguments_of(name), list[float](), dict[str, float]()
    for word in words:
        argument, equals, value = word.rpartition("=")
        argument = argument.strip() if equals else known[len(numbers)] if len(numbers) < len(known) else ""
        if argument not in known or argument in named or argument in known[: len(numbers)] or (named and not equals):
            raise ModelError(f"the prior `{name}` cannot have the argument `{word}`", found=shown, expected=usage(name))
        number = _number(value.strip(), shown, name)
        if equals:
            named[argument] = number
        else:
            numbers.append(number)
    missing = [each for each in known[len(numbers) :] if each not in named and each not in _BETWEEN]
    if missing:
        raise ModelError(f"the prior `{name}` needs its {missing[0]}", found=shown, expected=usage(name))
    return PriorCall(name, tuple(numbers), tuple(named.items()))


def _maker(name: str) -> Any:
    """What NumPyro makes the distribution of that name by, half of one or a truncated one; None for another name."""
    import numpyro.distributions as dist

    plain = {other: own for own, other in _OTHER_NAMES.items()}
    half, name = name.startswith(_HALF), name.removeprefix(_HALF)
    name = plain.get(name, name)
    if name in NUMPYRO:
        return getattr(dist, name)
    base = plain.get(name.removeprefix(_CUT), name.removeprefix(_CUT))
    return getattr(dist, base) if name.startswith(_CUT) and base in TRUNCATED and not half else None


def _arguments_of(name: str) -> tuple[str, ...]:
    if name in _OWN:
        return _OWN[name]
    own = _constructor(_maker(name))
    return (*own, *_BETWEEN) if name.startswith(_CUT) else own


def _made(call: PriorCall) -> Any:
    import numpyro.distributions as dist

    name, numbers, named = call.name, call.numbers, dict(call.named)
    if name == _FLAT and named:
        return dist.ImproperUniform(_between(**named), (), ())
    if name in KINDS:
        return KINDS[name].make(dist, *numbers)
    if name == "LKJ":
        return dist.LKJ(2, *numbers, **named)
    if name.startswith(_CUT):
        base = _constructor(_maker(name))
        limits = {side: named.pop(side) for side in _BETWEEN if side in named}
        limits |= dict(zip(_BETWEEN, numbers[len(base) :], strict=False))
        if name == "TruncatedGamma":
            return dist.TruncatedGamma(*numbers[: len(base)], **named, **limits)
        return dist.TruncatedDistribution(_maker(name)(*numbers[: len(base)], **named), **limits)
    made = _maker(name)(*numbers, **named)
    return dist.FoldedDistribution(made) if name.startswith(_HALF) else made


def _between(low: float = -math.inf, high: float = math.inf) -> Any:
    from numpyro.distributions import constraints

    if high == math.inf:
        return constraints.greater_than(low)
    return constraints.less_than(high) if low == -math.inf else constraints.interval(low, high)


def _refuse_bad_numbers(call: PriorCall, shown: str) -> None:
    try:
        said = bad_parameters(_made(call))
    except ValueError as error:  # NumPyro's own check, where it is on
        said = str(error)
    if said:
        raise ModelError(f"this is no prior: {said}", found=shown)


def bad_parameters(prior: Any) -> str | None:
    """Which of a distribution's parameters is not finite or not where it has to be, in words; None where all are."""
    import numpy as np
    from numpyro.distributions import constraints

    for each in _nested(prior):
        low, high = limits_of(each.support)
        if not low < high:
            return "its low end is not below its high end"
        for name, constraint in type(each).arg_constraints.items():
            values = np.asarray(getattr(each, name, 1.0), dtype=np.float64)
            if not np.isfinite(values).all():
                return f"its {name} is not finite"
            if not constraints.is_dependent(constraint) and not bool(np.all(np.asarray(constraint(values)))):
                return f"its {name} cannot be {_text(values, None)}"
    return None


def _nested(prior: Any) -> Iterable[Any]:
    """A distribution and those that it is made of."""
    yield prior
    for name in ("base_dist", "component_distribution", "mixing_distribution"):
        inner = getattr(prior, name, None)
        if inner is not None:
            yield from _nested(inner)


def describe(prior: Distribution, digits: int | None = 4) -> str:
    """A prior as it would be written in a methods section: `Normal(0, 4.2)`, `half-Student-t(3, 0, 10)`, `LKJ(2)`.

    Numbers have so many significant `digits`, or where that is None all that they have: `read_prior` then reads the
    same prior.
    """
    import numpyro.distributions as dist

    if isinstance(prior, dist.LKJCholesky | dist.LKJ):
        return f"LKJ({_text(prior.concentration, digits)})"
    if isinstance(prior, dist.ImproperUniform):
        limits = zip(_BETWEEN, limits_of(prior.support), strict=True)
        said = [f"{side}={_text(value, digits)}" for side, value in limits if math.isfinite(value)]
        return f"{_FLAT}({', '.join(said)})" if said else _FLAT
    name, base = type(prior).__name__, getattr(prior, "base_dist", None)
    if isinstance(prior, dist.FoldedDistribution):
        return _HALF + describe(prior.base_dist, digits)
    if _CUT in name and base is not None:
        limits = [f"{side}={_text(getattr(prior, side), digits)}" for side in _BETWEEN if hasattr(prior, side)]
        return f"{_CUT}{describe(base, digits)[:-1]}, {', '.join(limits)})"
    inside = [
        _text(getattr(prior, argument), digits) for argument in _constructor(type(prior)) if hasattr(prior, argument)
    ]
    return f"{_OTHER_NAMES.get(name, name)}({', '.join(inside)})"


def rounded(text: str, digits: int = 4) -> str:
    """A described prior with no more than so many significant digits in its numbers, for people."""
    return re.sub(r"\d+\.\d+(?:e[+-]?\d+)?", lambda found: _text(float(found[0]), digits), text)


@functools.cache
def _constructor(kind: Any) -> tuple[str, ...]:
    """The arguments that a distribution is made of, in order."""
    own = inspect.signature(kind).parameters.values()
    return tuple(each.name for each in own if each.name != "validate_args" and each.kind is not each.VAR_KEYWORD)


def _text(value: Any, digits: int | None) -> str:
    """A number as it is read, or something else that a distribution is made of."""
    import numpy as np

    if hasattr(value, "arg_constraints"):
        return describe(value, digits)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(each, digits) for each in value)}]"
    try:
        number = np.asarray(value)[()]
    except (TypeError, ValueError):
        return type(value).__name__
    if np.ndim(number):
        return f"[{', '.join(_text(each, digits) for each in number)}]"
    if number.dtype.kind not in "iuf":
        return str(number) if number.dtype.kind in "bU" else type(value).__name__
    return str(number).removesuffix(".0") if digits is None else f"{float(number):.{digits}g}"


def limits_of(support: Any) -> tuple[float, float]:
    """The ends of the range of numbers that a distribution's support is."""
    import numpy as np

    support = getattr(support, "base_constraint", support)
    low, high = (getattr(support, f"{side}_bound", None) for side in ("lower", "upper"))
    return (-math.inf if low is None else float(np.min(low))), (math.inf if high is None else float(np.max(high)))
