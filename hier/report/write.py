"""Fill the template and put the file in its place."""

from __future__ import annotations

import secrets
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from hier.errors import JobError
from hier.pooling import Comparison
from hier.report.content import content
from hier.text import shown


def write_report(comparison: Comparison, path: Path) -> Path:
    """Write a comparison as one HTML file and return its path; a file of that name is replaced, and is always whole.

    Folders on the way are made. Raises JobError where the file cannot be written.
    """
    path = Path(path)
    page = render(comparison)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, page)
    except OSError as error:
        raise JobError(
            "the report cannot be written",
            where=str(path),
            found=error.strerror or str(error),
            expected="the name of a file in a folder that can be written to",
        ) from error
    return path


def render(comparison: Comparison) -> str:
    """The report as HTML. Everything that comes from the data is escaped by the template engine."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_printable, trim_blocks=True, lstrip_blocks=True
    )
    folder = resources.files(__package__)
    template = environment.from_string(folder.joinpath("template.html.j2").read_text(encoding="utf-8"))
    # the style sheet is a file of its own, for editors; it comes with the package and holds nothing of the data
    return template.render(content(comparison), css=folder.joinpath("report.css").read_text(encoding="utf-8"))


def _replace(path: Path, page: str) -> None:
    """Write to a temporary name in the same folder, then move. A lone surrogate becomes a character reference."""
    if path.is_dir():
        raise IsADirectoryError(None, "a folder has this name")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("x", encoding="utf-8", errors="xmlcharrefreplace", newline="\n") as file:
            file.write(page)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _printable(value: object) -> object:
    """Text as one line that can be printed; what is HTML already stays."""
    return shown(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
