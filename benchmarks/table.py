"""Rows of a comparison, and how they print."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.measure import Reply, Spread, paired, spread
from benchmarks.programs import TARGETS

HEADER = ("what", "hier median [min, max]", "peer median [min, max]", "times better", "target", "met")


@dataclass(frozen=True)
class Row:
    """One comparison; `ratio` says how many times better hier is, and what was not measured is None."""

    what: str
    ours: Spread | None
    peer: Spread | None
    ratio: Spread | None
    target: float | None
    unscaled: bool = False

    @property
    def met(self) -> str:
        """Whether the median ratio reaches the target; empty without a target, '?' without a measurement."""
        if self.target is None:
            return ""
        if self.ratio is None:
            return "?"
        return "yes" if self.ratio.median >= self.target else "NO"


@dataclass(frozen=True)
class Program:
    """A program that ran: its version, and how long its first import in this run took."""

    name: str
    version: str
    import_s: float


@dataclass
class Part:
    """One part of a run, with all that it prints."""

    name: str
    note: str
    scale: float = 1.0
    rows: list[Row] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)


def compare(
    what: str, ours: Sequence[float], peer: Sequence[float], key: tuple[str, str], more: bool = False
) -> list[Row]:
    """One row from two series, none where neither was measured; `more` is for figures of which more is better."""
    if not ours and not peer:
        return []
    ratio = None
    if ours and peer:
        ratio = paired(ours, peer) if more else paired(peer, ours)
    sides = [spread(values) if values else None for values in (ours, peer)]
    return [Row(what, sides[0], sides[1], ratio, TARGETS.get(key), unscaled=more)]


def answer(name: str, reply: Reply) -> str:
    """The figures that one program found, so that a reader sees that all fitted the same model."""
    said = []
    if "fixef" in reply:
        said.append("fixed effects " + "  ".join(f"{value:.5f}" for value in reply["fixef"]))
    if "sigma" in reply:
        said.append(f"sigma {reply['sigma']:.5f}")
    if "objective" in reply:
        said.append(f"criterion {reply['objective']:.4f}")
    if "df" in reply:
        said.append("df " + "  ".join(f"{value:.2f}" for value in reply["df"]))
    if "boot_sd" in reply:
        said.append("sds of the refits " + "  ".join(f"{value:.4f}" for value in reply["boot_sd"]))
    if "ess" in reply:
        said.append(f"smallest ESS {reply['ess']:.0f} ({reply['ess_of']})")
    if "rhat" in reply:
        said.append(f"largest R-hat {reply['rhat']:.4f}")
    if "divergences" in reply:
        said.append(f"{reply['divergences']} divergences")
    if "peak_mb" in reply:
        said.append(f"memory {reply['peak_mb']:.0f} MB at the most, {reply['held_mb']:.0f} before the call")
    return f"{name}: {'  '.join(said)}"


def text(part: Part) -> str:
    """A part as plain text."""
    lines = [f"{part.name}: {part.note}", ""]
    cells = [HEADER] + [_cells(row, part.scale) for row in part.rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADER))]
    for row in cells:
        numbers = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *numbers]).rstrip())
    lines.insert(3, "-" * (sum(widths) + 2 * len(widths) - 2))
    lines += [f"{each.name} {each.version}: import {each.import_s:.2f} s" for each in part.programs]
    lines += part.answers
    lines += [f"{name}: {reason}" for name, reason in part.absent.items()]
    lines += [f"{name}: {reason}" for name, reason in part.trouble.items()]
    return "\n".join(lines)


def record(part: Part) -> dict[str, Any]:
    """A part as JSON, in seconds whatever unit prints."""
    rows = [asdict(row) | {"met": row.met} for row in part.rows]
    for row in rows:
        del row["unscaled"]
    return asdict(part) | {"rows": rows}


def _cells(row: Row, scale: float) -> tuple[str, ...]:
    factor = 1.0 if row.unscaled else scale
    ratio = "-" if row.ratio is None else f"{row.ratio.median:.2f} [{row.ratio.low:.2f}, {row.ratio.high:.2f}]"
    target = "" if row.target is None else f">= {row.target:g}"
    return (row.what, _spread(row.ours, factor), _spread(row.peer, factor), ratio, target, row.met)


def _spread(found: Spread | None, factor: float) -> str:
    if found is None:
        return "-"
    median, low, high = (_number(value * factor) for value in (found.median, found.low, found.high))
    return f"{median} [{low}, {high}]"


def _number(value: float) -> str:
    """Three significant digits, and all digits before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
