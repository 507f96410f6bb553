"""Arguments that are one of a few words, and the quantile that intervals share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hier.errors import FitError, nearest
from hier.settings import written


def check_choice(argument: str, value: Any, choices: Sequence[Any]) -> None:
    """Raise FitError unless an argument is one of the choices."""
    if isinstance(value, str | None) and value in choices:
        return
    named = [f'"{choice}"' if isinstance(choice, str) else repr(choice) for choice in choices]
    near = nearest(value, filter(None, choices)) if isinstance(value, str) else None
    raise FitError(
        f"`{argument}` cannot be {written(value)}",
        expected=" or ".join(named),
        hint=f'use {argument}="{near}"' if near else f"use {argument}={named[0]}",
    )


def normal_quantile(probability: float) -> float:
    """The standard Normal quantile."""
    from scipy.special import ndtri

    return float(ndtri(probability))
