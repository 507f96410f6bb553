"""The rows of the fit as a table again, so that a column can be changed and the rest stays as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hier.design.beside import OFFSET
from hier.design.design import Design
from hier.design.not_kept import refuse_rows
from hier.design.table import RESERVED
from hier.errors import DataError


def frame_of_fit(design: Design) -> pd.DataFrame:
    """The columns of the formula in the rows of the fit. Raises FitError for a design that was read from a file, and
    DataError where the user's table has changed since, whose arrays these may be.
    """
    if design.table is None:
        refuse_rows()
    table = design.table
    X = design.fixed.columns(table)[:, design.kept]
    if X.shape != design.X.shape or not np.array_equal(X, design.X):
        raise DataError(
            "the rows of the fit are not what they were: the table has been changed since",
            expected="the data of the fit, or a table of rows: newdata=data",
            hint="fit the model to the table as it is now, or keep a copy of the one it was fitted to",
        )
    columns = {name: own for name, own in table.columns.items() if name not in RESERVED}
    return with_offset(pd.DataFrame(columns, index=table.index), design, table.columns.get(OFFSET))


def with_offset(frame: pd.DataFrame, design: Design, values: Any) -> pd.DataFrame:
    """Rows with the values of the offset beside the formula, if there is one, where the design looks for them."""
    if values is None:
        return frame
    return frame.assign(**{design.offset_given if isinstance(design.offset_given, str) else OFFSET: values})
