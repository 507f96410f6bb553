"""Every refusal of hier is one of these exceptions: what is wrong, where, what was found, what was expected, and the
next step.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from hier.text import shown

LONGEST = 500  # letters of a line of a message, of which the middle is left out beyond
BESIDE = 300  # letters of a formula that are shown on each side of the place in it


class HierError(Exception):
    """The data, the formula or the request cannot be used as given; the message says why and what to do.

    Parameters
    ----------
    what : one sentence that says what is wrong.
    where : a column, a file and line, an argument; `None` where the sentence names it already.
    found, expected : what was there, and what should have been.
    hint : the next step for the user.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.what, self.where, self.found, self.expected, self.hint = what, where, found, expected, hint
        super().__init__(self._render())

    def __reduce__(self) -> tuple[Any, ...]:
        """A refusal in another process comes back whole."""
        return _remade, (type(self), self.args, self.__dict__)

    def _lines(self) -> list[str]:
        named = [("where", self.where), ("found", self.found), ("expected", self.expected), ("try", self.hint)]
        return [f"  {label + ':':<10}{_short(shown(text.strip()))}" for label, text in named if text]

    def _render(self) -> str:
        return "\n".join([_short(shown(self.what)), *self._lines()])


def _short(line: str) -> str:
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 120]} ... {line[-100:]}"


def _remade(kind: type[HierError], args: tuple[Any, ...], parts: dict[str, Any]) -> HierError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(parts)
    return error


class FormulaError(HierError):
    """The formula cannot be read, or asks for something that hier does not fit; a caret marks the place.

    Parameters
    ----------
    text : the formula as the user wrote it.
    span : half-open character range `(start, end)` inside `text` that the caret line marks.
    """

    def __init__(
        self,
        what: str,
        text: str,
        span: tuple[int, int],
        *,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        start = min(max(span[0], 0), len(text))
        self.text, self.span = text, (start, min(max(span[1], start), len(text)))
        super().__init__(what, found=found, expected=expected, hint=hint)

    def _render(self) -> str:
        start, end = self.span
        line_start = self.text.rfind("\n", 0, start) + 1
        line_end = self.text.find("\n", start)
        line = self.text[line_start : len(self.text) if line_end < 0 else line_end]
        start, end = start - line_start, min(end - line_start, len(line))
        before, marked, after = shown(line[:start]), shown(line[start:end]), shown(line[end:])
        if len(before) > BESIDE:
            before = "..." + before[-BESIDE:]
        if len(marked) > LONGEST:
            marked = marked[:LONGEST] + "..."
        if len(after) > BESIDE:
            after = after[:BESIDE] + "..."
        marks = " " * len(before) + "^" * max(1, len(marked))
        return "\n".join([_short(shown(self.what)), f"    {before}{marked}{after}", f"    {marks}", *self._lines()])


class DataError(HierError):
    """The table cannot be used: a missing or duplicate column, values that are not numbers, too few rows."""


class ColumnError(FormulaError, DataError):
    """The formula names a column that the table does not have; a caret marks the place."""


class ModelError(HierError):
    """The model cannot be built: an unknown family or link, a prior for a parameter that is not there."""


class FitError(HierError):
    """The fit cannot be asked for as it was, or the data leave nothing to estimate."""


class JobError(HierError):
    """A file, a model file, a run folder or a device cannot be used."""


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate whose spelling is nearest to `name`, or None where none is near (difflib ratio 0.6)."""
    pool = [str(c) for c in candidates]
    folded = {c.lower(): c for c in reversed(pool)}
    close = difflib.get_close_matches(str(name), pool, n=1) or [
        folded[c] for c in difflib.get_close_matches(str(name).lower(), list(folded), n=1)
    ]
    return close[0] if close else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """A hint that names the nearest candidate, or else lists all of them."""
    pool = [str(c) for c in candidates]
    best = nearest(name, pool)
    if best is not None:
        return f"did you mean `{best}`?"
    shown = ", ".join(f"`{c}`" for c in pool[:8]) + (", ..." if len(pool) > 8 else "")
    return f"available: {shown}" if pool else None
