"""What a saved posterior was, array by array, so that a damaged file never passes for one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    import h5py

ATTRIBUTE = "hier_checksums"  # of the root of the file


class Damaged(Exception):
    """Where a file is not as it was written, in words."""


def add_checksums(file: BinaryIO) -> None:
    """Note in an HDF5 file the shape, the kind and the SHA-256 digest of every array in it, and a digest of each
    group's attributes.
    """
    import h5py

    with h5py.File(file, "r+") as opened:
        noted = json.dumps(dict(_entries(opened)))
        opened.attrs[ATTRIBUTE] = noted


def has_checksums(path: Path) -> bool:
    """Whether everything in a file is as it was written; False where nothing says how that was.

    What was added to the file is left alone. Raises Damaged.
    """
    import h5py

    try:
        with h5py.File(path, "r") as opened:
            if ATTRIBUTE not in opened.attrs:
                return False
            expected = json.loads(opened.attrs[ATTRIBUTE])
            found = dict(_entries(opened))
    except Exception as error:  # HDF5 has many for bytes that make no sense
        raise Damaged(f"its structure cannot be read: {error}") from error
    for name, entry in expected.items():
        if name not in found:
            raise Damaged(f"`{name}` is missing")
        if found[name][:2] != entry[:2]:
            raise Damaged(f"`{name}` has {_in_words(*found[name][:2])}, where {_in_words(*entry[:2])} were saved")
        if found[name] != entry:
            raise Damaged(f"`{name}` does not hold what was saved")
    return True


def _entries(file: h5py.File) -> Iterator[tuple[str, list[Any]]]:
    """Names such as `posterior/beta`, each with its shape, kind and digest."""
    import h5py

    items: list[tuple[str, Any]] = []
    file.visititems(lambda name, item: items.append((name, item)))
    for name, item in items:
        if isinstance(item, h5py.Group):
            attrs = {key: str(item.attrs[key]) for key in item.attrs if not key.startswith("_")}
            yield f"{name} (attributes)", [[], "text", _digest(json.dumps(attrs, sort_keys=True).encode())]
        elif item.dtype.kind in "biuf":
            little = item.dtype.newbyteorder("<")
            values = np.ascontiguousarray(item[()], little).reshape(-1)
            yield name, [list(item.shape), little.str, _digest(values.view(np.uint8))]
        else:
            text = json.dumps(np.ravel(item.asstr()[()]).tolist())
            yield name, [list(item.shape), "text", _digest(text.encode())]


def _digest(content: bytes | np.ndarray) -> str:
    return hashlib.sha256(content).hexdigest()


def _in_words(shape: list[int], kind: str) -> str:
    numbers = "labels" if kind == "text" else f"numbers ({kind.lstrip('<|')})"
    return f"{' x '.join(map(str, shape)) or 'single'} {numbers}"
