"""Fill the template and put the file in its place."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from hier.errors import ModelError
from hier.files import refuse_unwritable, write
from hier.pooling import SideBySide
from hier.reporting.content import content
from hier.settings import of_kind
from hier.text import shown

WHAT = "the report"


def write_report(comparison: SideBySide, path: str | Path) -> Path:
    """Write a comparison as one HTML file and return its path; a file of that name is replaced, and is always whole.

    Folders on the way are made. Raises JobError where the file cannot be written.
    """
    comparison = of_kind("a report", comparison, SideBySide, ModelError)
    path = refuse_unwritable(path, WHAT)
    return write(path, render(comparison).encode("utf-8", "xmlcharrefreplace"), WHAT)


def render(comparison: SideBySide) -> str:
    """The report as HTML. Everything that comes from the data is escaped by the template engine."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_printable, trim_blocks=True, lstrip_blocks=True
    )
    folder = resources.files(__package__)
    template = environment.from_string(folder.joinpath("template.html.j2").read_text(encoding="utf-8"))
    # the style sheet is a file of its own, for editors; it comes with the package and holds nothing of the data
    return template.render(content(comparison), css=folder.joinpath("report.css").read_text(encoding="utf-8"))


def _printable(value: object) -> object:
    """Text as one line that can be printed; what is HTML already stays."""
    return shown(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
