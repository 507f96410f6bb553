"""Tables that a result keeps once and gives away as copies: what a user changes in one changes nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class owned[T]:
    """A table made when it is first asked for, as a property; everyone who asks is given one of their own.

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
            kept[self._name] = self._make(instance)
        return _copied(kept[self._name])

    def __set__(self, instance: Any, value: T) -> None:
        instance.__dict__[self._name] = value


def _copied(value: Any) -> Any:
    return {name: _copied(each) for name, each in value.items()} if isinstance(value, dict) else value.copy()
