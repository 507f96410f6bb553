"""Results as they show themselves: as text when printed, the same text in a notebook, and the name that was meant, of
an attribute or of an argument.
"""

from __future__ import annotations

import functools
import html
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hier.errors import FitError, did_you_mean
from hier.text import shown, shown_lines

# arguments as lme4, brms, PyMC, Bambi, NumPyro, statsmodels and SciPy call them -> what they are here, where that is an
# argument of the same function
ELSEWHERE = {
    "REML": "method",
    "reml": "method",
    "nAGQ": "nagq",
    "iter": "draws",
    "num_samples": "draws",
    "tune": "warmup",
    "num_warmup": "warmup",
    "burnin": "warmup",
    "num_chains": "chains",
    "thinning": "thin",
    "random_seed": "seed",
    "rng_key": "seed",
    "progressbar": "progress",
    "progress_bar": "progress",
    "parm": "parameters",
    "alpha": "level",
    "conf_level": "level",
    "prob": "level",
    "newdata": "data",
    "re_form": "random",
    "re_formula": "random",
    "allow_new_levels": "new_levels",
    "se_fit": "se",
    "nsim": "n",
    "filename": "path",
}


def answering[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Let a call that a function cannot take end in a refusal that says what it takes, and what was meant.

    A TypeError from within the function stays what it is.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TypeError:
            refused = _refused_call(function, args, kwargs)
            if refused is None:
                raise
        raise refused

    return wrapped


def _refused_call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> FitError | None:
    """Why a function cannot be called with these arguments, or None where it can."""
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        reason = str(error)
    else:
        return None
    name = getattr(function, "__qualname__", str(function)).removesuffix(".__init__")
    takes = [own for own in signature.parameters if own != "self"]
    expected = f"{name}({', '.join(takes)})"
    stray = next((own for own in kwargs if own not in takes), None)
    if stray is None:
        return FitError(f"`{name}` cannot be called with these arguments: {reason}", expected=expected)
    here = ELSEWHERE.get(stray)
    return FitError(
        f"`{name}` has no argument `{stray}`",
        found=shown(f"{stray}={kwargs[stray]!r}")[:80],
        expected=expected,
        hint=f"`{here}`" if here in takes else did_you_mean(stray, takes),
    )


class Printed:
    """A value that prints as a block of text.

    A class gives the text by `_text`; a dataclass of this kind is made with `repr=False`. In a notebook the block
    stands as it would in a terminal. An unknown attribute raises an AttributeError that names the nearest one, and an
    argument that a method does not have, a FitError.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, own in list(vars(cls).items()):
            if isinstance(own, types.FunctionType) and (not name.startswith("_") or name == "__init__"):
                setattr(cls, name, answering(own))

    def _text(self) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        return shown_lines(self._text())

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(shown_lines(self._text()))}</pre>"

    def __getattr__(self, name: str) -> Any:
        kind = type(self)
        if not name.startswith("_") and hasattr(kind, name):
            # a property that failed: Python looks here too, and what it said is what the user should read
            return object.__getattribute__(self, name)
        public = [own for own in dir(kind) if not own.startswith("_")]
        public += [own for own in self.__dict__ if not own.startswith("_")]
        hint = "" if name.startswith("_") else f"; {did_you_mean(name, dict.fromkeys(public))}"
        raise AttributeError(f"{kind.__name__!r} object has no attribute {name!r}{hint}", name=name, obj=self)
