"""Records, labels and arrays as JSON, and back, by a table of the records that there are: nothing that is read is
evaluated, and nothing outside the table can come of it.

Long arrays stand beside the JSON, by name. A value that is no JSON is written as an object of one entry, which says
what it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from hier.design import Block, Design, Outcome, ParameterDesign, RandomEffects, Reading
from hier.design.coding import Coding
from hier.design.encode import Encoder
from hier.design.not_kept import RowsNotKept
from hier.design.rank import Determined
from hier.design.variables import Variables
from hier.estimate.fitted import Arrays, Further, TermArrays
from hier.estimate.level_labels import read_label, write_label
from hier.estimate.mixed_model_equations import Solved
from hier.formula import Factor, LinearPart, ParsedFormula, RandomTerm, Term
from hier.formula.factors import Contrast
from hier.formula.formula import Trials
from hier.formula.syntax import Bar, Binary, Call, Name, NamedArgument, Number, Paren, String, Unary
from hier.kernel.algebra.elimination import Elimination
from hier.kernel.algebra.scaling import ColumnUnits, Units
from hier.kernel.normal.prediction_errors import Errors
from hier.kernel.search.curvature import Curvature

RECORDS: dict[str, type] = {
    own.__name__: own
    for own in (
        *(Name, Number, String, Call, NamedArgument, Unary, Binary, Bar, Paren),
        *(Factor, Contrast, Term, LinearPart, RandomTerm, Trials, ParsedFormula),
        *(Coding, Encoder, Determined, Block, RandomEffects, ParameterDesign, Outcome, Reading, Variables, Design),
        *(Elimination, ColumnUnits, Units, Errors, Solved),
        *(Arrays, TermArrays, Further, Curvature),
    )
}
INLINE = 64  # numbers of an array that stand in the JSON itself

Stored = dict[str, np.ndarray]


def to_json(value: Any, arrays: Stored) -> Any:
    """A value as JSON; `arrays` gets those that are long. Raises TypeError for what there is no way to write."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and not isinstance(value, np.generic):
        return value if np.isfinite(value) else {"float": repr(value)}
    for kind, writer in WRITERS.items():
        if isinstance(value, kind):
            return writer(value, arrays)
    fields = _fields(value)
    if fields is not None:
        own = {name: to_json(each, arrays) for name, each in fields.items()}
        return {"record": [type(value).__name__, own]}
    if isinstance(value, tuple):
        return {"tuple": [to_json(each, arrays) for each in value]}
    if hasattr(value, "__array__") and not isinstance(value, RowsNotKept):
        return _array(np.asarray(value), arrays)
    return {"label": write_label(value)}


def from_json(written: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The value that `to_json` wrote. Raises KeyError for what it never writes."""
    if not isinstance(written, dict):
        return written
    ((kind, content),) = written.items()
    return READERS[kind](content, arrays)


def _fields(value: Any) -> dict[str, Any] | None:
    """The fields of a record of the table by name; None for any other value."""
    if RECORDS.get(type(value).__name__) is not type(value):
        return None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return value._asdict()


def _array(value: np.ndarray, arrays: Stored) -> Any:
    if value.dtype.kind not in "biuf":
        return {"labels": [list(value.shape), [to_json(each, arrays) for each in value.ravel().tolist()]]}
    order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    if value.size <= INLINE and np.isfinite(value).all():
        return {"numbers": [value.dtype.str, list(value.shape), order, value.ravel().tolist()]}
    name = f"a{len(arrays)}"
    arrays[name] = np.ascontiguousarray(value)
    return {"array": [name, order]}


def _read_numbers(content: Any, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    dtype, shape, order, values = content
    return np.array(np.array(values, dtype).reshape(shape), order=order)


def _read_labels(content: Any, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    shape, values = content
    found = np.empty(len(values), object)
    found[:] = [from_json(each, arrays) for each in values]
    return found.reshape(shape)


def _index(value: pd.Index, arrays: Stored) -> Any:
    if value.dtype.kind in "biuf" and isinstance(value.dtype, np.dtype):
        content = _array(value.to_numpy(), arrays)
    else:
        content = [write_label(each) for each in value]
    return {"index": [str(value.dtype), to_json(value.name, arrays), content]}


def _read_index(content: Any, arrays: Mapping[str, np.ndarray]) -> pd.Index:
    dtype, name, values = content
    if isinstance(values, dict):
        return pd.Index(from_json(values, arrays), dtype=dtype, name=name)
    found = np.empty(len(values), object)
    found[:] = [read_label(each) for each in values]
    return pd.Index(found, dtype=dtype if dtype != "category" else object, name=name, tupleize_cols=False)


def _csr(value: sparse.csr_array, arrays: Stored) -> Any:
    shape: Any = value.shape
    return {"csr": [list(map(int, shape)), *(_array(own, arrays) for own in (value.data, value.indices, value.indptr))]}


def _read_csr(content: Any, arrays: Mapping[str, np.ndarray]) -> sparse.csr_array:
    shape, *parts = content
    return sparse.csr_array(tuple(from_json(own, arrays) for own in parts), shape=tuple(shape))


def _read_record(content: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    name, fields = content
    return RECORDS[name](**{field: from_json(own, arrays) for field, own in fields.items()})


def _all(values: Any, arrays: Mapping[str, np.ndarray]) -> list[Any]:
    return [from_json(each, arrays) for each in values]


# by type, in the order in which they are tried
WRITERS: dict[type, Callable[[Any, Stored], Any]] = {
    RowsNotKept: lambda value, arrays: {"rows": len(value)},
    np.generic: lambda value, arrays: (
        to_json(value.item(), arrays) if value.dtype.kind in "biufU" else {"label": write_label(pd.Timestamp(value))}
    ),
    np.ndarray: _array,
    sparse.csr_array: _csr,
    pd.Index: _index,
    list: lambda value, arrays: {"list": [to_json(each, arrays) for each in value]},
    Mapping: lambda value, arrays: {"dict": [[to_json(k, arrays), to_json(v, arrays)] for k, v in value.items()]},
    frozenset: lambda value, arrays: {"set": [to_json(each, arrays) for each in sorted(value, key=repr)]},
}
READERS: dict[str, Callable[[Any, Mapping[str, np.ndarray]], Any]] = {
    "float": lambda content, arrays: float(content),
    "label": lambda content, arrays: read_label(content),
    "rows": lambda content, arrays: RowsNotKept(content),
    "record": _read_record,
    "tuple": lambda content, arrays: tuple(_all(content, arrays)),
    "list": _all,
    "dict": lambda content, arrays: {from_json(k, arrays): from_json(v, arrays) for k, v in content},
    "set": lambda content, arrays: frozenset(_all(content, arrays)),
    "numbers": _read_numbers,
    "labels": _read_labels,
    "array": lambda content, arrays: np.array(arrays[content[0]], order=content[1]),
    "index": _read_index,
    "csr": _read_csr,
}
