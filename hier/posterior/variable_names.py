"""What the variables and dimensions of a posterior are called, in its draws, its tree and the sites of the program."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hier.model.parameter_names import group_variables
from hier.text import plain_text

_PARAMETERS = ("sigma", "nu", "shape", "phi", "zi", "hu")
# names that no grouping factor can have there
SCHEMA = frozenset({"chain", "draw", "obs", "y", "coef", "beta", "cutpoints", "cutpoint", *_PARAMETERS})


def dims_of(stem: str) -> tuple[str, str, str]:
    """The dimensions of a grouping factor: its levels, its columns, and the pairs of them that have a correlation."""
    return stem, f"{stem}_coef", f"{stem}_pair"


def stems(names: Sequence[str]) -> list[str]:
    """What the dimensions and variables of grouping factors of these names are named for: the name itself, as long as
    a tree can hold it and nothing else there is called so.
    """
    found: list[str] = []
    taken = set(SCHEMA)
    for name in names:
        stem = in_tree(name)
        while taken & (own := {*dims_of(stem), *group_variables(stem)}):
            stem += "_"
        taken |= own
        found.append(stem)
    return found


def in_tree(name: str, taken: Collection[str] = ()) -> str:
    """A name as a tree can hold it: there a slash parts one level of the tree from the next. One that is taken gets an
    underscore.
    """
    stem = plain_text(name).replace("/", "|")
    while stem in taken or stem == ".":  # which HDF5 takes for the place itself
        stem += "_"
    return stem
