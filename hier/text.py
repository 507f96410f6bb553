"""Text of the user's as it may be printed: a name stays on its line, and no character acts on the terminal."""

from __future__ import annotations

from collections.abc import Iterable

JOINERS = "\u200c\u200d"  # without which Persian, the scripts of India and many emoji are not spelled right


def shown(text: object) -> str:
    r"""Text as one printed line: what is no visible character stands as the escape that Python writes for it.

    So a line break shows as `\n`, the escape character as `\x1b`, a mark that turns the direction of writing as
    `\u202e`, a space that is none on the keyboard as `\xa0`. All letters, digits, signs and plain spaces stay.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() or c in JOINERS else _escape(c) for c in text])


def shown_lines(text: str) -> str:
    """Printed text of several lines, each of them as `shown` has it: for line breaks that are hier's own."""
    return "\n".join(map(shown, text.split("\n")))


def blocks(parts: Iterable[Iterable[str]]) -> str:
    """Blocks of lines with an empty line between them; a line of which some is the user's stays one line."""
    return "\n\n".join("\n".join(map(shown, part)) for part in parts)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def plain_text(value: object) -> str:
    """Text with replacement characters for what netCDF has no place for: NUL, and half of a surrogate pair."""
    text = str(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if not text.isascii() else text
