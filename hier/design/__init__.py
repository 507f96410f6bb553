"""A formula meets a table: columns, codes and levels, with everything that was left out counted and named."""

from hier.design.anchor import Anchor, anchor, bar_anchors
from hier.design.beside import numbers_beside
from hier.design.design import Design, NewData, build_design
from hier.design.digest import Digest, differences, digest
from hier.design.fitted_rows import frame_of_fit, with_offset
from hier.design.further import ParameterDesign
from hier.design.levels import coordinate, kind_of
from hier.design.opening import column_of, has_column, open_data
from hier.design.random_effects import Block, RandomEffects
from hier.design.reading import Reading, reading_of
from hier.design.response import Outcome
from hier.design.some_rows import some_rows
from hier.design.threads import one_blas_thread

__all__ = [
    "Anchor",
    "Block",
    "Design",
    "Digest",
    "NewData",
    "Outcome",
    "ParameterDesign",
    "RandomEffects",
    "Reading",
    "anchor",
    "bar_anchors",
    "build_design",
    "column_of",
    "coordinate",
    "differences",
    "digest",
    "frame_of_fit",
    "has_column",
    "kind_of",
    "numbers_beside",
    "one_blas_thread",
    "open_data",
    "reading_of",
    "some_rows",
    "with_offset",
]
