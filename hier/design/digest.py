"""A digest of a design, by which two results are known to be of the same model on the same data.

Each part, the response, a column, the weights, is kept as two numbers: its sum with fixed random weights, and its
length. They are equal on every machine but for rounding, where the bytes of a logarithm or a spline basis are not, so
that a posterior that was sampled on one computer can be compared with an estimate on another.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from hier.design.design import Design

SAME = 1e-10  # of a part's length: larger differences are not rounding

Digest = dict[str, Any]  # by what a part is called in a message: text, or two numbers


def digest(design: Design) -> Digest:
    """The digest of everything in a design that a fit depends on."""
    found: Digest = {"the response": _sums(design.y)}
    found |= {f"the column `{name}`": _sums(column) for name, column in zip(design.names, design.X.T, strict=True)}
    for name, values in (("weights", design.weights), ("offset", design.offset), ("trials", design.trials)):
        found |= {} if values is None else {f"the {name}": _sums(values)}
    if design.categories is not None:
        found["the categories"] = _text(design.categories)
    for random in design.random_effects:
        found[f"the levels of `{random.group}`"] = _text(random.levels)
        found[f"the rows of the levels of `{random.group}`"] = _sums(random.codes)
        found[f"the covariances of `{random.group}`"] = repr([tuple(block) for block in random.blocks])
        for name, column in zip(random.names, random.Z.T, strict=True):
            found[f"the column `{name}` of `{random.group}`"] = _sums(column)
    for own in design.parameters:
        if own.has_formula:
            columns = zip(own.names, own.X.T, strict=True)
            found |= {f"the column `{name}` of `{own.name}`": _sums(column) for name, column in columns}
    return found


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What two digests do not have in common, as words."""
    names = list(dict.fromkeys([*one, *other]))
    return [name for name in names if not _same(one.get(name), other.get(name))]


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None or isinstance(one, str) or isinstance(other, str):
        return one == other
    length = max(one[-1], other[-1])
    return one[0] == other[0] and all(
        abs(a - b) <= SAME * length or a == b for a, b in zip(one[1:], other[1:], strict=True)
    )


def _sums(values: np.ndarray) -> list[float]:
    """The number of values (n,), their sum with the random weights, and their length."""
    numbers = np.asarray(values, dtype=np.float64)
    scale = float(np.abs(numbers).max(initial=0.0)) or 1.0
    scaled = numbers / scale  # squares of 1e160 are none
    return [len(numbers), scale * float(scaled @ _random(len(numbers))), scale * float(np.linalg.norm(scaled))]


@functools.lru_cache(maxsize=4)
def _random(n: int) -> np.ndarray:
    """Numbers between -1 and 1, always the same: NumPy promises that this generator's never change."""
    return 2.0 * np.random.RandomState(0).random_sample(n) - 1.0


def _text(levels: Any) -> str:
    """A digest of labels as they are written: numbers that a file keeps as 1 and those of a table as 1 are one."""
    return hashlib.sha256("\0".join(map(str, levels)).encode("utf-8", "surrogatepass")).hexdigest()[:32]
