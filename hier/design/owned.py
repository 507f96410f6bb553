"""What a result keeps and gives away: tables as copies, and arrays that are closed to writing. So what a user changes
in a table changes nothing else, and no later answer.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

HOLDS_ARRAYS = (np.ndarray, tuple, dict)


class Closed:
    """A frozen dataclass whose arrays cannot be written into; nor can those of its copies."""

    def __post_init__(self) -> None:
        own = vars(self)
        for name, value in own.items():
            if isinstance(value, HOLDS_ARRAYS):
                own[name] = closed(value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)  # arrays come out of a pickle open
        Closed.__post_init__(self)


def closed(value: Any) -> Any:
    """The value with its arrays closed to writing, also those in records, tuples and dictionaries; an array that came
    from elsewhere stays as it is for its owner.
    """
    if isinstance(value, np.ndarray):
        if value.flags.writeable:
            value = value.view()
            value.flags.writeable = False
        return value
    if isinstance(value, dict):
        return type(value)((name, closed(each)) for name, each in value.items())
    if isinstance(value, tuple):
        parts = [closed(each) if isinstance(each, HOLDS_ARRAYS) else each for each in value]
        if any(map(operator.is_not, parts, value)):
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


class owned[T]:
    """A table, or a dictionary, made when it is first asked for, as a property; everyone who asks is given one of their
    own. Arrays in it are closed to writing.

    Without a function that makes it, the field of a dataclass, which is given once.
    """

    def __init__(self, make: Callable[[Any], T] | None = None) -> None:
        self._make = make
        self.__doc__ = make.__doc__ if make else None

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        if instance is None:
            if self._make is None:
                raise AttributeError(self._name)  # by which dataclasses know a field without a default
            return self  # type: ignore[return-value]
        kept = instance.__dict__
        if self._name not in kept:
            assert self._make is not None
            kept[self._name] = closed(self._make(instance))
        return _copied(kept[self._name])

    def __set__(self, instance: Any, value: T) -> None:
        instance.__dict__[self._name] = value


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return type(value)((name, _copied(each)) for name, each in value.items())
    return value.copy() if isinstance(value, pd.Series | pd.DataFrame) else value
