"""What a user may set, and what each setting has to be: one table for functions, model files and the command line."""

from __future__ import annotations

import dataclasses
import numbers
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hier.errors import FitError, HierError, did_you_mean
from hier.text import shown

SHARE_OF_MEMORY = 0.7  # of this machine's memory that one request may need
LONGEST = 80  # letters of a value in a message
LEAST_DRAWS = 4  # of a chain


class Setting(NamedTuple):
    """One setting: in words what its value has to be, the check of it, and the words among which the nearest to a wrong
    one is sought.
    """

    expected: str
    fits: Callable[[Any], bool]
    words: tuple[str, ...] = ()


def whole(least: int, most: int | None = None) -> Setting:
    """A whole number from `least` to `most`; neither a truth value nor a float."""
    words = f"a whole number, {least} or more" if most is None else f"a whole number from {least} to {most}"

    def fits(value: Any) -> bool:
        if not isinstance(value, numbers.Integral) or isinstance(value, bool):
            return False
        return least <= int(value) and (most is None or int(value) <= most)

    return Setting(words, fits)


def choice(*words: str) -> Setting:
    """One of these words."""
    expected = ", ".join(f'"{word}"' for word in words)
    return Setting(expected, lambda value: isinstance(value, str) and value in words, words)


def _between_0_and_1(value: Any) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    return 0.0 < float(value) < 1.0


def _true_or_false(value: Any) -> bool:
    if isinstance(value, bool) or (isinstance(value, numbers.Integral) and value in (0, 1)):
        return True
    return str(getattr(value, "dtype", "")) == "bool" and getattr(value, "shape", None) == ()  # numpy's own


def _variables(value: Any) -> bool:
    if isinstance(value, str):
        return value in KEPT
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


TRUTH = Setting("True or False", _true_or_false)
SEED = whole(0, 2**63 - 1)  # the largest whole number of a model file, and of a saved posterior
ANY_SEED = Setting(f"{SEED.expected}, or None for a new one", lambda value: value is None or SEED.fits(value))
KEPT = ("all", "parameters")  # what may be kept of draws, beside a list of variables
PROBABILITY = Setting("a number between 0 and 1", _between_0_and_1)
COUNT = whole(1)
POINTS = whole(1, 100)  # of quadrature; beyond that no digit is gained, and lme4 refuses more
REFITS = whole(2)
SAMPLING = {
    "chains": COUNT,
    "draws": whole(LEAST_DRAWS),
    "warmup": whole(20, 1_000_000),
    "thin": whole(1, 1_000_000),
    "seed": ANY_SEED,
    "keep": Setting('"all", "parameters", or a list of variables of deviations, such as ["b_id"]', _variables, KEPT),
    "device": choice("auto", "cpu", "gpu"),
    "target_accept": PROBABILITY,
    "max_tree_depth": whole(1, 20),
    "integrate": choice("auto", "all", "largest"),
    "method": choice("nuts", "laplace", "advi"),
    "progress": TRUTH,
}
IN_A_CALL = ("integrate", "method", "progress")  # of these, what no model file says
IN_FILES = {name: setting for name, setting in SAMPLING.items() if name not in IN_A_CALL}


@dataclass(frozen=True)
class Sampling:
    """How the posterior is sampled: `chains` x `draws`, every `thin`-th after `warmup` iterations of each chain, from
    `seed`. `keep`: whose deviations are kept.

    `integrate`: which of crossed factors' deviations are integrated out. `method`: "nuts", or that of an approximation.
    """

    chains: int = 4
    draws: int = 1000
    warmup: int = 200  # two halves: the Laplace fit leaves little to adapt
    thin: int = 1
    seed: int | None = 0
    keep: str | Sequence[str] = "all"
    device: str = "auto"
    target_accept: float = 0.8
    max_tree_depth: int = 10
    integrate: str = "auto"
    method: str = "nuts"
    progress: bool = True

    def checked(self) -> Sampling:
        """The same with Python's own numbers, and a seed where there was none. Raises FitError for a setting that
        cannot be.
        """
        found = Sampling(**{name: check(name, getattr(self, name), own) for name, own in SAMPLING.items()})
        return found if found.seed is not None else dataclasses.replace(found, seed=secrets.randbelow(1 << 32))

    def in_files(self) -> dict[str, Any]:
        """What a model file and the record of a run say of it."""
        own = {name: getattr(self, name) for name in IN_FILES}
        return own if isinstance(self.keep, str) else {**own, "keep": list(self.keep)}

    @property
    def iterations(self) -> int:
        """Of each chain; draws of an approximation need no warm-up, and are independent."""
        return self.draws * self.own_thin + self.own_warmup

    @property
    def own_thin(self) -> int:
        """Of how many iterations one is kept."""
        return self.thin if self.method == "nuts" else 1

    @property
    def own_warmup(self) -> int:
        """The iterations of each chain before its draws are kept."""
        return self.warmup if self.method == "nuts" else 0


DEFAULTS = Sampling()


def check(name: str, value: Any, setting: Setting) -> Any:
    """The value of an argument, as Python's own number where it is one. Raises FitError where it cannot be that."""
    if not setting.fits(value):
        hint = nearest_choice(value, setting.words) if setting.words else None
        if setting is PROBABILITY and isinstance(value, numbers.Real) and 1 < float(value) < 100:
            hint = f"{name}={float(value) / 100:g}"
        raise FitError(f"`{name}` cannot be {written(value)}", expected=setting.expected, hint=hint)
    if setting is TRUTH:
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def names_in(argument: str, value: Any, expected: str) -> list[str]:
    """A name, or several, as a list. Raises FitError for what holds anything but text."""
    try:
        found = [value] if isinstance(value, str) else list(value)
    except (TypeError, ValueError):
        found = [value]
    if not all(isinstance(each, str) for each in found):
        raise FitError(f"`{argument}` cannot be {written(value)}", found=_kind(value), expected=expected)
    return found


# a value of each kind, as a user comes by it
SOURCES = {
    "Model": "hier.Model(formula, data)",
    "Estimate": "model.estimate()",
    "Posterior": "model.sample()",
    "Comparison": "hier.compare(estimate, posterior)",
    "Pooling": "hier.pool(model)",
}


KNOWN_AS = {"Specification": "Model", "SideBySide": "Comparison"}  # records, and the classes that users know of them


def of_kind[T](what: str, value: Any, kind: type[T], error: type[HierError] = FitError) -> T:
    """The value, where it is of this kind, one of `SOURCES`. Raises `error`, which says `what` needs it."""
    if isinstance(value, kind):
        return value
    name = KNOWN_AS.get(kind.__name__, kind.__name__)
    raise error(
        f"{what} needs {_article(name)}",
        found=_kind(value),
        expected=f"what {SOURCES[name]} gives",
        hint=HINTS.get((_known_kind(value), name)),
    )


# what was given in the place of what, and the way from one to the other
HINTS = {
    ("Comparison", "Estimate"): "its `estimate`",
    ("Comparison", "Posterior"): "its `posterior`",
    ("Estimate", "Model"): "its `model`",
    ("Model", "Estimate"): "model.estimate()",
    ("Model", "Posterior"): "model.sample()",
    ("Estimate", "Comparison"): "hier.compare(estimate, posterior), with a posterior of the same model",
    ("Posterior", "Comparison"): "hier.compare(estimate, posterior), with an estimate of the same model",
}


def _known_kind(value: Any) -> str:
    """The name among `SOURCES` of what a value is, or is a kind of; otherwise that of its type."""
    names = [own.__name__ for own in type(value).__mro__]
    return next((name for name in names if name in SOURCES), names[0])


def _kind(value: Any) -> str:
    """What a value is, in words: `a Posterior`, or `1 (int)`."""
    name = _known_kind(value)
    return _article(name) if name in SOURCES else f"{written(value)} ({type(value).__name__})"


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def as_given(value: Any) -> str:
    """A value that was given where a word belongs: text in back-quotes, anything else as Python writes it."""
    return f"`{value[:LONGEST]}`" if isinstance(value, str) else written(value)


def nearest_choice(value: Any, choices: Iterable[str]) -> str | None:
    """The hint for a value that is none of the choices: the nearest, where it is text."""
    return did_you_mean(value, choices) if isinstance(value, str) else None


def written(value: Any) -> str:
    """A value as it may stand in a message: on one line, and short."""
    text = shown(repr(value))
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def refuse_beyond_memory(what: str, numbers_held: float, hint: str) -> None:
    """Raise FitError, before any work, where a request needs more memory than this machine has.

    `what` was asked for, in words; `numbers_held`: how many floating-point numbers it holds at once.
    """
    needed, available = 8.0 * numbers_held, SHARE_OF_MEMORY * memory()
    if needed > available:
        raise FitError(
            f"{what} would need about {in_bytes(needed)} of memory",
            expected=f"at most {in_bytes(available)}, {SHARE_OF_MEMORY:.0%} of what this process may use",
            hint=hint,
        )


def in_bytes(size: float) -> str:
    """A number of bytes in words, such as `3.2 GB`."""
    unit = 0
    units = ("MB", "GB", "TB", "PB", "EB")
    size /= 1e6
    while size >= 999.5 and unit < len(units) - 1:
        size, unit = size / 1000.0, unit + 1
    return f"{size:.3g} {units[unit]}"


def memory() -> float:
    """Bytes of memory of this machine, as far as this process may use it."""
    total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, float(limit)) if limit.isdigit() else total
