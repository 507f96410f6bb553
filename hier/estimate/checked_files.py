"""Trees in files with checksums, and the description of a result in them, by which it is gone on with elsewhere."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hier.errors import JobError
from hier.estimate.checksums import Damaged, add_checksums, has_checksums
from hier.estimate.written_values import Stored, from_json, to_json
from hier.files import LONGEST, Given, existing, named, refusal, refuse_unwritable, write
from hier.version import __version__

if TYPE_CHECKING:
    import xarray as xr

HDF5 = b"\x89HDF\r\n\x1a\n"
GROUP = "hier"  # of a file that holds the description
FORMAT = 1  # of descriptions; a file with a later one is refused


class FileKind(NamedTuple):
    """What a file is: in words (`the posterior`), the class it is of, and what to do where it is not whole."""

    what: str
    made_by: str
    again: str


def write_tree(tree: xr.DataTree, description: Any, path: Given, kept: FileKind) -> Path:
    """Write a tree as netCDF 4 with a description, or None, and checksums; a file of that name is replaced, and is
    always whole. Raises JobError where the file cannot be written, and for values that no file can keep.
    """
    import xarray as xr

    path = refuse_unwritable(path, kept.what)
    if description is not None:
        own = xr.DataTree(_described(description, kept))
        tree = xr.DataTree.from_dict({**dict(tree.children.items()), GROUP: own})
    content = io.BytesIO()  # HDF5 ends the whole process some time after a disk was full
    tree.to_netcdf(content, engine="h5netcdf")
    add_checksums(content)
    return write(path, content.getvalue(), kept.what)


def read_tree(path: Given, kept: FileKind) -> tuple[Path, xr.DataTree]:
    """The tree of a file that is as it was written, with its path. Raises JobError where the file is not there or is
    none of hier's, and where anything in it is not as it was saved.
    """
    import xarray as xr

    path = existing(path, kept.what, hint=f"check the folder, or {kept.again}")
    try:
        with path.open("rb") as file:
            begins = file.read(len(HDF5))
    except OSError as error:
        raise refusal(f"{kept.what} cannot be read", path, error) from error
    if begins and begins != HDF5:
        raise foreign(path, "a file that is not netCDF 4", kept)
    try:
        if not has_checksums(path):
            raise foreign(path, "a netCDF file of another program, or one without hier's checksums", kept)
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            return path, tree.load()
    except Damaged as error:
        raise damaged(path, str(error), kept) from error
    except JobError:
        raise
    except Exception as error:  # whatever xarray says of a file whose arrays are whole, and their frame is not
        raise damaged(path, f"its structure cannot be read: {error}", kept) from error


def description_in(tree: xr.DataTree, path: Path, kept: FileKind) -> Any:
    """The description in a tree; None where there is none, as in files of earlier versions. Raises JobError for one of
    a later version.
    """
    if GROUP not in tree.children:
        return None
    found = tree[GROUP].dataset
    written = int(found.attrs["format"])
    if written > FORMAT:
        raise JobError(
            f"{named(path.name)} was written by a later version of hier",
            where=named(path),
            found=f"hier {found.attrs['version']}, whose files have the format {written}",
            expected=f"the format {FORMAT} or an earlier one, which hier {__version__} reads",
            hint="update hier",
        )
    arrays = {str(name): own.to_numpy() for name, own in found.data_vars.items() if name != "description"}
    return from_json(json.loads(str(found["description"].item())), arrays)


def _described(description: Any, kept: FileKind) -> xr.Dataset:
    import xarray as xr

    arrays: Stored = {}
    try:
        text = json.dumps(to_json(description, arrays))
    except TypeError as error:
        raise JobError(
            f"{kept.what} holds a value of a type that no file can keep",
            found=f"type {error}",
            expected="levels that are numbers, text, booleans, dates, times, decimals, intervals, or tuples of these",
            hint="turn the levels of factors into text before fitting",
        ) from error
    variables = {name: (tuple(f"{name}_{k}" for k in range(own.ndim)), own) for name, own in arrays.items()}
    about = {"format": FORMAT, "version": __version__}
    return xr.Dataset({"description": ((), np.array(text, object)), **variables}, attrs=about)


def foreign(path: Path, found: str, kept: FileKind) -> JobError:
    """That a file is none of these."""
    kind = kept.what.removeprefix("the ")
    return JobError(
        f"{named(path.name)} is not {'an' if kind[0] == 'e' else 'a'} {kind} that hier wrote",
        where=named(path),
        found=found,
        expected=f"a file of {kept.made_by}.save()",
    )


def damaged(path: Path, found: str, kept: FileKind) -> JobError:
    """That a file is not as it was written."""
    return JobError(
        f"{named(path.name)} is damaged: it is not as {kept.made_by}.save() wrote it",
        where=named(path),
        found=found[:LONGEST],
        hint=f"take a copy from before, or {kept.again}",
    )
