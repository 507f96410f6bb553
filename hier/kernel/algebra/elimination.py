"""How the kernel will take the group deviations of a model apart: by what order of elimination, and what it costs.

The deviations of one factor never meet each other in a row, so they are eliminated level by level. Where every factor
is nested in the next, that goes on from the innermost to the outermost. Where factors cross, the largest is eliminated
level by level and all others together, as one dense matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hier.errors import FitError
from hier.settings import SHARE_OF_MEMORY, memory

DENSE_COPIES = 8  # square matrices of the dense part that are alive at once


class Elimination(NamedTuple):
    """The order in which grouping factors are eliminated, by their positions in the model.

    `levels`: factors whose levels are eliminated one by one, each nested in the next; `dense`: factors that are
    eliminated together afterwards. `parents[a][b]`: the level of factor `levels[a + 1 + b]` that each level of factor
    `levels[a]` belongs to.
    """

    levels: tuple[int, ...]
    dense: tuple[int, ...]
    parents: tuple[tuple[np.ndarray, ...], ...]

    @property
    def order(self) -> tuple[int, ...]:
        """All factors in the kernel's order."""
        return self.levels + self.dense

    def ordered[T](self, items: Sequence[T]) -> tuple[T, ...]:
        """What there is of each factor, in the kernel's order."""
        return tuple(items[k] for k in self.order)

    def restored[T](self, items: Sequence[T]) -> tuple[T, ...]:
        """What there is of each factor in the kernel's order, in the model's order again."""
        return tuple(items[self.place(k)] for k in range(len(self.order)))

    def place(self, k: int) -> int:
        """The place of the model's factor `k` in the kernel's order."""
        return self.order.index(k)

    def in_words(self, groups: Sequence[str], sizes: Sequence[int]) -> str:
        """What is done, in a sentence; `groups` and `sizes`: names and numbers of deviations, in the model's order."""
        first = " in ".join(groups[k] for k in self.levels)
        said = f"the deviations of {first} are eliminated level by level"
        if len(self.levels) > 1:
            said += ", the inner levels first"
        if self.dense:
            others = ", ".join(groups[k] for k in self.dense)
            said += f", those of {others} ({sum(sizes[k] for k in self.dense)}) as one dense matrix"
        return said


def choose_structure(codes: Sequence[np.ndarray], n_levels: Sequence[int], n_columns: Sequence[int]) -> Elimination:
    """The structure of grouping factors with these `codes` (n,), numbers of levels and numbers of columns."""
    by_size = sorted(range(len(codes)), key=lambda k: (-n_levels[k], k))
    parents = _chain([codes[k] for k in by_size], [n_levels[k] for k in by_size])
    if parents is not None:
        return Elimination(tuple(by_size), (), parents)
    largest = max(range(len(codes)), key=lambda k: n_levels[k] * n_columns[k])
    return Elimination((largest,), tuple(k for k in range(len(codes)) if k != largest), ((),))


def _chain(codes: list[np.ndarray], n_levels: list[int]) -> tuple[tuple[np.ndarray, ...], ...] | None:
    """Each factor's parents among the later ones; None unless every factor is nested in the next."""
    steps = []
    for inner, outer, size in zip(codes, codes[1:], n_levels, strict=False):
        parent = np.zeros(size, outer.dtype)
        parent[inner] = outer
        if not np.array_equal(parent[inner], outer):
            return None
        steps.append(parent)
    chains = []
    for k in range(len(codes)):
        found: list[np.ndarray] = []
        for step in steps[k:]:
            found.append(step if not found else step[found[-1]])
        chains.append(tuple(found))
    return tuple(chains)


def refuse_too_large(names: Sequence[str], sizes: Sequence[int]) -> None:
    """Raise FitError where the dense part of crossed factors would not fit into this machine's memory.

    `names` of its grouping factors and `sizes`, their numbers of deviations.
    """
    if not sizes:
        return
    total = sum(sizes)
    needed = 8.0 * DENSE_COPIES * total**2
    available = SHARE_OF_MEMORY * memory()
    if needed > available:
        listed = ", ".join(f"`{name}` {size}" for name, size in zip(names, sizes, strict=True))
        raise FitError(
            f"these crossed grouping factors leave a dense matrix of {total} rows, too large for this machine",
            found=f"{listed} deviations beside the largest factor: about {needed / 1e9:.1f} GB",
            expected=f"at most {available / 1e9:.1f} GB, which is about {int((available / 8 / DENSE_COPIES) ** 0.5)} "
            "rows",
            hint="use fewer columns inside the bars of the smaller factors, coarser levels, or more memory",
        )
