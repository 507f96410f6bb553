"""What stands in the place of the rows of the data in a design that was read from a file, which does not hold them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from hier.errors import FitError

if TYPE_CHECKING:
    from hier.design.design import Design
    from hier.design.further import ParameterDesign
    from hier.design.random_effects import RandomEffects


def refuse_rows(*_: Any, **__: Any) -> NoReturn:
    raise FitError(
        "this result was read from a file, which does not hold the data of the fit",
        expected="for what needs their rows, the model, built again from the same data",
        hint="hier.load_posterior(path, model=model) or hier.load_estimate(path, model=model); predict(new_data) needs "
        "none",
    )


class RowsNotKept:
    """As many rows as there were, of which nothing is known: whatever asks for one is refused in one sentence."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        refuse_rows()

    __array__ = __getitem__ = __iter__ = __matmul__ = __rmatmul__ = refuse_rows
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = refuse_rows
    __lt__ = __le__ = __gt__ = __ge__ = refuse_rows


def without_rows(design: Design) -> Design:
    """The design with all that codes other data as those of the fit, and none of the rows of these."""
    rows: Any = RowsNotKept(design.nobs)
    given = design.offset_given
    return replace(
        design,
        y=rows,
        X=rows,
        weights=None if design.weights is None else rows,
        offset=None if design.offset is None else rows,
        trials=None if design.trials is None else rows,
        index=rows,
        random_effects=tuple(_effects(own, rows) for own in design.random_effects),
        parameters=tuple(_parameter(own, rows) for own in design.parameters),
        offset_given=given if isinstance(given, str | None) else rows,
        table=None,
    )


def _effects(own: RandomEffects, rows: Any) -> RandomEffects:
    return replace(own, codes=rows, Z=rows)


def _parameter(own: ParameterDesign, rows: Any) -> ParameterDesign:
    return replace(own, X=rows, offset=None if own.offset is None else rows)
