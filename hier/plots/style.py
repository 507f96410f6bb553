"""What all pictures have in common: one colour for each thing, sizes, fonts, and names as plain text.

Colours are from the palette of Okabe and Ito (2008), "Color Universal Design", which people with any of the usual
colour deficiencies can tell apart; estimate and posterior differ in shape as well.
"""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import matplotlib
import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.layout_engine import ConstrainedLayoutEngine

from hier.printed import answering
from hier.text import shown

ESTIMATE = "#0072B2"  # blue: REML, ML or MAP
POSTERIOR = "#D55E00"  # vermillion
OWN = "#8A8A8A"  # grey: no pooling, and the data
POPULATION = "#1A1A1A"  # nearly black: complete pooling
INK = "#333333"

WIDTH = 10.0  # inches of a full-width picture
MANY = 100  # levels of which no more are drawn one by one
NAMED = 60  # levels of which no more have their names on an axis
LONGEST_NAME = 22

RC: dict[str, Any] = {
    "font.size": 10.0,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9A9A9A",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.titlesize": 12.5,
    "text.color": INK,
    "text.parse_math": False,  # a level called `$a_1$` is a name, not a formula
    "xtick.color": "#9A9A9A",
    "ytick.color": "#9A9A9A",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "svg.fonttype": "path",  # the reader need not have the font
    "svg.hashsalt": "hier",  # the same picture twice is the same text
}

# DejaVu Sans comes with matplotlib but has no Chinese, Japanese or Korean; these often have, where they are installed.
FALLBACK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Microsoft YaHei",
    "Hiragino Sans",
    "PingFang SC",
    "Malgun Gothic",
    "WenQuanYi Zen Hei",
)


class Picture(Figure):
    """A matplotlib Figure that a notebook shows although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        return self.to_bytes("png")

    def to_bytes(self, file_format: str, dpi: float = 100.0) -> bytes:
        """The picture as a file of that format, `"png"` or `"svg"`; without the date, so that it can be compared.

        A name in a script that no installed font has shows as boxes; matplotlib's warning of each letter is left out.
        """
        buffer = io.BytesIO()
        metadata = {"Date": None} if file_format == "svg" else None
        with in_style(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            self.savefig(buffer, format=file_format, dpi=dpi, metadata=metadata)
        return buffer.getvalue()


def in_style() -> Any:
    """matplotlib's defaults with hier's changes until the `with` block ends; a user's settings stay as they are."""
    return style.context({**RC, "font.family": list(_fonts())}, after_reset=True)


def styled[**P](plot: Callable[P, Figure]) -> Callable[P, Figure]:
    """Let a plotting function draw in hier's style."""

    @functools.wraps(plot)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with in_style():
            return plot(*args, **kwargs)

    return answering(wrapped)


def picture(height: float, title: str, width: float = WIDTH) -> Picture:
    """An empty picture with its title, in inches. No pyplot: nothing stays open and no backend is chosen."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.04)
    figure = Picture(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.012, ha="left")
    return figure


def legend(figure: Figure, *panels: Axes, markerscale: float = 1.0) -> None:
    """The legend of what these panels show, each entry once, below all panels, where it cannot cover data."""
    entries: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower left",
        ncols=min(len(entries), 5),
        handlelength=2.2,
        markerscale=markerscale,
    )


def name(value: object, longest: int = LONGEST_NAME) -> str:
    """A level or a column as text that can be drawn on one line, cut where it is long."""
    text = shown(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def of_levels(shown: int, count: int, group: str) -> str:
    """How many levels a picture shows: `48 levels of id`, or `12 of 48 levels of id`."""
    return f"{count} levels of {name(group)}" if shown == count else f"{shown} of {count} levels of {name(group)}"


def names(values: Iterable[object], longest: int = LONGEST_NAME) -> list[str]:
    return [name(value, longest) for value in values]


def spread(order: np.ndarray, most: int) -> np.ndarray:
    """At most so many entries of an ordering, evenly chosen, first and last among them."""
    if len(order) <= most:
        return order
    return order[np.linspace(0, len(order) - 1, most).round().astype(int)]


def grid(figure: Figure, panels: int, across: int, **options: Any) -> np.ndarray:
    """That many panels in rows of `across`; places that are left over stay empty."""
    down = -(-panels // across)
    axes = figure.subplots(down, across, squeeze=False, **options).ravel()
    for spare in axes[panels:]:
        spare.set_axis_off()
    return axes[:panels]


def outer_labels(panels: np.ndarray, across: int, horizontal: str, vertical: str) -> None:
    """Name the axes that all panels share at the lowest panel of each column and the first of each row."""
    for axes in panels[-across:]:
        axes.set_xlabel(horizontal)
        axes.tick_params(labelbottom=True)
    for axes in panels[::across]:
        axes.set_ylabel(vertical)


def level_axis(axes: Axes, labels: list[str], title: str) -> None:
    """A vertical axis with a place for each level, named where there is room."""
    axes.set_ylim(-0.8, len(labels) - 0.2)
    if len(labels) <= NAMED:
        axes.set_yticks(np.arange(len(labels)), labels, fontsize=9.0 if len(labels) <= 25 else 7.0)
        axes.tick_params(axis="y", length=0)
    else:
        axes.set_yticks([])
    axes.set_ylabel(title)


def level_height(levels: int) -> float:
    """Inches that so many levels need, one below the other."""
    return float(np.clip(1.6 + (0.22 if levels <= 25 else 0.135) * levels, 3.4, 9.0))


def chain_colours(chains: int) -> list[Any]:
    """Colours of chains: steps of viridis, which mean neither estimate nor posterior."""
    return list(matplotlib.colormaps["viridis"](np.linspace(0.0, 0.85, chains)))


@functools.cache
def _fonts() -> tuple[str, ...]:
    installed = {font.name for font in fontManager.ttflist}
    return ("DejaVu Sans", *(font for font in FALLBACK_FONTS if font in installed))
