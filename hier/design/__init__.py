"""A formula meets a table: columns, codes and levels, with everything that was left out counted and named."""

from hier.design.design import Design, NewData, build_design
from hier.design.groups import Block, RandomEffects
from hier.design.parameters import ParameterDesign
from hier.design.response import Outcome
from hier.design.table import read_frame
from hier.design.threads import one_blas_thread

__all__ = [
    "Block",
    "Design",
    "NewData",
    "Outcome",
    "ParameterDesign",
    "RandomEffects",
    "build_design",
    "one_blas_thread",
    "read_frame",
]
