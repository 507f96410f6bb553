"""Results as they show themselves: as text when printed, the same text in a notebook, and the name that was meant."""

from __future__ import annotations

import html
from typing import Any

from hier.errors import did_you_mean
from hier.text import shown_lines


class Printed:
    """A value that prints as a block of text.

    A class gives the text by `_text`; a dataclass of this kind is made with `repr=False`. In a notebook the block
    stands as it would in a terminal. An unknown attribute raises an AttributeError that names the nearest one.
    """

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
