"""How a report was made: versions, settings, date."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib import metadata

from hier.pooling import SideBySide
from hier.posterior import Posterior
from hier.version import __version__

LIBRARIES = ("jax", "numpyro", "numpy", "matplotlib")


def how_made(comparison: SideBySide) -> list[tuple[str, str]]:
    """Pairs of a word and what it was: enough to make the same report again."""
    posterior = comparison.posterior
    settings = posterior.settings
    versions = ", ".join(f"{library} {_version(library)}" for library in LIBRARIES)
    return [
        ("Date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("hier", __version__),
        ("With", f"{versions}, Python {platform.python_version()}"),
        ("Point estimate", f"method {comparison.estimate.method}; {comparison.estimate.message}"),
        ("Sampling", f"{posterior.method}: {_drawn(posterior)}, seed {settings.seed}"),
    ]


def _drawn(posterior: Posterior) -> str:
    settings = posterior.settings
    if posterior.is_approximate:
        return f"{settings.chains * settings.draws} independent draws"
    return (
        f"{settings.chains} chains of {settings.draws} draws after {settings.warmup} warm-up iterations, "
        + (f"one of {settings.thin} kept, " if settings.thin > 1 else "")
        + ("ended early by Ctrl-C, " if settings.stopped else "")
        + f"tree depth at most {settings.max_tree_depth}"
    )


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "(version unknown)"
