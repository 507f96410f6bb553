"""Which deviations of a Normal model are integrated out and which are sampled, by what an effective draw costs.

Integrating all of them out leaves NUTS the few variance parameters, but a gradient has to factorise a matrix as large
as all crossed factors beside the largest have deviations. With those deviations sampled too a gradient costs little
more than a look at each cell of data, but NUTS needs more of them. Sampling the largest factor's deviations as well
would save nothing: what integrates them out is one small factorisation a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hier.errors import FitError
from hier.kernel.algebra.crossproducts import CrossProducts
from hier.settings import SAMPLING, check

# Seconds on one core, measured; only their ratios decide.
OF_EACH_GRADIENT = 5e-6
A_CUBE = 5e-11  # of the dense part's size
A_SQUARE = 5e-8
A_PAIR = 1.8e-8  # of entries of one level
A_CELL = 2e-9
A_DEVIATION = 4e-8
# Gradients an effective draw takes: about five where all is integrated out, and an elimination for the exact draw;
# with deviations sampled 7 for tens of them and 15 for a thousand.
GRADIENTS_ALL = 5.5
GRADIENTS_LARGEST = 15.0


class Integration(NamedTuple):
    """What is done: the deviations of factors `integrated` are integrated out, those of `sampled` are sampled, both as
    positions in the kernel's order; `costs`: seconds of an effective draw with all integrated out and with the largest
    alone, where factors cross.
    """

    integrated: tuple[int, ...]
    sampled: tuple[int, ...]
    costs: tuple[float, float] | None

    def in_words(self, groups: Sequence[str], sizes: Sequence[int]) -> str:
        """What is done and why, in a sentence; `groups` and `sizes`: names and numbers of deviations of all factors, in
        the kernel's order.
        """
        kept = ", ".join(groups[k] for k in self.integrated)
        if self.costs is None:
            return f"the deviations of {kept} are integrated out"
        every, largest = (f"{1e3 * cost:.2g} ms" for cost in self.costs)
        why = (
            f"by estimate {every} an effective draw with all integrated out, {largest} with the largest factor's alone"
        )
        if not self.sampled:
            return f"all deviations ({kept}) are integrated out: {why}"
        moved = ", ".join(groups[k] for k in self.sampled)
        total = sum(sizes[k] for k in self.sampled)
        return f"the deviations of {kept} are integrated out, those of {moved} ({total}) are sampled: {why}"


def choose_integration(cross: CrossProducts, integrate: str = "auto") -> Integration:
    """The cheaper of the two, or the one that is asked for: `integrate` "all" or "largest".

    Raises FitError where the model does not have it.
    """
    check("integrate", integrate, SAMPLING["integrate"])
    every = tuple(range(len(cross.levels) + sum(len(dense.own) for dense in cross.dense)))
    if not cross.dense:
        if integrate == "largest":
            raise FitError(
                'integrate="largest" needs crossed grouping factors',
                found="one factor, or factors each nested in the next, which integrate out at little cost",
                expected='integrate="auto" or "all"',
            )
        return Integration(every, (), None)
    costs = (GRADIENTS_ALL * seconds_with_all(cross), GRADIENTS_LARGEST * seconds_with_largest(cross))
    if integrate == "all" or (integrate == "auto" and costs[0] <= costs[1]):
        return Integration(every, (), costs)
    return Integration(every[:1], every[1:], costs)


def seconds_with_all(cross: CrossProducts) -> float:
    """Of one gradient with all deviations integrated out, by estimate."""
    (dense,) = cross.dense
    r, (q, _, size) = float(len(dense.rr)), cross.levels[0].zz.shape
    coupling = 4.0 * A_CUBE * size * q * r**2 if dense.coupling.is_dense else A_PAIR * dense.coupling.pairs.product.size
    return OF_EACH_GRADIENT + A_CUBE * r**3 + A_SQUARE * r**2 + coupling


def seconds_with_largest(cross: CrossProducts) -> float:
    """Of one gradient with the largest factor's deviations integrated out and the others given, by estimate."""
    (dense,) = cross.dense
    size, (q, columns, _) = cross.levels[0].right.size, cross.levels[0].right.shape
    levels = A_CELL * size * (q + columns)
    return 2.0 * OF_EACH_GRADIENT + A_CELL * dense.coupling.value.size + A_DEVIATION * len(dense.rr) + levels
